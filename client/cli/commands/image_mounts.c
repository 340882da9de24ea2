#include "client/cli/commands/commands.h"
#include "client/cli/convert.h"
#include "client/cli/format/rows.h"
#include "imaged/v1/image_service.client.h"
#include "proto/runtime/clock.h"

enum { PAGE = 500 };

struct options {
	const char *format;
	bool no_trunc, quiet;
};

/* ---- rows ------------------------------------------------------------------ */

enum field { CREATED_AT, CREATED_SINCE, ID, IMAGE, IMAGE_ID, LAYERS, MANIFEST, MODE, TARGET, WAY, N_FIELDS };

static const struct value_field fields[N_FIELDS] = {
	[CREATED_AT] = { .name = "CreatedAt" },
	[CREATED_SINCE] = { .name = "CreatedSince" },
	[ID] = { .name = "ID" },
	[IMAGE] = { .name = "Image" },
	[IMAGE_ID] = { .name = "ImageID" },
	[LAYERS] = { .name = "Layers" },
	[MANIFEST] = { .name = "ManifestDigest" },
	[MODE] = { .name = "Mode" },
	[TARGET] = { .name = "Target" },
	[WAY] = { .name = "Way" },
};

static const struct value_type type_row = {
	.name = "imagectl.mount",
	.kind = VALUE_STRUCT,
	.fields = fields,
	.n_fields = N_FIELDS,
};

static const struct column columns[] = {
	{ "CreatedAt", "CREATED AT" },	{ "CreatedSince", "CREATED" },
	{ "ID", "MOUNT ID" },		{ "Image", "IMAGE" },
	{ "ImageID", "IMAGE ID" },	{ "Layers", "LAYERS" },
	{ "ManifestDigest", "DIGEST" }, { "Mode", "MODE" },
	{ "Target", "DIRECTORY" },	{ "Way", "WAY" },
};

/* "ro", "rw", and what works in it besides: "rw,dev,suid". */
static struct value mode_value(struct arena *a, const Imaged__V1__Mount *m)
{
	return value_format(a, "%s%s%s", m->read_write ? "rw" : "ro", m->allow_devices ? ",dev" : "",
			    m->allow_setuid ? ",suid" : "");
}

static struct value way_value(const Imaged__V1__Mount *m)
{
	static const char *const names[] = { "", "file", "loop", "fuse" };

	return value_string((size_t)m->way < ARRAY_LEN(names) ? names[m->way] : "");
}

static struct value row_value(struct arena *a, const struct options *o, int64_t now_ns, const Imaged__V1__Mount *m)
{
	struct value *v = arena_array(a, N_FIELDS, sizeof *v);

	if (!v)
		return value_none();
	v[CREATED_AT] = time_go(a, seconds_of(m->created));
	v[CREATED_SINCE] = age_value(a, seconds_of(m->created), now_ns);
	v[ID] = value_string(m->id);
	v[IMAGE] = value_string(m->image);
	v[IMAGE_ID] = id_value(a, m->image_id, o->no_trunc);
	v[LAYERS] = value_int64(m->layers);
	v[MANIFEST] = value_string(m->manifest_digest);
	v[MODE] = mode_value(a, m);
	v[TARGET] = value_text((struct text){ (const char *)m->target.data, m->target.len });
	v[WAY] = way_value(m);
	return value_struct(&type_row, v);
}

static const char *choose_format(const struct options *o)
{
	if (o->format && *o->format && strcmp(o->format, "table") != 0)
		return o->format;
	return o->quiet ? "{{.ID}}" : "table {{.ID}}\t{{.Image}}\t{{.Mode}}\t{{.Way}}\t{{.CreatedSince}}\t{{.Target}}";
}

/* ---- the call -------------------------------------------------------------- */

static int add_page(const struct options *o, const Imaged__V1__ListMountsResponse *m, struct rows *rows,
		    struct err *err)
{
	CLEANUP(arena_free) struct arena arena;
	int64_t now_ns = clock_wall_ns();
	int r = OK;

	arena_init(&arena, TEMPLATE_MEMORY_MAX);
	for (size_t i = 0; i < m->n_mounts && !r; i++) {
		r = rows_add(rows, row_value(&arena, o, now_ns, m->mounts[i]), err);
		arena_reset(&arena, arena.cap);
	}
	return r;
}

static int fetch(struct rpc_channel *channel, const char *token, Imaged__V1__ListMountsResponse **ret, struct err *err)
{
	Imaged__V1__ListMountsRequest request = IMAGED__V1__LIST_MOUNTS_REQUEST__INIT;

	request.page_size = PAGE;
	request.page_token = (char *)token;
	return imaged__v1__image_service__call_list_mounts(channel, cli_call_options(), &request, ret, err);
}

/* *ret_local: what failed is not the call. */
static int list(struct cli *cli, const struct options *o, struct rows *rows, bool *ret_local, struct err *err)
{
	CLEANUP(imaged__v1__image_service__list_mounts_freep) Imaged__V1__ListMountsResponse *page = NULL;
	struct rpc_channel *channel;
	int r = cli_channel(cli, &channel, err);

	if (!r)
		r = fetch(channel, "", &page, err);
	while (!r) {
		Imaged__V1__ListMountsResponse *next = NULL;

		r = add_page(o, page, rows, err);
		*ret_local = r != OK;
		if (r || !*page->next_page_token)
			return r;
		r = fetch(channel, page->next_page_token, &next, err);
		imaged__v1__image_service__list_mounts_freep(&page);
		page = next;
	}
	cli_explain(cli, err);
	return r;
}

static int run(struct cli *cli, const void *options, UNUSED int argc, UNUSED char **argv)
{
	CLEANUP(buf_free) struct buf out = BUF_INIT(TEMPLATE_OUTPUT_MAX);
	CLEANUP(arena_free) struct arena header;
	CLEANUP(rows_free) struct rows rows;
	const struct options *o = options;
	struct err err = ERR_INIT;
	bool local = false;

	cli_config(cli);
	arena_init(&header, TEMPLATE_MEMORY_MAX);
	if (rows_open(&rows, choose_format(o), columns_value(&header, columns, ARRAY_LEN(columns)), &err))
		return cli_fail(&err);
	if (list(cli, o, &rows, &local, &err))
		return local ? cli_fail(&err) : cli_fail_call(&err);
	if (rows_finish(&rows, &out, &err))
		return cli_fail(&err);
	cli_write(buf_text(&out), out.len);
	return 0;
}

static const struct flag flags[] = {
	{ "format", 0, FLAG_STRING, offsetof(struct options, format), FORMAT_HELP_TABLE, NULL },
	{ "no-trunc", 0, FLAG_BOOL, offsetof(struct options, no_trunc), "Don't truncate output", NULL },
	{ "quiet", 'q', FLAG_BOOL, offsetof(struct options, quiet), "Only show IDs of mounts", NULL },
};

const struct command_spec spec_image_mounts = {
	.usage = "[OPTIONS]",
	.summary = "List the images that are mounted",
	.flags = flags,
	.n_flags = ARRAY_LEN(flags),
	.own = true,
	.options_size = sizeof(struct options),
	.run = run,
};
