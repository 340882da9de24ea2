#include "client/cli/commands/build_cache.h"
#include "client/cli/commands/build_cache_fetch.h"
#include "client/cli/commands/commands.h"
#include "proto/runtime/clock.h"

struct options {
	const char *format;
	bool no_trunc, quiet;
};

static int run(struct cli *cli, const void *options, UNUSED int argc, UNUSED char **argv)
{
	const struct options *o = options;
	const struct build_cache_view view = { o->format, o->no_trunc, o->quiet, clock_wall_ns() };
	CLEANUP(build_cache_pages_free) struct build_cache_pages pages = { 0 };
	CLEANUP(buf_free) struct buf out = BUF_INIT(TEMPLATE_OUTPUT_MAX);
	struct err err = ERR_INIT;

	cli_config(cli);
	if (build_cache_fetch(cli, &pages, &err))
		return cli_fail_call(&err);
	if (build_cache_render(&view, pages.entries, pages.n_entries, &out, &err))
		return cli_fail(&err);
	cli_write(buf_text(&out), out.len);
	return 0;
}

static const struct flag flags[] = {
	{ "format", 0, FLAG_STRING, offsetof(struct options, format), FORMAT_HELP_TABLE, NULL },
	{ "no-trunc", 0, FLAG_BOOL, offsetof(struct options, no_trunc), "Don't truncate output", NULL },
	{ "quiet", 'q', FLAG_BOOL, offsetof(struct options, quiet), "Only show IDs", NULL },
};

const struct command_spec spec_build_cache_ls = {
	.usage = "[OPTIONS]",
	.summary = "List what builds keep for those to come",
	.flags = flags,
	.n_flags = ARRAY_LEN(flags),
	.own = true,
	.options_size = sizeof(struct options),
	.run = run,
};
