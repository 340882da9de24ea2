/* ListImages. */
#include "service/image/convert.h"
#include "service/image/filter.h"
#include "service/image/image_service.h"

enum {
	PAGE_DEFAULT = 100,
	PAGE_MAX = 1000,
	PAGE_BYTES_MAX = 3 * 1024 * 1024, /* a message has at most 4 MiB */
	STEP = 64,			  /* images read at a time */
	STEP_BYTES_MAX = 64 * 1024 * 1024,
};

struct listing {
	struct store *store;
	struct arena *arena; /* of the answer */
	struct arena *step;  /* of the images that are looked at */
	struct image_filter filter;
	Imaged__V1__ImageSummary **images;
	size_t n, limit;
	size_t bytes; /* packed, so far */
	bool full;    /* there is one more, which does not fit */
	struct err *err;
};

/* ---- page tokens: order, hash of the filter, key; in hex ------------------- */

struct token_head {
	uint64_t filter;
	uint8_t order;
} __attribute__((packed));

static char *token_text(struct arena *a, const struct token_head *head, struct bytes key)
{
	CLEANUP(buf_free) struct buf token = BUF_INIT(sizeof *head + META_KEY_MAX);
	char *out = arena_alloc(a, 2 * (sizeof *head + key.len) + 1);

	buf_append(&token, head, sizeof *head);
	buf_append(&token, key.data, key.len);
	if (!out || !buf_ok(&token))
		return NULL;
	for (size_t i = 0; i < token.len; i++)
		snprintf(out + 2 * i, 3, "%02x", token.data[i]);
	return out;
}

static int hex_value(char c)
{
	return c >= '0' && c <= '9' ? c - '0' : c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* The bytes of a token, at most what a key can need. */
static int token_decode(const char *text, struct buf *out, struct err *err)
{
	size_t len = strlen(text);

	for (size_t i = 0; i + 1 < len; i += 2) {
		int high = hex_value(text[i]), low = hex_value(text[i + 1]);

		if (high < 0 || low < 0)
			break;
		buf_putc(out, (char)(high * 16 + low));
	}
	if (!buf_ok(out) || out->len * 2 != len)
		return fail(err, E_INVALID, "page_token is not one that ListImages gave out");
	return OK;
}

static int token_parse(const char *text, const struct token_head *expected, struct buf *key, struct err *err)
{
	CLEANUP(buf_free) struct buf token = BUF_INIT(sizeof *expected + META_KEY_MAX);

	if (!*text)
		return OK;
	if (token_decode(text, &token, err) < 0)
		return err->code;
	if (token.len <= sizeof *expected)
		return fail(err, E_INVALID, "page_token is not one that ListImages gave out");
	if (memcmp(token.data, expected, sizeof *expected) != 0)
		return fail(err, E_INVALID, "page_token belongs to another filter or order");
	return buf_append(key, token.data + sizeof *expected, token.len - sizeof *expected) ? OK : fail_nomem(err);
}

/* ---- pages ---------------------------------------------------------------- */

/* Ends the step, with `after` still at the image before. */
static int leave_out(struct listing *l)
{
	l->full = true;
	return fail(l->err, E_LIMIT, "the page is full");
}

/* Copied, so that an answer holds only what passed the filter, however many images
 * did not. Every image counts for the step. */
static int add_image(void *arg, const struct image *image)
{
	struct listing *l = arg;
	Imaged__V1__ImageSummary m, *copy;
	char **names = NULL;
	size_t n = 0, bytes;
	int r = image_filter_match(&l->filter, image, l->step, &names, &n, l->err);

	if (r <= 0)
		return r < 0 ? r : 1;
	if (l->n == l->limit)
		return leave_out(l);
	if (summary_message(l->store, l->step, image, names, n, &m, l->err) < 0)
		return l->err->code;
	bytes = imaged__v1__image_summary__get_packed_size(&m) + 8;
	if (l->n && l->bytes + bytes > PAGE_BYTES_MAX)
		return leave_out(l);
	copy = summary_copy(l->arena, &m);
	if (!copy)
		return fail_nomem(l->err);
	l->bytes += bytes;
	l->images[l->n++] = copy;
	return 1;
}

static int list_step(struct listing *l, enum image_order order, struct buf *after, bool *ret_more, struct err *err)
{
	CLEANUP(arena_free) struct arena step;
	int r;

	arena_init(&step, STEP_BYTES_MAX);
	l->step = &step;
	r = image_list(l->store, order, after, STEP, &step, add_image, l, ret_more, err);
	l->step = NULL;
	return r;
}

static int list_page(struct listing *l, enum image_order order, struct buf *after, struct cancel *cancel,
		     bool *ret_more, struct err *err)
{
	bool more = true;

	while (more && l->n < l->limit) {
		int r = cancel_check(cancel, err);

		if (r == OK)
			r = list_step(l, order, after, &more, err);
		if (l->full)
			break;
		if (r < 0)
			return r;
	}
	*ret_more = more || l->full;
	return OK;
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
	if (list_page(&l, order, &after, rpc_call_cancel(call), &more, err) < 0)
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
