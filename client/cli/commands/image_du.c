#include "client/cli/commands/commands.h"
#include "client/cli/convert.h"
#include "client/cli/format/rows.h"
#include "client/cli/object_view.h"
#include "imaged/v1/image_service.client.h"

enum { PAGE = 1000 };

struct options {
	const char *format;
	bool no_trunc, summary;
};

typedef Imaged__V1__GetDiskUsageResponse response;

/* The totals of the first answer, which are those of the moment when it came. */
struct totals {
	int64_t one, several, none;
	int64_t unfinished, metadata;
};

static void keep_totals(const response *m, struct totals *t)
{
	const Imaged__V1__DiskOwners *parts[] = { m->content_owners, m->layer_image_owners };

	for (size_t i = 0; i < ARRAY_LEN(parts); i++)
		if (parts[i]) {
			t->one += parts[i]->one_image;
			t->several += parts[i]->several_images;
			t->none += parts[i]->no_image;
		}
	t->unfinished = m->ingest_bytes;
	t->metadata = m->metadata_bytes;
}

static int64_t total_of(const struct totals *t)
{
	return t->one + t->several + t->none;
}

/* ---- rows ---------------------------------------------------------------------- */

static const struct column columns[] = {
	{ "Image", "IMAGE" },	{ "ID", "IMAGE ID" }, { "Total", "ON DISK" },	     { "Unique", "UNIQUE" },
	{ "Shared", "SHARED" }, { "Files", "FILES" }, { "CreatedAt", "CREATED AT" },
};

/* Its first name; others are in .Names. */
static struct value name_value(struct arena *a, const Imaged__V1__ImageSummary *image)
{
	char text[REFERENCE_TEXT_MAX];

	if (image->n_repo_tags)
		return value_copy(a, text_of(familiar_text(image->repo_tags[0], text)));
	if (image->n_repo_digests)
		return value_copy(a, text_of(familiar_text(image->repo_digests[0], text)));
	return value_string("<none>");
}

static struct value names_value(struct arena *a, const Imaged__V1__ImageSummary *image)
{
	char **names = arena_array(a, image->n_repo_tags + 1, sizeof *names), text[REFERENCE_TEXT_MAX];

	for (size_t i = 0; names && i < image->n_repo_tags; i++)
		names[i] = arena_string(a, familiar_text(image->repo_tags[i], text));
	for (size_t i = 0; names && i < image->n_repo_tags; i++)
		if (!names[i])
			return value_none();
	return names ? value_strings(a, names, image->n_repo_tags) : value_none();
}

static int add_row(struct rows *rows, const struct options *o, const Imaged__V1__ImageUsage *m, struct err *err)
{
	int64_t unique = m->content_unique + m->layer_image_unique, shared = m->content_shared + m->layer_image_shared;
	CLEANUP(arena_free) struct arena a;
	struct object row = { .type_name = "image.Usage" };

	arena_init(&a, TEMPLATE_MEMORY_MAX);
	object_add(&row, "Image", name_value(&a, m->image));
	object_add(&row, "Names", names_value(&a, m->image));
	object_add(&row, "ID", id_value(&a, m->image->id, o->no_trunc));
	object_add(&row, "CreatedAt", time_go(&a, seconds_of(m->image->created)));
	object_add(&row, "Total", size_value(&a, unique + shared, 4));
	object_add(&row, "Unique", size_value(&a, unique, 4));
	object_add(&row, "Shared", size_value(&a, shared, 4));
	object_add(&row, "Files", size_value(&a, m->image->size, 4));
	object_add(&row, "UniqueBytes", value_int64(unique));
	object_add(&row, "SharedBytes", value_int64(shared));
	object_add(&row, "FilesBytes", value_int64(m->image->size));
	object_add(&row, "ContentUnique", value_int64(m->content_unique));
	object_add(&row, "ContentShared", value_int64(m->content_shared));
	object_add(&row, "LayerImageUnique", value_int64(m->layer_image_unique));
	object_add(&row, "LayerImageShared", value_int64(m->layer_image_shared));
	return rows_add(rows, object_value(&row), err);
}

static int add_page(struct rows *rows, const struct options *o, const response *m, struct err *err)
{
	int r = OK;

	for (size_t i = 0; !r && i < m->n_images; i++)
		r = add_row(rows, o, m->images[i], err);
	return r;
}

/* ---- asking -------------------------------------------------------------------- */

