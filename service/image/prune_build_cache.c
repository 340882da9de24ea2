/* PruneBuildCache. */
#include "proto/runtime/clock.h"
#include "service/image/build_cache_message.h"
#include "service/image/convert.h"

enum { REMOVED_MAX = 10000 };

static const int64_t ns_per_s = 1000000000;

struct prune_answer {
	struct arena *arena;
	size_t bytes;
	bool full;
	Imaged__V1__PruneBuildCacheResponse *response;
};

/* What does not fit is counted only. */
static bool add_removed(void *arg, const struct build_cache_item *item)
{
	struct prune_answer *p = arg;
	Imaged__V1__BuildCacheEntry *m;
	size_t bytes;

	p->response->count++;
	if (p->full || p->response->n_removed == REMOVED_MAX)
		return true;
	m = build_cache_message(p->arena, item);
	bytes = m ? imaged__v1__build_cache_entry__get_packed_size(m) + 8 : 0;
	p->full = !m || p->bytes + bytes > BUILD_CACHE_ANSWER_BYTES;
	if (p->full)
		return true;
	p->bytes += bytes;
	p->response->removed[p->response->n_removed++] = m;
	return true;
}

static int check_request(const Imaged__V1__PruneBuildCacheRequest *request, struct err *err)
{
	if (request->keep_bytes < 0 || request->unused_seconds < 0)
		return fail(err, E_INVALID, "%s is negative",
			    request->keep_bytes < 0 ? "keep_bytes" : "unused_seconds");
	return OK;
}

/* As a moment; of a time longer than there are any, the beginning of time. */
static int64_t unused_since(const Imaged__V1__PruneBuildCacheRequest *request)
{
	int64_t now = clock_wall_ns();

	if (!request->unused_seconds)
		return 0;
	return request->unused_seconds < now / ns_per_s ? now - request->unused_seconds * ns_per_s : 1;
}

int prune_build_cache(void *self, struct rpc_call *call, const Imaged__V1__PruneBuildCacheRequest *request,
		      Imaged__V1__PruneBuildCacheResponse *response, struct err *err)
{
	struct image_service *service = self;
	struct build_cache cache = build_cache_of(service);
	struct prune_answer answer = { .response = response };
	const struct build_cache_limits limits = {
		.all = request->all,
		.kinds = (const char *const *)request->kinds,
		.n_kinds = request->n_kinds,
		.unused_since = unused_since(request),
		.max_bytes = request->keep_bytes ? request->keep_bytes : -1,
		.dry_run = request->dry_run,
		.visit = add_removed,
		.arg = &answer,
		.cancel = rpc_call_cancel(call),
	};

	if (check_request(request, err) < 0 || answer_arena(call, &answer.arena, err) < 0)
		return err->code;
	response->removed = arena_array(answer.arena, REMOVED_MAX, sizeof *response->removed);
	if (!response->removed)
		return fail_nomem(err);
	return build_cache_prune(&cache, &limits, &response->freed, err);
}
