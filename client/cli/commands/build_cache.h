/* Rows of what builds keep; shared by `build cache ls` and `system df -v`. */
#ifndef CLIENT_CLI_COMMANDS_BUILD_CACHE_H
#define CLIENT_CLI_COMMANDS_BUILD_CACHE_H

#include "client/cli/format/rows.h"
#include "imaged/v1/build_record.pb-c.h"

struct build_cache_view {
	const char *format; /* NULL: the default */
	bool no_trunc, quiet;
	int64_t now_ns;
};

struct value build_cache_value(struct arena *a, const struct build_cache_view *view,
			       const Imaged__V1__BuildCacheEntry *entry);

/* The whole output of `build cache ls`. */
int build_cache_render(const struct build_cache_view *view, Imaged__V1__BuildCacheEntry *const *entries, size_t n,
		       struct buf *out, struct err *err);
/* Docker's table of `system df -v`. */
int build_cache_render_usage(const struct build_cache_view *view, Imaged__V1__BuildCacheEntry *const *entries, size_t n,
			     struct buf *out, struct err *err);

#endif
