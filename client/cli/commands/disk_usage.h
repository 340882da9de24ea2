/* Rows of `system df`: docker's four, of which imaged has two. */
#ifndef CLIENT_CLI_COMMANDS_DISK_USAGE_H
#define CLIENT_CLI_COMMANDS_DISK_USAGE_H

#include "imaged/v1/build_record.pb-c.h"
#include "imaged/v1/system.pb-c.h"
#include "proto/runtime/buf.h"

struct disk_usage_view {
	const char *format; /* NULL: the default */
	bool verbose;
	bool is_docker; /* its sections only */
	int64_t now_ns;
	/* verbose: what builds keep */
	Imaged__V1__BuildCacheEntry *const *cache;
	size_t n_cache;
};

int disk_usage_render(const struct disk_usage_view *view, const Imaged__V1__GetDiskUsageResponse *m, struct buf *out,
		      struct err *err);

#endif
