/* DiffImages: two trees walked at the same time, told in batches. */
#include <sys/stat.h>

#include "service/image/convert.h"
#include "service/image/held_image.h"
#include "service/image/image_service.h"
#include "service/tree/tree_diff.h"

enum {
	BATCH_ITEMS = 256,
	BATCH_BYTES = 256 * 1024,
	BATCH_ARENA_MAX = 4 * 1024 * 1024, /* one path is at most TREE_PATH_MAX */
	FIXED_ARENA_MAX = 16 * 1024 * 1024,
	WHATS_MAX = 8,
};

struct diff {
	struct rpc_call *call;
	struct held_image from, to;
	struct arena fixed; /* for the whole call */
	Imaged__V1__DiffSummary summary;

	struct arena arena; /* of the batch */
	Imaged__V1__ImageDifference *items[BATCH_ITEMS];
	size_t n, bytes;
};

static void diff_free(struct diff *d)
{
	held_image_release(&d->from);
	held_image_release(&d->to);
	arena_free(&d->arena);
	arena_free(&d->fixed);
}

/* ---- the batch --------------------------------------------------------------- */

static int send_batch(struct diff *d, struct err *err)
{
	Imaged__V1__DiffImagesEvent m = IMAGED__V1__DIFF_IMAGES_EVENT__INIT;
	Imaged__V1__DiffBatch batch = IMAGED__V1__DIFF_BATCH__INIT;
	int r;

	if (!d->n)
		return OK;
	batch.items = d->items;
	batch.n_items = d->n;
	m.event_case = IMAGED__V1__DIFF_IMAGES_EVENT__EVENT_DIFFERENCES;
	m.differences = &batch;
	r = imaged__v1__image_service__diff_images_send(d->call, &m, err);
	d->n = d->bytes = 0;
	arena_reset(&d->arena, BATCH_ARENA_MAX);
	return r;
}

static int64_t size_of(const struct erofs_node *n)
{
	return S_ISREG(n->mode) || S_ISLNK(n->mode) ? (int64_t)n->size : 0;
}

static Imaged__V1__FileState *state_message(struct arena *a, const struct tree_entry *e)
{
	Imaged__V1__FileState *m = arena_alloc(a, sizeof *m);

	if (!m)
		return NULL;
	imaged__v1__file_state__init(m);
	m->mode = e->node.mode;
	m->uid = e->node.uid;
	m->gid = e->node.gid;
	m->size = size_of(&e->node);
	m->layer = (uint32_t)e->layer;
	m->modified = time_message(a, e->node.mtime, (int32_t)e->node.mtime_ns);
	return m->modified ? m : NULL;
}

static bool set_whats(struct arena *a, unsigned changes, Imaged__V1__ImageDifference *m)
{
	static const struct {
		unsigned change;
		Imaged__V1__ImageDifference__What what;
	} whats[WHATS_MAX] = {
		{ TREE_TYPE, IMAGED__V1__IMAGE_DIFFERENCE__WHAT__WHAT_TYPE },
		{ TREE_MODE, IMAGED__V1__IMAGE_DIFFERENCE__WHAT__WHAT_MODE },
		{ TREE_OWNER, IMAGED__V1__IMAGE_DIFFERENCE__WHAT__WHAT_OWNER },
		{ TREE_CONTENT, IMAGED__V1__IMAGE_DIFFERENCE__WHAT__WHAT_CONTENT },
		{ TREE_LINK, IMAGED__V1__IMAGE_DIFFERENCE__WHAT__WHAT_LINK },
		{ TREE_DEVICE, IMAGED__V1__IMAGE_DIFFERENCE__WHAT__WHAT_DEVICE },
		{ TREE_ATTRIBUTES, IMAGED__V1__IMAGE_DIFFERENCE__WHAT__WHAT_ATTRIBUTES },
		{ TREE_TIME, IMAGED__V1__IMAGE_DIFFERENCE__WHAT__WHAT_TIME },
	};

	m->what = arena_array(a, WHATS_MAX, sizeof *m->what);
	for (size_t i = 0; m->what && i < WHATS_MAX; i++)
		if (changes & whats[i].change)
			m->what[m->n_what++] = whats[i].what;
	return m->what != NULL;
}

