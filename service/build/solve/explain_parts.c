/* Notes of keys: a line for each part, "DIGEST NAME". */
#include "proto/runtime/buf.h"
#include "service/build/solve/explain.h"
#include "store/types/digest.h"

enum { VALUE_HEX = 16, NAME_MAX_ = 512 };

void explain_part(struct buf *note, const void *value, size_t len, const char *name, ...)
{
	char text[NAME_MAX_], hex[DIGEST_TEXT_MAX];
	struct digest d;
	va_list ap;

	va_start(ap, name);
	vsnprintf(text, sizeof text, name, ap);
	va_end(ap);
	for (char *c = text; *c; c++)
		if ((unsigned char)*c < ' ')
			*c = '?';
	digest_of(DIGEST_SHA256, (struct bytes){ value, len }, &d);
	buf_printf(note, "%.*s %s\n", VALUE_HEX, digest_hex(&d, hex), text);
}

struct part {
	struct bytes value, name;
};

/* The next line; false at the end. */
static bool next(const char **at, struct part *ret_part)
{
	size_t len = strcspn(*at, "\n");

	if (len <= VALUE_HEX)
		return false;
	*ret_part = (struct part){ { (const uint8_t *)*at, VALUE_HEX },
				   { (const uint8_t *)*at + VALUE_HEX + 1, len - VALUE_HEX - 1 } };
	*at += len + ((*at)[len] == '\n');
	return true;
}

static bool same(struct bytes a, struct bytes b)
{
	return a.len == b.len && !memcmp(a.data, b.data, a.len);
}

static bool find(const char *note, struct bytes name, struct part *ret_part)
{
	while (next(&note, ret_part))
		if (same(ret_part->name, name))
			return true;
	return false;
}

static void add(char *changes[CHANGES_TOLD_MAX], size_t *n, struct bytes name, const char *what)
{
	char *text;

	if (*n == CHANGES_TOLD_MAX)
		return;
	text = format("%.*s %s", (int)name.len, (const char *)name.data, what);
	if (text)
		changes[(*n)++] = text;
}

size_t explain_compare(const char *before, const char *now, char *changes[CHANGES_TOLD_MAX])
{
	struct part part, other;
	const char *at = now;
	size_t n = 0;

	while (next(&at, &part))
		if (!find(before, part.name, &other))
			add(changes, &n, part.name, "is new");
		else if (!same(part.value, other.value))
			add(changes, &n, part.name, "changed");
	for (at = before; next(&at, &part);)
		if (!find(now, part.name, &other))
			add(changes, &n, part.name, "is gone");
	return n;
}
