/*
 * What the prune commands have in common: images, and what builds keep. Errors are those of
 * the calls, in docker's words. One thread.
 */
#ifndef CLIENT_CLI_COMMANDS_PRUNE_H
#define CLIENT_CLI_COMMANDS_PRUNE_H

#include "client/cli/cli.h"
#include "client/cli/removed_view.h"
#include "imaged/v1/image_service.client.h"

/* The filters given, and those that config.json adds ("pruneFilters"). free() the items, which
 * are borrowed from both. */
int prune_filters(struct cli *cli, const struct strings *given, struct strings *ret_all, struct err *err);

struct prune_images {
	bool all, dry_run;
	const struct strings *filters;
};

/* Call after call, until there is no more; the view shows what goes. */
int prune_images(struct cli *cli, const struct prune_images *what, struct removed_view *view, struct err *err);

/* "until=…": a time span or a moment, as for images. */
int prune_set_until(const char *filter, int64_t now_ns, Imaged__V1__PruneBuildCacheRequest *request, struct err *err);

/* imaged__v1__image_service__prune_build_cache_freep() the response. */
int prune_build_cache(struct cli *cli, const Imaged__V1__PruneBuildCacheRequest *request,
		      Imaged__V1__PruneBuildCacheResponse **ret_response, struct err *err);
/* The objects, one a line, and an empty line; nothing where there are none. */
void prune_print_build_cache(const Imaged__V1__PruneBuildCacheResponse *m, bool dry_run);
/* "Total reclaimed space: 1.2MB" */
void prune_print_total(int64_t bytes, bool dry_run);

#endif
