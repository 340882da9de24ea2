/* All pages of ListBuildCache. */
#ifndef CLIENT_CLI_COMMANDS_BUILD_CACHE_FETCH_H
#define CLIENT_CLI_COMMANDS_BUILD_CACHE_FETCH_H

#include "client/cli/cli.h"
#include "imaged/v1/build_record.pb-c.h"

struct build_cache_pages {
	Imaged__V1__ListBuildCacheResponse **items;
	size_t n;
	Imaged__V1__BuildCacheEntry **entries; /* of all pages; borrows from them */
	size_t n_entries;
};

int build_cache_fetch(struct cli *cli, struct build_cache_pages *ret_pages, struct err *err);
void build_cache_pages_free(struct build_cache_pages *p);

#endif
