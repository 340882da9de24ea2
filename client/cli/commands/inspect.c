/* inspect and image inspect: images are the only objects that there are. */
#include "client/cli/commands/commands.h"
#include "client/cli/commands/graph_driver.h"
#include "client/cli/commands/inspector.h"
#include "client/cli/platform_check.h"
#include "client/cli/value/print.h"
#include "imaged/v1/image_service.client.h"

struct options {
	const char *format, *type, *platform;
	bool size;
};

/* What differs between the two commands. */
struct mode {
	bool any_type; /* "docker inspect" without --type: a miss is "no such object" */
};

static int fetch(struct cli *cli, char *image, Imaged__V1__InspectImageResponse **ret, struct err *err)
{
	Imaged__V1__InspectImageRequest request = IMAGED__V1__INSPECT_IMAGE_REQUEST__INIT;
	struct rpc_channel *channel;
	int r = cli_channel(cli, &channel, err);

	request.image = image;
	if (!r)
		r = imaged__v1__image_service__call_inspect_image(channel, cli_call_options(), &request, ret, err);
	cli_explain(cli, err);
	return r;
}

/* Files are told relative to the root of the service: asked for once, by the first that has some. */
static int learn_root(struct cli *cli, const Imaged__V1__InspectImageResponse *image, struct inspector *i,
		      struct err *err)
{
	CLEANUP(imaged__v1__image_service__get_info_freep) Imaged__V1__GetInfoResponse *info = NULL;
	Imaged__V1__GetInfoRequest request = IMAGED__V1__GET_INFO_REQUEST__INIT;
	struct rpc_channel *channel;
	int r;

	if (i->root || !graph_driver_has_files(image))
		return OK;
	r = cli_channel(cli, &channel, err);
	if (!r)
		r = imaged__v1__image_service__call_get_info(channel, cli_call_options(), &request, &info, err);
	cli_explain(cli, err);
	if (r)
		return r;
	i->root = strdup(info->root);
	return i->root ? OK : fail_nomem(err);
}

/* The error of one argument as it is shown. */
static void put_error(struct buf *errors, const struct mode *mode, const char *argument, const struct err *err)
{
	bool missing = err->code == E_NO_SUCH_IMAGE || err->code == E_INVALID_REFERENCE || err->code == E_NOT_FOUND;

	if (mode->any_type && !*argument)
		buf_puts(errors, "invalid container name or ID: value is empty");
	else if (mode->any_type && missing)
		buf_printf(errors, "Error: No such object: %s", argument);
	else if (!*argument)
		buf_puts(errors, "Error: No such image: ");
	else
		cli_call_error(errors, err);
	buf_putc(errors, '\n');
}

static bool inspect_one(struct cli *cli, const struct options *o, const struct mode *mode, char *argument,
			struct inspector *i, struct buf *errors)
{
	CLEANUP(imaged__v1__image_service__inspect_image_freep) Imaged__V1__InspectImageResponse *image = NULL;
	struct err err = ERR_INIT;

	if (!*argument || fetch(cli, argument, &image, &err) ||
	    platform_check(argument, image->image->platform, o->platform, &err) || learn_root(cli, image, i, &err)) {
		put_error(errors, mode, argument, &err);
		return false;
	}
	if (o->size)
		cli_warn("WARNING: --size ignored for image\n");
	if (!inspector_add(i, image, &err))
		return true;
	buf_printf(errors, "%s\n", err.text);
	return false;
}

static int inspect_all(struct cli *cli, const struct options *o, const struct mode *mode, int argc, char **argv)
{
	CLEANUP(inspector_free) struct inspector i = { 0 };
	CLEANUP(buf_free) struct buf errors = BUF_INIT(16 * 1024 * 1024);
	CLEANUP(buf_free) struct buf out = BUF_INIT(TEMPLATE_OUTPUT_MAX);
	struct err err = ERR_INIT;
	bool ok = true;

	if (platform_check_text(o->platform, &err) || inspector_open(&i, o->format, &err))
		return cli_fail(&err);
	cli_config(cli);
	for (int k = 0; k < argc; k++)
		ok &= inspect_one(cli, o, mode, argv[k], &i, &errors);
	if (inspector_finish(&i, &out, &err))
		return cli_fail(&err);
	cli_write(buf_text(&out), out.len);
	if (errors.len)
		cli_warn("%s", buf_text(&errors));
	return ok ? 0 : 1;
}

