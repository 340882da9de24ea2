/*
 * Memory that lives as long as one call or one message, with a cap.
 *
 * arena_alloc() never returns memory past `cap` bytes in total: it returns NULL,
 * and protobuf-c, given arena_allocator(), then fails to unpack cleanly. That is
 * what bounds the amplification of a hostile message (grpc-core: 4 MiB of wire
 * can unpack to 240 MiB). Nothing is freed before arena_free()/arena_reset().
 * Not for two threads at once.
 */
#ifndef PROTO_RUNTIME_ARENA_H
#define PROTO_RUNTIME_ARENA_H

#include <protobuf-c/protobuf-c.h>

#include "proto/runtime/mem.h"

struct arena {
	struct arena_block *blocks;
	size_t used; /* handed out, rounding included */
	size_t cap;
	ProtobufCAllocator allocator; /* for protobuf-c; its data is this arena */
};

void arena_init(struct arena *a, size_t cap);
void arena_free(struct arena *a); /* also the cleanup function */
/* Empties it and keeps one block; a new cap, as messages differ in size. */
void arena_reset(struct arena *a, size_t cap);

/* Zeroed, aligned for any type; NULL past the cap or without memory. */
void *arena_alloc(struct arena *a, size_t size);
/* n * size with the product checked. */
void *arena_array(struct arena *a, size_t n, size_t size);
char *arena_string(struct arena *a, const char *text);
char *arena_bytes(struct arena *a, struct bytes b); /* NUL-terminated copy */
char *arena_printf(struct arena *a, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

#endif
