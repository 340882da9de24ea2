/* The texts of `system df` (docker-cli.md 16). */
#include "client/cli/commands/disk_usage.h"

#include "client/cli/commands/build_cache.h"
#include "client/cli/commands/images.h"
#include "client/cli/convert.h"
#include "client/cli/format/table.h"
#include "client/cli/format/units.h"

enum field { ACTIVE, RECLAIMABLE, SIZE, TOTAL_COUNT, TYPE, N_FIELDS };

static const struct value_field fields[N_FIELDS] = {
	[ACTIVE] = { .name = "Active", .method = true }, [RECLAIMABLE] = { .name = "Reclaimable", .method = true },
	[SIZE] = { .name = "Size", .method = true },	 [TOTAL_COUNT] = { .name = "TotalCount", .method = true },
	[TYPE] = { .name = "Type", .method = true },
};

static const struct value_type type_row = {
	.name = "formatter.diskUsageImagesContext",
	.kind = VALUE_STRUCT,
	.fields = fields,
	.n_fields = N_FIELDS,
	.json_marshals_escaped = true,
};

static const struct column columns[] = {
	{ "Active", "ACTIVE" }, { "Reclaimable", "RECLAIMABLE" }, { "Size", "SIZE" }, { "TotalCount", "TOTAL" },
	{ "Type", "TYPE" },
};

static const char raw_summary[] = "type: {{.Type}}\ntotal: {{.TotalCount}}\nactive: {{.Active}}\nsize: {{.Size}}\n"
				  "reclaimable: {{.Reclaimable}}\n";

static const char raw_verbose[] =
	"{{range .Images}}type: Image\nrepository: {{.Repository}}\ntag: {{.Tag}}\ndigest: {{.Digest}}\n"
	"image_id: {{.ID}}\ncreated_at: {{.CreatedAt}}\nvirtual_size: {{.VirtualSize}}\n\n{{end}}"
	"{{range .BuildCache}}type: Build Cache\nbuild_cache_id: {{.ID}}\nparent_id: {{.Parent}}\n"
	"build_cache_type: {{.CacheType}}\ndescription: {{.Description}}\ncreated_at: {{.CreatedAt}}\n"
	"created_since: {{.CreatedSince}}\nlast_used_at: {{.LastUsedAt}}\nlast_used_since: {{.LastUsedSince}}\n"
	"usage_count: {{.UsageCount}}\nin_use: {{.InUse}}\nshared: {{.Shared}}\n\n{{end}}";

/* ---- the summary ---------------------------------------------------------- */

static struct value reclaimable(struct arena *a, int64_t bytes, int64_t total)
{
	char text[SIZE_TEXT_MAX];

	size_text((double)bytes, 4, text);
	if (total <= 0)
		return value_copy(a, text_of(text));
	return value_format(a, "%s (%d%%)", text, (int)((double)bytes * 100 / (double)total));
}

static struct value row_value(struct arena *a, const char *type, int64_t count, int64_t active, int64_t size,
			      struct value free_size)
{
	struct value *v = arena_array(a, N_FIELDS, sizeof *v);

	if (!v)
		return value_none();
	v[ACTIVE] = value_format(a, "%lld", (long long)active);
	v[RECLAIMABLE] = free_size;
	v[SIZE] = size_value(a, size, 4);
	v[TOTAL_COUNT] = value_format(a, "%lld", (long long)count);
	v[TYPE] = value_string(type);
	return value_pointer_to(value_struct(&type_row, v));
}

static int add_rows(struct rows *rows, struct arena *a, const Imaged__V1__GetDiskUsageResponse *m, struct err *err)
{
	static const char *const empty[] = { "Containers", "Local Volumes" };
	int r = rows_add(rows,
			 row_value(a, "Images", m->image_count, 0, m->layers_size,
				   reclaimable(a, m->reclaimable_size, m->layers_size)),
			 err);

	for (size_t i = 0; i < ARRAY_LEN(empty) && !r; i++)
		r = rows_add(rows, row_value(a, empty[i], 0, 0, 0, reclaimable(a, 0, 0)), err);
	if (!r) /* docker tells no share here */
		r = rows_add(rows,
			     row_value(a, "Build Cache", m->build_cache_count, m->build_cache_active,
				       m->build_cache_bytes, size_value(a, m->build_cache_reclaimable, 4)),
			     err);
	return r;
}

