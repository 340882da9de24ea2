#include "service/build/directive.h"

#include <jansson.h>

#include "store/types/json.h"

static const char *const names[N_DIRECTIVES] = {
	[DIRECTIVE_CHECK] = "check",
	[DIRECTIVE_ESCAPE] = "escape",
	[DIRECTIVE_SYNTAX] = "syntax",
};

static bool is_word(char c, bool first)
{
	return ((c | 0x20) >= 'a' && (c | 0x20) <= 'z') || (!first && c >= '0' && c <= '9');
}

/* "name = value" */
static bool split(struct bytes line, struct bytes *ret_name, struct bytes *ret_value)
{
	size_t len = 0;

	while (len < line.len && is_word((char)line.data[len], !len))
		len++;
	*ret_name = bytes_first(line, len);
	line = bytes_trim_left(bytes_from(line, len));
	if (!len || !bytes_begin(line, "="))
		return false;
	*ret_value = bytes_trim(bytes_from(line, 1));
	return ret_value->len;
}

static bool known(struct bytes name, enum directive_kind *ret_kind)
{
	for (size_t i = 0; i < N_DIRECTIVES; i++)
		if (bytes_are_nocase(name, names[i])) {
			*ret_kind = (enum directive_kind)i;
			return true;
		}
	return false;
}

int directive_read(struct directives *d, struct bytes line, const char *mark, enum directive_kind *ret_kind,
		   struct bytes *ret_value, struct err *err)
{
	enum directive_kind kind = DIRECTIVE_CHECK;
	struct bytes name, value;

	if (d->done)
		return 0;
	d->done = true;
	if (!bytes_begin(line, mark) || !split(bytes_trim_left(bytes_from(line, strlen(mark))), &name, &value))
		return 0;
	if (!known(name, &kind))
		return 0;
	if (d->seen[kind])
		return fail(err, E_INVALID, "only one %s parser directive can be used", names[kind]);
	d->seen[kind] = true;
	d->done = false;
	*ret_kind = kind;
	*ret_value = value;
	return 1;
}

static bool find_in_comments(struct bytes text, enum directive_kind kind, const char *mark, struct bytes *ret_value,
			     int *line_number)
{
	struct directives d = { .done = false };
	enum directive_kind found;
	struct bytes line;

	while (bytes_take_line(&text, &line)) {
		++*line_number;
		if (directive_read(&d, bytes_trim_right(line), mark, &found, ret_value, NULL) <= 0)
			return false;
		if (found == kind) {
			ret_value->len = bytes_find(*ret_value, ' ');
			return true;
		}
	}
	return false;
}

static bool find_in_json(struct bytes text, enum directive_kind kind, struct arena *a, struct bytes *ret_value)
{
	CLEANUP(json_decrefp) json_t *object = NULL;
	const char *value;

	if (!bytes_begin(bytes_trim_left(text), "{") || !json_is_light(text))
		return false;
	object = json_loadb((const char *)text.data, text.len, 0, NULL);
	value = json_string_value(json_object_get(object, names[kind]));
	value = value ? arena_string(a, value) : NULL;
	if (value)
		*ret_value = bytes_of(value);
	return value != NULL;
}

bool directive_find(struct bytes text, enum directive_kind kind, struct arena *a, struct bytes *ret_value,
		    int *ret_line)
{
	struct bytes ignored;
	int before = 0;

	if (bytes_begin(text, "\xef\xbb\xbf"))
		text = bytes_from(text, 3);
	if (bytes_begin(text, "#!"))
		before += bytes_take_line(&text, &ignored);
	*ret_line = before;
	if (find_in_comments(text, kind, "#", ret_value, ret_line))
		return true;
	*ret_line = before;
	if (find_in_comments(text, kind, "//", ret_value, ret_line))
		return true;
	*ret_line = before + 1;
	return a && find_in_json(text, kind, a, ret_value);
}
