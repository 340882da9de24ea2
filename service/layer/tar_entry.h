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
static inline bool tar_entry_is_extended(const struct tar_entry *e)
{
	uint8_t type = e->header.type;

	return type == TAR_PAX || type == TAR_PAX_GLOBAL || type == TAR_GNU_LONG_NAME || type == TAR_GNU_LONG_LINK;
}

/* What is wrong with the content, or NULL. */
const char *tar_entry_take_extended(struct tar_entry *e, struct bytes content);

/* The rest is asked for each entry of a layer: inline, that counting stays cheap. */

/* V7 had no typeflag for directories: their name ends with a slash. */
static inline bool tar_entry_is_directory_v7(const struct tar_entry *e)
{
	if (e->header.type != TAR_REGULAR_V7)
		return false;
	if (e->pax.has_path)
		return e->pax.path_is_directory;
	return e->has_long_name ? e->long_name_is_directory : e->header.name_is_directory;
}

static inline bool tar_entry_is_directory(const struct tar_entry *e)
{
	return e->header.type == TAR_DIRECTORY || tar_entry_is_directory_v7(e);
}

/* A regular file, whatever letter says so. */
static inline bool tar_entry_is_regular(const struct tar_entry *e)
{
	switch (e->header.type) {
	case TAR_REGULAR_V7:
		return !tar_entry_is_directory_v7(e);
	case TAR_REGULAR:
	case TAR_CONTIGUOUS:
	case TAR_GNU_SPARSE:
		return true;
	default:
		return false;
	}
}

/* Bytes in the archive that belong to the entry, without padding; 0 for what carries
 * none. */
static inline uint64_t tar_entry_stored(const struct tar_entry *e)
{
	if (e->header.type >= TAR_HARD_LINK && e->header.type <= TAR_FIFO)
		return 0;
	if (tar_entry_is_directory_v7(e))
		return 0;
	return (uint64_t)(e->pax.size >= 0 ? e->pax.size : e->header.size);
}

#endif
