/*
 * The daemon's side of reading an archive from outside (Load, Import): the archive's
 * headers are read by `imaged-layer tar`, its compression by `imaged-layer inflate`,
 * both in the sandbox of sandbox.h, one process per archive. The daemon itself sees
 * places, sizes and names that were checked, and bytes that it only passes on.
 *
 * struct tar_walk: the caller reads block by block where it is told to. A member's
 * data never go through the walk: the caller reads or skips them itself.
 *
 *	uint64_t at = 0;
 *	do {
 *		if (!read_block(file, at, block))        // the archive ends at `size`
 *			return tar_walk_end(w, size, err);
 *		rc = tar_walk_block(w, block, at, cancel, &step, err);
 *		if (rc == OK && step.type == TAR_STEP_ENTRY)
 *			rc = take_member(&step, ...);
 *		at = step.next;
 *	} while (rc == OK && step.type != TAR_STEP_END);
 *
 * struct inflate_filter: compressed bytes in, the plain stream out, both without
 * waiting; inflate_filter_wait() waits when neither can go on:
 *
 *	rc = inflate_filter_read(f, buf, sizeof buf, &len, err);      // first what is there
 *	if (rc == OK)
 *		return len ? take(buf, len) : the_end;
 *	taken = 0;
 *	if (rc == E_BUSY && n)
 *		rc = inflate_filter_write(f, data, n, &taken, err);   // then more of it
 *	if (rc == E_BUSY || (rc == OK && !taken))
 *		rc = inflate_filter_wait(f, cancel, err);
 *
 * Ownership: new gives one object, freed with the function beside it, which ends the
 * process, also in the middle. Threads: an object belongs to one thread at a time.
 * Failure: E_BAD_CONTENT, E_LIMIT, E_UNSUPPORTED are the archive's fault, with a text
 * for the user; E_WORKER: the process died, hangs (layer_policy.stall_ms) or speaks
 * nonsense, with the reason; the cancel token's code. After a failure an object can only
 * be freed, calls fail with E_WORKER; but E_BUSY, and the token's code out of
 * inflate_filter_wait(), are none, and the filter goes on. SIGPIPE must be ignored in
 * the calling program.
 */
#ifndef SERVICE_LAYER_ARCHIVE_H
#define SERVICE_LAYER_ARCHIVE_H

#include "service/layer/archive_protocol.h"
#include "service/layer/layer.h"

/* ---- headers -------------------------------------------------------------------- */

struct tar_walk;

enum tar_step_type {
	TAR_STEP_NEED,	/* nothing yet: the block at `next` */
	TAR_STEP_ENTRY, /* a member; the next header is at `next` */
	TAR_STEP_END,	/* of the archive; what comes from `next` on does not matter */
};

struct tar_step {
	enum tar_step_type type;
	uint64_t next; /* a multiple of 512 */
	/* TAR_STEP_ENTRY */
	enum tar_entry_kind kind;
	uint64_t data_offset, size; /* next is after both and the padding, and fits an int64_t */
	const char *name;	    /* raw, at most WALK_NAME_MAX bytes, perhaps ""; see store/types/member_name.h */
	const char *link;	    /* target of a link, else "" */
};

/* `program`: path of imaged-layer. policy: entries and stall_ms count here. */
int tar_walk_new(const char *program, const struct layer_policy *policy, struct tar_walk **ret_walk, struct err *err);
void tar_walk_free(struct tar_walk *w); /* NULL is fine */
void tar_walk_freep(struct tar_walk **w);

/* The block at `offset`, which is `next` of the last step, at first 0. Waits for the
 * answer. The names in *ret_step belong to the walk, until the next call. */
int tar_walk_block(struct tar_walk *w, const uint8_t block[WALK_BLOCK_BYTES], uint64_t offset, struct cancel *cancel,
		   struct tar_step *ret_step, struct err *err);

/* The archive ended after `size` bytes where a further block was asked for: OK where
 * Go's archive/tar takes it for a whole one (without end mark, with half of it, without
 * the last padding), else E_BAD_CONTENT "archive is truncated". */
int tar_walk_end(const struct tar_walk *w, uint64_t size, struct err *err);

/* ---- compression ------------------------------------------------------------------ */

struct inflate_filter;

/* policy: tar_bytes and ratio, zstd_window and stall_ms count here. */
int inflate_filter_new(const char *program, const struct layer_policy *policy, struct inflate_filter **ret_filter,
		       struct err *err);
/* The same of a stream, compressed or plain, that holds a tar, which comes out as the records
 * of untar_format.h. policy: entries counts too. */
int untar_filter_new(const char *program, const struct layer_policy *policy, struct inflate_filter **ret_filter,
		     struct err *err);
void inflate_filter_free(struct inflate_filter *f); /* NULL is fine */
void inflate_filter_freep(struct inflate_filter **f);

/* Takes what fits now, perhaps nothing (OK, 0). */
int inflate_filter_write(struct inflate_filter *f, const void *data, size_t len, size_t *ret_taken, struct err *err);
/* No more input. */
void inflate_filter_end(struct inflate_filter *f);
/* What is there: E_BUSY when it is nothing yet; OK with 0 at the sound end of the
 * stream, and not before inflate_filter_end(). */
int inflate_filter_read(struct inflate_filter *f, void *data, size_t size, size_t *ret_len, struct err *err);
/* Waits until write can take or read can give something (or fail). To be called when
 * neither could: it counts as the worker's fault when that lasts. */
int inflate_filter_wait(struct inflate_filter *f, struct cancel *cancel, struct err *err);

#endif
