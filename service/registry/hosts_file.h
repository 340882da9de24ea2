/*
 * hosts.toml, containerd's format: the hosts that are asked for the images of a
 * registry, in the order of the file, and how (registry-cri.md 1.3).
 *
 * The root of the file is about the registry itself ("server" gives its URL), and
 * comes last. Keys that are not known are left alone, as others add some; they are
 * among the notes. Relative file names are seen from the file's own folder.
 */
#ifndef SERVICE_REGISTRY_HOSTS_FILE_H
#define SERVICE_REGISTRY_HOSTS_FILE_H

#include "service/registry/host_config.h"

enum { HOSTS_MAX = 64, HOSTS_NOTES_MAX = 16, HOSTS_FILE_BYTES_MAX = 1024 * 1024 };

struct host_list {
	struct host_config *hosts; /* the registry itself last; its authority "" where the file has no server */
	size_t n;
	char *notes[HOSTS_NOTES_MAX];
	size_t n_notes;
};

void host_list_free(struct host_list *l); /* also the cleanup function */
/* One more at the end, default values; NULL without memory, or past HOSTS_MAX. */
struct host_config *host_list_add(struct host_list *l);
/* For people; what does not fit is left out. */
void host_list_note(struct host_list *l, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

/* E_BAD_CONTENT names file, line and column. `file` is its absolute name. */
int hosts_file_parse(const char *file, const char *text, size_t len, struct host_list *ret_list, struct err *err);

#endif