static int run_image(struct cli *cli, const void *options, int argc, char **argv)
{
	static const struct mode mode = { .any_type = false };

	return inspect_all(cli, options, &mode, argc, argv);
}

static bool is_known_type(const char *type)
{
	static const char *const types[] = { "config", "container", "image",   "network", "node",
					     "plugin", "secret",    "service", "task",	  "volume" };

	for (size_t i = 0; i < ARRAY_LEN(types); i++)
		if (!strcmp(types[i], type))
			return true;
	return false;
}

static int fail_type(const char *type)
{
	CLEANUP(buf_free) struct buf quoted = BUF_INIT(1024);

	print_quoted(&quoted, text_of(type));
	cli_warn("%s%s: must be one of \"config\", \"container\", \"image\", \"network\", \"node\", "
		 "\"plugin\", \"secret\", \"service\", \"task\", \"volume\"\n",
		 *type ? "unknown type: " : "type is empty", *type ? buf_text(&quoted) : "");
	return 1;
}

/* docker's engine has words of its own for each; what only a swarm has is looked up there. */
static void warn_missing(const struct cli *cli, const char *type, const char *name)
{
	if (!strcmp(type, "container"))
		cli_warn("Error response from daemon: No such container: %s\n", name);
	else if (!strcmp(type, "network"))
		cli_warn("Error response from daemon: network %s not found\n", name);
	else if (!strcmp(type, "plugin"))
		cli_warn("Error response from daemon: plugin \"%s\" not found\n", name);
	else if (!strcmp(type, "volume"))
		cli_warn("Error response from daemon: get %s: no such volume\n", name);
	else if (cli_is_docker(cli))
		cli_warn("Error response from daemon: This node is not a swarm manager. Use \"docker swarm init\" or "
			 "\"docker swarm join\" to connect this node to swarm and try again.\n");
	else
		cli_warn("Error: No such %s: %s\n", type, name);
}

/* Of a type that imaged does not hold: nothing is found. */
static int find_none(const struct cli *cli, const struct options *o, int argc, char **argv)
{
	CLEANUP(inspector_free) struct inspector i = { 0 };
	CLEANUP(buf_free) struct buf out = BUF_INIT(64);
	struct err err = ERR_INIT;

	if (inspector_open(&i, o->format, &err) || inspector_finish(&i, &out, &err))
		return cli_fail(&err);
	cli_write(buf_text(&out), out.len);
	for (int k = 0; k < argc; k++)
		warn_missing(cli, o->type, argv[k]);
	return 1;
}

static int run_any(struct cli *cli, const void *options, int argc, char **argv)
{
	const struct options *o = options;
	struct mode mode = { .any_type = !o->type };

	if (!mode.any_type && !is_known_type(o->type))
		return fail_type(o->type);
	if (!mode.any_type && strcmp(o->type, "image"))
		return find_none(cli, o, argc, argv);
	return inspect_all(cli, o, &mode, argc, argv);
}

static const struct flag image_flags[] = {
	{ "format", 'f', FLAG_STRING, offsetof(struct options, format), FORMAT_HELP_JSON, NULL },
	{ "platform", 0, FLAG_STRING, offsetof(struct options, platform),
	  "Inspect a specific platform of the multi-platform image.\n"
	  "If the image or the server is not multi-platform capable, the command will error out if the platform does "
	  "not "
	  "match.\n'os[/arch[/variant]]': Explicit platform (eg. linux/amd64)",
	  NULL },
};

static const struct flag flags[] = {
	{ "format", 'f', FLAG_STRING, offsetof(struct options, format), FORMAT_HELP_JSON, NULL },
	{ "size", 's', FLAG_BOOL, offsetof(struct options, size), "Display total file sizes if the type is container",
	  NULL },
	{ "type", 0, FLAG_STRING, offsetof(struct options, type), "Only inspect objects of the given type", NULL },
};

const struct command_spec spec_image_inspect = {
	.usage = "[OPTIONS] IMAGE [IMAGE...]",
	.summary = "Display detailed information on one or more images",
	.flags = image_flags,
	.n_flags = ARRAY_LEN(image_flags),
	.min_args = 1,
	.max_args = -1,
	.options_size = sizeof(struct options),
	.run = run_image,
};

const struct command_spec spec_inspect = {
	.usage = "[OPTIONS] NAME|ID [NAME|ID...]",
	.summary = "Return low-level information on Docker objects",
	.flags = flags,
	.n_flags = ARRAY_LEN(flags),
	.min_args = 1,
	.max_args = -1,
	.options_size = sizeof(struct options),
	.run = run_any,
};
