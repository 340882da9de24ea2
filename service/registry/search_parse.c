#include "service/registry/search_parse.h"

#include <jansson.h>
#include <stdio.h>

#include "service/registry/error_body.h"
#include "store/types/json.h"

void search_results_free(struct search_results *r)
{
	for (size_t i = 0; i < r->n; i++) {
		free(r->items[i].name);
		free(r->items[i].description);
	}
	free(r->items);
	*r = (struct search_results){ 0 };
}

int search_add(struct search_results *out, const struct search_result *result, struct err *err)
{
	struct search_result *items = reallocarray(out->items, out->n + 1, sizeof *items);
	struct search_result *added;

	if (!items)
		return fail_nomem(err);
	out->items = items;
	added = &items[out->n];
	*added = *result;
	added->name = strdup(result->name);
	added->description = strdup(result->description);
	if (added->name && added->description) {
		out->n++;
		return OK;
	}
	free(added->name);
	free(added->description);
	return fail_nomem(err);
}

/* ---- members, whatever they are -------------------------------------------- */

static const char *text_in(const json_t *object, const char *const *keys, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		const char *text = json_string_value(json_object_get(object, keys[i]));

		if (text && *text)
			return text;
	}
	return "";
}

/* Pages say "1.2K" and "1B+" where they mean a number. */
static double unit_of(char c)
{
	switch (c) {
	case 'k':
	case 'K':
		return 1e3;
	case 'm':
	case 'M':
		return 1e6;
	case 'b':
	case 'B':
		return 1e9;
	default:
		return 1;
	}
}

static int64_t count_of(const json_t *value)
{
	double number = json_number_value(value);
	const char *text = json_string_value(value);

	if (text) {
		char *end;

		number = strtod(text, &end);
		number *= unit_of(*end);
	}
	if (!(number > 0))
		return 0;
	return number < 9e15 ? (int64_t)number : INT64_C(9000000000000000);
}

static const json_t *list_in(const json_t *root, const char *const *keys, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		const json_t *list = json_object_get(root, keys[i]);

		if (json_is_array(list))
			return list;
	}
	return NULL;
}

/* Names are shown and typed again: printable ASCII without blanks. */
static bool is_name(const char *text)
{
	size_t len = strlen(text);

	for (size_t i = 0; i < len; i++)
		if (text[i] <= ' ' || text[i] > '~')
			return false;
	return len > 0 && len <= SEARCH_NAME_MAX;
}

/* Descriptions keep their line ends: whoever shows them decides. */
static char *clean_description(const char *text)
{
	char *out = strdup(text);
	struct bytes rest = bytes_of(text);
	size_t n = 0;

	while (out && rest.len && n < SEARCH_DESCRIPTION_MAX) {
		size_t len = text_character(rest);
		bool space = rest.data[0] == '\n' || rest.data[0] == '\r' || rest.data[0] == '\t';
		bool control = len == 1 && (rest.data[0] < ' ' || rest.data[0] == 0x7f) && !space;

		if (control || !len)
			out[n++] = '?';
		for (size_t i = 0; i < len && !control; i++)
			out[n++] = (char)rest.data[i];
		len = len ? len : 1;
		rest = (struct bytes){ rest.data + len, rest.len - len };
	}
	if (out)
		out[n] = 0;
	return out;
}

static int add_named(struct search_results *out, struct search_result *result, const char *description, struct err *err)
{
	CLEANUP(freep) char *clean = NULL;

	if (!is_name(result->name))
		return OK;
	clean = clean_description(description);
	if (!clean)
		return fail_nomem(err);
	result->description = clean;
	return search_add(out, result, err);
}

/* ---- the index --------------------------------------------------------------- */

static int add_index_result(struct search_results *out, const json_t *item, struct err *err)
{
	static const char *const name[] = { "name" }, *const description[] = { "description" };
	struct search_result result = {
		.name = (char *)text_in(item, name, 1),
		.stars = count_of(json_object_get(item, "star_count")),
		.pulls = count_of(json_object_get(item, "pull_count")),
		.official = json_is_true(json_object_get(item, "is_official")),
		.automated = json_is_true(json_object_get(item, "is_automated")),
	};

	return add_named(out, &result, text_in(item, description, 1), err);
}

/* ---- the Hub API ------------------------------------------------------------- */

static bool lists_official(const json_t *list)
{
	for (size_t i = 0; i < json_array_size(list); i++) {
		const char *text = json_string_value(json_array_get(list, i));

		if (text && !strcmp(text, "official"))
			return true;
	}
	return false;
}

static bool is_official(const json_t *item)
{
	static const char *const keys[] = { "source", "badge", "filter_type" };

	if (json_is_true(json_object_get(item, "is_official")) || lists_official(json_object_get(item, "badges")))
		return true;
	for (size_t i = 0; i < ARRAY_LEN(keys); i++) {
		const char *text = json_string_value(json_object_get(item, keys[i]));

		if (text && (!strcmp(text, "official") || !strcmp(text, "store")))
			return true;
	}
	return false;
}

