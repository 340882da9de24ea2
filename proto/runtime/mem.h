/*
 * Memory idioms: cleanup by scope, hand over with TAKE, overflow-checked
 * allocation, borrowed byte ranges.
 *
 * Allocation functions return NULL when memory is short; callers turn that into
 * fail_nomem(err). Destructors named x_free accept NULL; x_freep takes the
 * address of the variable, for CLEANUP.
 */
#ifndef PROTO_RUNTIME_MEM_H
#define PROTO_RUNTIME_MEM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "proto/runtime/err.h"

#define CLEANUP(fn) __attribute__((cleanup(fn)))

#define TAKE(lvalue)                                \
	__extension__({                             \
		__typeof__(lvalue) *p_ = &(lvalue); \
		__typeof__(lvalue) v_ = *p_;        \
		*p_ = (__typeof__(lvalue)){ 0 };    \
		v_;                                 \
	})

#define ARRAY_LEN(a) (sizeof(a) / sizeof((a)[0]))
#define UNUSED __attribute__((unused))

static inline void freep(void *p)
{
	free(*(void **)p);
}

static inline void closep(const int *fd)
{
	if (*fd >= 0)
		close(*fd);
}

/* TAKE for descriptors: leaves -1 behind. */
static inline int take_fd(int *fd)
{
	int value = *fd;

	*fd = -1;
	return value;
}

/* Of a count that may be larger than memory, what fits. */
static inline size_t min_size(uint64_t n, size_t max)
{
	return n < max ? (size_t)n : max;
}

static inline int fail_nomem(struct err *err)
{
	return fail(err, E_NO_MEMORY, "out of memory");
}

/* Bytes that belong to somebody else. */
struct bytes {
	const uint8_t *data;
	size_t len;
};

static inline struct bytes bytes_of(const char *text)
{
	return (struct bytes){ (const uint8_t *)text, strlen(text) };
}

/* A string of the next `len` bytes, NULL when memory is short or when the bytes
 * hold a NUL (which a C string cannot carry). Freed with free(). */
char *bytes_to_string(struct bytes b);

/* printf into fresh memory; NULL when memory is short. */
char *format(const char *fmt, ...) __attribute__((format(printf, 1, 2)));

/* Wipes memory in a way the compiler keeps. */
void wipe(void *p, size_t len);

#endif
