/* ListBuildCache. A page's token is the place of its last entry in the order of the list. */
#include "service/image/build_cache_message.h"
#include "service/image/convert.h"

enum { SIZE_DEFAULT = 1000, SIZE_LARGEST = 1000 };

struct cache_list {
	struct arena *arena;
	size_t limit, bytes;
	bool more;
	Imaged__V1__ListBuildCacheResponse *response;
	struct build_cache_place last; /* of the last entry on the page */
	bool failed;
};

static bool visit(void *arg, const struct build_cache_item *item)
{
	struct cache_list *l = arg;
	Imaged__V1__BuildCacheEntry *m;
	size_t bytes;

	l->more = l->response->n_entries == l->limit;
	if (l->more)
		return false;
	m = build_cache_message(l->arena, item);
	l->failed = !m;
	if (!m)
		return false;
	bytes = imaged__v1__build_cache_entry__get_packed_size(m) + 8;
	l->more = l->response->n_entries && l->bytes + bytes > BUILD_CACHE_ANSWER_BYTES;
	if (l->more)
		return false;
	l->response->entries[l->response->n_entries++] = m;
	l->bytes += bytes;
	l->last = item->place;
	return true;
}

/* ---- tokens ------------------------------------------------------------------------ */

static const char parts[] = {
	[BUILD_CACHE_STEPS] = 'a',
	[BUILD_CACHE_MOUNTS] = 'b',
	[BUILD_CACHE_CONTEXTS] = 'c',
};

static char *token_of(struct arena *a, const struct build_cache_place *place)
{
	char text[DIGEST_TEXT_MAX];

	return arena_printf(a, "%c%s", parts[place->part], digest_text(&place->key, text));
}

static bool read_token(const char *token, struct build_cache_place *ret_place)
{
	const char *part = *token ? memchr(parts, *token, sizeof parts) : NULL;

	if (!part || digest_parse(token + 1, &ret_place->key, NULL) < 0)
		return false;
	ret_place->part = (enum build_cache_part)(part - parts);
	return true;
}

static int check_request(const Imaged__V1__ListBuildCacheRequest *request, struct build_cache_place *ret_after,
			 struct err *err)
{
	if (request->page_size < 0)
		return fail(err, E_INVALID, "page_size is negative");
	if (*request->page_token && !read_token(request->page_token, ret_after))
		return fail(err, E_INVALID, "page_token is not one that ListBuildCache gave out");
	return OK;
}

static int fill(struct cache_list *l, const struct build_cache *cache, const struct build_cache_place *after,
		struct cancel *cancel, struct err *err)
{
	int r;

	l->response->entries = arena_array(l->arena, l->limit, sizeof *l->response->entries);
	if (!l->response->entries)
		return fail_nomem(err);
	r = build_cache_each(cache, after, cancel, visit, l, err);
	if (r == OK && l->failed)
		r = fail_nomem(err);
	if (r != OK)
		return r;
	l->response->next_page_token = l->more ? token_of(l->arena, &l->last) : arena_string(l->arena, "");
	return l->response->next_page_token ? OK : fail_nomem(err);
}

int list_build_cache(void *self, struct rpc_call *call, const Imaged__V1__ListBuildCacheRequest *request,
		     Imaged__V1__ListBuildCacheResponse *response, struct err *err)
{
	struct image_service *service = self;
	struct build_cache cache = build_cache_of(service);
	struct build_cache_place after;
	struct cache_list l = {
		.limit = !request->page_size ? SIZE_DEFAULT : min_size((uint64_t)request->page_size, SIZE_LARGEST),
		.response = response,
	};

	if (check_request(request, &after, err) < 0 || answer_arena(call, &l.arena, err) < 0)
		return err->code;
	return fill(&l, &cache, *request->page_token ? &after : NULL, rpc_call_cancel(call), err);
}
