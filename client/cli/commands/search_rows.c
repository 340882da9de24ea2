/* Rows of `search`: one for each result (docker-cli.md 2). */
#include "client/cli/commands/search.h"
#include "client/cli/format/units.h"

enum { DESCRIPTION_WIDTH = 45, DESCRIPTION_BYTES_MAX = 64 * 1024 };

/* OFFICIAL reads "[OK]" in tables and templates, and true or false in JSON. */
enum field { DESCRIPTION, IS_OFFICIAL, IS_OFFICIAL_JSON, NAME, STAR_COUNT, N_FIELDS };

static const struct value_field fields[N_FIELDS] = {
	[DESCRIPTION] = { .name = "Description", .method = true },
	[IS_OFFICIAL] = { .name = "IsOfficial", .json = "-", .method = true },
	[IS_OFFICIAL_JSON] = { .name = "", .json = "IsOfficial", .method = true },
	[NAME] = { .name = "Name", .method = true },
	[STAR_COUNT] = { .name = "StarCount", .method = true },
};

static const struct value_type type_row = {
	.name = "registry.searchContext",
	.kind = VALUE_STRUCT,
	.fields = fields,
	.n_fields = N_FIELDS,
	.json_marshals_escaped = true,
};

static const struct column columns[] = {
	{ "Description", "DESCRIPTION" },
	{ "IsOfficial", "OFFICIAL" },
	{ "Name", "NAME" },
	{ "StarCount", "STARS" },
};

static struct value description(struct arena *a, const char *text, bool whole)
{
	CLEANUP(buf_free) struct buf cut = BUF_INIT(DESCRIPTION_BYTES_MAX);
	struct value v = value_copy(a, text_of(text));

	if (v.kind == VALUE_NONE)
		return v;
	for (char *p = (char *)v.string.data; *p; p++) /* ours: just copied */
		if (*p == '\n' || *p == '\r')
			*p = ' ';
	if (whole)
		return v;
	ellipsis(&cut, v.string, DESCRIPTION_WIDTH);
	return value_copy(a, (struct text){ buf_text(&cut), cut.len });
}

static struct value row_value(struct arena *a, const struct search_view *view, const Imaged__V1__SearchResult *r)
{
	struct value *v = arena_array(a, N_FIELDS, sizeof *v);

	if (!v)
		return value_none();
	v[DESCRIPTION] = description(a, r->description, view->no_trunc);
	v[IS_OFFICIAL] = value_string(r->official ? "[OK]" : "");
	v[IS_OFFICIAL_JSON] = value_string(r->official ? "true" : "false");
	v[NAME] = value_copy(a, text_of(r->name));
	v[STAR_COUNT] = value_format(a, "%lld", (long long)r->star_count);
	return value_pointer_to(value_struct(&type_row, v));
}

static const char *choose_format(const struct search_view *view)
{
	if (view->format && *view->format && strcmp(view->format, "table"))
		return view->format;
	return "table {{.Name}}\t{{.Description}}\t{{.StarCount}}\t{{.IsOfficial}}";
}

int search_render(const struct search_view *view, Imaged__V1__SearchResult *const *results, size_t n, struct buf *out,
		  struct err *err)
{
	CLEANUP(arena_free) struct arena arena, header;
	struct rows rows;
	int r;

	arena_init(&arena, TEMPLATE_MEMORY_MAX);
	arena_init(&header, TEMPLATE_MEMORY_MAX);
	r = rows_open(&rows, choose_format(view), columns_value(&header, columns, ARRAY_LEN(columns)), err);
	for (size_t i = 0; i < n && !r; i++) {
		r = rows_add(&rows, row_value(&arena, view, results[i]), err);
		arena_reset(&arena, arena.cap);
	}
	if (!r)
		r = rows_finish(&rows, out, err);
	rows_free(&rows);
	return r;
}
