/*
 * A growing byte buffer whose maximum is fixed at birth.
 *
 * Appending past the maximum, or without memory, sets `failed` and changes
 * nothing else; so a sequence of appends is checked once, at its end, by
 * buf_finish() or buf_ok(). The bytes are always followed by a NUL that `len`
 * does not count. Not for two threads at once.
 */
#ifndef PROTO_RUNTIME_BUF_H
#define PROTO_RUNTIME_BUF_H

#include "proto/runtime/mem.h"

struct buf {
	uint8_t *data;
	size_t len; /* <= cap; data[len] is 0 once data is set */
	size_t cap;
	size_t max;
	bool failed; /* an append did not fit */
};

#define BUF_INIT(max_len)        \
	{                        \
		.max = (max_len) \
	}

void buf_free(struct buf *b);  /* also the cleanup function */
void buf_reset(struct buf *b); /* keeps the memory */

bool buf_append(struct buf *b, const void *data, size_t len);
bool buf_puts(struct buf *b, const char *text);
bool buf_putc(struct buf *b, char c);
bool buf_printf(struct buf *b, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

/* Room for `len` more bytes at data + len, or NULL; the caller adds to len. */
void *buf_reserve(struct buf *b, size_t len);

static inline bool buf_ok(const struct buf *b)
{
	return !b->failed;
}

static inline struct bytes buf_bytes(const struct buf *b)
{
	return (struct bytes){ b->data, b->len };
}

/* The text; "" when nothing was appended. Belongs to the buffer. */
static inline const char *buf_text(const struct buf *b)
{
	return b->data ? (const char *)b->data : "";
}

/* Hands the memory over (free() it), or NULL when an append had failed or
 * memory is short. The buffer is empty afterwards. */
char *buf_take(struct buf *b);

#endif
