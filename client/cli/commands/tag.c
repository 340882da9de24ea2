#include "client/cli/commands/commands.h"
#include "client/cli/value/print.h"
#include "imaged/v1/image_service.client.h"
#include "store/types/reference.h"

/* What docker's client refuses before it asks the engine. */
static int check(const char *text, bool is_target, struct err *err)
{
	struct reference ref;

	if (!is_target && reference_is_id_prefix(text))
		return OK;
	if (reference_parse(text, &ref, err)) {
		CLEANUP(buf_free) struct buf quoted = BUF_INIT(ERR_TEXT_MAX);

		print_quoted(&quoted, text_of(text));
		return err_wrap(err, "Error parsing reference: %s is not a valid repository/tag", buf_text(&quoted));
	}
	if (is_target && digest_is_set(&ref.digest))
		return fail(err, E_INVALID_REFERENCE, "refusing to create a tag with a digest reference");
	return OK;
}

static int tag(struct cli *cli, char *source, char *target, struct err *err)
{
	Imaged__V1__TagImageRequest request = IMAGED__V1__TAG_IMAGE_REQUEST__INIT;
	CLEANUP(imaged__v1__image_service__tag_image_freep) Imaged__V1__TagImageResponse *response = NULL;
	struct rpc_channel *channel;
	int r = cli_channel(cli, &channel, err);

	request.source = source;
	request.target = target;
	if (!r)
		r = imaged__v1__image_service__call_tag_image(channel, cli_call_options(), &request, &response, err);
	cli_explain(cli, err);
	return r;
}

static int run(struct cli *cli, UNUSED const void *options, UNUSED int argc, char **argv)
{
	struct err err = ERR_INIT;

	cli_config(cli);
	if (check(argv[0], false, &err) || check(argv[1], true, &err))
		return cli_fail(&err);
	return tag(cli, argv[0], argv[1], &err) ? cli_fail_call(&err) : 0;
}

const struct command_spec spec_tag = {
	.usage = "SOURCE_IMAGE[:TAG] TARGET_IMAGE[:TAG]",
	.summary = "Create a tag TARGET_IMAGE that refers to SOURCE_IMAGE",
	.aliases = "image tag, tag",
	.min_args = 2,
	.max_args = 2,
	.stop_at_argument = true,
	.run = run,
};