static int render_summary(const char *format_text, struct arena *a, const Imaged__V1__GetDiskUsageResponse *m,
			  struct buf *out, struct err *err)
{
	struct rows rows;
	int r;

	if (!format_text || !*format_text || !strcmp(format_text, "table"))
		format_text = "table {{.Type}}\t{{.TotalCount}}\t{{.Active}}\t{{.Size}}\t{{.Reclaimable}}";
	else if (!strcmp(format_text, "raw"))
		format_text = raw_summary;
	r = rows_open(&rows, format_text, columns_value(a, columns, ARRAY_LEN(columns)), err);
	if (!r)
		r = add_rows(&rows, a, m, err);
	if (!r)
		r = rows_finish(&rows, out, err);
	rows_free(&rows);
	return r;
}

/* ---- -v ------------------------------------------------------------------- */

/* One row for an image, under its first tag. */
static struct value image_value(struct arena *a, const Imaged__V1__ImageUsage *usage, bool whole_id, int64_t now_ns)
{
	char repository[REFERENCE_TEXT_MAX] = "<none>";
	struct image_row row = {
		.image = usage->image,
		.repository = repository,
		.tag = "<none>",
		.digest = "",
		.whole_id = whole_id,
		.shared_size = usage->shared_size,
		.unique_size = usage->unique_size,
	};
	struct reference ref;

	if (usage->image->n_repo_tags && !reference_parse(usage->image->repo_tags[0], &ref, NULL)) {
		reference_familiar_name(&ref, repository);
		row.tag = ref.tag;
	}
	return image_row_value(a, &row, now_ns);
}

static const struct value_type type_images = { .name = "[]*formatter.imageContext",
					       .kind = VALUE_LIST,
					       .elem = &type_empty_struct };
static const struct value_type type_nothing = { .name = "[]*formatter.ContainerContext",
						.kind = VALUE_LIST,
						.elem = &type_empty_struct };
static const struct value_type type_cache = { .name = "[]*formatter.buildCacheContext",
					      .kind = VALUE_LIST,
					      .elem = &type_empty_struct };
static const struct value_field all_fields[] = {
	{ .name = "Images" }, { .name = "Containers" }, { .name = "Volumes" }, { .name = "BuildCache" }
};
static const struct value_type type_all = { .name = "formatter.diskUsageContext",
					    .kind = VALUE_STRUCT,
					    .fields = all_fields,
					    .n_fields = ARRAY_LEN(all_fields) };

static struct value images_value(struct arena *a, const Imaged__V1__GetDiskUsageResponse *m, bool whole_ids,
				 int64_t now_ns)
{
	struct value *items = arena_array(a, m->n_images, sizeof *items);

	for (size_t i = 0; items && i < m->n_images; i++)
		items[i] = image_value(a, m->images[i], whole_ids, now_ns);
	return value_list(&type_images, items, m->n_images);
}

static struct value cache_value(struct arena *a, const struct disk_usage_view *view)
{
	const struct build_cache_view rows = { .no_trunc = true, .now_ns = view->now_ns };
	struct value *items = arena_array(a, view->n_cache, sizeof *items);

	for (size_t i = 0; items && i < view->n_cache; i++)
		items[i] = build_cache_value(a, &rows, view->cache[i]);
	return value_list(&type_cache, items, view->n_cache);
}

static int render_template(const struct disk_usage_view *view, struct arena *a,
			   const Imaged__V1__GetDiskUsageResponse *m, struct buf *out, struct err *err)
{
	struct value parts[4] = { images_value(a, m, true, view->now_ns), value_list(&type_nothing, NULL, 0),
				  value_list(&type_nothing, NULL, 0), cache_value(a, view) };
	struct value all = value_struct(&type_all, parts);
	static const struct template_options options;
	struct rows rows;
	int r;

	if (all.kind == VALUE_NONE)
		return fail_nomem(err);
	r = rows_open(&rows, strcmp(view->format, "raw") ? view->format : raw_verbose, value_none(), err);
	if (!r && template_execute(rows.t, &options, value_pointer_to(all), out, err))
		r = err_wrap(err, "template parsing error");
	rows_free(&rows);
	return r;
}

