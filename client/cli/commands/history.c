#include "client/cli/commands/history.h"

#include "client/cli/commands/commands.h"
#include "client/cli/convert.h"
#include "client/cli/format/units.h"
#include "client/cli/platform_check.h"
#include "imaged/v1/image_service.client.h"
#include "proto/runtime/clock.h"

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

/* ---- the command ---------------------------------------------------------- */

struct options {
	const char *format, *platform;
	bool human, no_trunc, quiet;
};

/* Asks for the image first: only it knows its platform. */
static int check_platform(struct rpc_channel *channel, const char *image, const char *platform, struct err *err)
{
	Imaged__V1__InspectImageRequest request = IMAGED__V1__INSPECT_IMAGE_REQUEST__INIT;
	CLEANUP(imaged__v1__image_service__inspect_image_freep) Imaged__V1__InspectImageResponse *response = NULL;
	int r;

	if (!platform || !*platform)
		return OK;
	request.image = (char *)image;
	r = imaged__v1__image_service__call_inspect_image(channel, cli_call_options(), &request, &response, err);
	return r ? r : platform_check(image, response->image->platform, platform, err);
}

static int fetch(struct cli *cli, const char *image, const char *platform, Imaged__V1__GetHistoryResponse **ret,
		 struct err *err)
{
	Imaged__V1__GetHistoryRequest request = IMAGED__V1__GET_HISTORY_REQUEST__INIT;
	struct rpc_channel *channel;
	int r = cli_channel(cli, &channel, err);

	request.image = (char *)image;
	if (!r)
		r = check_platform(channel, image, platform, err);
	if (!r)
		r = imaged__v1__image_service__call_get_history(channel, cli_call_options(), &request, ret, err);
	cli_explain(cli, err);
	return r;
}

static int run(struct cli *cli, const void *options, UNUSED int argc, char **argv)
{
	const struct options *o = options;
	CLEANUP(imaged__v1__image_service__get_history_freep) Imaged__V1__GetHistoryResponse *response = NULL;
	CLEANUP(buf_free) struct buf out = BUF_INIT(TEMPLATE_OUTPUT_MAX);
	struct history_view view = { o->format, o->human, o->no_trunc, o->quiet, clock_wall_ns() };
	struct err err = ERR_INIT;

	cli_config(cli);
	if (fetch(cli, argv[0], o->platform, &response, &err))
		return cli_fail_call(&err);
	if (history_render(&view, response->entries, response->n_entries, &out, &err)) {
		cli_fail(&err);
		return 1;
	}
	cli_write(buf_text(&out), out.len);
	return 0;
}

static const struct flag flags[] = {
	{ "format", 0, FLAG_STRING, offsetof(struct options, format), FORMAT_HELP_TABLE, NULL },
	{ "human", 'H', FLAG_BOOL, offsetof(struct options, human), "Print sizes and dates in human readable format",
	  "true" },
	{ "no-trunc", 0, FLAG_BOOL, offsetof(struct options, no_trunc), "Don't truncate output", NULL },
	{ "platform", 0, FLAG_STRING, offsetof(struct options, platform),
	  "Show history for the given platform. Formatted as \"os[/arch[/variant]]\" (e.g., \"linux/amd64\")", NULL },
	{ "quiet", 'q', FLAG_BOOL, offsetof(struct options, quiet), "Only show image IDs", NULL },
};

static const struct options defaults = { .human = true };

const struct command_spec spec_history = {
	.usage = "[OPTIONS] IMAGE",
	.summary = "Show the history of an image",
	.aliases = "image history, history",
	.flags = flags,
	.n_flags = ARRAY_LEN(flags),
	.min_args = 1,
	.max_args = 1,
	.options_size = sizeof(struct options),
	.defaults = &defaults,
	.run = run,
};
