#include "client/cli/archive.h"
#include "client/cli/commands/commands.h"
#include "client/cli/progress_mode.h"
#include "imaged/v1/image_service.client.h"
#include "store/types/platform.h"

struct options {
	const char *output, *platform, *format, *progress;
};

static int receive(struct cli *cli, const void *request, struct archive *a, struct err *err)
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
		if (archive_take(a, &piece->data) < 0)
			return a->own.code;
	return r;
}

/* Who calls us docker expects what docker writes; all others get an archive that loses nothing. */
static int layout_of(const struct cli *cli, const char *format, Imaged__V1__ArchiveLayout *ret_layout)
{
	if (!format || !*format)
		format = cli_is_docker(cli) ? "docker" : "oci";
	*ret_layout = strcmp(format, "docker") ? IMAGED__V1__ARCHIVE_LAYOUT__ARCHIVE_LAYOUT_OCI
					       : IMAGED__V1__ARCHIVE_LAYOUT__ARCHIVE_LAYOUT_DOCKER;
	if (!strcmp(format, "docker") || !strcmp(format, "oci"))
		return 0;
	cli_warn("unknown format \"%s\": \"docker\" or \"oci\" was expected\n", format);
	return 1;
}

/* docker checks it before the path. */
static int check_platform(const char *platform)
{
	struct err err = ERR_INIT;
	struct platform ignored;

	if (!platform || !*platform || platform_parse(platform, &ignored, &err) == OK)
		return 0;
	err_wrap(&err, "invalid platform");
	return cli_fail(&err);
}

static int run(struct cli *cli, const void *options, int argc, char **argv)
{
	const struct options *o = options;
	Imaged__V1__SaveRequest request = IMAGED__V1__SAVE_REQUEST__INIT;
	enum progress_mode mode = PROGRESS_AUTO;
	struct err err = ERR_INIT;

	if (progress_mode_parse(o->progress, false, &mode, &err) < 0)
		return cli_fail(&err);
	request.images = argv;
	request.n_images = (size_t)argc;
	request.platform = (char *)(o->platform ? o->platform : "");
	if (layout_of(cli, o->format, &request.layout) || check_platform(o->platform))
		return 1;
	return archive_write(cli, o->output, "failed to save image", mode == PROGRESS_JSON, receive, &request);
}

static const struct flag flags[] = {
	{ "format", 0, FLAG_STRING | FLAG_OWN, offsetof(struct options, format),
	  "Layout of the archive: \"oci\" (the default: all digests are kept) or \"docker\" (as docker saves it)",
	  NULL },
	{ "output", 'o', FLAG_STRING, offsetof(struct options, output), "Write to a file, instead of STDOUT", NULL },
	{ "platform", 0, FLAG_STRING, offsetof(struct options, platform),
	  "Save only the given platform variant. Formatted as \"os[/arch[/variant]]\" (e.g., \"linux/amd64\")", NULL },
	{ "progress", 0, FLAG_STRING | FLAG_OWN, offsetof(struct options, progress), PROGRESS_HELP, "\"auto\"" },
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
