/* Pull with all_tags. */
#include "service/image/convert.h"
#include "service/image/pull.h"
#include "service/image/remote_name.h"
#include "service/registry/tags.h"

enum { ALL_TAGS_MAX = 10 * 1000 };

/* Takes the tags of a page over. */
static int add_page(struct names *all, struct names *page, struct err *err)
{
	for (size_t i = 0; i < page->n; i++) {
		if (all->n == ALL_TAGS_MAX)
			return fail(err, E_LIMIT, "the repository has more than %d tags", ALL_TAGS_MAX);
		if (!names_push(all, page->items[i]))
			return fail_nomem(err);
		page->items[i] = NULL;
	}
	return OK;
}

static int list_all(struct image_service *service, const Imaged__V1__PullRequest *request, const struct reference *ref,
		    struct cancel *cancel, struct names *ret_tags, struct err *err)
{
	CLEANUP(repository_unrefp) struct repository *repository = NULL;
	CLEANUP(tag_position_free) struct tag_position position = { 0 };
	CLEANUP(names_free) struct names all = { 0 };
	struct credentials credentials = credentials_of(request->credentials);
	bool more = true;
	int r = repository_open(service->registry, ref, &credentials, &repository, err);

	while (r == OK && more) {
		CLEANUP(names_free) struct names page = { 0 };

		r = registry_tags(repository, &position, TAGS_PAGE_MAX, cancel, &page, &more, err);
		if (r == OK)
			r = add_page(&all, &page, err);
	}
	if (r == OK)
		*ret_tags = TAKE(all);
	return r;
}

int pull_all_tags(struct image_service *service, struct rpc_call *call, const Imaged__V1__PullRequest *request,
		  struct err *err)
{
	CLEANUP(names_free) struct names tags = { 0 };
	Imaged__V1__PullRequest one = *request;
	char name[REFERENCE_TEXT_MAX];
	struct reference ref;
	int r = remote_name(request->reference, &ref, err);

	if (r == OK)
		r = list_all(service, request, &ref, rpc_call_cancel(call), &tags, err);
	if (r == OK && !tags.n)
		r = fail(err, E_NOT_FOUND, "repository %s has no tags", reference_familiar_name(&ref, name));
	one.all_tags = false;
	for (size_t i = 0; i < tags.n && r == OK; i++) {
		one.reference = format("%s:%s", reference_name(&ref, name), tags.items[i]);
		r = one.reference ? pull_one(service, call, &one, err) : fail_nomem(err);
		free(one.reference);
	}
	return r;
}
