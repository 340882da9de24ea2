#include "proto/runtime/buf.h"

#include <stdarg.h>
#include <stdio.h>

void buf_free(struct buf *b)
{
	free(b->data);
	*b = (struct buf){ .max = b->max };
}

void buf_reset(struct buf *b)
{
	b->len = 0;
	b->failed = false;
	if (b->data)
		b->data[0] = 0;
}

static bool grow(struct buf *b, size_t more)
{
	size_t want, cap;
	uint8_t *data;

	if (b->failed || more > b->max - b->len)
		return false;
	want = b->len + more;
	if (b->data && want <= b->cap)
		return true;
	cap = b->cap ? b->cap : 128;
	while (cap < want)
		cap = cap > b->max / 2 ? b->max : cap * 2;
	data = realloc(b->data, cap + 1);
	if (!data)
		return false;
	b->data = data;
	b->cap = cap;
	return true;
}

void *buf_reserve(struct buf *b, size_t len)
{
	if (!grow(b, len)) {
		b->failed = true;
		return NULL;
	}
	return b->data + b->len;
}

bool buf_append(struct buf *b, const void *data, size_t len)
{
	void *room = buf_reserve(b, len);

	if (!room)
		return false;
	if (len)
		memcpy(room, data, len);
	b->len += len;
	b->data[b->len] = 0;
	return true;
}

bool buf_puts(struct buf *b, const char *text)
{
	return buf_append(b, text, strlen(text));
}

bool buf_putc(struct buf *b, char c)
{
	return buf_append(b, &c, 1);
}

bool buf_printf(struct buf *b, const char *fmt, ...)
{
	va_list ap;
	int n;

	va_start(ap, fmt);
	n = vsnprintf(NULL, 0, fmt, ap);
	va_end(ap);
	if (n < 0 || !buf_reserve(b, (size_t)n)) {
		b->failed = true;
		return false;
	}
	va_start(ap, fmt);
	vsnprintf((char *)b->data + b->len, (size_t)n + 1, fmt, ap);
	va_end(ap);
	b->len += (size_t)n;
	return true;
}

char *buf_take(struct buf *b)
{
	char *text;

	if (b->failed || !buf_append(b, "", 0))
		return NULL;
	text = (char *)b->data;
	b->data = NULL;
	b->len = b->cap = 0;
	return text;
}
