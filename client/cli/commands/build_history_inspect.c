#include "client/cli/commands/build_history.h"
#include "client/cli/commands/commands.h"
#include "client/cli/convert.h"
#include "client/cli/format/plain_text.h"
#include "client/cli/template/template.h"
#include "proto/runtime/clock.h"

enum { TEXT_MAX = 4 * 1024 * 1024 };

struct options {
	const char *format;
};

/* ---- lines -------------------------------------------------------------------------------- */

static void put_line(struct buf *out, const char *name, const char *value)
{
	if (!*value)
		return;
	buf_printf(out, "%-16s", name);
	put_plain(out, value);
	buf_putc(out, '\n');
}

static void put_list(struct buf *out, const char *name, char *const *values, size_t n)
{
	for (size_t i = 0; i < n; i++)
		put_line(out, i ? "" : name, values[i]);
}

static void put_started(struct buf *out, const Imaged__V1__BuildInfo *m)
{
	CLEANUP(arena_free) struct arena a;
	struct value text;

	arena_init(&a, 4096);
	text = time_local(&a, seconds_of(m->started));
	if (text.kind == VALUE_STRING)
		buf_printf(out, "%-16s%.*s\n", "Started:", (int)text.string.len, text.string.data);
}

static void put_times(struct buf *out, const Imaged__V1__BuildInfo *m)
{
	char text[BUILD_DURATION_MAX];

	buf_putc(out, '\n');
	put_started(out, m);
	if (m->ended || m->state == IMAGED__V1__BUILD_INFO__STATE__STATE_RUNNING)
		put_line(out, "Duration:", build_duration_text(build_duration_ns(m, clock_wall_ns()), text));
	put_line(out, "Status:", build_state_text(m->state));
	if (m->steps)
		buf_printf(out, "%-16s%lld (%lld%% cached)\n", "Build Steps:", (long long)m->steps,
			   (long long)(m->cached * 100 / m->steps));
	if (m->warnings)
		buf_printf(out, "%-16s%lld\n", "Warnings:", (long long)m->warnings);
	if (m->log_is_cut)
		put_line(out, "Log:", "cut off");
}

static void put_build(struct buf *out, const Imaged__V1__BuildInfo *m)
{
	CLEANUP(buf_free) struct buf name = BUF_INIT(TEXT_MAX);

	build_name(m, &name);
	put_line(out, "Build ID:", m->id);
	put_line(out, "Name:", buf_text(&name));
	put_line(out, "Context:", m->context);
	put_line(out, "Dockerfile:", m->dockerfile);
	put_line(out, "Target:", m->target);
	put_list(out, "Platforms:", m->platforms, m->n_platforms);
	put_times(out, m);
	if (m->n_tags || *m->image_id)
		buf_putc(out, '\n');
	put_list(out, "Tags:", m->tags, m->n_tags);
	put_line(out, "Image:", m->image_id);
	if (*m->error) {
		buf_puts(out, "\nError: ");
		put_plain(out, m->error);
		buf_putc(out, '\n');
	}
	buf_printf(out, "\nPrint build logs: imagectl build history logs %s\n", m->id);
}

/* ---- --format ------------------------------------------------------------------------------ */

enum field {
	CACHED,
	CONTEXT,
	DOCKERFILE,
	DURATION,
	ERROR,
	IMAGE,
	LOG_CUT,
	PLATFORMS,
	REF,
	STARTED,
	STATUS,
	STEPS,
	TAGS,
	TARGET,
	WARNINGS,
	N_FIELDS
};

