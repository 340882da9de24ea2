/*
 * Reads a layer's image: inodes, directories in order, extended attributes, targets of
 * links, data with their holes. By pread(2) and not through a mapping, since a file that
 * cannot be read, or that became shorter, must be an error here and not a signal.
 *
 * For images that the check has taken (check.h), of which every read succeeds. Still
 * nothing in them is trusted, since a disk may change them at any time: each structure is
 * judged again when it is read. What only a look at the whole can tell, that directories
 * are a tree above all, the reader does not know; it ends a walk that goes round and round
 * with E_CORRUPT, but late.
 *
 * Memory: the blocks of metadata that it keeps, `cached` of EROFS_BLOCK. One thread at a
 * time; several readers of one image are fine. All fail with E_CORRUPT, E_IO, E_NO_MEMORY.
 */
#ifndef SERVICE_LAYER_EROFS_READER_H
#define SERVICE_LAYER_EROFS_READER_H

#include "proto/runtime/buf.h"
#include "service/layer/erofs/format.h"
#include "service/layer/erofs/node.h"

struct erofs_reader;

enum { EROFS_TARGET_MAX = 4095 };

/* `fd`, for pread(2), becomes the reader's, also on failure. */
int erofs_reader_open(int fd, size_t cached, struct erofs_reader **ret_reader, struct err *err);
void erofs_reader_close(struct erofs_reader *r); /* NULL is fine */
void erofs_reader_closep(struct erofs_reader **r);

/* ---- inodes ----------------------------------------------------------------------------- */

int erofs_read_root(struct erofs_reader *r, struct erofs_node *ret_node, struct err *err);
/* `type`: as the directory's entry says. */
int erofs_read_node(struct erofs_reader *r, uint64_t nid, uint8_t type, struct erofs_node *ret_node, struct err *err);

/* A character or block device's. */
uint32_t erofs_node_device(const struct erofs_node *n);
/* A mark that this name is not there, nor in layers below: a character device 0:0. */
bool erofs_node_is_whiteout(const struct erofs_node *n);

/* ---- directories ------------------------------------------------------------------------ */

struct erofs_entry {
	uint64_t nid;
	uint8_t type;	   /* enum erofs_type */
	struct bytes name; /* borrowed until the reader is used again */
};

/* A place in a directory. It holds nothing, and may be copied. */
struct erofs_cursor {
	uint64_t nid, size, after; /* the directory's */
	uint32_t place, block;	   /* block: which of its data */
	uint16_t k, n;		   /* entry k of n in the block; n is 0 at the end */
	bool is_inline;
};

/* At the first entry. "." and ".." are never among them. */
int erofs_cursor_begin(struct erofs_reader *r, const struct erofs_node *directory, struct erofs_cursor *ret_cursor,
		       struct err *err);
int erofs_cursor_next(struct erofs_reader *r, struct erofs_cursor *c, struct err *err);
/* Not at the end. */
int erofs_cursor_entry(struct erofs_reader *r, const struct erofs_cursor *c, struct erofs_entry *ret_entry,
		       struct err *err);

/* One name of a directory, by halves; "." and ".." are none. */
int erofs_find(struct erofs_reader *r, const struct erofs_node *directory, struct bytes name, bool *ret_found,
	       struct erofs_entry *ret_entry, struct err *err);

static inline bool erofs_cursor_is_at_end(const struct erofs_cursor *c)
{
	return !c->n;
}

/* ---- what a file has -------------------------------------------------------------------- */

#define EROFS_ACL_ACCESS "system.posix_acl_access"
#define EROFS_ACL_DEFAULT "system.posix_acl_default"

struct erofs_attribute {
	const char *prefix; /* "user."; of ACLs, which are sound, all of the name */
	struct bytes name, value;
};

/* Reads all into `out`, which takes what there was in it: at most EROFS_XATTRS_MAX bytes. */
int erofs_read_attributes(struct erofs_reader *r, const struct erofs_node *n, struct buf *out, struct err *err);
/* The next of them, in the image's order, but for those by which layers are laid over each
 * other (trusted.overlay.*, user.overlay.*). False at the end. */
bool erofs_next_attribute(struct bytes *rest, struct erofs_attribute *ret_attribute);

/* Of a symlink: n->size bytes, at most EROFS_TARGET_MAX. */
int erofs_read_target(struct erofs_reader *r, const struct erofs_node *n, uint8_t target[EROFS_TARGET_MAX],
		      struct err *err);

/* Bytes of a regular file, all of them in it; holes are zeros. */
int erofs_read_data(struct erofs_reader *r, const struct erofs_node *n, uint64_t offset, uint8_t *data, size_t len,
		    struct err *err);

/* What is at `offset`, which is in the file, and for how many bytes: data, or a hole. */
int erofs_read_run(struct erofs_reader *r, const struct erofs_node *n, uint64_t offset, bool *ret_is_hole,
		   uint64_t *ret_len, struct err *err);

static inline bool erofs_node_may_have_holes(const struct erofs_node *n)
{
	return n->layout == EROFS_CHUNK_BASED;
}

#endif
