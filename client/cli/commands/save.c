#include <stdio.h>

#include "client/cli/commands/commands.h"
#include "client/cli/output_file.h"
#include "imaged/v1/image_service.client.h"

struct options {
	const char *output, *platform;
};

/* What comes is written where it shall go: the file, or standard output when it is
 * not open. */
static int take(struct output_file *f, const Imaged__V1__SaveResponse *piece, struct err *err)
{
	if (f->fd >= 0)
		return output_file_write(f, piece->data.data, piece->data.len, err);
	cli_write(piece->data.data, piece->data.len);
	return cli_output_failed() ? fail(err, E_IO, "standard output cannot be written to") : OK;
}

/* What this machine fails at is told in `own`. */
static int receive(struct cli *cli, const Imaged__V1__SaveRequest *request, struct output_file *f, struct err *own,
		   struct err *err)
{
	CLEANUP(imaged__v1__image_service__save_freep) struct imaged__v1__image_service__save_stream *stream = NULL;
	const Imaged__V1__SaveResponse *piece;
	struct rpc_channel *channel;
	int r = cli_channel(cli, &channel, err);

	if (r == OK)
		r = imaged__v1__image_service__open_save(channel, cli_call_options(), request, &stream, err);
	if (r < 0)
		return r;
	while ((r = imaged__v1__image_service__save_next(stream, &piece, err)) > 0)
		if (take(f, piece, own) < 0)
			return own->code;
	return r;
}

static int save(struct cli *cli, const Imaged__V1__SaveRequest *request, const char *path)
{
	CLEANUP(output_file_drop) struct output_file f = OUTPUT_FILE_INIT;
	struct err err = ERR_INIT, own = ERR_INIT;

	if (path && output_file_open(path, &f, &err) < 0)
		return cli_fail(&err);
	if (receive(cli, request, &f, &own, &err) == OK)
		return path && output_file_finish(&f, &err) < 0 ? cli_fail(&err) : 0;
	if (cli_output_failed())
		return 1;
	if (own.code)
		return cli_fail(&own);
	cli_explain(cli, &err);
	return cli_fail_call(&err);
}

static int run(struct cli *cli, const void *options, int argc, char **argv)
{
	const struct options *o = options;
	const char *path = o->output && *o->output ? o->output : NULL;
	const char *platform = o->platform ? o->platform : "";
	Imaged__V1__SaveRequest request = IMAGED__V1__SAVE_REQUEST__INIT;
	struct err err = ERR_INIT;

	if (!path && isatty(STDOUT_FILENO)) {
		cli_warn("cowardly refusing to save to a terminal. Use the -o flag or redirect\n");
		return 1;
	}
	if (path && output_file_check(path, &err) < 0) {
		err_wrap(&err, "failed to save image");
		return cli_fail(&err);
	}
	request.images = argv;
	request.n_images = (size_t)argc;
	request.platform = (char *)platform;
	return save(cli, &request, path);
}

static const struct flag flags[] = {
	{ "output", 'o', FLAG_STRING, offsetof(struct options, output), "Write to a file, instead of STDOUT", NULL },
	{ "platform", 0, FLAG_STRING, offsetof(struct options, platform),
	  "Save only the given platform variant. Formatted as \"os[/arch[/variant]]\" (e.g., \"linux/amd64\")", NULL },
};

const struct command_spec spec_save = {
	.usage = "[OPTIONS] IMAGE [IMAGE...]",
	.summary = "Save one or more images to a tar archive (streamed to STDOUT by default)",
	.aliases = "image save, save",
	.flags = flags,
	.n_flags = ARRAY_LEN(flags),
	.min_args = 1,
	.max_args = -1,
	.options_size = sizeof(struct options),
	.run = run,
};