static const struct value_field fields[N_FIELDS] = {
	[CACHED] = { .name = "NumCachedSteps" },
	[CONTEXT] = { .name = "Context" },
	[DOCKERFILE] = { .name = "Dockerfile" },
	[DURATION] = { .name = "Duration" },
	[ERROR] = { .name = "Error" },
	[IMAGE] = { .name = "ImageID" },
	[LOG_CUT] = { .name = "LogIsCut" },
	[PLATFORMS] = { .name = "Platform" },
	[REF] = { .name = "Ref" },
	[STARTED] = { .name = "StartedAt" },
	[STATUS] = { .name = "Status" },
	[STEPS] = { .name = "NumTotalSteps" },
	[TAGS] = { .name = "Tags" },
	[TARGET] = { .name = "Target" },
	[WARNINGS] = { .name = "NumWarnings" },
};

static const struct value_type type_build = {
	.name = "history.inspectOutput",
	.kind = VALUE_STRUCT,
	.fields = fields,
	.n_fields = N_FIELDS,
};

static struct value build_value(struct arena *a, const Imaged__V1__BuildInfo *m)
{
	struct value *v = arena_array(a, N_FIELDS, sizeof *v);

	if (!v)
		return value_none();
	v[CACHED] = value_int64(m->cached);
	v[CONTEXT] = value_string(m->context);
	v[DOCKERFILE] = value_string(m->dockerfile);
	v[DURATION] = value_int64(build_duration_ns(m, clock_wall_ns()));
	v[ERROR] = value_string(m->error);
	v[IMAGE] = value_string(m->image_id);
	v[LOG_CUT] = value_bool(m->log_is_cut);
	v[PLATFORMS] = value_strings(a, m->platforms, m->n_platforms);
	v[REF] = value_string(m->id);
	v[STARTED] = time_local(a, seconds_of(m->started));
	v[STATUS] = value_string(build_state_text(m->state));
	v[STEPS] = value_int64(m->steps);
	v[TAGS] = value_strings(a, m->tags, m->n_tags);
	v[TARGET] = value_string(m->target);
	v[WARNINGS] = value_int64(m->warnings);
	return value_struct(&type_build, v);
}

static int put_formatted(const char *format_text, const Imaged__V1__BuildInfo *m, struct buf *out, struct err *err)
{
	CLEANUP(arena_free) struct arena a;
	CLEANUP(rows_free) struct rows rows;
	int r;

	arena_init(&a, TEMPLATE_MEMORY_MAX);
	r = rows_open(&rows, format_text, value_none(), err);
	if (!r)
		r = rows_add(&rows, build_value(&a, m), err);
	return r ? r : rows_finish(&rows, out, err);
}

/* ---- the command --------------------------------------------------------------------------- */

static int run(struct cli *cli, const void *options, int argc, char **argv)
{
	const struct options *o = options;
	CLEANUP(build_pages_free) struct build_pages pages = { 0 };
	CLEANUP(buf_free) struct buf out = BUF_INIT(TEMPLATE_OUTPUT_MAX);
	const Imaged__V1__BuildInfo *m = NULL;
	struct err err = ERR_INIT;
	int r;

	cli_config(cli);
	if (build_pages_fetch(cli, argc ? argv[0] : "^0", &pages, &err))
		return cli_fail_call(&err);
	m = build_pages_first(&pages);
	r = m ? OK : fail(&err, E_NOT_FOUND, "no record found");
	if (!r && o->format && *o->format && strcmp(o->format, "pretty") != 0)
		r = put_formatted(o->format, m, &out, &err);
	else if (!r)
		put_build(&out, m);
	if (!r && !buf_ok(&out))
		r = fail_nomem(&err);
	if (r)
		return cli_fail(&err);
	cli_write(buf_text(&out), out.len);
	return 0;
}

static const struct flag flags[] = {
	{ "format", 0, FLAG_STRING, offsetof(struct options, format),
	  "Format the output (\"pretty\", \"json\", or a Go template)", "\"pretty\"" },
};

const struct command_spec spec_build_history_inspect = {
	.usage = "[OPTIONS] [BUILD]",
	.summary = "Inspect a build record",
	.flags = flags,
	.n_flags = ARRAY_LEN(flags),
	.max_args = 1,
	.own = true,
	.options_size = sizeof(struct options),
	.run = run,
};