static int fetch(struct cli *cli, const struct options *o, struct rows *rows, struct totals *totals, struct err *err)
{
	Imaged__V1__GetDiskUsageRequest request = IMAGED__V1__GET_DISK_USAGE_REQUEST__INIT;
	CLEANUP(freep) char *token = NULL;
	struct rpc_channel *channel;
	int r = cli_channel(cli, &channel, err);

	request.per_image = !o->summary;
	request.on_disk = true;
	request.page_size = PAGE;
	while (!r) {
		CLEANUP(imaged__v1__image_service__get_disk_usage_freep) response *page = NULL;

		r = imaged__v1__image_service__call_get_disk_usage(channel, cli_call_options(), &request, &page, err);
		if (!r && !token)
			keep_totals(page, totals);
		if (!r)
			r = add_page(rows, o, page, err);
		if (r || !*page->next_page_token)
			break;
		free(token);
		token = strdup(page->next_page_token);
		if (!token)
			return fail_nomem(err);
		request.page_token = token;
	}
	cli_explain(cli, err);
	return r;
}

/* ---- totals -------------------------------------------------------------------- */

static void print_totals(const struct totals *t)
{
	const struct {
		const char *what;
		int64_t bytes;
	} lines[] = {
		{ "Of one image", t->one },  { "Of several images", t->several }, { "Of no image", t->none },
		{ "Together", total_of(t) }, { "Unfinished", t->unfinished },	  { "Metadata", t->metadata },
	};
	CLEANUP(arena_free) struct arena a;

	arena_init(&a, TEMPLATE_MEMORY_MAX);
	for (size_t i = 0; i < ARRAY_LEN(lines); i++) {
		struct value size = size_value(&a, lines[i].bytes, 4);

		if (size.kind == VALUE_STRING)
			cli_print("%-18s %.*s\n", lines[i].what, (int)size.string.len, size.string.data);
	}
}

static int render_totals(const char *format, const struct totals *t, struct buf *out, struct err *err)
{
	struct object o = { .type_name = "image.UsageTotals" };

	object_add(&o, "OneImage", value_int64(t->one));
	object_add(&o, "SeveralImages", value_int64(t->several));
	object_add(&o, "NoImage", value_int64(t->none));
	object_add(&o, "Together", value_int64(total_of(t)));
	object_add(&o, "Unfinished", value_int64(t->unfinished));
	object_add(&o, "Metadata", value_int64(t->metadata));
	return object_render(format, object_value(&o), out, err);
}

/* ---- the command --------------------------------------------------------------- */

static bool is_own_format(const char *format)
{
	return format && *format && strcmp(format, "table") != 0;
}

static int render(struct cli *cli, const struct options *o, struct totals *totals, struct buf *out, struct err *err)
{
	CLEANUP(arena_free) struct arena header;
	struct rows rows;
	int r;

	arena_init(&header, TEMPLATE_MEMORY_MAX);
	r = rows_open(&rows,
		      is_own_format(o->format) ? o->format
					       : "table {{.Image}}\t{{.ID}}\t{{.Total}}\t{{.Unique}}\t{{.Shared}}",
		      columns_value(&header, columns, ARRAY_LEN(columns)), err);
	if (!r)
		r = fetch(cli, o, &rows, totals, err);
	if (!r && o->summary && is_own_format(o->format))
		r = render_totals(o->format, totals, out, err);
	else if (!r && !o->summary)
		r = rows_finish(&rows, out, err);
	rows_free(&rows);
	return r;
}

static int run(struct cli *cli, const void *options, UNUSED int argc, UNUSED char **argv)
{
	const struct options *o = options;
	CLEANUP(buf_free) struct buf out = BUF_INIT(TEMPLATE_OUTPUT_MAX);
	struct totals totals = { 0 };
	struct err err = ERR_INIT;

	cli_config(cli);
	if (render(cli, o, &totals, &out, &err)) {
		if (err.code != E_TEMPLATE)
			return cli_fail_call(&err);
		cli_fail(&err);
		return 1;
	}
	cli_write(buf_text(&out), out.len);
	if (is_own_format(o->format))
		return 0;
	if (!o->summary)
		cli_print("\n");
	print_totals(&totals);
	return 0;
}

static const struct flag flags[] = {
	{ "format", 0, FLAG_STRING, offsetof(struct options, format), FORMAT_HELP_TABLE, NULL },
	{ "no-trunc", 0, FLAG_BOOL, offsetof(struct options, no_trunc), "Don't truncate output", NULL },
	{ "summary", 's', FLAG_BOOL, offsetof(struct options, summary), "Show the totals only", NULL },
};

const struct command_spec spec_image_du = {
	.usage = "[OPTIONS]",
	.summary = "Show how much of the disk each image takes, alone and with others",
	.help = "Show how much of the disk each image takes: bytes of files that it alone has, which\n"
		"removing it gives back, and of those that others have, too. Totals count each file once.",
	.flags = flags,
	.n_flags = ARRAY_LEN(flags),
	.own = true,
	.options_size = sizeof(struct options),
	.run = run,
};
