#include "client/cli/build/progress.h"
#include "client/cli/commands/commands.h"
#include "imaged/v1/image_service.client.h"
#include "proto/runtime/clock.h"

struct options {
	const char *progress;
};

static int parse_mode(const char *text, enum build_progress_mode *ret_mode, struct err *err)
{
	if (!text || !strcmp(text, "plain") || !strcmp(text, "auto"))
		*ret_mode = BUILD_PROGRESS_PLAIN;
	else if (!strcmp(text, "rawjson"))
		*ret_mode = BUILD_PROGRESS_RAWJSON;
	else if (!strcmp(text, "tty"))
		*ret_mode = BUILD_PROGRESS_TTY;
	else
		return fail(err, E_USAGE,
			    "invalid value \"%s\" passed to --progress, valid values are: plain, rawjson, tty", text);
	return OK;
}

static void write_out(UNUSED void *arg, const void *data, size_t len)
{
	cli_write(data, len);
}

/* Time is what the build's was: what is shown is the end of it. */
static int follow(struct imaged__v1__image_service__get_build_log_stream *stream, struct build_progress *p,
		  struct err *err)
{
	const Imaged__V1__BuildEvent *event;
	int r = OK;

	while (!r && !cli_output_failed() &&
	       (r = imaged__v1__image_service__get_build_log_next(stream, &event, err)) > 0)
		r = build_progress_event(p, event, clock_wall_ns(), err);
	return r;
}

static int show(struct cli *cli, const char *id, struct build_progress *p, struct err *err)
{
	Imaged__V1__GetBuildLogRequest request = IMAGED__V1__GET_BUILD_LOG_REQUEST__INIT;
	CLEANUP(imaged__v1__image_service__get_build_log_freep)
	struct imaged__v1__image_service__get_build_log_stream *stream = NULL;
	struct rpc_channel *channel;
	int r = cli_channel(cli, &channel, err);

	request.id = (char *)id;
	if (!r)
		r = imaged__v1__image_service__open_get_build_log(channel, cli_call_options(), &request, &stream, err);
	if (!r)
		r = follow(stream, p, err);
	build_progress_end(p, false, clock_wall_ns());
	cli_explain(cli, err);
	return r;
}

static int run(struct cli *cli, const void *options, int argc, char **argv)
{
	const struct options *o = options;
	CLEANUP(build_progress_freep) struct build_progress *p = NULL;
	struct build_progress_options display = {
		.width = terminal_width(STDOUT_FILENO),
		.height = terminal_height(STDOUT_FILENO),
		.is_terminal = isatty(STDOUT_FILENO),
		.write = write_out,
	};
	struct err err = ERR_INIT;

	cli_config(cli);
	if (parse_mode(o->progress, &display.mode, &err) || build_progress_new(&display, &p, &err))
		return cli_fail(&err);
	return show(cli, argc ? argv[0] : "", p, &err) ? cli_fail_call(&err) : 0;
}

static const struct flag flags[] = {
	{ "progress", 0, FLAG_STRING, offsetof(struct options, progress),
	  "Set type of progress output (\"plain\", \"rawjson\", \"tty\")", "\"plain\"" },
};

const struct command_spec spec_build_history_logs = {
	.usage = "[OPTIONS] [BUILD]",
	.summary = "Print the logs of a build record",
	.flags = flags,
	.n_flags = ARRAY_LEN(flags),
	.max_args = 1,
	.own = true,
	.options_size = sizeof(struct options),
	.run = run,
};
