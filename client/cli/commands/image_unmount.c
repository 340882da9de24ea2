#include "client/cli/commands/commands.h"
#include "client/cli/path.h"
#include "imaged/v1/image_service.client.h"

struct options {
	bool lazy;
};

static bool is_id(const char *text)
{
	enum { ID_DIGITS = 16 };

	return strlen(text) == ID_DIGITS && strspn(text, "0123456789abcdef") == ID_DIGITS;
}

static int unmount(struct cli *cli, const struct options *o, const char *which, struct err *err)
{
	Imaged__V1__UnmountImageRequest request = IMAGED__V1__UNMOUNT_IMAGE_REQUEST__INIT;
	CLEANUP(imaged__v1__image_service__unmount_image_freep) Imaged__V1__UnmountImageResponse *response = NULL;
	CLEANUP(freep) char *text = is_id(which) ? strdup(which) : absolute_path(which);
	struct rpc_channel *channel;
	int r = cli_channel(cli, &channel, err);

	if (!r && !text)
		r = fail_errno(err, "the directory '%s'", which);
	if (!r) {
		request.mount = (ProtobufCBinaryData){ strlen(text), (uint8_t *)text };
		request.lazy = o->lazy;
		r = imaged__v1__image_service__call_unmount_image(channel, cli_call_options(), &request, &response,
								  err);
	}
	cli_explain(cli, err);
	if (!r)
		cli_print("%s\n", response->mount->id);
	return r;
}

static int run(struct cli *cli, const void *options, int argc, char **argv)
{
	int status = 0;

	cli_config(cli);
	for (int i = 0; i < argc; i++) {
		struct err err = ERR_INIT;

		if (unmount(cli, options, argv[i], &err))
			status = cli_fail_call(&err);
	}
	return status;
}

static const struct flag flags[] = {
	{ "lazy", 0, FLAG_BOOL, offsetof(struct options, lazy),
	  "Also when files of it are open: it goes when they are closed", NULL },
};

const struct command_spec spec_image_unmount = {
	.usage = "[OPTIONS] DIRECTORY|ID [DIRECTORY|ID...]",
	.summary = "Unmount images",
	.help = "Unmount images, by directory or by the ID of the mount. The directory stays; what was\n"
		"written to the mount is removed.",
	.flags = flags,
	.n_flags = ARRAY_LEN(flags),
	.min_args = 1,
	.max_args = -1,
	.own = true,
	.options_size = sizeof(struct options),
	.run = run,
};
