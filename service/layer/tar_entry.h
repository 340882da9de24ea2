/*
 * One entry of a tar archive: what its header and the extended ones in front of it
 * say together. The one place that knows it, for tar_count.h (layers) and
 * tar_members.h (the outer archive of a load).
 *
 * It goes as Go's archive/tar does, because that is what decides what other engines
 * find in the same archive: the last PAX header counts, with the last value of each
 * key; global ones change nothing and are only read for being sound; links,
 * directories, devices and fifos carry no data whatever their size says. Where a PAX
 * path and a GNU long name come together the PAX path counts.
 *
 * tar_entry_begin(), tar_header_read() into `header`, and while that is an extended
 * one: tar_entry_take_extended() with its content, and the next header. One thread.
 */
#ifndef SERVICE_LAYER_TAR_ENTRY_H
#define SERVICE_LAYER_TAR_ENTRY_H

#include "service/layer/tar_header.h"
#include "service/layer/tar_pax.h"

enum { TAR_EXTENDED_MAX = 1024 * 1024 }; /* an extended header with its block and its padding */

struct tar_entry {
	struct tar_header header; /* of the entry, or of an extended header */
	struct tar_pax pax;	  /* path and link are borrowed from the content that was taken last */
	bool has_long_name, long_name_is_directory;
};

void tar_entry_begin(struct tar_entry *e);

/* PAX (also global) or GNU's long name or link: `header.size` bytes are its content. */
bool tar_entry_is_extended(const struct tar_entry *e);
/* What is wrong with the content, or NULL. */
const char *tar_entry_take_extended(struct tar_entry *e, struct bytes content);

/* A regular file, whatever letter says so. */
bool tar_entry_is_regular(const struct tar_entry *e);
bool tar_entry_is_directory(const struct tar_entry *e);
/* Bytes in the archive that belong to the entry, without padding; 0 for what carries
 * none. */
uint64_t tar_entry_stored(const struct tar_entry *e);

#endif
