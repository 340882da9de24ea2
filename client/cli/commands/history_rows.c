/* Rows of `history`: one for each step (docker-cli.md 5). */
#include "client/cli/commands/history.h"

#include "client/cli/convert.h"
#include "client/cli/format/units.h"

/* 2000-01-01: docker shows no age for what claims to be older. */
enum { EPOCH = 946684800, CREATED_BY_WIDTH = 45 };

enum field { COMMENT, CREATED_AT, CREATED_BY, CREATED_SINCE, ID, SIZE, N_FIELDS };

static const struct value_field fields[N_FIELDS] = {
	[COMMENT] = { .name = "Comment", .method = true },
	[CREATED_AT] = { .name = "CreatedAt", .method = true },
	[CREATED_BY] = { .name = "CreatedBy", .method = true },
	[CREATED_SINCE] = { .name = "CreatedSince", .method = true },
	[ID] = { .name = "ID", .method = true },
	[SIZE] = { .name = "Size", .method = true },
};

static const struct value_type type_row = {
	.name = "image.historyContext",
	.kind = VALUE_STRUCT,
	.fields = fields,
	.n_fields = N_FIELDS,
	.json_marshals_escaped = true,
};

static const struct column columns[] = {
	{ "Comment", "COMMENT" },
	{ "CreatedAt", "CREATED AT" },
	{ "CreatedBy", "CREATED BY" },
	{ "CreatedSince", "CREATED" },
	{ "ID", "IMAGE" },
	{ "Size", "SIZE" },
};

static struct value created_by(struct arena *a, const char *text, bool whole)
{
	CLEANUP(buf_free) struct buf cut = BUF_INIT(4096);
	struct value v = value_copy(a, text_of(text));

	if (v.kind == VALUE_NONE)
		return v;
	for (char *p = (char *)v.string.data; *p; p++) /* ours: just copied */
		if (*p == '\t')
			*p = ' ';
	if (whole)
		return v;
	ellipsis(&cut, v.string, CREATED_BY_WIDTH);
	return value_copy(a, (struct text){ buf_text(&cut), cut.len });
}

static struct value age(struct arena *a, const struct history_view *view, int64_t created)
{
	if (!view->human)
		return time_local(a, created);
	return created <= EPOCH ? value_string("N/A") : age_value(a, created, view->now_ns);
}

static struct value row_value(struct arena *a, const struct history_view *view, const Imaged__V1__HistoryEntry *e)
{
	int64_t created = seconds_of(e->created);
	struct value *v = arena_array(a, N_FIELDS, sizeof *v);

	if (!v)
		return value_none();
	v[COMMENT] = value_copy(a, text_of(e->comment));
	v[CREATED_AT] = time_local(a, created);
	v[CREATED_BY] = created_by(a, e->created_by, view->no_trunc);
	v[CREATED_SINCE] = age(a, view, created);
	v[ID] = *e->id ? id_value(a, e->id, view->no_trunc) : value_string("<missing>");
	v[SIZE] = view->human ? size_value(a, e->size, 3) : value_format(a, "%lld", (long long)e->size);
	return value_pointer_to(value_struct(&type_row, v));
}

static const char *choose_format(const struct history_view *view)
{
	if (view->format && *view->format && strcmp(view->format, "table"))
		return view->format;
	if (view->quiet)
		return "{{.ID}}";
	if (!view->human)
		return "table {{.ID}}\t{{.CreatedAt}}\t{{.CreatedBy}}\t{{.Size}}\t{{.Comment}}";
	return "table {{.ID}}\t{{.CreatedSince}}\t{{.CreatedBy}}\t{{.Size}}\t{{.Comment}}";
}

int history_render(const struct history_view *view, Imaged__V1__HistoryEntry *const *entries, size_t n, struct buf *out,
		   struct err *err)
{
	CLEANUP(arena_free) struct arena arena, header;
	struct rows rows;
	int r;

	arena_init(&arena, TEMPLATE_MEMORY_MAX);
	arena_init(&header, TEMPLATE_MEMORY_MAX);
	r = rows_open(&rows, choose_format(view), columns_value(&header, columns, ARRAY_LEN(columns)), err);
	for (size_t i = 0; i < n && !r; i++) {
		r = rows_add(&rows, row_value(&arena, view, entries[i]), err);
		arena_reset(&arena, arena.cap);
	}
	if (!r)
		r = rows_finish(&rows, out, err);
	rows_free(&rows);
	return r;
}
