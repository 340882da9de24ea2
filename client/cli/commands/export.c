#include "client/cli/archive.h"
#include "client/cli/commands/commands.h"
#include "imaged/v1/image_service.client.h"

struct options {
	const char *output;
};

static int receive(struct cli *cli, const void *request, struct archive *a, struct err *err)
{
	CLEANUP(imaged__v1__image_service__export_tree_freep)
	struct imaged__v1__image_service__export_tree_stream *stream = NULL;
	const Imaged__V1__ExportTreeResponse *piece;
	struct rpc_channel *channel;
	int r = cli_channel(cli, &channel, err);

	if (r == OK)
		r = imaged__v1__image_service__open_export_tree(channel, cli_call_options(), request, &stream, err);
	if (r < 0)
		return r;
	while ((r = imaged__v1__image_service__export_tree_next(stream, &piece, err)) > 0)
		if (archive_take(a, &piece->data) < 0)
			return a->own.code;
	return r;
}

static int run(struct cli *cli, const void *options, int argc, char **argv)
{
	const struct options *o = options;
	Imaged__V1__ExportTreeRequest request = IMAGED__V1__EXPORT_TREE_REQUEST__INIT;

	(void)argc;
	request.image = argv[0];
	return archive_write(cli, o->output, "failed to export image", false, receive, &request);
}

static const struct flag flags[] = {
	{ "output", 'o', FLAG_STRING, offsetof(struct options, output), "Write to a file, instead of STDOUT", NULL },
};

const struct command_spec spec_export = {
	.usage = "[OPTIONS] IMAGE",
	.summary = "Export an image's merged file system as a tar archive (streamed to STDOUT by default)",
	.flags = flags,
	.n_flags = ARRAY_LEN(flags),
	.min_args = 1,
	.max_args = 1,
	.own = true,
	.options_size = sizeof(struct options),
	.run = run,
};
