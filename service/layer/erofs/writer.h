/*
 * A layer's tar in, one EROFS image out, in one pass (DESIGN.md 5): bytes of files go to
 * the image as they come, what is small into the blocks of metadata; directories, whose
 * entries are known only at the end, come last; then the superblock, without which the
 * file is no image.
 *
 * The image's bytes depend on the tar's bytes and the rules alone. Format: format.h;
 * names: path.h; extended attributes: xattr.h; what is no sound tar: tar_stream.h.
 *
 * What becomes of an entry
 *   - the last one of a name counts; a directory that comes again keeps what is in it;
 *     directories that are missing are made, 0755 and root's
 *   - hard links: to a file of this layer that came before, else E_BAD_CONTENT; owner,
 *     mode and time are those of the file
 *   - whiteouts: a character device 0:0, and of its directory the xattrs
 *     trusted.overlay.origin and user.overlay.origin ""; opaque directories: the xattrs
 *     trusted.overlay.opaque and user.overlay.opaque "y". Where the layer has a file of
 *     the name, before or after, there is no whiteout of it, but a directory of the name
 *     is opaque
 *   - sparse files: chunk-based, with holes where a chunk has no data
 *   - devices, fifos, set-id bits: as they are; mounts are nodev, nosuid by default
 *
 * Memory: the names (tree.h), a few buffers, and 4 bytes for each block of metadata;
 * never a file's bytes. Ownership: the descriptor is the caller's; an image of a writer
 * that failed is to be thrown away. One thread.
 *
 * Failure: E_BAD_CONTENT, E_LIMIT, E_UNSUPPORTED with a text for the user; E_DISK_FULL,
 * E_IO, E_NO_MEMORY. After a failure the writer can only be freed.
 */
#ifndef SERVICE_LAYER_EROFS_WRITER_H
#define SERVICE_LAYER_EROFS_WRITER_H

#include <stdbool.h>
#include <stdint.h>

#include "proto/runtime/mem.h"

enum { EROFS_WRITER_VERSION = 1 }; /* of the bytes that it makes of a tar */

struct erofs_limits {
	uint64_t entries;     /* of the tar */
	uint64_t file_bytes;  /* of one file, with its holes */
	uint64_t image_bytes; /* at most 16 TiB */
	uint64_t tree_bytes;  /* memory for names, symlinks and xattrs of directories */
	uint32_t xattr_bytes; /* of one entry */
	bool drop_trusted;    /* trusted.* is left out */
};

/* 10 million entries, files and images of 512 GiB, 1 GiB of names, 64 KiB of xattrs. */
struct erofs_limits erofs_limits_default(void);

struct erofs_result {
	uint64_t image_bytes; /* a multiple of 4096 */
	uint64_t tar_bytes;
	uint64_t entries; /* of the tar, extended headers not counted */
	uint64_t inodes;  /* of the image */
	/* The root itself is opaque: overlayfs does not look there, so whoever mounts has to
	 * leave out what is below this layer. */
	bool root_is_opaque;
};

struct erofs_writer;

/* `fd`: an empty file, for pwrite(2). */
int erofs_writer_new(int fd, const struct erofs_limits *limits, struct erofs_writer **ret_writer, struct err *err);
void erofs_writer_free(struct erofs_writer *w); /* NULL is fine */
void erofs_writer_freep(struct erofs_writer **w);

int erofs_writer_feed(struct erofs_writer *w, const uint8_t *data, size_t len, struct err *err);
/* The stream has ended: the rest of the image is written. Not synced. */
int erofs_writer_finish(struct erofs_writer *w, struct erofs_result *ret_result, struct err *err);

#endif
