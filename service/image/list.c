/* ListImages. */
#include "service/image/convert.h"
#include "service/image/filter.h"
#include "service/image/image_service.h"

enum { PAGE_DEFAULT = 100, PAGE_MAX = 1000, PAGE_BYTES_MAX = 3 * 1024 * 1024 };

struct listing {
	struct store *store;
	struct arena *arena;
	struct image_filter filter;
	Imaged__V1__ImageSummary **images;
	size_t n, limit;
	size_t bytes; /* packed, so far */
	struct err *err;
};

/* ---- page tokens: order, hash of the filter, key; in hex ------------------- */

struct token_head {
	uint64_t filter;
	uint8_t order;
} __attribute__((packed));

static char *token_text(struct arena *a, const struct token_head *head, struct bytes key)
{
	size_t len = sizeof *head + key.len;
	char *out = arena_alloc(a, 2 * len + 1);

	if (!out)
		return NULL;
	for (size_t i = 0; i < len; i++) {
		uint8_t byte = i < sizeof *head ? ((const uint8_t *)head)[i] : key.data[i - sizeof *head];

		snprintf(out + 2 * i, 3, "%02x", byte);
	}
	return out;
}

static int hex_value(char c)
{
	return c >= '0' && c <= '9' ? c - '0' : c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

static int token_parse(const char *text, const struct token_head *expected, struct buf *key, struct err *err)
{
	size_t len = strlen(text) / 2;

	if (!len)
		return OK;
	for (size_t i = 0; i < len; i++) {
		int high = hex_value(text[2 * i]), low = hex_value(text[2 * i + 1]);
		uint8_t byte = (uint8_t)(high << 4 | low);

		if (high < 0 || low < 0)
			return fail(err, E_INVALID, "page_token is not one that ListImages gave out");
		if (i >= sizeof *expected)
			buf_append(key, &byte, 1);
		else if (byte != ((const uint8_t *)expected)[i])
			return fail(err, E_INVALID, "page_token belongs to another filter or order");
	}
	if (strlen(text) % 2 || len <= sizeof *expected || !buf_ok(key))
		return fail(err, E_INVALID, "page_token is not one that ListImages gave out");
	return OK;
}

/* ---- pages ---------------------------------------------------------------- */

static int add_image(void *arg, const struct image *image)
{
	struct listing *l = arg;
	Imaged__V1__ImageSummary *m;
	char **names = NULL;
	size_t n = 0;
	int r = image_filter_match(&l->filter, image, l->arena, &names, &n, l->err);

	if (r <= 0)
		return r;
	m = arena_alloc(l->arena, sizeof *m);
	if (!m)
		return fail_nomem(l->err);
	if (summary_message(l->store, l->arena, image, names, n, m, l->err) < 0)
		return l->err->code;
	l->bytes += imaged__v1__image_summary__get_packed_size(m) + 8;
	if (l->n && l->bytes > PAGE_BYTES_MAX)
		return E_LIMIT;
	l->images[l->n++] = m;
	return 1;
}

/* One page; a page that would be too large for a message is made again with the
 * number of images that fit. */
static int list_page(struct listing *l, enum image_order order, struct buf *after, bool *ret_more, struct err *err)
{
	CLEANUP(buf_free) struct buf start = BUF_INIT(META_KEY_MAX);
	int r;

	buf_append(&start, after->data, after->len);
	r = image_list(l->store, order, after, l->limit, l->arena, add_image, l, ret_more, err);
	if (r != E_LIMIT || !l->n)
		return r;
	buf_reset(after);
	buf_append(after, start.data, start.len);
	l->limit = l->n;
	l->n = l->bytes = 0;
	return image_list(l->store, order, after, l->limit, l->arena, add_image, l, ret_more, err);
}

static size_t page_limit(int32_t wanted)
{
	return wanted <= 0 ? PAGE_DEFAULT : wanted > PAGE_MAX ? PAGE_MAX : (size_t)wanted;
}

int list_images(void *self, struct rpc_call *call, const Imaged__V1__ListImagesRequest *request,
		Imaged__V1__ListImagesResponse *response, struct err *err)
{
	struct image_service *service = self;
	enum image_order order = request->order == IMAGED__V1__LIST_IMAGES_REQUEST__ORDER__ORDER_NAME
					 ? IMAGE_ORDER_NAME
					 : IMAGE_ORDER_CREATED_DESC;
	struct token_head head = { .filter = image_filter_hash(request->filter), .order = (uint8_t)order };
	CLEANUP(buf_free) struct buf after = BUF_INIT(META_KEY_MAX);
	struct listing l = { .store = service->store, .limit = page_limit(request->page_size), .err = err };
	bool more = false;

	if (request->page_size < 0)
		return fail(err, E_INVALID, "page_size is negative");
	if (token_parse(request->page_token, &head, &after, err) < 0 || answer_arena(call, &l.arena, err) < 0 ||
	    image_filter_init(l.store, request->filter, &l.filter, err) < 0)
		return err->code;
	l.images = arena_array(l.arena, l.limit, sizeof *l.images);
	if (!l.images)
		return fail_nomem(err);
	if (list_page(&l, order, &after, &more, err) < 0)
		return err->code;
	response->images = l.images;
	response->n_images = l.n;
	if (more) {
		response->next_page_token = token_text(l.arena, &head, buf_bytes(&after));
		if (!response->next_page_token)
			return fail_nomem(err);
	}
	return OK;
}
