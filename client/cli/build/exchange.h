/*
 * One Build call: the request out, then whatever each side wants of the other until it ends.
 *
 *   the caller's thread   receives
 *   context_upload        sends files
 *   agents, shell         send what others say
 *   a clock               redraws progress, and cancels the call at the first signal
 */
#ifndef CLIENT_CLI_BUILD_EXCHANGE_H
#define CLIENT_CLI_BUILD_EXCHANGE_H

#include "client/cli/build/progress.h"
#include "client/cli/build/request.h"

struct build_result {
	bool done; /* BuildDone came */
	char *image_id, *digest, *metadata;
	struct buf report;
	uint32_t warnings;
};

/* ret_result is to be freed in any case. E_CANCELLED after a signal. is_own: the failure is of this
 * machine, and the service did not say it. */
int build_exchange(struct rpc_channel *channel, struct build_request *request, struct build_progress *progress,
		   struct build_result *ret_result, bool *ret_is_own, struct err *err);
void build_result_free(struct build_result *r); /* also the cleanup function */

#endif
