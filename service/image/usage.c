/* GetDiskUsage. */
#include "store/usage.h"

#include "service/image/build_cache_message.h"
#include "service/image/convert.h"
#include "service/image/image_service.h"
#include "service/image/page.h"
#include "store/image/parent.h"
#include "store/owners.h"

struct usage_list {
	struct store *store;
	struct arena *arena; /* of the answer */
	bool on_disk;
	struct page page;
	Imaged__V1__ImageUsage **items;
	struct err *err;
};

static int add_share(struct usage_list *l, const struct image *image, Imaged__V1__ImageUsage *m)
{
	struct disk_share share;
	int r = image_disk_share(l->store, image, &share, l->err);

	if (r != OK)
		return r;
	m->content_unique = share.content_unique;
	m->content_shared = share.content_shared;
	m->layer_image_unique = share.layer_image_unique;
	m->layer_image_shared = share.layer_image_shared;
	return OK;
}

/* The message, on the step's arena but for its own bytes. */
static int usage_message(struct usage_list *l, const struct image *image, Imaged__V1__ImageSummary *summary,
			 Imaged__V1__ImageUsage *m)
{
	imaged__v1__image_usage__init(m);
	if (summary_message(l->store, l->page.step, image, image->names, image->n_names, summary, l->err) < 0 ||
	    image_shared_size(l->store, image, &m->shared_size, l->err) < 0)
		return l->err->code;
	m->image = summary;
	m->unique_size = summary->size - m->shared_size;
	return l->on_disk ? add_share(l, image, m) : OK;
}

static int add_usage(void *arg, const struct image *image)
{
	struct usage_list *l = arg;
	Imaged__V1__ImageSummary summary;
	Imaged__V1__ImageUsage m, *copy;
	bool hidden;
	size_t bytes;

	/* Bytes on the disk are those of all images, whatever lists show. */
	if (image_is_intermediate(l->store, image, &hidden, l->err) < 0)
		return l->err->code;
	if (hidden && !l->on_disk)
		return 1;
	if (!page_has_room(&l->page, 0))
		return page_end(&l->page, l->err);
	if (usage_message(l, image, &summary, &m) < 0)
		return l->err->code;
	bytes = imaged__v1__image_usage__get_packed_size(&m) + 8;
	if (!page_has_room(&l->page, bytes))
		return page_end(&l->page, l->err);
	copy = arena_alloc(l->arena, sizeof *copy);
	if (!copy)
		return fail_nomem(l->err);
	*copy = m;
	copy->image = summary_copy(l->arena, &summary);
	if (!copy->image)
		return fail_nomem(l->err);
	l->items[l->page.n] = copy;
	page_count(&l->page, bytes);
	return 1;
}

static int per_image(struct usage_list *l, const Imaged__V1__GetDiskUsageRequest *request, struct cancel *cancel,
		     struct err *err)
{
	if (page_open(&l->page, request->page_size, request->page_token, err) < 0)
		return err->code;
	l->items = arena_array(l->arena, l->page.limit, sizeof *l->items);
	if (!l->items)
		return fail_nomem(err);
	return page_fill(&l->page, l->store, add_usage, l, cancel, err);
}

static int totals(struct store *s, Imaged__V1__GetDiskUsageResponse *response, struct err *err)
{
	struct usage usage = { .image_count = 0 };

	if (store_usage(s, &usage, err) < 0)
		return err->code;
	response->image_count = usage.image_count;
	response->layers_size = usage.layers_size;
	response->reclaimable_size = usage.reclaimable_size;
	response->content_bytes = usage.content_bytes;
	response->ingest_bytes = usage.ingest_bytes;
	response->metadata_bytes = usage.metadata_bytes;
	response->blob_count = usage.blob_count;
	response->layer_image_bytes = usage.layer_image_bytes;
	response->layer_image_count = usage.layer_image_count;
	return OK;
}

static Imaged__V1__DiskOwners *owners_message(struct arena *a, const struct disk_owners *o)
{
	Imaged__V1__DiskOwners *m = arena_alloc(a, sizeof *m);

	if (!m)
		return NULL;
	imaged__v1__disk_owners__init(m);
	m->one_image = o->one;
	m->several_images = o->several;
	m->no_image = o->none;
	return m;
}

static int owners(struct store *s, struct arena *a, struct cancel *cancel, Imaged__V1__GetDiskUsageResponse *response,
		  struct err *err)
{
	struct disk_owners content, layer_images;
	int r = store_disk_owners(s, cancel, &content, &layer_images, err);

	if (r != OK)
		return r;
	response->content_owners = owners_message(a, &content);
	response->layer_image_owners = owners_message(a, &layer_images);
	return response->content_owners && response->layer_image_owners ? OK : fail_nomem(err);
}

static int build_cache(const struct image_service *service, struct cancel *cancel,
		       Imaged__V1__GetDiskUsageResponse *response, struct err *err)
{
	struct build_cache cache = build_cache_of(service);
	struct build_cache_totals totals = { 0 };
	int r = build_cache_totals(&cache, cancel, &totals, err);

	response->build_cache_count = totals.count;
	response->build_cache_active = totals.in_use;
	response->build_cache_bytes = totals.bytes;
	response->build_cache_reclaimable = totals.bytes - totals.in_use_bytes;
	return r;
}

int get_disk_usage(void *self, struct rpc_call *call, const Imaged__V1__GetDiskUsageRequest *request,
		   Imaged__V1__GetDiskUsageResponse *response, struct err *err)
{
	struct image_service *service = self;
	/* A filter hash that no ListImages has together with the order: its tokens are others. */
	struct usage_list list = {
		.store = service->store,
		.on_disk = request->on_disk,
		.page = { .method = "GetDiskUsage", .filter = UINT64_MAX, .order = IMAGE_ORDER_CREATED_DESC },
		.err = err,
	};
	int r = answer_arena(call, &list.arena, err);

	if (r == OK && !*request->page_token)
		r = totals(service->store, response, err);
	if (r == OK && !*request->page_token)
		r = build_cache(service, rpc_call_cancel(call), response, err);
	if (r == OK && !*request->page_token && request->on_disk)
		r = owners(service->store, list.arena, rpc_call_cancel(call), response, err);
	if (r == OK && request->per_image)
		r = per_image(&list, request, rpc_call_cancel(call), err);
	if (r == OK) {
		response->images = list.items;
		response->n_images = list.page.n;
		response->next_page_token = page_next(&list.page, list.arena);
	}
	page_close(&list.page);
	return r == OK && !response->next_page_token ? fail_nomem(err) : r;
}