static Imaged__V1__ImageDifference__Kind kind_of(const struct tree_entry *from, const struct tree_entry *to)
{
	return !from ? IMAGED__V1__IMAGE_DIFFERENCE__KIND__KIND_ADDED
	       : !to ? IMAGED__V1__IMAGE_DIFFERENCE__KIND__KIND_REMOVED
		     : IMAGED__V1__IMAGE_DIFFERENCE__KIND__KIND_CHANGED;
}

static Imaged__V1__ImageDifference *difference(struct arena *a, const struct tree_entry *from,
					       const struct tree_entry *to, unsigned changes)
{
	const struct tree_entry *entry = to ? to : from;
	struct bytes path = entry->path;
	Imaged__V1__ImageDifference *m = arena_alloc(a, sizeof *m);

	if (!m)
		return NULL;
	imaged__v1__image_difference__init(m);
	m->kind = kind_of(from, to);
	m->path = (ProtobufCBinaryData){ path.len, (uint8_t *)arena_bytes(a, path) };
	m->from = from ? state_message(a, from) : NULL;
	m->to = to ? state_message(a, to) : NULL;
	if (!m->path.data || !set_whats(a, changes, m) || (from && !m->from) || (to && !m->to))
		return NULL;
	return m;
}

/* ---- the summary ------------------------------------------------------------- */

static int64_t file_bytes(const struct tree_entry *e)
{
	return e && S_ISREG(e->node.mode) ? (int64_t)e->node.size : 0;
}

static void count(Imaged__V1__DiffCount *c, const struct tree_entry *from, const struct tree_entry *to)
{
	c->added += !from;
	c->removed += !to;
	c->changed += from && to;
	c->added_bytes = add_sizes(c->added_bytes, file_bytes(to));
	c->removed_bytes = add_sizes(c->removed_bytes, file_bytes(from));
}

/* What was changed is told of the layer that has it now. */
static void count_all(struct diff *d, const struct tree_entry *from, const struct tree_entry *to)
{
	count(d->summary.total, from, to);
	if (to)
		count(d->summary.to_layers[to->layer], from, to);
	else
		count(d->summary.from_layers[from->layer], from, to);
}

static Imaged__V1__DiffCount *new_count(struct arena *a)
{
	Imaged__V1__DiffCount *c = arena_alloc(a, sizeof *c);

	if (c)
		imaged__v1__diff_count__init(c);
	return c;
}

static int new_counts(struct arena *a, size_t n, size_t *ret_n, Imaged__V1__DiffCount ***ret_counts, struct err *err)
{
	Imaged__V1__DiffCount **counts = arena_array(a, n + 1, sizeof *counts);

	for (size_t i = 0; counts && i < n; i++) {
		counts[i] = new_count(a);
		if (!counts[i])
			return fail_nomem(err);
	}
	*ret_counts = counts;
	*ret_n = n;
	return counts ? OK : fail_nomem(err);
}

static int begin_summary(struct diff *d, struct err *err)
{
	Imaged__V1__DiffSummary *m = &d->summary;
	int r;

	imaged__v1__diff_summary__init(m);
	m->total = new_count(&d->fixed);
	if (!m->total)
		return fail_nomem(err);
	r = new_counts(&d->fixed, d->from.image.record->n_layers, &m->n_from_layers, &m->from_layers, err);
	return r == OK ? new_counts(&d->fixed, d->to.image.record->n_layers, &m->n_to_layers, &m->to_layers, err) : r;
}

/* ---- the walk ------------------------------------------------------------------ */

static int visit(void *arg, const struct tree_entry *from, const struct tree_entry *to, unsigned changes,
		 struct err *err)
{
	struct diff *d = arg;
	Imaged__V1__ImageDifference *m = difference(&d->arena, from, to, changes);

	if (!m)
		return fail_nomem(err);
	count_all(d, from, to);
	d->items[d->n++] = m;
	d->bytes += imaged__v1__image_difference__get_packed_size(m);
	return d->n == BATCH_ITEMS || d->bytes > BATCH_BYTES ? send_batch(d, err) : OK;
}

