#include "service/registry/ring.h"

#include <assert.h>

bool ring_init(struct ring *r, size_t cap)
{
	r->data = malloc(cap);
	r->cap = r->data ? cap : 0;
	return r->data != NULL;
}

void ring_free(struct ring *r)
{
	free(r->data);
	r->data = NULL;
	r->cap = 0;
}

void ring_put(struct ring *r, const void *data, size_t len)
{
	size_t first = len < r->cap - r->head ? len : r->cap - r->head;

	assert(len <= ring_room(r));
	memcpy(r->data + r->head, data, first);
	memcpy(r->data, (const uint8_t *)data + first, len - first);
	r->head = first < len ? len - first : r->head + first;
	if (r->head == r->cap)
		r->head = 0;
	atomic_fetch_add(&r->used, len);
}

uint8_t *ring_space(struct ring *r, size_t *ret_len)
{
	size_t room = ring_room(r), straight = r->cap - r->head;

	*ret_len = room < straight ? room : straight;
	return r->data + r->head;
}

void ring_filled(struct ring *r, size_t len)
{
	assert(len <= ring_room(r) && len <= r->cap - r->head);
	r->head += len;
	if (r->head == r->cap)
		r->head = 0;
	atomic_fetch_add(&r->used, len);
}

struct bytes ring_peek(const struct ring *r)
{
	size_t used = ring_used(r), straight = r->cap - r->tail;

	if (!used)
		return (struct bytes){ 0 };
	return (struct bytes){ r->data + r->tail, used < straight ? used : straight };
}

void ring_drop(struct ring *r, size_t len)
{
	assert(len <= ring_used(r));
	r->tail += len;
	if (r->tail >= r->cap)
		r->tail -= r->cap;
	atomic_fetch_sub(&r->used, len);
}
