#include "client/cli/commands/images.h"

#include "client/cli/commands/commands.h"
#include "client/cli/commands/images_tree.h"
#include "client/cli/docker_config.h"
#include "client/cli/filter.h"
#include "imaged/v1/image_service.client.h"
#include "proto/runtime/clock.h"

enum { PAGE = 1000 };

struct options {
	bool all, digests, no_trunc, quiet, tree;
	const char *format;
	struct strings filters;
};

/* A page is in memory only until its rows are made. */
static int fetch(struct cli *cli, struct image_filter *filter, bool all, const struct images_view *view,
		 struct images_output **ret_output, struct err *err)
{
	Imaged__V1__ListImagesRequest request = IMAGED__V1__LIST_IMAGES_REQUEST__INIT;
	CLEANUP(imaged__v1__image_service__list_images_freep) Imaged__V1__ListImagesResponse *before = NULL;
	struct rpc_channel *channel;
	int r = cli_channel(cli, &channel, err);

	request.filter = &filter->message;
	request.page_size = PAGE;
	request.all = all;
	while (!r) {
		Imaged__V1__ListImagesResponse *page = NULL;

		r = imaged__v1__image_service__call_list_images(channel, cli_call_options(), &request, &page, err);
		imaged__v1__image_service__list_images_freep(&before);
		before = page; /* its token goes with the next request */
		if (!r && !*ret_output)
			r = images_open(view, ret_output, err);
		if (!r)
			r = images_add(*ret_output, page->images, page->n_images, err);
		if (r || !*page->next_page_token)
			break;
		request.page_token = page->next_page_token;
	}
	return r;
}

static int make_filter(const struct options *o, const char *argument, struct image_filter *filter, struct err *err)
{
	int r = image_filter_parse(&o->filters, FILTER_IMAGES, clock_wall_ns(), filter, err);

	return !r && argument && *argument ? image_filter_add_reference(filter, argument, err) : r;
}

static int list(struct cli *cli, const struct options *o, const char *argument, struct image_filter *filter,
		struct images_view *view, struct images_output **ret_output, struct err *err)
{
	int r = make_filter(o, argument, filter, err);

	view->references = filter->references;
	view->n_references = filter->message.n_references;
	if (!r)
		r = fetch(cli, filter, o->all, view, ret_output, err);
	cli_explain(cli, err);
	return r;
}

/* "docker images ls" lists images named ls; most likely "docker image ls" was meant. */
static void hint(const struct cli *cli, const char *argument)
{
	static const char *const words[] = { "build", "history", "import", "inspect", "list", "load", "ls",
					     "prune", "pull",	 "push",   "rm",      "save", "tag" };

	if (!cli->top_level || !argument)
		return;
	for (size_t i = 0; i < ARRAY_LEN(words); i++)
		if (!strcmp(words[i], argument))
			cli_warn("\nNo images found matching \"%s\": did you mean \"%s image %s\"?\n", argument,
				 cli->program, argument);
}

static int show(struct cli *cli, struct images_output *output, const char *argument)
{
	CLEANUP(buf_free) struct buf out = BUF_INIT(TEMPLATE_OUTPUT_MAX);
	struct err err = ERR_INIT;
	size_t rows;

	if (images_finish(output, &out, &rows, &err)) {
		cli_fail(&err);
		return 1;
	}
	cli_write(buf_text(&out), out.len);
	if (!rows)
		hint(cli, argument);
	return 0;
}

/* In docker's words; of formats json has a tree. */
static int check_tree(const struct options *o, struct err *err)
{
	const char *flag = o->quiet						       ? "quiet"
			   : o->no_trunc					       ? "no-trunc"
			   : o->digests						       ? "show-digest"
			   : o->format && *o->format && strcmp(o->format, "json") != 0 ? "format"
										       : NULL;

	return flag ? fail(err, E_INVALID, "--%s is not yet supported with --tree", flag) : OK;
}

/* The tree is ours; docker's client finds its engine, whose IDs and sizes we have, too old for
 * one. */
static int refuse_tree(void)
{
	cli_warn("\"--tree\" requires API version 1.47, but the Docker daemon API version is 1.41\n");
	return 1;
}

static int show_tree(struct cli *cli, const struct options *o, const char *argument)
{
	CLEANUP(image_filter_free) struct image_filter filter = { 0 };
	struct err err = ERR_INIT;
	int r = check_tree(o, &err);

	if (r)
		return cli_fail(&err);
	r = make_filter(o, argument, &filter, &err);
	if (!r)
		r = images_tree(cli, &filter.message, o->all, o->format && *o->format, &err);
	cli_explain(cli, &err);
	return r ? cli_fail_call(&err) : 0;
}

static int report(const struct err *err)
{
	if (err->code != E_TEMPLATE)
		return cli_fail_call(err);
	cli_fail(err);
	return 1;
}

static int run(struct cli *cli, const void *options, int argc, char **argv)
{
	const struct options *o = options;
	const char *argument = argc ? argv[0] : NULL;
	CLEANUP(image_filter_free) struct image_filter filter = { 0 };
	CLEANUP(images_freep) struct images_output *output = NULL;
	struct images_view view = {
		.digests = o->digests,
		.quiet = o->quiet,
		.no_trunc = o->no_trunc,
		.format = o->format,
		.now_ns = clock_wall_ns(),
	};
	struct err err = ERR_INIT;
	struct docker_config *config = cli_config(cli);

	if (o->tree && cli_is_docker(cli))
		return refuse_tree();
	if (o->tree)
		return show_tree(cli, o, argument);
	if (!(view.format && *view.format) && !o->quiet)
		view.format = docker_config_string(config, "imagesFormat");
	if (list(cli, o, argument, &filter, &view, &output, &err))
		return report(&err);
	return show(cli, output, argument);
}

static const struct flag flags[] = {
	{ "all", 'a', FLAG_BOOL, offsetof(struct options, all), "Show all images (default hides intermediate images)",
	  NULL },
	{ "digests", 0, FLAG_BOOL, offsetof(struct options, digests), "Show digests", NULL },
	{ "filter", 'f', FLAG_FILTERS, offsetof(struct options, filters), "Filter output based on conditions provided",
	  NULL },
	{ "format", 0, FLAG_STRING, offsetof(struct options, format), FORMAT_HELP_TABLE, NULL },
	{ "no-trunc", 0, FLAG_BOOL, offsetof(struct options, no_trunc), "Don't truncate output", NULL },
	{ "quiet", 'q', FLAG_BOOL, offsetof(struct options, quiet), "Only show image IDs", NULL },
	{ "tree", 0, FLAG_BOOL, offsetof(struct options, tree), "Show indexes, platforms, layers, and what is shared",
	  NULL },
};

const struct command_spec spec_images = {
	.usage = "[OPTIONS] [REPOSITORY[:TAG]]",
	.summary = "List images",
	.aliases = "image ls, image list, images",
	.flags = flags,
	.n_flags = ARRAY_LEN(flags),
	.max_args = 1,
	.options_size = sizeof(struct options),
	.run = run,
};