static int put_images(struct arena *a, const Imaged__V1__GetDiskUsageResponse *m, int64_t now_ns, struct buf *out,
		      struct err *err)
{
	struct value images = images_value(a, m, false, now_ns);
	struct rows rows;
	int r;

	if (images.kind == VALUE_NONE)
		return fail_nomem(err);
	r = rows_open(&rows,
		      "table {{.Repository}}\t{{.Tag}}\t{{.ID}}\t{{.CreatedSince}}\t{{.Size}}\t{{.SharedSize}}\t"
		      "{{.UniqueSize}}\t{{.Containers}}",
		      image_header(a), err);
	for (size_t i = 0; i < images.list.n && !r; i++)
		r = rows_add(&rows, images.list.items[i], err);
	if (!r)
		r = rows_finish(&rows, out, err);
	rows_free(&rows);
	return r;
}

enum { STORE_TEXT_MAX = 4096 };

static void put_part(struct buf *text, const char *type, int64_t count, int64_t bytes)
{
	char size[SIZE_TEXT_MAX];

	buf_printf(text, "%s\t%lld\t%s\n", type, (long long)count, size_text((double)bytes, 4, size));
}

/* What is in the store's folders: a section of ours, behind all of docker's. */
static int put_store(const Imaged__V1__GetDiskUsageResponse *m, struct buf *out, struct err *err)
{
	CLEANUP(buf_free) struct buf text = BUF_INIT(STORE_TEXT_MAX);
	char unfinished[SIZE_TEXT_MAX], metadata[SIZE_TEXT_MAX];

	buf_puts(&text, "TYPE\tFILES\tSIZE\n");
	put_part(&text, "Content", m->blob_count, m->content_bytes);
	put_part(&text, "Layer Images", m->layer_image_count, m->layer_image_bytes);
	buf_printf(out, "\nStore usage: %s unfinished, %s metadata\n\n",
		   size_text((double)m->ingest_bytes, 4, unfinished),
		   size_text((double)m->metadata_bytes, 4, metadata));
	return table_render(text_of(buf_text(&text)), false, out, err);
}

static int put_cache(const struct disk_usage_view *view, const Imaged__V1__GetDiskUsageResponse *m, struct buf *out,
		     struct err *err)
{
	const struct build_cache_view rows = { .now_ns = view->now_ns };
	char size[SIZE_TEXT_MAX];

	buf_printf(out, "\nBuild cache usage: %s\n\n", size_text((double)m->build_cache_bytes, 4, size));
	return build_cache_render_usage(&rows, view->cache, view->n_cache, out, err);
}

static int render_verbose(const struct disk_usage_view *view, struct arena *a,
			  const Imaged__V1__GetDiskUsageResponse *m, struct buf *out, struct err *err)
{
	int r;

	buf_puts(out, "Images space usage:\n\n");
	r = put_images(a, m, view->now_ns, out, err);
	/* The headers of tables that are always empty. */
	buf_puts(out, "\nContainers space usage:\n\n"
		      "CONTAINER ID   IMAGE     COMMAND   LOCAL VOLUMES   SIZE      CREATED   STATUS    NAMES\n"
		      "\nLocal Volumes space usage:\n\nVOLUME NAME   LINKS     SIZE\n");
	if (!r)
		r = put_cache(view, m, out, err);
	if (!r && !view->is_docker)
		r = put_store(m, out, err);
	return r ? r : buf_ok(out) ? OK : fail_nomem(err);
}

int disk_usage_render(const struct disk_usage_view *view, const Imaged__V1__GetDiskUsageResponse *m, struct buf *out,
		      struct err *err)
{
	CLEANUP(arena_free) struct arena a;

	arena_init(&a, TEMPLATE_MEMORY_MAX * 4u);
	if (!view->verbose)
		return render_summary(view->format, &a, m, out, err);
	if (view->format && *view->format && strcmp(view->format, "table"))
		return render_template(view, &a, m, out, err);
	return render_verbose(view, &a, m, out, err);
}
