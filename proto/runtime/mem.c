#include "proto/runtime/mem.h"

#include <stdarg.h>
#include <stdio.h>

char *bytes_to_string(struct bytes b)
{
	char *text;

	if (b.len && memchr(b.data, 0, b.len))
		return NULL;
	text = malloc(b.len + 1);
	if (!text)
		return NULL;
	if (b.len)
		memcpy(text, b.data, b.len);
	text[b.len] = 0;
	return text;
}

char *format(const char *fmt, ...)
{
	char *text = NULL;
	va_list ap;
	int n;

	va_start(ap, fmt);
	n = vasprintf(&text, fmt, ap);
	va_end(ap);
	return n < 0 ? NULL : text;
}

void wipe(void *p, size_t len)
{
	if (p)
		explicit_bzero(p, len);
}
