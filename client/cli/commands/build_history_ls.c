#include "client/cli/commands/build_history.h"
#include "client/cli/commands/commands.h"
#include "client/cli/convert.h"
#include "client/cli/format/units.h"
#include "proto/runtime/clock.h"

enum { NAME_WIDTH = 30 };

struct options {
	const char *format;
	bool no_trunc, quiet;
};

/* ---- rows ------------------------------------------------------------------------------ */

enum field { CREATED_AT, DURATION, NAME, REF, STATUS, TAGS, N_FIELDS };

static const struct value_field fields[N_FIELDS] = {
	[CREATED_AT] = { .name = "CreatedAt", .method = true },
	[DURATION] = { .name = "Duration", .method = true },
	[NAME] = { .name = "Name", .method = true },
	[REF] = { .name = "Ref", .method = true },
	[STATUS] = { .name = "Status", .method = true },
	[TAGS] = { .name = "Tags", .method = true },
};

static const struct value_type type_row = {
	.name = "history.lsContext",
	.kind = VALUE_STRUCT,
	.fields = fields,
	.n_fields = N_FIELDS,
	.json_marshals_escaped = true,
};

static const struct column columns[] = {
	{ "CreatedAt", "CREATED AT" }, { "Duration", "DURATION" }, { "Name", "NAME" },
	{ "Ref", "BUILD ID" },	       { "Status", "STATUS" },	   { "Tags", "TAGS" },
};

static struct value name_value(struct arena *a, const Imaged__V1__BuildInfo *m, bool whole)
{
	CLEANUP(buf_free) struct buf name = BUF_INIT(16384), cut = BUF_INIT(16384);

	build_name(m, &name);
	if (!buf_ok(&name) || !ellipsis(&cut, text_of(buf_text(&name)), NAME_WIDTH))
		return value_none();
	return value_copy(a, text_of(buf_text(whole ? &name : &cut)));
}

static struct value tags_value(struct arena *a, const Imaged__V1__BuildInfo *m)
{
	CLEANUP(buf_free) struct buf text = BUF_INIT(1024 * 1024);

	for (size_t i = 0; i < m->n_tags; i++)
		buf_printf(&text, "%s%s", i ? "," : "", m->tags[i]);
	return buf_ok(&text) ? value_copy(a, text_of(buf_text(&text))) : value_none();
}

static struct value row_value(struct arena *a, const struct options *o, int64_t now_ns, const Imaged__V1__BuildInfo *m)
{
	char duration[BUILD_DURATION_MAX];
	struct value *v = arena_array(a, N_FIELDS, sizeof *v);
	bool known = m->state != IMAGED__V1__BUILD_INFO__STATE__STATE_INTERRUPTED;

	if (!v)
		return value_none();
	v[CREATED_AT] = age_value(a, seconds_of(m->started), now_ns);
	v[DURATION] = value_copy(a, text_of(known ? build_duration_text(build_duration_ns(m, now_ns), duration) : "-"));
	v[NAME] = name_value(a, m, o->no_trunc);
	v[REF] = value_copy(a, text_of(m->id));
	v[STATUS] = value_string(build_state_text(m->state));
	v[TAGS] = tags_value(a, m);
	return value_pointer_to(value_struct(&type_row, v));
}

static const char *choose_format(const struct options *o)
{
	if (o->format && *o->format && strcmp(o->format, "table") != 0)
		return o->format;
	return o->quiet ? "{{.Ref}}" : "table {{.Ref}}\t{{.Name}}\t{{.Status}}\t{{.CreatedAt}}\t{{.Duration}}";
}

static int render(const struct options *o, const struct build_pages *pages, struct buf *out, struct err *err)
{
	CLEANUP(arena_free) struct arena arena, header;
	CLEANUP(rows_free) struct rows rows;
	int64_t now_ns = clock_wall_ns();
	int r;

	arena_init(&arena, TEMPLATE_MEMORY_MAX);
	arena_init(&header, TEMPLATE_MEMORY_MAX);
	r = rows_open(&rows, choose_format(o), columns_value(&header, columns, ARRAY_LEN(columns)), err);
	for (size_t p = 0; p < pages->n; p++)
		for (size_t i = 0; i < pages->items[p]->n_builds && !r; i++) {
			r = rows_add(&rows, row_value(&arena, o, now_ns, pages->items[p]->builds[i]), err);
			arena_reset(&arena, arena.cap);
		}
	return r ? r : rows_finish(&rows, out, err);
}

static int run(struct cli *cli, const void *options, UNUSED int argc, UNUSED char **argv)
{
	CLEANUP(build_pages_free) struct build_pages pages = { 0 };
	CLEANUP(buf_free) struct buf out = BUF_INIT(TEMPLATE_OUTPUT_MAX);
	struct err err = ERR_INIT;

	cli_config(cli);
	if (build_pages_fetch(cli, "", &pages, &err))
		return cli_fail_call(&err);
	if (render(options, &pages, &out, &err))
		return cli_fail(&err);
	cli_write(buf_text(&out), out.len);
	return 0;
}

static const struct flag flags[] = {
	{ "format", 0, FLAG_STRING, offsetof(struct options, format), FORMAT_HELP_TABLE, NULL },
	{ "no-trunc", 0, FLAG_BOOL, offsetof(struct options, no_trunc), "Don't truncate output", NULL },
	{ "quiet", 'q', FLAG_BOOL, offsetof(struct options, quiet), "Only show IDs of builds", NULL },
};

const struct command_spec spec_build_history_ls = {
	.usage = "[OPTIONS]",
	.summary = "List build records",
	.flags = flags,
	.n_flags = ARRAY_LEN(flags),
	.own = true,
	.options_size = sizeof(struct options),
	.run = run,
};
