#include "client/cli/commands/commands.h"
#include "client/cli/commands/disk_usage.h"
#include "client/cli/template/template.h"
#include "imaged/v1/image_service.client.h"
#include "proto/runtime/clock.h"

struct options {
	const char *format;
	bool verbose;
};

static int fetch(struct cli *cli, bool per_image, Imaged__V1__GetDiskUsageResponse **ret, struct err *err)
{
	Imaged__V1__GetDiskUsageRequest request = IMAGED__V1__GET_DISK_USAGE_REQUEST__INIT;
	struct rpc_channel *channel;
	int r = cli_channel(cli, &channel, err);

	request.per_image = per_image;
	if (!r)
		r = imaged__v1__image_service__call_get_disk_usage(channel, cli_call_options(), &request, ret, err);
	cli_explain(cli, err);
	return r;
}

static int run(struct cli *cli, const void *options, UNUSED int argc, UNUSED char **argv)
{
	const struct options *o = options;
	CLEANUP(imaged__v1__image_service__get_disk_usage_freep) Imaged__V1__GetDiskUsageResponse *response = NULL;
	CLEANUP(buf_free) struct buf out = BUF_INIT(TEMPLATE_OUTPUT_MAX);
	struct disk_usage_view view = { o->format, o->verbose, clock_wall_ns() };
	struct err err = ERR_INIT;
	int r;

	cli_config(cli);
	if (fetch(cli, o->verbose, &response, &err))
		return cli_fail_call(&err);
	r = disk_usage_render(&view, response, &out, &err);
	if (!r || o->verbose)
		cli_write(buf_text(&out), out.len);
	if (!r)
		return 0;
	cli_fail(&err);
	return 1;
}

static const struct flag flags[] = {
	{ "format", 0, FLAG_STRING, offsetof(struct options, format), FORMAT_HELP_TABLE, NULL },
	{ "verbose", 'v', FLAG_BOOL, offsetof(struct options, verbose), "Show detailed information on space usage",
	  NULL },
};

const struct command_spec spec_system_df = {
	.usage = "[OPTIONS]",
	.summary = "Show docker disk usage",
	.flags = flags,
	.n_flags = ARRAY_LEN(flags),
	.options_size = sizeof(struct options),
	.run = run,
};
