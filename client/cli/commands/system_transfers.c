#include "client/cli/commands/commands.h"
#include "client/cli/commands/transfers.h"
#include "client/cli/template/template.h"
#include "imaged/v1/image_service.client.h"
#include "proto/runtime/clock.h"

struct options {
	const char *format;
	bool watch, no_trunc;
};

/* The length of the first lines, as many as there are or the limit allows. */
static size_t first_lines(const struct buf *b, size_t limit, size_t *ret_lines)
{
	size_t i = 0, n = 0;

	for (; i < b->len && n < limit; i++)
		n += b->data[i] == '\n';
	*ret_lines = n;
	return i;
}

/* Over the lines of the list before. Lines are cut at the edge of the terminal, and what
 * it has no room for is left out: what has scrolled away cannot be written over. One
 * write, so that a signal does not leave the terminal without wrapping. */
static int redraw(const struct buf *list, size_t *lines, struct err *err)
{
	CLEANUP(buf_free) struct buf out = BUF_INIT(TEMPLATE_OUTPUT_MAX + 64);
	int height = terminal_height(STDOUT_FILENO);
	size_t len;

	buf_puts(&out, "\033[?7l");
	if (*lines)
		buf_printf(&out, "\033[%zuA\033[J", *lines);
	len = first_lines(list, height > 1 ? (size_t)height - 1 : SIZE_MAX, lines);
	buf_append(&out, list->data, len);
	buf_puts(&out, "\033[?7h");
	if (!buf_ok(&out))
		return fail_nomem(err);
	cli_write(buf_text(&out), out.len);
	return OK;
}

/* On a terminal the list stays where it is; elsewhere one follows the other. */
static int show(const struct options *o, const Imaged__V1__WatchTransfersResponse *m, size_t *lines, struct err *err)
{
	struct transfers_view view = { o->format, o->no_trunc, clock_wall_ns() };
	CLEANUP(buf_free) struct buf out = BUF_INIT(TEMPLATE_OUTPUT_MAX);
	int r = transfers_render(&view, m, &out, err);

	if (r)
		return r;
	if (o->watch && isatty(STDOUT_FILENO))
		return redraw(&out, lines, err);
	cli_write(buf_text(&out), out.len);
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
	.flags = flags,
	.n_flags = ARRAY_LEN(flags),
	.own = true,
	.options_size = sizeof(struct options),
	.run = run,
};