/* Of a product it stands with the repository of its first plan. */
static int64_t hub_pulls(const json_t *item)
{
	const json_t *pulls = json_object_get(item, "pull_count"), *plan, *repository;

	if (pulls)
		return count_of(pulls);
	plan = json_array_get(json_object_get(item, "rate_plans"), 0);
	repository = json_array_get(json_object_get(plan, "repositories"), 0);
	return count_of(json_object_get(repository, "pull_count"));
}

static int add_hub_result(struct search_results *out, const json_t *item, struct err *err)
{
	static const char *const names[] = { "slug", "repo_name", "name" };
	static const char *const descriptions[] = { "short_description", "description" };
	static const char library[] = "library/";
	const char *name = text_in(item, names, ARRAY_LEN(names));
	struct search_result result = {
		.name = (char *)(!strncmp(name, library, sizeof library - 1) ? name + sizeof library - 1 : name),
		.stars = count_of(json_object_get(item, "star_count")),
		.pulls = hub_pulls(item),
		.official = is_official(item),
	};

	return add_named(out, &result, text_in(item, descriptions, ARRAY_LEN(descriptions)), err);
}

/* ---- documents --------------------------------------------------------------- */

static int shown(uint8_t c)
{
	return c > ' ' && c < 0x7f ? c : '?';
}

/* Where the text leaves a literal that it began; false: it does not begin one. */
static bool leaves_literal(struct bytes text, const char *literal, char *out, size_t size)
{
	size_t n = 0;

	while (n < text.len && literal[n] && text.data[n] == (uint8_t)literal[n])
		n++;
	if (!n || !literal[n] || n == text.len)
		return false;
	snprintf(out, size, "invalid character '%c' in literal %s (expecting '%c')", shown(text.data[n]), literal,
		 literal[n]);
	return true;
}

/* What Go's decoder says first about a text that is no JSON, for docker's message. */
static void explain(struct bytes text, const json_error_t *why, char *out, size_t size)
{
	static const char *const literals[] = { "true", "false", "null" };

	while (text.len && text.data[0] && strchr(" \t\r\n", text.data[0]))
		text = (struct bytes){ text.data + 1, text.len - 1 };
	if (!text.len) {
		snprintf(out, size, "EOF");
		return;
	}
	for (size_t i = 0; i < ARRAY_LEN(literals); i++)
		if (leaves_literal(text, literals[i], out, size))
			return;
	if (text.data[0] && strchr("{[\"-0123456789tfn", text.data[0]))
		snprintf(out, size, "line %d, column %d: not valid JSON", why->line, why->column);
	else
		snprintf(out, size, "invalid character '%c' looking for beginning of value", shown(text.data[0]));
}

typedef int add_result(struct search_results *out, const json_t *item, struct err *err);

static int add_list(const json_t *list, add_result *add, size_t limit, struct search_results *out, struct err *err)
{
	for (size_t i = 0; i < json_array_size(list) && out->n < limit; i++) {
		int r = add(out, json_array_get(list, i), err);

		if (r != OK)
			return r;
	}
	return OK;
}

static int decode(struct bytes text, json_t **ret_root, struct err *err)
{
	char why[256];
	json_error_t error;
	json_t *root = NULL;
	int r = json_read_light(text, JSON_DISABLE_EOF_CHECK, &root, &error, err);

	if (r != OK && r != E_BAD_CONTENT)
		return r;
	if (json_is_object(root)) {
		*ret_root = root;
		return OK;
	}
	if (root)
		snprintf(why, sizeof why, "not an object");
	else
		explain(text, &error, why, sizeof why);
	json_decref(root);
	return fail(err, E_BAD_CONTENT, "error decoding registry search results: %s", why);
}

int search_parse_index(struct bytes json, size_t limit, struct search_results *out, struct err *err)
{
	json_t *root;
	int r = decode(json, &root, err);

	if (r != OK)
		return r;
	r = add_list(json_object_get(root, "results"), add_index_result, limit, out, err);
	json_decref(root);
	return r;
}

int search_parse_hub(struct bytes json, size_t limit, struct search_results *out, struct err *err)
{
	static const char *const keys[] = { "results", "summaries", "hits" };
	const json_t *list;
	json_t *root;
	int r = decode(json, &root, err);

	if (r != OK)
		return r;
	list = list_in(root, keys, ARRAY_LEN(keys));
	if (!list)
		r = fail(err, E_BAD_CONTENT, "error decoding registry search results: no list of results");
	else
		r = add_list(list, add_hub_result, limit, out, err);
	json_decref(root);
	return r;
}
