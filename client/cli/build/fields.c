#include "client/cli/build/fields.h"

#include <ctype.h>

/* One value from *at on, which moves behind its comma. */
static int take_quoted(const char **at, char *out, struct err *err)
{
	const char *p = *at + 1;

	for (;; p++) {
		if (!*p)
			return fail(err, E_INVALID,
				    "parse error on line 1, column %zu: extraneous or missing \" in "
				    "quoted-field",
				    (size_t)(p - *at) + 1);
		if (*p == '"' && *++p != '"')
			break;
		*out++ = *p;
	}
	*out = 0;
	if (*p && *p != ',')
		return fail(err, E_INVALID,
			    "parse error on line 1, column %zu: extraneous or missing \" in "
			    "quoted-field",
			    (size_t)(p - *at));
	*at = p;
	return OK;
}

static int take_value(const char **at, char *out, struct err *err)
{
	size_t len = strcspn(*at, ",");

	if (**at == '"')
		return take_quoted(at, out, err);
	if (memchr(*at, '"', len))
		return fail(err, E_INVALID, "parse error on line 1, column %zu: bare \" in non-quoted-field",
			    strcspn(*at, "\"") + 1);
	memcpy(out, *at, len);
	out[len] = 0;
	*at += len;
	return OK;
}

static struct field split(char *text)
{
	char *equals = strchr(text, '=');

	if (equals)
		*equals = 0;
	for (char *p = text; *p; p++)
		*p = (char)tolower((unsigned char)*p);
	return (struct field){ text, equals ? equals + 1 : NULL };
}

int fields_parse(const char *text, struct arena *a, struct fields *ret_fields, struct err *err)
{
	const char *at = text;

	ret_fields->n = 0;
	for (;; at++) {
		char *value = arena_alloc(a, strlen(at) + 1);

		if (!value)
			return fail_nomem(err);
		if (ret_fields->n == FIELDS_MAX)
			return fail(err, E_LIMIT, "more than %d values in one option", FIELDS_MAX);
		if (take_value(&at, value, err) < 0)
			return E_INVALID;
		ret_fields->items[ret_fields->n++] = split(value);
		if (!*at)
			return OK;
	}
}

const char *fields_get(const struct fields *f, const char *key)
{
	const char *value = NULL;

	for (size_t i = 0; i < f->n; i++)
		if (f->items[i].value && !strcmp(f->items[i].key, key))
			value = f->items[i].value;
	return value;
}

int fields_bool(const struct fields *f, const char *key, bool otherwise, bool *ret_value, struct err *err)
{
	static const char *const yes[] = { "1", "t", "T", "true", "TRUE", "True" };
	static const char *const no[] = { "0", "f", "F", "false", "FALSE", "False" };
	const char *value = fields_get(f, key);

	*ret_value = otherwise;
	for (size_t i = 0; value && i < ARRAY_LEN(yes); i++)
		if (!strcmp(value, yes[i]) || !strcmp(value, no[i])) {
			*ret_value = !strcmp(value, yes[i]);
			return OK;
		}
	return value ? fail(err, E_INVALID, "invalid value for %s: %.128s", key, value) : OK;
}
