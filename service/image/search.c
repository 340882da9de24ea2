/* Search. */
#include <stdio.h>

#include "service/image/convert.h"
#include "service/image/image_service.h"
#include "service/registry/search.h"

static int limit_of(const Imaged__V1__SearchRequest *request, unsigned *ret_limit, struct err *err)
{
	if (request->limit < 0 || request->limit > SEARCH_LIMIT_MAX)
		return fail(err, E_INVALID, "limit %d is outside the range of [1, %d]", request->limit,
			    SEARCH_LIMIT_MAX);
	*ret_limit = request->limit ? (unsigned)request->limit : SEARCH_LIMIT_DEFAULT;
	return OK;
}

static bool choice_holds(Imaged__V1__Choice wanted, bool is)
{
	return wanted == IMAGED__V1__CHOICE__CHOICE_UNSPECIFIED || (wanted == IMAGED__V1__CHOICE__CHOICE_YES) == is;
}

static bool passes(const Imaged__V1__SearchRequest *request, const struct search_result *r)
{
	return r->stars >= request->min_stars && choice_holds(request->official, r->official) &&
	       choice_holds(request->automated, r->automated);
}

static Imaged__V1__SearchResult *result_message(struct arena *a, const struct search_result *r)
{
	Imaged__V1__SearchResult *m = arena_alloc(a, sizeof *m);

	if (!m)
		return NULL;
	imaged__v1__search_result__init(m);
	m->name = arena_string(a, r->name);
	m->description = arena_string(a, r->description);
	m->star_count = r->stars;
	m->pull_count = r->pulls;
	m->official = r->official;
	m->automated = r->automated;
	return m->name && m->description ? m : NULL;
}

static Imaged__V1__SearchResponse__Source source_message(enum search_source source)
{
	switch (source) {
	case SEARCH_HUB_API:
		return IMAGED__V1__SEARCH_RESPONSE__SOURCE__SOURCE_HUB_API;
	case SEARCH_CATALOG:
		return IMAGED__V1__SEARCH_RESPONSE__SOURCE__SOURCE_CATALOG;
	case SEARCH_INDEX:
		break;
	}
	return IMAGED__V1__SEARCH_RESPONSE__SOURCE__SOURCE_INDEX;
}

static int answer(const Imaged__V1__SearchRequest *request, const struct search_results *found, struct arena *a,
		  Imaged__V1__SearchResponse *response, struct err *err)
{
	response->results = arena_array(a, found->n + 1, sizeof *response->results);
	response->host = arena_string(a, found->host);
	response->warning = arena_string(a, found->warning);
	response->source = source_message(found->source);
	if (!response->results || !response->host || !response->warning)
		return fail_nomem(err);
	for (size_t i = 0; i < found->n; i++) {
		if (!passes(request, &found->items[i]))
			continue;
		response->results[response->n_results] = result_message(a, &found->items[i]);
		if (!response->results[response->n_results++])
			return fail_nomem(err);
	}
	return OK;
}

static int ask(struct image_service *service, struct rpc_call *call, const Imaged__V1__SearchRequest *request,
	       struct search_results *ret_results, struct err *err)
{
	struct credentials credentials = credentials_of(request->credentials);
	struct search_query q = { .term = request->term,
				  .hub_api = request->hub_api,
				  .index_only = request->index_only,
				  .credentials = &credentials };
	int r = limit_of(request, &q.limit, err);

	if (r < 0)
		return r;
	r = admission_enter(&service->questions, QUESTIONS_MAX, "questions to registries run", err);
	if (r < 0)
		return r;
	r = registry_search(service->registry, &q, rpc_call_cancel(call), ret_results, err);
	admission_leave(&service->questions);
	return r;
}

int search(void *self, struct rpc_call *call, const Imaged__V1__SearchRequest *request,
	   Imaged__V1__SearchResponse *response, struct err *err)
{
	CLEANUP(search_results_free) struct search_results found = { 0 };
	struct arena *a = NULL;
	int r = answer_arena(call, &a, err);

	if (r == OK)
		r = ask(self, call, request, &found, err);
	credentials_wipe(request->credentials);
	return r == OK ? answer(request, &found, a, response, err) : r;
}
