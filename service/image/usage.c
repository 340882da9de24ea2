/* GetDiskUsage. */
#include "store/usage.h"

#include "service/image/convert.h"
#include "service/image/image_service.h"

enum { PAGE = 64, PAGE_BYTES_MAX = 64 * 1024 * 1024 };

struct usage_list {
	struct store *store;
	struct arena *arena; /* of the answer */
	struct arena *page;  /* of the images that are looked at */
	Imaged__V1__ImageUsage **items;
	size_t n, capacity;
	struct err *err;
};

static int grow(struct usage_list *l)
{
	size_t capacity = l->capacity ? l->capacity * 2 : PAGE;
	Imaged__V1__ImageUsage **items = arena_array(l->arena, capacity, sizeof *items);

	if (!items)
		return fail_nomem(l->err);
	if (l->n)
		memcpy(items, l->items, l->n * sizeof *items);
	l->items = items;
	l->capacity = capacity;
	return OK;
}

static int add_usage(void *arg, const struct image *image)
{
	struct usage_list *l = arg;
	Imaged__V1__ImageUsage *m = arena_alloc(l->arena, sizeof *m);
	Imaged__V1__ImageSummary summary;

	if (l->n == l->capacity && grow(l) < 0)
		return l->err->code;
	if (!m)
		return fail_nomem(l->err);
	imaged__v1__image_usage__init(m);
	if (summary_message(l->store, l->page, image, image->names, image->n_names, &summary, l->err) < 0 ||
	    image_shared_size(l->store, image, &m->shared_size, l->err) < 0)
		return l->err->code;
	m->image = summary_copy(l->arena, &summary);
	if (!m->image)
		return fail_nomem(l->err);
	m->unique_size = m->image->size - m->shared_size;
	l->items[l->n++] = m;
	return 1;
}

static int add_page(struct usage_list *l, struct buf *after, bool *ret_more, struct err *err)
{
	CLEANUP(arena_free) struct arena page;
	int r;

	arena_init(&page, PAGE_BYTES_MAX);
	l->page = &page;
	r = image_list(l->store, IMAGE_ORDER_CREATED_DESC, after, PAGE, &page, add_usage, l, ret_more, err);
	l->page = NULL;
	return r;
}

static int per_image(struct usage_list *l, struct cancel *cancel, struct err *err)
{
	CLEANUP(buf_free) struct buf after = BUF_INIT(META_KEY_MAX);
	bool more = true;

	while (more)
		if (cancel_check(cancel, err) < 0 || add_page(l, &after, &more, err) < 0)
			return err->code;
	return OK;
}

int get_disk_usage(void *self, struct rpc_call *call, const Imaged__V1__GetDiskUsageRequest *request,
		   Imaged__V1__GetDiskUsageResponse *response, struct err *err)
{
	struct image_service *service = self;
	struct usage_list list = { .store = service->store, .err = err };
	struct usage usage = { .image_count = 0 };

	if (answer_arena(call, &list.arena, err) < 0 || store_usage(service->store, &usage, err) < 0)
		return err->code;
	if (request->per_image && per_image(&list, rpc_call_cancel(call), err) < 0)
		return err->code;
	response->image_count = usage.image_count;
	response->layers_size = usage.layers_size;
	response->reclaimable_size = usage.reclaimable_size;
	response->content_bytes = usage.content_bytes;
	response->ingest_bytes = usage.ingest_bytes;
	response->metadata_bytes = usage.metadata_bytes;
	response->blob_count = usage.blob_count;
	response->images = list.items;
	response->n_images = list.n;
	return OK;
}
