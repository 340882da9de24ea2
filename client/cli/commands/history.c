#include "client/cli/commands/history.h"

#include "client/cli/commands/commands.h"
#include "client/cli/platform_check.h"
#include "imaged/v1/image_service.client.h"
#include "proto/runtime/clock.h"

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
	if (platform_check_text(o->platform, &err)) {
		err_wrap(&err, "invalid platform");
		return cli_fail(&err);
	}
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
