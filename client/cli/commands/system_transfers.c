#include "client/cli/commands/commands.h"
#include "client/cli/commands/transfers.h"
#include "client/cli/template/template.h"
#include "imaged/v1/image_service.client.h"
#include "proto/runtime/clock.h"

struct options {
	const char *format;
	bool watch, no_trunc;
};

static size_t lines_of(const struct buf *b)
{
	size_t n = 0;

	for (size_t i = 0; i < b->len; i++)
		n += b->data[i] == '\n';
	return n;
}

/* On a terminal the list stays where it is; elsewhere one follows the other. */
static int show(const struct options *o, const Imaged__V1__WatchTransfersResponse *m, size_t *lines, struct err *err)
{
	struct transfers_view view = { o->format, o->no_trunc, clock_wall_ns() };
	CLEANUP(buf_free) struct buf out = BUF_INIT(TEMPLATE_OUTPUT_MAX);
	int r = transfers_render(&view, m, &out, err);

	if (r)
		return r;
	if (*lines)
		cli_print("\033[%zuA\033[J", *lines);
	cli_write(buf_text(&out), out.len);
	*lines = o->watch && isatty(STDOUT_FILENO) ? lines_of(&out) : 0;
	return OK;
}

static int follow(struct cli *cli, const struct options *o, struct err *err)
{
	Imaged__V1__WatchTransfersRequest request = IMAGED__V1__WATCH_TRANSFERS_REQUEST__INIT;
	CLEANUP(imaged__v1__image_service__watch_transfers_freep)
	struct imaged__v1__image_service__watch_transfers_stream *stream = NULL;
	const Imaged__V1__WatchTransfersResponse *response;
	struct rpc_channel *channel;
	size_t lines = 0;
	int r = cli_channel(cli, &channel, err);

	request.no_follow = !o->watch;
	if (!r)
		r = imaged__v1__image_service__open_watch_transfers(channel, cli_call_options(), &request, &stream,
								    err);
	while (!r && !cli_output_failed() &&
	       (r = imaged__v1__image_service__watch_transfers_next(stream, &response, err)) > 0)
		r = show(o, response, &lines, err);
	cli_explain(cli, err);
	return r;
}

static int run(struct cli *cli, const void *options, UNUSED int argc, UNUSED char **argv)
{
	struct err err = ERR_INIT;
	int r = follow(cli, options, &err);

	if (r && err.code == E_TEMPLATE) {
		cli_fail(&err);
		return 1;
	}
	return r ? cli_fail_call(&err) : 0;
}

static const struct flag flags[] = {
	{ "format", 0, FLAG_STRING, offsetof(struct options, format), FORMAT_HELP_TABLE, NULL },
	{ "no-trunc", 0, FLAG_BOOL, offsetof(struct options, no_trunc), "Don't truncate output", NULL },
	{ "watch", 'w', FLAG_BOOL, offsetof(struct options, watch), "Go on, and show every change", NULL },
};

const struct command_spec spec_system_transfers = {
	.usage = "[OPTIONS]",
	.summary = "Show the blobs that are on their way",
	.aliases = "system transfers",
	.flags = flags,
	.n_flags = ARRAY_LEN(flags),
	.options_size = sizeof(struct options),
	.run = run,
};
