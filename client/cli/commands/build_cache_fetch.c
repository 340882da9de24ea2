#include "client/cli/commands/build_cache_fetch.h"

#include "imaged/v1/image_service.client.h"

void build_cache_pages_free(struct build_cache_pages *p)
{
	for (size_t i = 0; i < p->n; i++)
		imaged__v1__image_service__list_build_cache_freep(&p->items[i]);
	free(p->items);
	free(p->entries);
}

/* Takes the page, also when it fails. */
static int add_page(struct build_cache_pages *p, Imaged__V1__ListBuildCacheResponse *page, struct err *err)
{
	Imaged__V1__ListBuildCacheResponse **items = reallocarray(p->items, p->n + 1, sizeof *items);
	Imaged__V1__BuildCacheEntry **entries;

	if (!items) {
		imaged__v1__image_service__list_build_cache_freep(&page);
		return fail_nomem(err);
	}
	p->items = items;
	items[p->n++] = page;
	entries = reallocarray(p->entries, p->n_entries + page->n_entries + 1, sizeof *entries);
	if (!entries)
		return fail_nomem(err);
	p->entries = entries;
	for (size_t i = 0; i < page->n_entries; i++)
		entries[p->n_entries++] = page->entries[i];
	return OK;
}

int build_cache_fetch(struct cli *cli, struct build_cache_pages *ret_pages, struct err *err)
{
	Imaged__V1__ListBuildCacheRequest request = IMAGED__V1__LIST_BUILD_CACHE_REQUEST__INIT;
	struct rpc_channel *channel;
	int r = cli_channel(cli, &channel, err);

	while (!r) {
		Imaged__V1__ListBuildCacheResponse *page = NULL;

		r = imaged__v1__image_service__call_list_build_cache(channel, cli_call_options(), &request, &page, err);
		if (!r)
			r = add_page(ret_pages, page, err);
		if (r || !*page->next_page_token)
			break;
		request.page_token = page->next_page_token;
	}
	cli_explain(cli, err);
	return r;
}
