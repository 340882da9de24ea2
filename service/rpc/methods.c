#include "service/rpc/methods.h"

enum { CAP_MIN = 64 };

/* FNV-1a. The paths are the program's own, so nobody can choose collisions; a
 * hostile path only costs its own look-up, whose length the metadata limit bounds. */
static uint64_t hash(struct bytes path)
{
	uint64_t h = 0xcbf29ce484222325;

	for (size_t i = 0; i < path.len; i++)
		h = (h ^ path.data[i]) * 0x100000001b3;
	return h;
}

static bool has_path(const struct method_entry *e, struct bytes path)
{
	return strlen(e->method->path) == path.len && !memcmp(e->method->path, path.data, path.len);
}

/* The slot of the path, or the free slot where it would be. */
static struct method_entry *slot_of(const struct methods *m, struct bytes path)
{
	size_t i = hash(path) & (m->cap - 1);

	while (m->slots[i].method && !has_path(&m->slots[i], path))
		i = (i + 1) & (m->cap - 1);
	return &m->slots[i];
}

void methods_free(struct methods *m)
{
	free(m->slots);
	*m = (struct methods){ 0 };
}

static int grow(struct methods *m, struct err *err)
{
	struct methods bigger = { .cap = m->cap ? m->cap * 2 : CAP_MIN };

	bigger.slots = calloc(bigger.cap, sizeof *bigger.slots);
	if (!bigger.slots)
		return fail_nomem(err);
	for (size_t i = 0; i < m->cap; i++)
		if (m->slots[i].method)
			*slot_of(&bigger, bytes_of(m->slots[i].method->path)) = m->slots[i];
	bigger.len = m->len;
	methods_free(m);
	*m = bigger;
	return OK;
}

static int add_one(struct methods *m, const struct rpc_binding *b, size_t index, struct err *err)
{
	const struct rpc_method *method = &b->service->methods[index];
	struct method_entry *e;
	int r;

	if (m->len + 1 > m->cap / 4 * 3 && (r = grow(m, err)) < 0)
		return r;
	e = slot_of(m, bytes_of(method->path));
	if (e->method)
		return fail(err, E_EXISTS, "the method %s is registered twice", method->path);
	*e = (struct method_entry){ .method = method,
				    .handler = b->handlers[index],
				    .impl = b->impl,
				    .self = b->self,
				    .is_inline = method->is_inline,
				    .number = m->len };
	m->len++;
	return OK;
}

int methods_add(struct methods *m, const struct rpc_binding *binding, struct err *err)
{
	int r;

	for (size_t i = 0; i < binding->service->n_methods; i++)
		if ((r = add_one(m, binding, i, err)) < 0)
			return r;
	return OK;
}

struct method_entry *methods_find(const struct methods *m, struct bytes path)
{
	struct method_entry *e;

	if (!m->cap)
		return NULL;
	e = slot_of(m, path);
	return e->method ? e : NULL;
}
