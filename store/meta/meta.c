#include "store/meta/meta.h"

#include <assert.h>

#include "store/meta/txn.h"

void meta_close(struct meta *m)
{
	if (m)
		m->ops->close(m);
}

int meta_get(struct meta *m, struct bytes key, struct buf *out, uint64_t *ret_revision, struct err *err)
{
	if (out)
		buf_reset(out);
	return m->ops->get(m, key, out, ret_revision, err);
}

int meta_range(struct meta *m, struct bytes from, struct bytes to, meta_visit *visit, void *arg, struct err *err)
{
	return m->ops->range(m, from, to, visit, arg, err);
}

/* The first key after all that begin with the prefix; empty when there is none. */
static struct bytes after_prefix(struct bytes prefix, uint8_t out[META_KEY_MAX])
{
	size_t len = prefix.len;

	if (len)
		memcpy(out, prefix.data, len);
	while (len && out[len - 1] == 0xff)
		len--;
	if (len)
		out[len - 1]++;
	return (struct bytes){ out, len };
}

int meta_prefix(struct meta *m, struct bytes prefix, meta_visit *visit, void *arg, struct err *err)
{
	uint8_t end[META_KEY_MAX];

	assert(prefix.len <= META_KEY_MAX);
	return meta_range(m, prefix, after_prefix(prefix, end), visit, arg, err);
}

uint64_t meta_revision(struct meta *m)
{
	return m->ops->revision(m);
}

int meta_count(struct meta *m, size_t counter, int64_t *ret_count, struct err *err)
{
	return m->ops->count(m, counter, ret_count, err);
}

int64_t meta_size(struct meta *m)
{
	return m->ops->size(m);
}

struct meta_txn *meta_txn_new(void)
{
	struct meta_txn *t = malloc(sizeof *t);

	if (!t)
		return NULL;
	*t = (struct meta_txn){ .bytes = BUF_INIT(META_TXN_BYTES) };
	return t;
}

void meta_txn_free(struct meta_txn *t)
{
	if (!t)
		return;
	buf_free(&t->bytes);
	free(t);
}

void meta_txn_freep(struct meta_txn **t)
{
	meta_txn_free(*t);
}

static void empty(struct meta_txn *t)
{
	t->n_ops = t->n_compares = t->n_numbered = 0;
	t->use_reserve = false;
	buf_reset(&t->bytes);
}

static struct meta_span keep(struct meta_txn *t, struct bytes b)
{
	struct meta_span span = { t->bytes.len, b.len };

	assert(t->bytes.failed || b.len <= t->bytes.max - t->bytes.len);
	buf_append(&t->bytes, b.data, b.len);
	return span;
}

static struct meta_span keep_key(struct meta_txn *t, struct bytes key)
{
	assert(key.len && key.len <= META_KEY_MAX && key.data[0]);
	return keep(t, key);
}

void meta_txn_compare(struct meta_txn *t, struct bytes key, uint64_t revision)
{
	assert(t->n_compares < META_TXN_OPS);
	t->compares[t->n_compares++] = (struct meta_compare){ keep_key(t, key), revision };
}

static void add(struct meta_txn *t, enum meta_op_kind kind, struct bytes key, struct bytes value)
{
	struct meta_op *op;

	assert(t->n_ops < META_TXN_OPS);
	op = &t->ops[t->n_ops++];
	op->kind = kind;
	op->key = keep_key(t, key);
	op->value = keep(t, value);
}

void meta_txn_put(struct meta_txn *t, struct bytes key, struct bytes value)
{
	add(t, META_PUT, key, value);
}

void meta_txn_delete(struct meta_txn *t, struct bytes key)
{
	add(t, META_DELETE, key, (struct bytes){ 0 });
}

void meta_txn_put_at_revision(struct meta_txn *t, struct bytes prefix, struct bytes value)
{
	assert(prefix.len <= META_KEY_MAX - 8);
	add(t, META_PUT_AT_REVISION, prefix, value);
	t->n_numbered++;
}

void meta_txn_use_reserve(struct meta_txn *t)
{
	t->use_reserve = true;
}

size_t meta_txn_ops(const struct meta_txn *t)
{
	return t->n_ops;
}

size_t meta_txn_room(const struct meta_txn *t)
{
	return META_TXN_OPS - t->n_ops;
}

int meta_txn_commit(struct meta *m, struct meta_txn *t, uint64_t *ret_revision, struct err *err)
{
	uint64_t revision = 0;
	int r = buf_ok(&t->bytes) ? m->ops->commit(m, t, &revision, err) : fail_nomem(err);

	empty(t);
	if (r == OK && ret_revision)
		*ret_revision = revision;
	return r;
}
