/* WORKDIR as a layer. */
#include "service/build/copy/destination.h"

static const int64_t ns_per_s = 1000000000;

static int make(const struct directory_job *j, struct destination *d, struct layer_out *out, struct err *err)
{
	CLEANUP(buf_free) struct buf path = BUF_INIT(TREE_PATH_MAX);
	int rc;

	buf_puts(&path, j->path);
	buf_puts(&path, "/"); /* it shall be a directory */
	if (!buf_ok(&path))
		return fail(err, E_LIMIT, "the path of WORKDIR is too long");
	rc = destination_init(d, j->into, buf_text(&path), err);
	if (rc == OK && *j->user)
		rc = owner_resolve(j->into, j->user, &d->owner, err);
	d->time = j->has_epoch ? j->epoch : j->now_ns / ns_per_s;
	if (rc == OK)
		rc = destination_tell_way(d, false, out, err);
	return rc == OK ? layer_out_end(out, err) : rc;
}

int directory_layer(const struct directory_job *j, copy_write *write, void *arg, struct err *err)
{
	struct destination d = { .path = BUF_INIT(0) };
	struct layer_out out;
	int rc;

	layer_out_init(&out, write, arg, j->cancel);
	rc = make(j, &d, &out, err);
	destination_free(&d);
	layer_out_free(&out);
	return rc;
}
