/* What is known of an earlier list's files becomes known of a new list's. */
#include <sys/stat.h>

#include "store/contexts/context_files.h"

enum { RUN_MAX = 1024 };

struct carrying {
	struct context_files *from, *to;
	uint32_t i; /* in `from` */
	/* Places of the entries from `begin` on, not written yet. */
	struct context_place run[RUN_MAX];
	uint32_t begin;
	size_t n;
};

static int flush(struct carrying *c, struct err *err)
{
	int r = c->n ? context_files_put(c->to, c->begin, c->run, c->n, err) : OK;

	c->n = 0;
	return r;
}

static int add(struct carrying *c, uint32_t index, const struct context_place *place, struct err *err)
{
	int r = OK;

	if (c->n == RUN_MAX || (c->n && c->begin + c->n != index))
		r = flush(c, err);
	if (!c->n)
		c->begin = index;
	c->run[c->n++] = *place;
	return r;
}

static int move_bytes(const struct carrying *c, uint64_t size, struct context_place *place, struct err *err)
{
	uint64_t at = context_pack_reserve(c->to->pack, size + place->xattrs_len);
	int r = context_pack_copy(c->from->pack, place->offset, size, c->to->pack, at, err);

	if (r == OK)
		r = context_pack_copy(c->from->pack, place->xattrs_at, place->xattrs_len, c->to->pack, at + size, err);
	place->offset = at;
	place->xattrs_at = at + size;
	return r;
}

static bool is_same(const struct context_entry *a, const struct context_entry *b)
{
	return S_ISREG(a->mode) && S_ISREG(b->mode) && a->stamp && a->stamp == b->stamp && a->size == b->size;
}

/* The entry of the earlier list that has the path of the new one's, or CONTEXT_NO_ENTRY. */
static uint32_t counterpart(struct carrying *c, struct bytes path)
{
	uint32_t n = context_list_count(c->from->list);

	for (; c->i < n; c->i++) {
		int order = context_path_compare(context_list_path(c->from->list, c->i), path);

		if (order >= 0)
			return order ? CONTEXT_NO_ENTRY : c->i;
	}
	return CONTEXT_NO_ENTRY;
}

static int carry(struct carrying *c, uint32_t index, struct err *err)
{
	struct context_entry e = context_list_entry(c->to->list, index), old;
	uint32_t before = counterpart(c, e.path);
	struct context_place place;
	int r = OK;

	if (before == CONTEXT_NO_ENTRY)
		return OK;
	old = context_list_entry(c->from->list, before);
	if (!is_same(&old, &e) || !context_files_get(c->from, before, &place) || place.flags & CONTEXT_UNSETTLED)
		return OK;
	if (c->from->pack != c->to->pack)
		r = move_bytes(c, (uint64_t)e.size, &place, err);
	return r == OK ? add(c, index, &place, err) : r;
}

int context_files_carry(struct context_files *from, struct context_files *to, struct err *err)
{
	CLEANUP(freep) struct carrying *c = malloc(sizeof *c);
	uint32_t n = context_list_count(to->list);
	int r = OK;

	if (!c)
		return fail_nomem(err);
	*c = (struct carrying){ .from = from, .to = to };
	for (uint32_t i = 0; r == OK && i < n; i++)
		r = carry(c, i, err);
	return r == OK ? flush(c, err) : r;
}
