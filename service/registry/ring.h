/*
 * A ring of bytes between one writer and one reader, each on its own thread.
 *
 * The capacity is fixed at birth. The writer puts bytes in when there is room; the
 * reader looks at the next contiguous piece and drops it when it is done with it.
 * The only shared word is `used`, an atomic count: no lock, no call blocks.
 */
#ifndef SERVICE_REGISTRY_RING_H
#define SERVICE_REGISTRY_RING_H

#include <stdatomic.h>

#include "proto/runtime/mem.h"

struct ring {
	uint8_t *data; /* NULL until ring_init() */
	size_t cap;
	atomic_size_t used; /* <= cap */
	size_t head;	    /* the writer's: where the next byte goes, < cap */
	size_t tail;	    /* the reader's: where the next byte lies, < cap */
};

bool ring_init(struct ring *r, size_t cap); /* false without memory */
void ring_free(struct ring *r);

static inline size_t ring_used(const struct ring *r)
{
	return atomic_load(&r->used);
}

/* The writer's side. ring_put() wants room for all of it. */
static inline size_t ring_room(const struct ring *r)
{
	return r->cap - ring_used(r);
}

void ring_put(struct ring *r, const void *data, size_t len);
/* The same without a copy: where the next bytes may go (empty: no room), and that so
 * many of them are there. */
uint8_t *ring_space(struct ring *r, size_t *ret_len);
void ring_filled(struct ring *r, size_t len);

/* The reader's side: the next piece (empty: nothing there), and its end. */
struct bytes ring_peek(const struct ring *r);
void ring_drop(struct ring *r, size_t len);

#endif