static int layer_texts(struct arena *a, const struct held_image *h, size_t *ret_n, char ***ret_texts, struct err *err)
{
	size_t n = h->image.record->n_layers;
	char **texts = arena_array(a, n + 1, sizeof *texts);

	for (size_t i = 0; texts && i < n; i++) {
		texts[i] = digest_message(a, &h->diff_ids[i]);
		if (!texts[i])
			return fail_nomem(err);
	}
	*ret_texts = texts;
	*ret_n = n;
	return texts ? OK : fail_nomem(err);
}

static int id_text(struct arena *a, const struct held_image *h, char **ret_id, struct err *err)
{
	struct digest config;

	if (digest_of_record(&h->image.record->config, &config, err) < 0)
		return err->code;
	*ret_id = digest_message(a, &config);
	return *ret_id ? OK : fail_nomem(err);
}

static int send_started(struct diff *d, struct err *err)
{
	Imaged__V1__DiffImagesEvent m = IMAGED__V1__DIFF_IMAGES_EVENT__INIT;
	Imaged__V1__DiffStarted started = IMAGED__V1__DIFF_STARTED__INIT;

	if (id_text(&d->fixed, &d->from, &started.from_id, err) < 0 ||
	    id_text(&d->fixed, &d->to, &started.to_id, err) < 0 ||
	    layer_texts(&d->fixed, &d->from, &started.n_from_layers, &started.from_layers, err) < 0 ||
	    layer_texts(&d->fixed, &d->to, &started.n_to_layers, &started.to_layers, err) < 0)
		return err->code;
	m.event_case = IMAGED__V1__DIFF_IMAGES_EVENT__EVENT_STARTED;
	m.started = &started;
	return imaged__v1__image_service__diff_images_send(d->call, &m, err);
}

static int send_summary(struct diff *d, struct err *err)
{
	Imaged__V1__DiffImagesEvent m = IMAGED__V1__DIFF_IMAGES_EVENT__INIT;

	m.event_case = IMAGED__V1__DIFF_IMAGES_EVENT__EVENT_SUMMARY;
	m.summary = &d->summary;
	return imaged__v1__image_service__diff_images_send(d->call, &m, err);
}

static int compare(struct diff *d, struct layer_files *files, bool ignore_times, struct err *err)
{
	struct cancel *cancel = rpc_call_cancel(d->call);
	CLEANUP(tree_closep) struct tree *from = NULL, *to = NULL;
	int r = held_image_tree(&d->from, files, cancel, &from, err);

	if (r == OK)
		r = held_image_tree(&d->to, files, cancel, &to, err);
	if (r == OK)
		r = send_started(d, err);
	if (r == OK)
		r = tree_diff_run(
			&(struct tree_diff){
				.from = from,
				.to = to,
				.from_layers = d->from.diff_ids,
				.to_layers = d->to.diff_ids,
				.ignore_times = ignore_times,
				.cancel = cancel,
				.visit = visit,
				.arg = d,
			},
			err);
	if (r == OK)
		r = send_batch(d, err);
	return r == OK ? send_summary(d, err) : r;
}

static int diff(struct image_service *service, struct rpc_call *call, const Imaged__V1__DiffImagesRequest *request,
		struct err *err)
{
	CLEANUP(diff_free) struct diff d = { .call = call };
	int r;

	arena_init(&d.arena, BATCH_ARENA_MAX);
	arena_init(&d.fixed, FIXED_ARENA_MAX);
	r = held_image_open(service->store, request->from, "comparison", &d.from, err);
	if (r == OK)
		r = held_image_open(service->store, request->to, "comparison", &d.to, err);
	if (r == OK)
		r = begin_summary(&d, err);
	return r == OK ? compare(&d, service->layer_files, request->ignore_times, err) : r;
}

int diff_images(void *self, struct rpc_call *call, const Imaged__V1__DiffImagesRequest *request, struct err *err)
{
	struct image_service *service = self;
	int r;

	if (admission_enter(&service->saves, SAVES_MAX, "images are being saved, exported or compared", err) < 0)
		return err->code;
	r = diff(service, call, request, err);
	admission_leave(&service->saves);
	return r;
}
