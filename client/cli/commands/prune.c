#include "client/cli/commands/commands.h"
#include "client/cli/docker_config.h"
#include "client/cli/filter.h"
#include "client/cli/format/units.h"
#include "client/cli/prompt.h"
#include "imaged/v1/image_service.client.h"
#include "proto/runtime/clock.h"

struct options {
	bool all, force;
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

/* The filters given, and those that config.json adds. Free items. */
static int all_filters(struct cli *cli, const struct strings *given, struct strings *ret_all, struct err *err)
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

static const char *verb(Imaged__V1__RemovedItem__Kind kind)
{
	return kind == IMAGED__V1__REMOVED_ITEM__KIND__KIND_UNTAGGED ? "untagged" : "deleted";
}

/* What all replies of one prune said. */
struct pruned {
	bool any;
	int64_t reclaimed;
};

static void print_items(struct pruned *p, const Imaged__V1__PruneImagesResponse *response)
{
	if (response->n_items && !p->any)
		cli_print("Deleted Images:\n");
	p->any = p->any || response->n_items;
	for (size_t i = 0; i < response->n_items; i++) {
		const Imaged__V1__RemovedItem *item = response->items[i];

		cli_print("%s: %s\n", verb(item->kind), item->value);
		if (item->kind == IMAGED__V1__REMOVED_ITEM__KIND__KIND_DELETED_LAYER)
			p->reclaimed += item->size;
	}
	if (response->items_left_out)
		cli_print("... and %lld more\n", (long long)response->items_left_out);
}

static void print_total(const struct pruned *p)
{
	char size[SIZE_TEXT_MAX];

	cli_print("%sTotal reclaimed space: %s\n", p->any ? "\n" : "", size_text((double)p->reclaimed, 4, size));
}

/* Call after call, until there is no more. */
static int prune_all(struct rpc_channel *channel, const Imaged__V1__PruneImagesRequest *request, struct pruned *p,
		     struct err *err)
{
	bool more = true;

	while (more) {
		CLEANUP(imaged__v1__image_service__prune_images_freep) Imaged__V1__PruneImagesResponse *response = NULL;
		int r = imaged__v1__image_service__call_prune_images(channel, cli_call_options(), request, &response,
								     err);

		if (r)
			return r;
		print_items(p, response);
		more = response->more;
	}
	return OK;
}

static int prune(struct cli *cli, const struct options *o, const struct strings *filters, struct err *err)
{
	Imaged__V1__PruneImagesRequest request = IMAGED__V1__PRUNE_IMAGES_REQUEST__INIT;
	struct pruned pruned = { 0 };
	CLEANUP(image_filter_free) struct image_filter filter;
	struct rpc_channel *channel;
	int r = image_filter_parse(filters, FILTER_PRUNE, clock_wall_ns(), &filter, err);

	if (!r)
		r = cli_channel(cli, &channel, err);
	/* docker's engine reads "dangling=false" as -a. */
	request.all = o->all || filter.message.dangling == IMAGED__V1__CHOICE__CHOICE_NO;
	filter.message.dangling = IMAGED__V1__CHOICE__CHOICE_UNSPECIFIED;
	request.filter = &filter.message;
	if (!r)
		r = prune_all(channel, &request, &pruned, err);
	if (!r)
		print_total(&pruned);
	cli_explain(cli, err);
	return r;
}

static int run(struct cli *cli, const void *options, UNUSED int argc, UNUSED char **argv)
{
	const struct options *o = options;
	struct strings filters = { 0 };
	struct err err = ERR_INIT;
	int r;

	if (all_filters(cli, &o->filters, &filters, &err))
		return cli_fail(&err);
	if (!o->force && !prompt_confirm(o->all ? "WARNING! This will remove all images without at least one container "
						  "associated to them."
						: "WARNING! This will remove all dangling images.")) {
		free(filters.items);
		return 0;
	}
	r = prune(cli, o, &filters, &err);
	free(filters.items);
	return r ? cli_fail_call(&err) : 0;
}

static const struct flag flags[] = {
	{ "all", 'a', FLAG_BOOL, offsetof(struct options, all), "Remove all unused images, not just dangling ones",
	  NULL },
	{ "filter", 0, FLAG_FILTERS, offsetof(struct options, filters),
	  "Provide filter values (e.g. \"until=<timestamp>\")", NULL },
	{ "force", 'f', FLAG_BOOL, offsetof(struct options, force), "Do not prompt for confirmation", NULL },
};

const struct command_spec spec_prune = {
	.usage = "[OPTIONS]",
	.summary = "Remove unused images",
	.flags = flags,
	.n_flags = ARRAY_LEN(flags),
	.options_size = sizeof(struct options),
	.run = run,
};
