#include "service/layer/erofs/output.h"

#include <fcntl.h>
#include <inttypes.h>

enum { PUSH_BYTES = 8 * 1024 * 1024, DIRECT_BYTES = 128 * 1024 };

int erofs_output_init(struct erofs_output *o, int fd, uint64_t max, struct err *err)
{
	*o = (struct erofs_output){ .fd = fd, .max = max, .at = EROFS_BLOCK };
	o->buffer = aligned_alloc(EROFS_BLOCK, EROFS_OUTPUT_BYTES);
	return o->buffer ? OK : fail_nomem(err);
}

void erofs_output_free(struct erofs_output *o)
{
	free(TAKE(o->buffer));
}

/* ---- writing --------------------------------------------------------------------- */

static bool set_direct(struct erofs_output *o, bool on)
{
	if (fcntl(o->fd, F_SETFL, on ? O_DIRECT : 0) < 0)
		return false;
	o->is_direct = on;
	return true;
}

/* What is small is not worth waiting for the disk. */
static void choose_way(struct erofs_output *o)
{
	bool direct = !o->no_direct && o->used >= DIRECT_BYTES && o->used % EROFS_BLOCK == 0;

	if (direct != o->is_direct && !set_direct(o, direct))
		o->no_direct = true;
}

/* Some file systems let the flag be set and then do not take the write. */
static bool goes_buffered(struct erofs_output *o, int number)
{
	if (number != EINVAL || !o->is_direct)
		return false;
	o->no_direct = true;
	return set_direct(o, false);
}

static int write_at(struct erofs_output *o, uint64_t at, const void *data, size_t len, struct err *err)
{
	const uint8_t *from = data;

	while (len) {
		ssize_t n = pwrite(o->fd, from, len, (off_t)at);

		if (n < 0 && errno != EINTR && !goes_buffered(o, errno))
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
	int rc = write_at(o, o->at, data, len, err);

	if (rc != OK)
		return rc;
	o->at += len;
	push(o);
	return OK;
}

int erofs_output_flush(struct erofs_output *o, struct err *err)
{
	int rc;

	if (!o->used)
		return OK;
	choose_way(o);
	rc = write_out(o, o->buffer, o->used, err);
	if (rc == OK)
		o->used = 0;
	return rc;
}

/* Everything that was appended is in the file, and what follows goes through the cache. */
static int to_cache(struct erofs_output *o, struct err *err)
{
	int rc = erofs_output_flush(o, err);

	if (rc == OK && o->is_direct && !set_direct(o, false))
		return fail_errno(err, "write the layer's image");
	return rc;
}

int erofs_output_patch(struct erofs_output *o, uint64_t at, const void *data, size_t len, struct err *err)
{
	int rc = to_cache(o, err);

	return rc == OK ? write_at(o, at, data, len, err) : rc;
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
		rc = to_cache(o, err);
	return rc == OK ? write_out(o, data, len, err) : rc;
}

int erofs_output_only_metadata(struct erofs_output *o, struct err *err)
{
	int rc = to_cache(o, err);

	o->no_direct = true;
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
