#include "proto/runtime/arena.h"

#include <stdalign.h>
#include <stdarg.h>
#include <stdio.h>

/* BLOCK_MAX: a piece of an archive and its message. */
enum { BLOCK_MIN = 4096, BLOCK_MAX = 256 * 1024 + BLOCK_MIN };

struct arena_block {
	struct arena_block *next;
	size_t size; /* of data */
	size_t used; /* <= size */
	alignas(max_align_t) uint8_t data[];
};

void arena_free(struct arena *a)
{
	while (a->blocks) {
		struct arena_block *b = a->blocks;

		a->blocks = b->next;
		free(b);
	}
	a->used = 0;
}

void arena_reset(struct arena *a, size_t cap)
{
	struct arena_block *keep = a->blocks;

	if (keep && keep->size <= BLOCK_MAX)
		a->blocks = keep->next;
	else
		keep = NULL;
	arena_free(a);
	if (keep) {
		keep->next = NULL;
		keep->used = 0;
		a->blocks = keep;
	}
	a->cap = cap;
}

static struct arena_block *add_block(struct arena *a, size_t need)
{
	size_t size = a->blocks ? a->blocks->size * 2 : BLOCK_MIN;
	struct arena_block *b;

	if (size > BLOCK_MAX)
		size = BLOCK_MAX;
	if (size < need)
		size = need + BLOCK_MIN;
	b = malloc(sizeof *b + size);
	if (!b)
		return NULL;
	*b = (struct arena_block){ .next = a->blocks, .size = size };
	a->blocks = b;
	return b;
}

static void *take(struct arena *a, size_t size)
{
	enum { ALIGN = alignof(max_align_t) };
	struct arena_block *b = a->blocks;
	size_t need;
	void *p;

	if (size > a->cap || size > SIZE_MAX / 2)
		return NULL;
	need = (size + ALIGN - 1) / ALIGN * ALIGN;
	if (need > a->cap - a->used)
		return NULL;
	if (!b || need > b->size - b->used)
		b = add_block(a, need);
	if (!b)
		return NULL;
	p = b->data + b->used;
	b->used += need;
	a->used += need;
	return p;
}

void *arena_alloc(struct arena *a, size_t size)
{
	void *p = take(a, size);

	return p ? memset(p, 0, size) : NULL;
}

/* protobuf-c fills all that it takes. */
static void *allocator_alloc(void *data, size_t size)
{
	return take(data, size);
}

static void allocator_free(UNUSED void *data, UNUSED void *p)
{
}

void arena_init(struct arena *a, size_t cap)
{
	*a = (struct arena){ .cap = cap };
	a->allocator = (ProtobufCAllocator){ allocator_alloc, allocator_free, a };
}

void *arena_array(struct arena *a, size_t n, size_t size)
{
	size_t total;

	if (__builtin_mul_overflow(n, size, &total))
		return NULL;
	return arena_alloc(a, total);
}

char *arena_bytes(struct arena *a, struct bytes b)
{
	char *copy = b.len == SIZE_MAX ? NULL : take(a, b.len + 1);

	if (!copy)
		return NULL;
	if (b.len)
		memcpy(copy, b.data, b.len);
	copy[b.len] = 0;
	return copy;
}

char *arena_string(struct arena *a, const char *text)
{
	return arena_bytes(a, bytes_of(text));
}

char *arena_printf(struct arena *a, const char *fmt, ...)
{
	va_list ap;
	char *text;
	int n;

	va_start(ap, fmt);
	n = vsnprintf(NULL, 0, fmt, ap);
	va_end(ap);
	text = n < 0 ? NULL : arena_alloc(a, (size_t)n + 1);
	if (!text)
		return NULL;
	va_start(ap, fmt);
	vsnprintf(text, (size_t)n + 1, fmt, ap);
	va_end(ap);
	return text;
}
