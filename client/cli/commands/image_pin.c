/* `image pin` and `image unpin`. */
#include "client/cli/commands/commands.h"
#include "imaged/v1/image_service.client.h"

/* Prints the ID, and of one that stays pinned all the same by what. */
static int pin(struct cli *cli, char *image, bool unpin, struct err *err)
{
	Imaged__V1__PinImageRequest request = IMAGED__V1__PIN_IMAGE_REQUEST__INIT;
	CLEANUP(imaged__v1__image_service__pin_image_freep) Imaged__V1__PinImageResponse *response = NULL;
	struct rpc_channel *channel;
	int r = cli_channel(cli, &channel, err);

	request.image = image;
	request.unpin = unpin;
	if (!r)
		r = imaged__v1__image_service__call_pin_image(channel, cli_call_options(), &request, &response, err);
	cli_explain(cli, err);
	if (r)
		return r;
	cli_print("%s\n", response->image_id);
	if (unpin && *response->pinned_by)
		cli_warn("%s is still pinned by %s of the service\n", image, response->pinned_by);
	return OK;
}

static int pin_each(struct cli *cli, bool unpin, int argc, char **argv)
{
	int status = 0;

	cli_config(cli);
	for (int i = 0; i < argc; i++) {
		struct err err = ERR_INIT;

		if (pin(cli, argv[i], unpin, &err))
			status = cli_fail_call(&err);
	}
	return status;
}

static int run_pin(struct cli *cli, UNUSED const void *options, int argc, char **argv)
{
	return pin_each(cli, false, argc, argv);
}

static int run_unpin(struct cli *cli, UNUSED const void *options, int argc, char **argv)
{
	return pin_each(cli, true, argc, argv);
}

const struct command_spec spec_image_pin = {
	.usage = "IMAGE [IMAGE...]",
	.summary = "Keep images until they are unpinned",
	.help = "Keep images: prune passes them over, and rm needs --force.",
	.min_args = 1,
	.max_args = -1,
	.own = true,
	.run = run_pin,
};

const struct command_spec spec_image_unpin = {
	.usage = "IMAGE [IMAGE...]",
	.summary = "Keep images no longer",
	.help = "Take back what image pin did. What flags of the service pin stays pinned.",
	.min_args = 1,
	.max_args = -1,
	.own = true,
	.run = run_unpin,
};
