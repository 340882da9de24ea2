#include "service/build/flags.h"

#include <assert.h>

#include "service/build/suggest.h"

/* What stands in a message, of what somebody wrote. */
enum { SHOWN_MAX = 128 };

static int shown(struct bytes b)
{
	return (int)(b.len < SHOWN_MAX ? b.len : SHOWN_MAX);
}

static int unknown(struct bytes name, const struct flag_spec *specs, size_t n_specs, struct err *err)
{
	const char *names[FLAGS_MAX];
	struct suggestion meant;

	for (size_t i = 0; i < n_specs; i++)
		names[i] = specs[i].name;
	return fail(err, E_INVALID, "unknown flag: --%.*s%s", shown(name), (const char *)name.data,
		    suggest(name, names, n_specs, false, &meant));
}

static int set_switch(const char *name, const char *text, struct flag_value *value, struct err *err)
{
	struct bytes given = bytes_of(text ? text : "true");

	if (!given.len)
		return fail(err, E_INVALID, "missing a value on flag: --%s", name);
	value->on = bytes_are_nocase(given, "true");
	if (value->on || bytes_are_nocase(given, "false"))
		return OK;
	return fail(err, E_INVALID, "expecting boolean value for flag --%s, not: %.*s", name, shown(given), text);
}

static int append_text(struct string_list *texts, const char *text, size_t max, struct arena *a, struct err *err)
{
	if (!texts->items)
		texts->items = arena_array(a, max, sizeof *texts->items);
	if (!texts->items)
		return fail_nomem(err);
	texts->items[texts->n] = arena_string(a, text);
	return texts->items[texts->n++] ? OK : fail_nomem(err);
}

static int set(const struct flag_spec *spec, const char *text, size_t max, struct flag_value *value, struct arena *a,
	       struct err *err)
{
	if (value->given && spec->kind != FLAG_TEXTS)
		return fail(err, E_INVALID, "duplicate flag specified: --%s", spec->name);
	value->given = true;
	if (spec->kind == FLAG_SWITCH)
		return set_switch(spec->name, text, value, err);
	if (!text)
		return fail(err, E_INVALID, "missing a value on flag: --%s", spec->name);
	if (spec->kind == FLAG_TEXTS)
		return append_text(&value->texts, text, max, a, err);
	value->text = text;
	return OK;
}

/* "--name" or "--name=value" */
static int parse_one(struct bytes flag, const struct flag_spec *specs, size_t n_specs, size_t max,
		     struct flag_value *values, struct arena *a, struct err *err)
{
	struct bytes name = bytes_from(flag, 2);
	size_t len = bytes_find(name, '=');
	const char *text = len < name.len ? arena_bytes(a, bytes_from(name, len + 1)) : NULL;

	if (len < name.len && !text)
		return fail_nomem(err);
	name.len = len;
	for (size_t i = 0; i < n_specs; i++)
		if (bytes_are(name, specs[i].name))
			return set(&specs[i], text, max, &values[i], a, err);
	return unknown(name, specs, n_specs, err);
}

int flags_parse(const struct word_list *flags, const struct flag_spec *specs, size_t n_specs,
		struct flag_value *ret_values, struct arena *a, struct err *err)
{
	int r = OK;

	assert(n_specs <= FLAGS_MAX);
	for (size_t i = 0; i < n_specs; i++)
		ret_values[i] = (struct flag_value){ .text = "" };
	for (size_t i = 0; r == OK && i < flags->n; i++)
		r = parse_one(flags->items[i], specs, n_specs, flags->n, ret_values, a, err);
	return r;
}
