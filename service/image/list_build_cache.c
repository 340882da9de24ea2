/* ListBuildCache. A page's token is the place of its last entry in the order of the list. */
#include "service/image/build_cache_message.h"
#include "service/image/convert.h"

enum { SIZE_DEFAULT = 1000, SIZE_LARGEST = 1000 };

/* Each kind of thing is in the order of its keys, and they follow each other: so the list has a
 * place for whatever came or went between two pages. */
struct cache_list {
	struct arena *arena;
	const char *after; /* the token */
	size_t limit, bytes;
	bool more;
	Imaged__V1__ListBuildCacheResponse *response;
	char *last; /* place of the last entry on the page */
	bool failed;
};

/* Contexts are told with a kind that steps may have too, but for their words. */
static char part_of(const struct build_cache_item *item)
{
	if (!strcmp(item->kind, "exec.cachemount"))
		return 'b';
	return item->result ? 'a' : 'c';
}

static char *place_of(struct arena *a, const struct build_cache_item *item)
{
	char hex[DIGEST_TEXT_MAX];

	return arena_printf(a, "%c%u-%s", part_of(item), item->key.algorithm, digest_hex(&item->key, hex));
}

static bool add_entry(struct cache_list *l, const struct build_cache_item *item, char *place)
{
	Imaged__V1__BuildCacheEntry *m = build_cache_message(l->arena, item);
	size_t bytes;

	l->failed = !m;
	if (!m)
		return false;
	bytes = imaged__v1__build_cache_entry__get_packed_size(m) + 8;
	l->more = l->response->n_entries && l->bytes + bytes > BUILD_CACHE_ANSWER_BYTES;
	if (l->more)
		return false;
	l->response->entries[l->response->n_entries++] = m;
	l->bytes += bytes;
	l->last = place;
	return true;
}

static bool visit(void *arg, const struct build_cache_item *item)
{
	struct cache_list *l = arg;
	char *place = place_of(l->arena, item);

	l->failed = !place;
	if (l->failed)
		return false;
	if (*l->after && strcmp(place, l->after) <= 0)
		return true;
	l->more = l->response->n_entries == l->limit;
	return !l->more && add_entry(l, item, place);
}

static int check_request(const Imaged__V1__ListBuildCacheRequest *request, struct err *err)
{
	const char *token = request->page_token;

	if (request->page_size < 0)
		return fail(err, E_INVALID, "page_size is negative");
	if (*token && (*token < 'a' || *token > 'c' || strlen(token) > DIGEST_TEXT_MAX))
		return fail(err, E_INVALID, "page_token is not one that ListBuildCache gave out");
	return OK;
}

static int fill(struct cache_list *l, const struct build_cache *cache, struct cancel *cancel, struct err *err)
{
	int r;

	l->response->entries = arena_array(l->arena, l->limit, sizeof *l->response->entries);
	if (!l->response->entries)
		return fail_nomem(err);
	r = build_cache_each(cache, cancel, visit, l, err);
	if (r == OK && l->failed)
		r = fail_nomem(err);
	if (r != OK)
		return r;
	l->response->next_page_token = l->more ? l->last : arena_string(l->arena, "");
	return l->response->next_page_token ? OK : fail_nomem(err);
}

int list_build_cache(void *self, struct rpc_call *call, const Imaged__V1__ListBuildCacheRequest *request,
		     Imaged__V1__ListBuildCacheResponse *response, struct err *err)
{
	struct image_service *service = self;
	struct build_cache cache = build_cache_of(service);
	struct cache_list l = {
		.after = request->page_token,
		.limit = !request->page_size ? SIZE_DEFAULT : min_size((uint64_t)request->page_size, SIZE_LARGEST),
		.response = response,
	};

	if (check_request(request, err) < 0 || answer_arena(call, &l.arena, err) < 0)
		return err->code;
	return fill(&l, &cache, rpc_call_cancel(call), err);
}
