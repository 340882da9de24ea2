#include "client/cli/commands/commands.h"
#include "client/cli/platform_check.h"
#include "client/cli/removed_view.h"
#include "imaged/v1/image_service.client.h"

struct options {
	bool dry_run, force, no_prune;
	const char *format;
	struct strings platforms;
};

struct removing {
	struct cli *cli;
	const struct options *options;
	struct removed_view view;
	struct buf errors; /* for the end */
	int status;
};

static void removing_free(struct removing *w)
{
	removed_view_free(&w->view);
	buf_free(&w->errors);
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

/* Under -f an image that is not there is no failure. */
static void note_error(struct removing *w, const struct err *err)
{
	cli_call_error(&w->errors, err);
	buf_putc(&w->errors, '\n');
	if (!w->options->force || err_grpc_code(err->code) != GRPC_CODE_NOT_FOUND)
		w->status = 1;
}

static int call(struct removing *w, struct rpc_channel *channel, const Imaged__V1__RemoveImageRequest *request,
		struct err *err)
{
	CLEANUP(imaged__v1__image_service__remove_image_freep) Imaged__V1__RemoveImageResponse *response = NULL;
	int r = imaged__v1__image_service__call_remove_image(channel, cli_call_options(), request, &response, err);

	if (r)
		return r;
	for (size_t i = 0; i < response->n_refused; i++) {
		const Imaged__V1__RefusedRemoval *refused = response->refused[i];
		struct err why = ERR_INIT;

		fail(&why, err_code_from((enum grpc_code)refused->code, refused->reason), "%s", refused->message);
		note_error(w, &why);
	}
	return removed_view_add(&w->view, response->items, response->n_items, response->items_left_out,
				response->freed_bytes, err);
}

static int remove_one(struct removing *w, char *image, struct err *err)
{
	Imaged__V1__RemoveImageRequest request = IMAGED__V1__REMOVE_IMAGE_REQUEST__INIT;
	struct rpc_channel *channel;
	int r = cli_channel(w->cli, &channel, err);

	request.image = image;
	request.force = w->options->force;
	request.keep_parents = w->options->no_prune;
	if (!r)
		r = check_platforms(channel, image, &w->options->platforms, err);
	return r ? r : call(w, channel, &request, err);
}

static void remove_each(struct removing *w, int argc, char **argv)
{
	for (int i = 0; i < argc; i++) {
		struct err err = ERR_INIT;

		if (!remove_one(w, argv[i], &err))
			continue;
		cli_explain(w->cli, &err);
		note_error(w, &err);
	}
}

/* One call for all, since each depends on what those before it took. */
static int rehearse(struct removing *w, int argc, char **argv, struct err *err)
{
	Imaged__V1__RemoveImageRequest request = IMAGED__V1__REMOVE_IMAGE_REQUEST__INIT;
	CLEANUP(freep) char **images = calloc((size_t)argc, sizeof *images);
	struct rpc_channel *channel;
	int r = images ? cli_channel(w->cli, &channel, err) : fail_nomem(err);
	size_t n = 0;

	for (int i = 0; !r && i < argc; i++) {
		struct err why = ERR_INIT;

		if (!check_platforms(channel, argv[i], &w->options->platforms, &why))
			images[n++] = argv[i];
		else
			note_error(w, &why);
	}
	if (r || !n)
		return r;
	request.image = images[0];
	request.then = images + 1;
	request.n_then = n - 1;
	request.force = w->options->force;
	request.keep_parents = w->options->no_prune;
	request.dry_run = true;
	return call(w, channel, &request, err);
}

static void rehearse_all(struct removing *w, int argc, char **argv)
{
	struct err err = ERR_INIT;

	if (rehearse(w, argc, argv, &err)) {
		cli_explain(w->cli, &err);
		note_error(w, &err);
	} else if (!w->view.as_object && w->view.n) {
		removed_view_total(&w->view);
	}
}

static void show_object(struct removing *w)
{
	CLEANUP(buf_free) struct buf out = BUF_INIT(TEMPLATE_OUTPUT_MAX);
	struct err err = ERR_INIT;

	if (removed_view_render(&w->view, w->options->format, &out, &err))
		note_error(w, &err);
	else
		cli_write(buf_text(&out), out.len);
}

static int run(struct cli *cli, const void *options, int argc, char **argv)
{
	const struct options *o = options;
	CLEANUP(removing_free) struct removing w = { .cli = cli, .options = o, .errors = BUF_INIT(16 * 1024 * 1024) };
	struct err err = ERR_INIT;

	for (size_t i = 0; i < o->platforms.n; i++)
		if (platform_check_text(o->platforms.items[i], &err))
			return cli_fail(&err);
	if (removed_view_init(&w.view, o->format, o->dry_run, &err))
		return cli_fail(&err);
	w.view.untagged = "Untagged";
	w.view.deleted = "Deleted";
	w.view.write = cli_write;
	cli_config(cli);
	if (o->dry_run)
		rehearse_all(&w, argc, argv);
	else
		remove_each(&w, argc, argv);
	if (w.view.as_object)
		show_object(&w);
	if (w.errors.len)
		cli_warn("%s", buf_text(&w.errors));
	return w.status;
}

static const struct flag flags[] = {
	{ "dry-run", 0, FLAG_BOOL | FLAG_OWN, offsetof(struct options, dry_run),
	  "Show what would be removed, and remove nothing", NULL },
	{ "force", 'f', FLAG_BOOL, offsetof(struct options, force), "Force removal of the image", NULL },
	{ "format", 0, FLAG_STRING | FLAG_OWN, offsetof(struct options, format), FORMAT_HELP_JSON, NULL },
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
