#include "service/image/build_cache_message.h"

#include "service/image/convert.h"

enum { NS_PER_S = 1000000000 };

struct build_cache build_cache_of(const struct image_service *service)
{
	return (struct build_cache){
		.steps = service->build.step_cache,
		.mounts = service->build.cache_mounts,
		.contexts = service->build.contexts,
	};
}

static Google__Protobuf__Timestamp *time_of(struct arena *a, int64_t ns)
{
	return time_message(a, ns / NS_PER_S, (int32_t)(ns % NS_PER_S));
}

Imaged__V1__BuildCacheEntry *build_cache_message(struct arena *a, const struct build_cache_item *item)
{
	Imaged__V1__BuildCacheEntry *m = arena_alloc(a, sizeof *m);
	char hex[DIGEST_TEXT_MAX];

	if (!m)
		return NULL;
	imaged__v1__build_cache_entry__init(m);
	m->id = arena_string(a, digest_hex(&item->place.key, hex));
	m->kind = arena_string(a, item->kind);
	m->description = arena_string(a, item->description);
	m->created = time_of(a, item->created_ns);
	m->last_used = time_of(a, item->last_used_ns);
	if (!m->id || !m->kind || !m->description || !m->created || !m->last_used)
		return NULL;
	utf8_clean(m->description);
	m->size = item->bytes;
	m->shared = item->shared;
	m->in_use = item->in_use;
	m->use_count = item->use_count;
	return m;
}
