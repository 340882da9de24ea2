/* ListTags. */
#include "service/image/convert.h"
#include "service/image/image_service.h"
#include "service/image/remote_name.h"
#include "service/registry/tags.h"

enum { PAGE_DEFAULT = 100 };

struct listing {
	struct repository *repository;
	struct tag_position position;
	struct names tags;
	bool more;
};

static void listing_end(struct listing *l)
{
	repository_unref(l->repository);
	tag_position_free(&l->position);
	names_free(&l->tags);
}

static int page_limit(int32_t size, size_t *ret_limit, struct err *err)
{
	if (size < 0)
		return fail(err, E_INVALID, "page_size is negative");
	*ret_limit = !size ? PAGE_DEFAULT : min_size((uint64_t)size, TAGS_PAGE_MAX);
	return OK;
}

static int list(struct listing *l, struct registry *registry, struct rpc_call *call, const struct reference *ref,
		const Imaged__V1__ListTagsRequest *request, struct err *err)
{
	struct credentials credentials = credentials_of(request->credentials);
	size_t limit = 0;
	int r = page_limit(request->page_size, &limit, err);

	if (r == OK)
		r = repository_open(registry, ref, &credentials, &l->repository, err);
	if (r == OK && *request->page_token)
		r = tag_position_parse(l->repository, request->page_token, &l->position, err);
	return r == OK ? registry_tags(l->repository, &l->position, limit, rpc_call_cancel(call), &l->tags, &l->more,
				       err)
		       : r;
}

static int answer(struct listing *l, struct arena *a, Imaged__V1__ListTagsResponse *response, struct err *err)
{
	char warning[WARNINGS_MAX];
	CLEANUP(freep) char *token = l->more ? tag_position_token(l->repository, &l->position) : strdup("");

	response->tags = arena_array(a, l->tags.n + 1, sizeof *response->tags);
	response->next_page_token = token ? arena_string(a, token) : NULL;
	response->warning = arena_string(a, repository_warnings(l->repository, warning, sizeof warning));
	if (!response->tags || !response->next_page_token || !response->warning)
		return fail_nomem(err);
	for (size_t i = 0; i < l->tags.n; i++) {
		response->tags[i] = arena_string(a, l->tags.items[i]);
		if (!response->tags[i])
			return fail_nomem(err);
	}
	response->n_tags = l->tags.n;
	return OK;
}

int list_tags(void *self, struct rpc_call *call, const Imaged__V1__ListTagsRequest *request,
	      Imaged__V1__ListTagsResponse *response, struct err *err)
{
	struct image_service *service = self;
	CLEANUP(listing_end) struct listing l = { 0 };
	char name[REFERENCE_TEXT_MAX];
	struct reference ref;
	struct arena *a = NULL;
	int r = answer_arena(call, &a, err);

	if (r == OK)
		r = remote_name(request->repository, &ref, err);
	if (r == OK)
		r = admission_enter(&service->questions, QUESTIONS_MAX, "questions to registries run", err);
	if (r == OK) {
		r = list(&l, service->registry, call, &ref, request, err);
		admission_leave(&service->questions);
	}
	credentials_wipe(request->credentials);
	if (r < 0)
		return r;
	response->repository = arena_string(a, reference_name(&ref, name));
	return response->repository ? answer(&l, a, response, err) : fail_nomem(err);
}
