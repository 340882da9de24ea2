/* ListImages and StreamImages. */
#include "service/cri/find.h"
#include "service/cri/handlers.h"
#include "service/cri/image_message.h"
#include "service/image/convert.h"

enum {
	STEP = 64,			   /* images read at a time */
	STEP_BYTES_MAX = 64 * 1024 * 1024, /* for one of them */
	LIST_BYTES_MAX = 15 * 1024 * 1024, /* clients take messages of 16 MiB */
	PIECE_BYTES_MAX = 256 * 1024,	   /* of a stream */
};

/* ---- one after the other ------------------------------------------------------------------- */

/* What is done with each; in an arena of the one who lists. */
struct listing {
	struct store *store;
	struct cancel *cancel;
	int (*take)(void *arg, Runtime__V1__Image *image, struct err *err);
	struct arena *arena; /* the messages go there */
	void *arg;
	struct err *err;
};

static int visit(void *arg, const struct image *image)
{
	struct listing *l = arg;
	Runtime__V1__Image *m;

	if (cri_image_message(l->store, l->arena, image, &m, l->err) < 0 || l->take(l->arg, m, l->err) < 0)
		return l->err->code;
	return 1;
}

/* No transaction is held from one step to the next. */
static int list_all(struct listing *l, struct err *err)
{
	CLEANUP(arena_free) struct arena step;
	CLEANUP(buf_free) struct buf after = BUF_INIT(META_KEY_MAX);
	bool more = true;
	int r = OK;

	arena_init(&step, STEP_BYTES_MAX);
	l->err = err;
	while (r == OK && more) {
		r = cancel_check(l->cancel, err);
		if (r == OK)
			r = image_list(l->store, IMAGE_ORDER_CREATED_DESC, &after, STEP, &step, visit, l, &more, err);
	}
	return r;
}

static int list_one(struct listing *l, const Runtime__V1__ImageSpec *spec, struct err *err)
{
	CLEANUP(arena_free) struct arena step;
	struct image image;
	bool found;

	arena_init(&step, STEP_BYTES_MAX);
	l->err = err;
	if (cri_find(l->store, spec, &step, &image, &found, err) < 0)
		return err->code;
	return found && visit(l, &image) < 0 ? err->code : OK;
}

static bool is_filter(const Runtime__V1__ImageFilter *filter)
{
	return filter && *cri_image_name(filter->image);
}

static int list(struct listing *l, const Runtime__V1__ImageFilter *filter, struct err *err)
{
	return is_filter(filter) ? list_one(l, filter->image, err) : list_all(l, err);
}

/* ---- into one message ------------------------------------------------------------------------ */

static int grow(struct cri_list *a, struct err *err)
{
	size_t capacity = a->capacity ? 2 * a->capacity : STEP;
	Runtime__V1__Image **images = reallocarray(a->images, capacity, sizeof(*images));

	if (!images)
		return fail_nomem(err);
	a->images = images;
	a->capacity = capacity;
	return OK;
}

static int put(void *arg, Runtime__V1__Image *image, struct err *err)
{
	struct cri_list *a = arg;

	a->bytes += runtime__v1__image__get_packed_size(image) + 8;
	if (a->bytes > LIST_BYTES_MAX)
		return fail(err, E_LIMIT, "there are more images than a message of %d MiB holds: ask with StreamImages",
			    LIST_BYTES_MAX >> 20);
	if (a->n == a->capacity && grow(a, err) < 0)
		return err->code;
	a->images[a->n++] = image;
	return OK;
}

/* NULL: see err. */
static struct cri_list *read_list(struct cri_service *service, struct rpc_call *call,
				  const Runtime__V1__ImageFilter *filter, struct err *err)
{
	struct cri_list *a = cri_list_new();
	struct listing l = { .store = service->images->store, .cancel = rpc_call_cancel(call), .take = put, .arg = a };

	if (!a) {
		fail_nomem(err);
		return NULL;
	}
	l.arena = &a->arena;
	if (list(&l, filter, err) == OK)
		return a;
	cri_list_unref(a);
	return NULL;
}

/* What was read while something changed is an answer, but not kept. */
static struct cri_list *list_everything(struct cri_service *service, struct rpc_call *call, struct err *err)
{
	struct meta *shared = store_shared(service->images->store);
	uint64_t revision = meta_revision(shared);
	struct cri_list *list = revision ? cri_kept_list_get(service->kept, revision) : NULL;

	if (list)
		return list;
	list = read_list(service, call, NULL, err);
	if (list && revision && meta_revision(shared) == revision) {
		list->revision = revision;
		cri_kept_list_put(service->kept, list);
	}
	return list;
}

int cri_list_images(void *self, struct rpc_call *call, const Runtime__V1__ListImagesRequest *request,
		    Runtime__V1__ListImagesResponse *response, struct err *err)
{
	struct cri_list *list = is_filter(request->filter) ? read_list(self, call, request->filter, err)
							   : list_everything(self, call, err);

	if (!list || rpc_call_defer(call, cri_list_unref, list, err) < 0)
		return err->code;
	response->images = list->images;
	response->n_images = list->n;
	return OK;
}

/* ---- as a stream ------------------------------------------------------------------------------ */

struct stream {
	struct rpc_call *call;
	struct arena arena; /* of the piece that is collected */
	Runtime__V1__Image *images[STEP];
	size_t n, bytes;
};

static int send_piece(struct stream *s, struct err *err)
{
	Runtime__V1__StreamImagesResponse piece = RUNTIME__V1__STREAM_IMAGES_RESPONSE__INIT;
	int r;

	if (!s->n)
		return OK;
	piece.images = s->images;
	piece.n_images = s->n;
	r = runtime__v1__image_service__stream_images_send(s->call, &piece, err);
	arena_reset(&s->arena, STEP_BYTES_MAX);
	s->n = s->bytes = 0;
	return r;
}

static int collect(void *arg, Runtime__V1__Image *image, struct err *err)
{
	struct stream *s = arg;

	s->images[s->n++] = image;
	s->bytes += runtime__v1__image__get_packed_size(image);
	return s->n == ARRAY_LEN(s->images) || s->bytes >= PIECE_BYTES_MAX ? send_piece(s, err) : OK;
}

int cri_stream_images(void *self, struct rpc_call *call, const Runtime__V1__StreamImagesRequest *request,
		      struct err *err)
{
	struct cri_service *service = self;
	struct stream s = { .call = call };
	struct listing l = {
		.store = service->images->store,
		.cancel = rpc_call_cancel(call),
		.take = collect,
		.arena = &s.arena,
		.arg = &s,
	};
	int r;

	arena_init(&s.arena, STEP_BYTES_MAX);
	r = list(&l, request->filter, err);
	if (r == OK)
		r = send_piece(&s, err);
	arena_free(&s.arena);
	return r;
}
