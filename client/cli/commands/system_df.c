#include "client/cli/commands/build_cache_fetch.h"
#include "client/cli/commands/commands.h"
#include "client/cli/commands/disk_usage.h"
#include "client/cli/template/template.h"
#include "imaged/v1/image_service.client.h"
#include "proto/runtime/clock.h"

enum { PAGE = 1000 };

struct options {
	const char *format;
	bool verbose;
};

/* The replies, and the first one with the images of all. */
struct pages {
	Imaged__V1__GetDiskUsageResponse **items;
	size_t n;
	Imaged__V1__GetDiskUsageResponse all; /* borrows from the items */
};

static void pages_free(struct pages *p)
{
	for (size_t i = 0; i < p->n; i++)
		imaged__v1__image_service__get_disk_usage_freep(&p->items[i]);
	free(p->items);
	free(p->all.images);
}

/* Takes the page, also when it fails. */
static int add_page(struct pages *p, Imaged__V1__GetDiskUsageResponse *page, struct err *err)
{
	Imaged__V1__GetDiskUsageResponse **items = reallocarray(p->items, p->n + 1, sizeof *items);
	Imaged__V1__ImageUsage **images;

	if (!items) {
		imaged__v1__image_service__get_disk_usage_freep(&page);
		return fail_nomem(err);
	}
	p->items = items;
	items[p->n++] = page;
	if (p->n == 1) {
		p->all = *page;
		p->all.images = NULL;
		p->all.n_images = 0;
	}
	images = reallocarray(p->all.images, p->all.n_images + page->n_images + 1, sizeof *images);
	if (!images)
		return fail_nomem(err);
	p->all.images = images;
	if (page->n_images)
		memcpy(images + p->all.n_images, page->images, page->n_images * sizeof *images);
	p->all.n_images += page->n_images;
	return OK;
}

static int fetch(struct cli *cli, bool per_image, struct pages *p, struct err *err)
{
	Imaged__V1__GetDiskUsageRequest request = IMAGED__V1__GET_DISK_USAGE_REQUEST__INIT;
	struct rpc_channel *channel;
	int r = cli_channel(cli, &channel, err);

	request.per_image = per_image;
	request.page_size = PAGE;
	while (!r) {
		Imaged__V1__GetDiskUsageResponse *page = NULL;

		r = imaged__v1__image_service__call_get_disk_usage(channel, cli_call_options(), &request, &page, err);
		if (!r)
			r = add_page(p, page, err);
		if (r || !*page->next_page_token)
			break;
		request.page_token = page->next_page_token;
	}
	cli_explain(cli, err);
	return r;
}

static int run(struct cli *cli, const void *options, UNUSED int argc, UNUSED char **argv)
{
	const struct options *o = options;
	CLEANUP(pages_free) struct pages pages = { 0 };
	CLEANUP(buf_free) struct buf out = BUF_INIT(TEMPLATE_OUTPUT_MAX);
	CLEANUP(build_cache_pages_free) struct build_cache_pages cache = { 0 };
	struct disk_usage_view view = {
		.format = o->format, .verbose = o->verbose, .is_docker = cli_is_docker(cli), .now_ns = clock_wall_ns()
	};
	struct err err = ERR_INIT;
	int r;

	cli_config(cli);
	if (fetch(cli, o->verbose, &pages, &err) || (o->verbose && build_cache_fetch(cli, &cache, &err)))
		return cli_fail_call(&err);
	view.cache = cache.entries;
	view.n_cache = cache.n_entries;
	r = disk_usage_render(&view, &pages.all, &out, &err);
	if (!r || o->verbose)
		cli_write(buf_text(&out), out.len);
	if (!r)
		return 0;
	cli_fail(&err);
	return 1;
}

static const struct flag flags[] = {
	{ "format", 0, FLAG_STRING, offsetof(struct options, format), FORMAT_HELP_TABLE, NULL },
	{ "verbose", 'v', FLAG_BOOL, offsetof(struct options, verbose), "Show detailed information on space usage",
	  NULL },
};

const struct command_spec spec_system_df = {
	.usage = "[OPTIONS]",
	.summary = "Show disk usage",
	.flags = flags,
	.n_flags = ARRAY_LEN(flags),
	.options_size = sizeof(struct options),
	.run = run,
};
