/*
 * The entries of an archive in the order in which they come, in a file, until all are known
 * and can be sorted into a list. For the files of this folder.
 */
#ifndef SERVICE_BUILD_CONTEXT_ARCHIVE_SPOOL_H
#define SERVICE_BUILD_CONTEXT_ARCHIVE_SPOOL_H

#include "service/build/context/context_owners.h"
#include "store/contexts/context_files.h"

/* path, link (the cleaned name of its target for a hard link) and xattrs, packed, follow. */
struct spool_head {
	struct context_place place; /* regular files: KNOWN; hard links: of the target, later */
	int64_t size, mtime_ns;
	uint64_t device;
	struct context_owner owner;
	uint32_t mode; /* 0: a hard link */
	uint32_t path_len, link_len, xattrs_len;
};

struct spool_entry {
	struct spool_head head;
	struct bytes path, link, xattrs;
};

struct archive_spool {
	struct context_file file;
	struct buf buffer;
	uint64_t written;
	uint64_t *at; /* where each entry is */
	size_t n, capacity;
	const uint8_t *map; /* after spool_end() */
	size_t len;
};

int spool_begin(struct archive_spool *s, struct store *store, struct err *err);
void spool_free(struct archive_spool *s);
int spool_add(struct archive_spool *s, const struct spool_entry *e, struct err *err);

/* Sorts, and drops all but the last entry of each path: then there are `n`, in the order of a
 * list. */
int spool_end(struct archive_spool *s, struct err *err);
struct spool_entry spool_get(const struct archive_spool *s, size_t i);
bool spool_find(const struct archive_spool *s, struct bytes path, size_t *ret_i);

/* The list and what is known of its files. `subdir`: as context_archive.h. Takes the pack. `ret_owners` of
 * each entry of the list, free()d by the caller; NULL: they are of no use. */
int spool_to_files(struct archive_spool *s, struct bytes subdir, struct context_pack *pack,
		   struct context_files **ret_files, struct context_owner **ret_owners, struct err *err);

#endif
