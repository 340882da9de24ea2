#include "service/build/context/context_single.h"

#include <sys/stat.h>

#include "service/build/context/archive_spool.h"
#include "store/contexts/pack_writer.h"
#include "store/types/path.h"

enum { LOOK_BYTES = 16 * 1024 * 1024 };

struct context_single {
	struct store *store;
	struct context_pack *pack;
	struct pack_writer writer;
	struct archive_spool spool;
	uint64_t size;
	int64_t unchecked; /* bytes since the disk was last looked at */
};

void context_single_free(struct context_single *c)
{
	if (!c)
		return;
	pack_writer_free(&c->writer);
	context_pack_unref(c->pack);
	spool_free(&c->spool);
	free(c);
}

void context_single_freep(struct context_single **c)
{
	context_single_free(*c);
}

int context_single_begin(struct store *s, struct context_single **ret_single, struct err *err)
{
	CLEANUP(context_single_freep) struct context_single *c = calloc(1, sizeof *c);
	int r;

	if (!c)
		return fail_nomem(err);
	c->store = s;
	c->writer = (struct pack_writer)PACK_WRITER_INIT;
	r = spool_begin(&c->spool, s, err);
	if (r == OK)
		r = context_pack_create(s, NULL, &c->pack, err);
	c->writer.pack = c->pack;
	if (r == OK)
		r = pack_writer_begin(&c->writer, 0, err);
	if (r == OK)
		*ret_single = TAKE(c);
	return r;
}

int context_single_add(struct context_single *c, struct bytes data, struct err *err)
{
	int r = OK;

	c->unchecked += (int64_t)data.len;
	if (c->unchecked >= LOOK_BYTES) {
		c->unchecked = 0;
		r = store_reserve(c->store, LOOK_BYTES, err);
	}
	if (r == OK && data.len)
		r = pack_writer_add(&c->writer, data, err);
	c->size += data.len;
	return r;
}

static int check_name(const char *path, struct buf *out, struct err *err)
{
	if (!path_join("", path, out))
		return fail_nomem(err);
	return context_path_check((struct bytes){ out->data + 1, out->len - 1 }, err);
}

int context_single_end(struct context_single *c, const char *path, uint32_t permissions, int64_t mtime_ns,
		       struct digest *ret_sha256, struct build_context **ret_context, struct err *err)
{
	struct digest sha256 = pack_writer_end(&c->writer);
	CLEANUP(buf_free) struct buf name = BUF_INIT(2 * CONTEXT_PATH_MAX);
	struct spool_entry e = { .head = { .size = (int64_t)c->size,
					   .mtime_ns = mtime_ns,
					   .mode = S_IFREG | permissions,
					   .place = { .flags = CONTEXT_KNOWN } } };
	struct context_files *files = NULL;
	int r = pack_writer_flush(&c->writer, err);

	if (r == OK)
		r = check_name(path, &name, err);
	if (r != OK)
		return r;
	e.path = (struct bytes){ name.data + 1, name.len - 1 };
	e.head.path_len = (uint32_t)e.path.len;
	memcpy(e.head.place.sha256, sha256.bytes, sizeof e.head.place.sha256);
	r = spool_add(&c->spool, &e, err);
	if (r == OK)
		r = spool_end(&c->spool, err);
	if (r == OK)
		r = spool_to_files(&c->spool, (struct bytes){ 0 }, context_pack_ref(c->pack), &files, NULL, err);
	if (r == OK)
		*ret_sha256 = sha256;
	return r == OK ? build_context_of_files("", files, ret_context, err) : r;
}
