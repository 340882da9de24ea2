#include "service/image/check_layer.h"

#include "service/image/layer_file.h"
#include "service/layer/erofs/check.h"
#include "service/layer/erofs/writer.h"

enum { PIECE_BYTES = 256 * 1024, BUSY_MS = 20 };

/* ---- making anew --------------------------------------------------------------- */

static int enter(struct layer_check *c, struct err *err)
{
	while (atomic_flag_test_and_set(&c->service->makes_for_check))
		if (cancel_wait(c->cancel, BUSY_MS))
			return cancel_check(c->cancel, err);
	return OK;
}

static int make(struct layer_check *c, const struct layer_image_entry *i, struct err *err)
{
	int r = enter(c, err);

	if (r != OK)
		return r;
	r = store_reserve(c->service->store, i->facts.image_size, err);
	if (r == OK)
		r = layer_file_make(c->service->store, c->service->worker_program, &i->diff_id, c->cancel, &c->made,
				    err);
	atomic_flag_clear(&c->service->makes_for_check);
	return r;
}

static void forget(struct layer_check *c)
{
	layer_image_free(TAKE(c->made));
}

void layer_check_release(struct layer_check *c)
{
	forget(c);
}

/* What is wrong with the layer itself, so that it gives no image. */
static bool is_of_the_layer(int code)
{
	switch (code) {
	case E_NOT_FOUND:
	case E_CORRUPT:
	case E_BAD_CONTENT:
	case E_LIMIT:
	case E_UNSUPPORTED:
		return true;
	default:
		return false;
	}
}

static bool is_ours(const struct layer_image_entry *i)
{
	return i->facts.writer_version == EROFS_WRITER_VERSION;
}

/* ---- comparing ------------------------------------------------------------------ */

static int read_piece(int fd, uint8_t *piece, size_t len, int64_t at, struct err *err)
{
	for (size_t done = 0; done < len;) {
		ssize_t n = pread(fd, piece + done, len - done, (off_t)(at + (int64_t)done));

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return fail_errno(err, "read a layer's image");
		if (!n)
			return fail(err, E_CORRUPT, "it became shorter");
		done += (size_t)n;
	}
	return OK;
}

static size_t first_difference(const uint8_t *a, const uint8_t *b, size_t len)
{
	size_t i = 0;

	while (i < len && a[i] == b[i])
		i++;
	return i;
}

struct pieces {
	uint8_t here[PIECE_BYTES], made[PIECE_BYTES];
};

static int compare_bytes(struct layer_check *c, int fd, int64_t size, const struct check_step *step, struct err *err)
{
	CLEANUP(freep) struct pieces *p = malloc(sizeof *p);
	int made = layer_image_fd(c->made);

	if (!p)
		return fail_nomem(err);
	for (int64_t at = 0; at < size;) {
		size_t len = min_size(PIECE_BYTES, (size_t)(size - at));

		if (cancel_check(c->cancel, err) < 0 || read_piece(fd, p->here, len, at, err) < 0 ||
		    read_piece(made, p->made, len, at, err) < 0)
			return err->code;
		if (memcmp(p->here, p->made, len))
			return fail(err, E_CORRUPT, "byte %lld is not what the layer gives",
				    (long long)at + (long long)first_difference(p->here, p->made, len));
		if (step->tell(step->arg, len, err) < 0)
			return err->code;
		at += (int64_t)len;
	}
	return OK;
}

static int compare(struct layer_check *c, const struct layer_image_entry *i, int fd, const struct check_step *step,
		   struct err *err)
{
	const struct layer_image_facts *made = layer_image_facts(c->made), *here = &i->facts;

	if (made->image_size != here->image_size)
		return fail(err, E_CORRUPT, "%lld bytes, and the layer gives %lld", (long long)here->image_size,
			    (long long)made->image_size);
	if (made->inodes != here->inodes || made->root_is_opaque != here->root_is_opaque)
		return fail(err, E_CORRUPT, "its record is not what the layer gives");
	return compare_bytes(c, fd, here->image_size, step, err);
}

/* ---- the check -------------------------------------------------------------------- */

static int look_by_itself(struct layer_check *c, const struct layer_image_entry *i, int fd,
			  const struct check_step *step, struct err *err)
{
	struct erofs_summary summary;
	int r = OK;

	c->not_compared += !c->quick;
	if (is_ours(i))
		r = c->quick ? erofs_check_super(fd, err) : erofs_check(fd, UINT64_MAX, c->cancel, &summary, err);
	return r == OK ? step->tell(step->arg, (size_t)i->facts.image_size, err) : r;
}

int layer_check_look_into(struct layer_check *c, const struct layer_image_entry *i, int fd,
			  const struct check_step *step, struct err *err)
{
	struct err why = ERR_INIT;
	int r;

	forget(c);
	if (c->quick || !is_ours(i) || store_read_only(c->service->store))
		return look_by_itself(c, i, fd, step, err);
	r = make(c, i, &why);
	if (is_of_the_layer(r) || r == E_DISK_FULL)
		return look_by_itself(c, i, fd, step, err);
	if (r != OK) {
		*err = why;
		return r;
	}
	r = compare(c, i, fd, step, err);
	if (r != E_CORRUPT)
		forget(c);
	return r;
}

/* ---- the repair ---------------------------------------------------------------------- */

int layer_check_repair(struct layer_check *c, const struct layer_image_entry *i, struct err *err)
{
	int r = c->made ? OK : is_ours(i) ? make(c, i, err) : E_NOT_FOUND;

	if (r == OK)
		r = layer_image_replace(c->service->store, c->made, i, err);
	else if (is_of_the_layer(r))
		r = layer_image_drop(c->service->store, i, err);
	forget(c);
	return r == E_ABORTED ? OK : r; /* somebody else did it, or the layer went */
}
