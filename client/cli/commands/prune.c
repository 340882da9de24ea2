#include "client/cli/commands/prune.h"

#include "client/cli/commands/commands.h"
#include "client/cli/docker_config.h"
#include "client/cli/filter.h"
#include "client/cli/prompt.h"
#include "proto/runtime/clock.h"

struct options {
	bool all, dry_run, force;
	const char *format;
	struct strings filters;
};

static bool contains(const struct strings *list, const char *prefix, const char *value)
{
	for (size_t i = 0; i < list->n; i++)
		if (!strncmp(list->items[i], prefix, strlen(prefix)) &&
		    (!value || !strcmp(list->items[i] + strlen(prefix), value)))
			return true;
	return false;
}

/* A filter of the command line wins over the opposite one of config.json. */
static bool is_overruled(const struct strings *given, const char *configured)
{
	if (!strncmp(configured, "label=", 6))
		return contains(given, "label!=", configured + 6);
	if (!strncmp(configured, "label!=", 7))
		return contains(given, "label=", configured + 7);
	return false;
}

int prune_filters(struct cli *cli, const struct strings *given, struct strings *ret_all, struct err *err)
{
	CLEANUP(freep) const char **items = NULL;
	struct strings configured;
	size_t n = 0;
	int r = docker_config_list(cli_config(cli), "pruneFilters", &configured, err);

	if (r)
		return r;
	items = calloc(given->n + configured.n + 1, sizeof *items);
	for (size_t i = 0; items && i < given->n; i++)
		items[n++] = given->items[i];
	for (size_t i = 0; items && i < configured.n; i++)
		if (strchr(configured.items[i], '=') && !is_overruled(given, configured.items[i]))
			items[n++] = configured.items[i];
	free(configured.items);
	if (!items)
		return fail_nomem(err);
	*ret_all = (struct strings){ TAKE(items), n };
	return OK;
}

static int show(struct removed_view *v, const Imaged__V1__PruneImagesResponse *m, struct err *err)
{
	if (m->n_items && !v->n && !v->as_object)
		cli_print(v->dry_run ? "Images that would be deleted:\n" : "Deleted Images:\n");
	return removed_view_add(v, m->items, m->n_items, m->items_left_out, m->freed_bytes, err);
}

static int prune_all(struct rpc_channel *channel, const Imaged__V1__PruneImagesRequest *request,
		     struct removed_view *view, struct err *err)
{
	bool more = true;

	while (more) {
		CLEANUP(imaged__v1__image_service__prune_images_freep) Imaged__V1__PruneImagesResponse *response = NULL;
		int r = imaged__v1__image_service__call_prune_images(channel, cli_call_options(), request, &response,
								     err);

		if (!r)
			r = show(view, response, err);
		if (r)
			return r;
		more = response->more;
	}
	return OK;
}

int prune_images(struct cli *cli, const struct prune_images *what, struct removed_view *view, struct err *err)
{
	Imaged__V1__PruneImagesRequest request = IMAGED__V1__PRUNE_IMAGES_REQUEST__INIT;
	CLEANUP(image_filter_free) struct image_filter filter;
	struct rpc_channel *channel;
	int r = image_filter_parse(what->filters, FILTER_PRUNE, clock_wall_ns(), &filter, err);

	if (!r)
		r = cli_channel(cli, &channel, err);
	/* docker's engine reads "dangling=false" as -a. */
	request.all = what->all || filter.message.dangling == IMAGED__V1__CHOICE__CHOICE_NO;
	filter.message.dangling = IMAGED__V1__CHOICE__CHOICE_UNSPECIFIED;
	request.filter = &filter.message;
	request.dry_run = what->dry_run;
	if (!r)
		r = prune_all(channel, &request, view, err);
	cli_explain(cli, err);
	return r;
}

static bool confirm(const struct options *o)
{
	return o->force || o->dry_run ||
	       prompt_confirm(o->all ? "WARNING! This will remove all images without at least one container "
				       "associated to them."
				     : "WARNING! This will remove all dangling images.");
}

static int finish(const struct removed_view *view, const char *format)
{
	CLEANUP(buf_free) struct buf out = BUF_INIT(TEMPLATE_OUTPUT_MAX);
	struct err err = ERR_INIT;

	if (!view->as_object) {
		removed_view_total(view);
		return 0;
	}
	if (removed_view_render(view, format, &out, &err))
		return cli_fail(&err);
	cli_write(buf_text(&out), out.len);
	return 0;
}

static int run(struct cli *cli, const void *options, UNUSED int argc, UNUSED char **argv)
{
	const struct options *o = options;
	CLEANUP(removed_view_free) struct removed_view view;
	struct strings filters = { 0 };
	struct err err = ERR_INIT;
	int r;

	if (removed_view_init(&view, o->format, o->dry_run, &err))
		return cli_fail(&err);
	view.untagged = "untagged";
	view.deleted = "deleted";
	view.write = cli_write;

	if (prune_filters(cli, &o->filters, &filters, &err))
		return cli_fail(&err);
	if (!confirm(o)) {
		free(filters.items);
		return 0;
	}
	r = prune_images(cli, &(struct prune_images){ o->all, o->dry_run, &filters }, &view, &err);
	free(filters.items);
	return r ? cli_fail_call(&err) : finish(&view, o->format);
}

static const struct flag flags[] = {
	{ "all", 'a', FLAG_BOOL, offsetof(struct options, all), "Remove all unused images, not just dangling ones",
	  NULL },
	{ "dry-run", 0, FLAG_BOOL | FLAG_OWN, offsetof(struct options, dry_run),
	  "Show what would be removed, and remove nothing", NULL },
	{ "filter", 0, FLAG_FILTERS, offsetof(struct options, filters),
	  "Provide filter values (e.g. \"until=<timestamp>\")", NULL },
	{ "force", 'f', FLAG_BOOL, offsetof(struct options, force), "Do not prompt for confirmation", NULL },
	{ "format", 0, FLAG_STRING | FLAG_OWN, offsetof(struct options, format), FORMAT_HELP_JSON, NULL },
};

const struct command_spec spec_prune = {
	.usage = "[OPTIONS]",
	.summary = "Remove unused images",
	.flags = flags,
	.n_flags = ARRAY_LEN(flags),
	.options_size = sizeof(struct options),
	.run = run,
};
