#include "service/layer/erofs/output.h"

#include <fcntl.h>
#include <inttypes.h>

enum { PUSH_BYTES = 8 * 1024 * 1024, DROP_BYTES = 128 * 1024 };

int erofs_output_init(struct erofs_output *o, int fd, uint64_t max, struct err *err)
{
	*o = (struct erofs_output){ .fd = fd, .max = max, .at = EROFS_BLOCK };
	o->buffer = malloc(EROFS_OUTPUT_BYTES);
	return o->buffer ? OK : fail_nomem(err);
}

void erofs_output_free(struct erofs_output *o)
{
	free(TAKE(o->buffer));
}

/* ---- writing --------------------------------------------------------------------- */

int erofs_output_patch(struct erofs_output *o, uint64_t at, const void *data, size_t len, struct err *err)
{
	const uint8_t *from = data;

	while (len) {
		ssize_t n = pwrite(o->fd, from, len, (off_t)at);

		if (n < 0 && errno != EINTR)
			return fail_errno(err, "write the layer's image");
		if (n > 0) {
			from += n;
			at += (uint64_t)n;
			len -= (size_t)n;
		}
	}
	return OK;
}

/* Starts the writing of what is complete; how it went is what the fsync tells. */
static void push(struct erofs_output *o)
{
	if (o->at - o->pushed < PUSH_BYTES)
		return;
	sync_file_range(o->fd, (off_t)o->pushed, (off_t)(o->at - o->pushed), SYNC_FILE_RANGE_WRITE);
	o->pushed = o->at;
}

static int write_out(struct erofs_output *o, const void *data, size_t len, struct err *err)
{
	int rc = erofs_output_patch(o, o->at, data, len, err);

	if (rc != OK)
		return rc;
	o->at += len;
	push(o);
	return OK;
}

/* ---- what is dropped from the cache --------------------------------------------- */

/* Waits until it is on the disk. An error is told here, and once only: the fsync of who
 * opens the file later would not hear of it. */
static int drop(const struct erofs_output *o, const struct erofs_extent *x, struct err *err)
{
	const unsigned until_written = SYNC_FILE_RANGE_WAIT_BEFORE | SYNC_FILE_RANGE_WRITE | SYNC_FILE_RANGE_WAIT_AFTER;
	int rc = sync_file_range(o->fd, (off_t)x->at, (off_t)x->len, until_written);

	if (rc && (errno == EIO || errno == ENOSPC || errno == EDQUOT))
		return fail_errno(err, "write the layer's image");
	if (!rc)
		posix_fadvise(o->fd, (off_t)x->at, (off_t)x->len, POSIX_FADV_DONTNEED);
	return OK;
}

/* To be dropped when as many others have come after it, so that the disk is kept busy and
 * seldom waited for. Little is left to the fsync: several files' are cheaper together. */
static int drop_behind(struct erofs_output *o, struct erofs_extent x, struct err *err)
{
	struct erofs_extent *place = &o->behind[o->n_behind % EROFS_OUTPUT_BEHIND];
	int rc = OK;

	if (x.len < DROP_BYTES)
		return OK;
	sync_file_range(o->fd, (off_t)x.at, (off_t)x.len, SYNC_FILE_RANGE_WRITE);
	if (o->n_behind++ >= EROFS_OUTPUT_BEHIND)
		rc = drop(o, place, err);
	*place = x;
	return rc;
}

/* ---- the buffer ------------------------------------------------------------------- */

int erofs_output_flush(struct erofs_output *o, struct err *err)
{
	const struct erofs_extent x = { o->at, o->used };
	int rc = write_out(o, o->buffer, o->used, err);

	if (rc != OK)
		return rc;
	o->used = 0;
	return o->only_metadata ? OK : drop_behind(o, x, err);
}

/* ---- appending ------------------------------------------------------------------- */

static int check_room(const struct erofs_output *o, uint64_t len, struct err *err)
{
	if (len > o->max || erofs_output_end(o) > o->max - len)
		return fail(err, E_LIMIT, "layer makes an image of more than %" PRIu64 " bytes", o->max);
	return OK;
}

int erofs_output_append(struct erofs_output *o, const void *data, size_t len, struct err *err)
{
	const uint8_t *from = data;
	int rc = check_room(o, len, err);

	while (rc == OK && len) {
		size_t n = min_size(len, EROFS_OUTPUT_BYTES - o->used);

		memcpy(o->buffer + o->used, from, n);
		o->used += n;
		from += n;
		len -= n;
		if (o->used == EROFS_OUTPUT_BYTES)
			rc = erofs_output_flush(o, err);
	}
	return rc;
}

int erofs_output_append_metadata(struct erofs_output *o, const void *data, size_t len, struct err *err)
{
	int rc = check_room(o, len, err);

	if (rc == OK)
		rc = erofs_output_flush(o, err);
	return rc == OK ? write_out(o, data, len, err) : rc;
}

int erofs_output_only_metadata(struct erofs_output *o, struct err *err)
{
	int rc = erofs_output_flush(o, err);

	o->only_metadata = true;
	return rc;
}

int erofs_output_zeros(struct erofs_output *o, uint64_t len, struct err *err)
{
	int rc = check_room(o, len, err);

	while (rc == OK && len) {
		size_t n = min_size(len, EROFS_OUTPUT_BYTES - o->used);

		memset(o->buffer + o->used, 0, n);
		o->used += n;
		len -= n;
		if (o->used == EROFS_OUTPUT_BYTES)
			rc = erofs_output_flush(o, err);
	}
	return rc;
}

int erofs_output_align(struct erofs_output *o, struct err *err)
{
	return erofs_output_zeros(o, -erofs_output_end(o) % EROFS_BLOCK, err);
}
