/* ListImages. */
#include "service/image/convert.h"
#include "service/image/filter.h"
#include "service/image/image_service.h"
#include "service/image/image_tree.h"
#include "service/image/page.h"
#include "store/image/parent.h"

struct listing {
	struct store *store;
	struct arena *arena; /* of the answer */
	struct page page;
	struct image_filter filter;
	bool all;
	bool with_tree;
	Imaged__V1__ImageSummary **images;
	struct err *err;
};

/* What others were made from is not dangling, whether it has a digest's name or none. */
static int is_hidden(const struct listing *l, const struct image *image, bool *ret_hidden, struct err *err)
{
	const Imaged__V1__ImageFilter *m = l->filter.message;

	*ret_hidden = false;
	if (m && m->dangling == IMAGED__V1__CHOICE__CHOICE_YES)
		return image_has_child(l->store, image, ret_hidden, err);
	return l->all ? OK : image_is_intermediate(l->store, image, ret_hidden, err);
}

/* Copied, so that an answer holds only what passed the filter, however many images
 * did not. Every image counts for the step. */
static int add_image(void *arg, const struct image *image)
{
	struct listing *l = arg;
	Imaged__V1__ImageSummary m, *copy;
	char **names = NULL;
	size_t n = 0, bytes;
	int r = image_filter_match(&l->filter, image, l->page.step, &names, &n, l->err);
	bool hidden;

	if (r <= 0)
		return r < 0 ? r : 1;
	if (is_hidden(l, image, &hidden, l->err) < 0)
		return l->err->code;
	if (hidden)
		return 1;
	if (!page_has_room(&l->page, 0))
		return page_end(&l->page, l->err);
	if (summary_message(l->store, l->page.step, image, names, n, &m, l->err) < 0 ||
	    (l->with_tree && image_tree_add(l->store, l->page.step, image, names, n, &m, l->err) < 0))
		return l->err->code;
	bytes = imaged__v1__image_summary__get_packed_size(&m) + 8;
	if (!page_has_room(&l->page, bytes))
		return page_end(&l->page, l->err);
	copy = summary_copy(l->arena, &m);
	if (!copy)
		return fail_nomem(l->err);
	l->images[l->page.n] = copy;
	page_count(&l->page, bytes);
	return 1;
}

static int list_page(struct listing *l, const Imaged__V1__ListImagesRequest *request, struct cancel *cancel,
		     struct err *err)
{
	if (page_open(&l->page, request->page_size, request->page_token, err) < 0 ||
	    image_filter_init(l->store, request->filter, &l->filter, err) < 0)
		return err->code;
	l->images = arena_array(l->arena, l->page.limit, sizeof *l->images);
	if (!l->images)
		return fail_nomem(err);
	return page_fill(&l->page, l->store, add_image, l, cancel, err);
}

int list_images(void *self, struct rpc_call *call, const Imaged__V1__ListImagesRequest *request,
		Imaged__V1__ListImagesResponse *response, struct err *err)
{
	struct image_service *service = self;
	struct listing l = {
		.store = service->store,
		.with_tree = request->with_tree,
		.page = { .method = "ListImages",
			  .filter = image_filter_hash(request->filter) + request->all,
			  .order = request->order == IMAGED__V1__LIST_IMAGES_REQUEST__ORDER__ORDER_NAME
					   ? IMAGE_ORDER_NAME
					   : IMAGE_ORDER_CREATED_DESC },
		.all = request->all,
		.err = err,
	};
	int r = answer_arena(call, &l.arena, err);

	if (r == OK)
		r = list_page(&l, request, rpc_call_cancel(call), err);
	if (r == OK) {
		response->images = l.images;
		response->n_images = l.page.n;
		response->next_page_token = page_next(&l.page, l.arena);
	}
	page_close(&l.page);
	return r == OK && !response->next_page_token ? fail_nomem(err) : r;
}
