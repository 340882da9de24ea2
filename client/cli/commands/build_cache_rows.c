#include "client/cli/commands/build_cache.h"

#include "client/cli/convert.h"
#include "client/cli/format/plain_text.h"
#include "client/cli/format/units.h"

enum { DESCRIPTION_WIDTH = 60 };

enum field {
	CACHE_TYPE,
	CREATED_AT,
	CREATED_SINCE,
	DESCRIPTION,
	ID,
	IN_USE,
	LAST_USED_AT,
	LAST_USED_SINCE,
	PARENT,
	SHARED,
	SIZE,
	USAGE_COUNT,
	N_FIELDS
};

static const struct value_field fields[N_FIELDS] = {
	[CACHE_TYPE] = { .name = "CacheType", .method = true },
	[CREATED_AT] = { .name = "CreatedAt", .method = true },
	[CREATED_SINCE] = { .name = "CreatedSince", .method = true },
	[DESCRIPTION] = { .name = "Description", .method = true },
	[ID] = { .name = "ID", .method = true },
	[IN_USE] = { .name = "InUse", .method = true },
	[LAST_USED_AT] = { .name = "LastUsedAt", .method = true },
	[LAST_USED_SINCE] = { .name = "LastUsedSince", .method = true },
	[PARENT] = { .name = "Parent", .method = true },
	[SHARED] = { .name = "Shared", .method = true },
	[SIZE] = { .name = "Size", .method = true },
	[USAGE_COUNT] = { .name = "UsageCount", .method = true },
};

static const struct value_type type_row = {
	.name = "formatter.buildCacheContext",
	.kind = VALUE_STRUCT,
	.fields = fields,
	.n_fields = N_FIELDS,
	.json_marshals_escaped = true,
};

static const struct column columns[] = {
	{ "CacheType", "CACHE TYPE" },
	{ "CreatedAt", "CREATED AT" },
	{ "CreatedSince", "CREATED" },
	{ "Description", "DESCRIPTION" },
	{ "ID", "CACHE ID" },
	{ "InUse", "IN USE" },
	{ "LastUsedAt", "LAST USED AT" },
	{ "LastUsedSince", "LAST USED" },
	{ "Parent", "PARENT" },
	{ "Shared", "SHARED" },
	{ "Size", "SIZE" },
	{ "UsageCount", "USAGE" },
};

static struct value description_value(struct arena *a, const struct build_cache_view *view, const char *text)
{
	CLEANUP(buf_free) struct buf plain = BUF_INIT(2 * strlen(text) + 1), cut = BUF_INIT(4096);

	put_plain(&plain, text);
	if (view->no_trunc)
		return value_copy(a, text_of(buf_text(&plain)));
	if (!ellipsis(&cut, text_of(buf_text(&plain)), DESCRIPTION_WIDTH))
		return value_none();
	return value_copy(a, text_of(buf_text(&cut)));
}

struct value build_cache_value(struct arena *a, const struct build_cache_view *view,
			       const Imaged__V1__BuildCacheEntry *entry)
{
	struct value *v = arena_array(a, N_FIELDS, sizeof *v);

	if (!v)
		return value_none();
	v[CACHE_TYPE] = value_copy(a, text_of(entry->kind));
	v[CREATED_AT] = time_go(a, seconds_of(entry->created));
	v[CREATED_SINCE] = age_value(a, seconds_of(entry->created), view->now_ns);
	v[DESCRIPTION] = description_value(a, view, entry->description);
	v[ID] = value_format(a, view->no_trunc ? "%s%s" : "%.12s%s", entry->id, entry->in_use ? "*" : "");
	v[IN_USE] = value_string(entry->in_use ? "true" : "false");
	v[LAST_USED_AT] = time_go(a, seconds_of(entry->last_used));
	v[LAST_USED_SINCE] = age_value(a, seconds_of(entry->last_used), view->now_ns);
	v[PARENT] = value_string("");
	v[SHARED] = value_string(entry->shared ? "true" : "false");
	v[SIZE] = size_value(a, entry->size, 3);
	v[USAGE_COUNT] = value_format(a, "%lld", (long long)entry->use_count);
	return value_pointer_to(value_struct(&type_row, v));
}

static int render(const char *format_text, const struct build_cache_view *view,
		  Imaged__V1__BuildCacheEntry *const *entries, size_t n, struct buf *out, struct err *err)
{
	CLEANUP(arena_free) struct arena arena, header;
	struct rows rows;
	int r;

	arena_init(&arena, TEMPLATE_MEMORY_MAX);
	arena_init(&header, TEMPLATE_MEMORY_MAX);
	r = rows_open(&rows, format_text, columns_value(&header, columns, ARRAY_LEN(columns)), err);
	for (size_t i = 0; i < n && !r; i++) {
		r = rows_add(&rows, build_cache_value(&arena, view, entries[i]), err);
		arena_reset(&arena, arena.cap);
	}
	if (!r)
		r = rows_finish(&rows, out, err);
	rows_free(&rows);
	return r;
}

int build_cache_render(const struct build_cache_view *view, Imaged__V1__BuildCacheEntry *const *entries, size_t n,
		       struct buf *out, struct err *err)
{
	const char *format_text = "table {{.ID}}\t{{.CacheType}}\t{{.Size}}\t{{.CreatedSince}}\t{{.LastUsedSince}}\t"
				  "{{.UsageCount}}\t{{.Shared}}\t{{.Description}}";

	if (view->format && *view->format && strcmp(view->format, "table") != 0)
		format_text = view->format;
	else if (view->quiet)
		format_text = "{{.ID}}";
	return render(format_text, view, entries, n, out, err);
}

int build_cache_render_usage(const struct build_cache_view *view, Imaged__V1__BuildCacheEntry *const *entries, size_t n,
			     struct buf *out, struct err *err)
{
	return render("table {{.ID}}\t{{.CacheType}}\t{{.Size}}\t{{.CreatedSince}}\t{{.LastUsedSince}}\t"
		      "{{.UsageCount}}\t{{.Shared}}",
		      view, entries, n, out, err);
}
