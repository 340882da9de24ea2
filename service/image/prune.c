/* PruneImages: collects the candidates page by page, then removes each as
 * RemoveImage would, if it is still one; one that is gone, in use or pinned meanwhile is passed over. */
#include "proto/runtime/clock.h"
#include "service/image/convert.h"
#include "service/image/filter.h"
#include "service/image/image_service.h"
#include "service/image/removed.h"
#include "store/image/parent.h"
#include "store/image/rehearsal.h"

enum { PAGE = 64, PAGE_BYTES_MAX = 64 * 1024 * 1024 };

struct candidates {
	bool all;
	struct image_filter filter;
	struct store *store;
	struct arena *page;
	struct digest *manifests;
	size_t n, capacity;
	struct err *err;
};

static bool dangling(const struct image *image)
{
	for (size_t i = 0; i < image->n_names; i++)
		if (!strchr(image->names[i], '@'))
			return false;
	return true;
}

/* What others were made from goes with them, or, if it is named, loses its names first. */
static int is_in_use(const struct candidates *c, const struct image *image, bool *ret_used, struct err *err)
{
	if (c->all)
		return image_is_intermediate(c->store, image, ret_used, err);
	return image_has_child(c->store, image, ret_used, err);
}

static int is_candidate(const struct candidates *c, const struct image *image, struct arena *a, struct err *err)
{
	char **names;
	bool used;
	size_t n;

	if (image->pinned_by || (!c->all && !dangling(image)))
		return 0;
	if (is_in_use(c, image, &used, err) < 0)
		return err->code;
	return used ? 0 : image_filter_match(&c->filter, image, a, &names, &n, err);
}

/* Every image counts for the page, so that its memory is bounded. */
static int add_candidate(void *arg, const struct image *image)
{
	struct candidates *c = arg;
	int r = is_candidate(c, image, c->page, c->err);

	if (r <= 0)
		return r < 0 ? r : 1;
	if (c->n == c->capacity) {
		size_t capacity = c->capacity ? c->capacity * 2 : PAGE;
		struct digest *grown = reallocarray(c->manifests, capacity, sizeof *grown);

		if (!grown)
			return fail_nomem(c->err);
		c->manifests = grown;
		c->capacity = capacity;
	}
	c->manifests[c->n++] = image->manifest;
	return 1;
}

static int collect_page(struct store *s, struct candidates *c, struct buf *after, bool *ret_more, struct err *err)
{
	CLEANUP(arena_free) struct arena page;
	int r;

	arena_init(&page, PAGE_BYTES_MAX);
	c->page = &page;
	r = image_list(s, IMAGE_ORDER_CREATED_DESC, after, PAGE, &page, add_candidate, c, ret_more, err);
	c->page = NULL;
	return r;
}

static int collect(struct store *s, struct candidates *c, struct cancel *cancel, struct err *err)
{
	CLEANUP(buf_free) struct buf after = BUF_INIT(META_KEY_MAX);
	bool more = true;

	while (more)
		if (cancel_check(cancel, err) < 0 || collect_page(s, c, &after, &more, err) < 0)
			return err->code;
	return OK;
}

/* Looks again: it may have got a name since, and image_delete() sees to it that it
 * gets none in between. */
static int prune_one(struct store *s, const struct candidates *c, const struct digest *manifest,
		     struct removal *removal, struct err *err)
{
	CLEANUP(arena_free) struct arena a;
	struct image image;
	int r;

	arena_init(&a, PAGE_BYTES_MAX);
	r = image_get(s, manifest, &a, &image, err);
	if (r == OK)
		r = is_candidate(c, &image, &a, err);
	if (r == 1)
		r = image_delete(s, &image, removal, err);
	return r == E_NOT_FOUND || r == E_NO_SUCH_IMAGE || r == E_CONFLICT ? OK : r;
}

/* What interrupted pulls left, and the next one might use: with `all`, unless the filter
 * asks for some images only. */
static bool takes_rest(const struct candidates *c, const Imaged__V1__ImageFilter *filter)
{
	return c->all && !imaged__v1__image_filter__get_packed_size(filter);
}

/* Adds to *freed. */
static int prune_rest(struct store *s, struct cancel *cancel, int64_t *freed, struct err *err)
{
	int64_t bytes = 0;
	int r = gc_prune(s, false, NULL, cancel, &bytes, err);

	*freed += bytes;
	return r;
}

/* All at once: what several images share goes with the last of them. */
static int count_freed(const struct rehearsal *h, bool rest, struct cancel *cancel, int64_t *ret_freed, struct err *err)
{
	if (rest)
		return gc_prune(h->store, true, &h->gone, cancel, ret_freed, err);
	return rehearsal_freed(h, cancel, ret_freed, err);
}

int prune_images(void *self, struct rpc_call *call, const Imaged__V1__PruneImagesRequest *request,
		 Imaged__V1__PruneImagesResponse *response, struct err *err)
{
	struct image_service *service = self;
	struct cancel *cancel = rpc_call_cancel(call);
	struct candidates c = { .all = request->all, .store = service->store, .err = err };
	CLEANUP(rehearsal_free) struct rehearsal rehearsal = { .store = service->store };
	struct removed_list list = { .arena = NULL };
	struct removal removal = {
		.dry_run = request->dry_run,
		.rehearsal = request->dry_run ? &rehearsal : NULL,
		.now_ns = clock_wall_ns(),
		.visit = removed_list_add,
		.arg = &list,
	};
	Imaged__V1__ImageFilter filter = IMAGED__V1__IMAGE_FILTER__INIT;
	int64_t freed = 0;
	int r;

	/* As docker: dangling=false is another word for `all`. */
	if (request->filter) {
		filter = *request->filter;
		c.all = c.all || filter.dangling == IMAGED__V1__CHOICE__CHOICE_NO;
		filter.dangling = IMAGED__V1__CHOICE__CHOICE_UNSPECIFIED;
	}
	if (!request->dry_run)
		mounts_tidy(service->mounts, NULL);
	if (answer_arena(call, &list.arena, err) < 0 || image_filter_init(service->store, &filter, &c.filter, err) < 0)
		return err->code;
	r = collect(service->store, &c, cancel, err);
	for (size_t i = 0; r == OK && i < c.n && !response->more; i++) {
		r = cancel_check(cancel, err);
		if (r == OK)
			r = prune_one(service->store, &c, &c.manifests[i], &removal, err);
		freed += removal.freed;
		removal.freed = 0; /* each has its own, and none when it is passed over */
		response->more = !request->dry_run && list.bytes > REMOVED_BYTES_MANY && i + 1 < c.n;
	}
	if (r == OK && request->dry_run)
		r = count_freed(&rehearsal, takes_rest(&c, &filter), cancel, &freed, err);
	else if (r == OK && !response->more && takes_rest(&c, &filter))
		r = prune_rest(service->store, cancel, &freed, err);
	free(c.manifests);
	if (r < 0)
		return r;
	response->items = list.items;
	response->n_items = list.n;
	response->items_left_out = list.left_out;
	response->freed_bytes = freed;
	return OK;
}
