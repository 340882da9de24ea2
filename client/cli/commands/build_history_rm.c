#include "client/cli/commands/commands.h"
#include "client/cli/object_view.h"
#include "imaged/v1/image_service.client.h"

struct options {
	bool all;
	const char *format;
};

/* {Removed}: ids. */
static int render_removed(const Imaged__V1__RemoveBuildsResponse *m, const char *format, struct err *err)
{
	CLEANUP(buf_free) struct buf out = BUF_INIT(TEMPLATE_OUTPUT_MAX);
	CLEANUP(arena_free) struct arena a;
	struct object o = { .type_name = "build.Removal" };

	arena_init(&a, TEMPLATE_OUTPUT_MAX);
	object_add(&o, "Removed", value_strings(&a, m->removed, m->n_removed));
	if (object_render(format, object_value(&o), &out, err))
		return err->code;
	cli_write(buf_text(&out), out.len);
	return OK;
}

static int remove_builds(struct cli *cli, const struct options *o, const Imaged__V1__RemoveBuildsRequest *request,
			 struct err *err)
{
	CLEANUP(imaged__v1__image_service__remove_builds_freep) Imaged__V1__RemoveBuildsResponse *response = NULL;
	struct rpc_channel *channel;
	int r = cli_channel(cli, &channel, err);

	if (!r)
		r = imaged__v1__image_service__call_remove_builds(channel, cli_call_options(), request, &response, err);
	if (!r && o->format && *o->format)
		r = render_removed(response, o->format, err);
	for (size_t i = 0; !r && !(o->format && *o->format) && i < response->n_removed; i++)
		cli_print("%s\n", response->removed[i]);
	cli_explain(cli, err);
	return r;
}

static int run(struct cli *cli, const void *options, int argc, char **argv)
{
	const struct options *o = options;
	Imaged__V1__RemoveBuildsRequest request = IMAGED__V1__REMOVE_BUILDS_REQUEST__INIT;
	struct err err = ERR_INIT;

	cli_config(cli);
	if (o->all == (argc > 0)) {
		fail(&err, E_INVALID,
		     o->all ? "cannot specify build records when using --all" : "build record or --all is required");
		return cli_fail(&err);
	}
	if (o->format && *o->format && object_check_format(o->format, &err))
		return cli_fail(&err);
	request.all = o->all;
	request.ids = argv;
	request.n_ids = (size_t)argc;
	return remove_builds(cli, o, &request, &err) ? cli_fail_call(&err) : 0;
}

static const struct flag flags[] = {
	{ "all", 0, FLAG_BOOL, offsetof(struct options, all), "Remove all build records", NULL },
	{ "format", 0, FLAG_STRING | FLAG_OWN, offsetof(struct options, format), FORMAT_HELP_JSON, NULL },
};

const struct command_spec spec_build_history_rm = {
	.usage = "[OPTIONS] [BUILD...]",
	.summary = "Remove build records",
	.flags = flags,
	.n_flags = ARRAY_LEN(flags),
	.max_args = -1,
	.own = true,
	.options_size = sizeof(struct options),
	.run = run,
};
