#include "client/cli/commands/commands.h"
#include "client/cli/platform_check.h"
#include "imaged/v1/image_service.client.h"

struct options {
	bool force, no_prune;
	struct strings platforms;
};

static void print_items(const Imaged__V1__RemoveImageResponse *response)
{
	for (size_t i = 0; i < response->n_items; i++) {
		const Imaged__V1__RemovedItem *item = response->items[i];
		bool untagged = item->kind == IMAGED__V1__REMOVED_ITEM__KIND__KIND_UNTAGGED;

		cli_print("%s: %s\n", untagged ? "Untagged" : "Deleted", item->value);
	}
	if (response->items_left_out)
		cli_print("... and %lld more\n", (long long)response->items_left_out);
}

/* Images of this store have one platform: it must be among those named. */
static int check_platforms(struct rpc_channel *channel, char *image, const struct strings *platforms, struct err *err)
{
	Imaged__V1__InspectImageRequest request = IMAGED__V1__INSPECT_IMAGE_REQUEST__INIT;
	CLEANUP(imaged__v1__image_service__inspect_image_freep) Imaged__V1__InspectImageResponse *response = NULL;
	int r;

	if (!platforms->n)
		return OK;
	request.image = image;
	r = imaged__v1__image_service__call_inspect_image(channel, cli_call_options(), &request, &response, err);
	if (r)
		return r;
	for (size_t i = 0; i < platforms->n; i++) {
		r = platform_check(image, response->image->platform, platforms->items[i], err);
		if (!r)
			return OK;
	}
	return r;
}

static int remove_one(struct cli *cli, char *image, const struct options *o, struct err *err)
{
	Imaged__V1__RemoveImageRequest request = IMAGED__V1__REMOVE_IMAGE_REQUEST__INIT;
	CLEANUP(imaged__v1__image_service__remove_image_freep) Imaged__V1__RemoveImageResponse *response = NULL;
	struct rpc_channel *channel;
	int r = cli_channel(cli, &channel, err);

	request.image = image;
	request.force = o->force;
	if (!r)
		r = check_platforms(channel, image, &o->platforms, err);
	if (!r)
		r = imaged__v1__image_service__call_remove_image(channel, cli_call_options(), &request, &response, err);
	if (!r)
		print_items(response);
	cli_explain(cli, err);
	return r;
}

/* Errors come at the end. Under -f an image that is not there is none. */
static int run(struct cli *cli, const void *options, int argc, char **argv)
{
	const struct options *o = options;
	CLEANUP(buf_free) struct buf errors = BUF_INIT(16 * 1024 * 1024);
	int status = 0;

	cli_config(cli);
	for (int i = 0; i < argc; i++) {
		struct err err = ERR_INIT;

		if (!remove_one(cli, argv[i], o, &err))
			continue;
		cli_call_error(&errors, &err);
		buf_putc(&errors, '\n');
		if (!o->force || err_grpc_code(err.code) != GRPC_CODE_NOT_FOUND)
			status = 1;
	}
	if (errors.len)
		cli_warn("%s", buf_text(&errors));
	return status;
}

static const struct flag flags[] = {
	{ "force", 'f', FLAG_BOOL, offsetof(struct options, force), "Force removal of the image", NULL },
	{ "no-prune", 0, FLAG_BOOL, offsetof(struct options, no_prune), "Do not delete untagged parents", NULL },
	{ "platform", 0, FLAG_STRINGS, offsetof(struct options, platforms),
	  "Remove only the given platform variant. Formatted as \"os[/arch[/variant]]\" (e.g., \"linux/amd64\")",
	  NULL },
};

const struct command_spec spec_rmi = {
	.usage = "[OPTIONS] IMAGE [IMAGE...]",
	.summary = "Remove one or more images",
	.aliases = "image rm, image remove, rmi",
	.flags = flags,
	.n_flags = ARRAY_LEN(flags),
	.min_args = 1,
	.max_args = -1,
	.options_size = sizeof(struct options),
	.run = run,
};
