/* Load: the steps of load.h in order, and the publication. */
#include "service/image/load.h"

#include <malloc.h>

#include "proto/runtime/clock.h"
#include "service/image/convert.h"
#include "store/record.h"

/* ---- the client's side ----------------------------------------------------- */

int load_send(struct load *l, const Imaged__V1__LoadEvent *event, struct err *err)
{
	return l->peer ? l->peer->send(l->peer->arg, event, err)
		       : imaged__v1__image_service__load_send(l->call, event, err);
}

static int tell_received(struct load *l, struct err *err)
{
	Imaged__V1__LoadEvent event = IMAGED__V1__LOAD_EVENT__INIT;
	Imaged__V1__LoadReceived m = IMAGED__V1__LOAD_RECEIVED__INIT;

	m.bytes = l->received;
	event.event_case = IMAGED__V1__LOAD_EVENT__EVENT_RECEIVED;
	event.received = &m;
	return load_send(l, &event, err);
}

static int receive_data(void *load, struct bytes *ret_data, struct err *err)
{
	struct load *l = load;
	const Imaged__V1__LoadRequest *m;
	int r = imaged__v1__image_service__load_recv(l->call, &m, err);

	*ret_data = (struct bytes){ 0 };
	if (r <= 0)
		return r;
	if (m->request_case != IMAGED__V1__LOAD_REQUEST__REQUEST_DATA)
		return fail(err, E_INVALID, "after `start` only `data` may follow");
	*ret_data = (struct bytes){ m->data.data, m->data.len };
	l->received += (int64_t)m->data.len;
	if (!archive_source_seeks(&l->source) && pace_is_due(&l->received_pace, l->received) &&
	    tell_received(l, err) < 0)
		return err->code;
	return 1;
}

static int send_want(void *load, int64_t offset, int64_t length, struct err *err)
{
	Imaged__V1__LoadEvent event = IMAGED__V1__LOAD_EVENT__INIT;
	Imaged__V1__LoadWant m = IMAGED__V1__LOAD_WANT__INIT;

	m.offset = offset;
	m.length = length;
	event.event_case = IMAGED__V1__LOAD_EVENT__EVENT_WANT;
	event.want = &m;
	return load_send(load, &event, err);
}

static int receive_start(struct load *l, struct archive_peer *ret_peer, struct err *err)
{
	const Imaged__V1__LoadRequest *m;
	const Imaged__V1__LoadStart *start;
	int r = imaged__v1__image_service__load_recv(l->call, &m, err);

	if (r < 0)
		return r;
	if (!r || m->request_case != IMAGED__V1__LOAD_REQUEST__REQUEST_START)
		return fail(err, E_INVALID, "the first message must be `start`");
	start = m->start;
	if (start->size < 0 || (start->seekable && !start->size))
		return fail(err, E_INVALID, "start: a seekable archive needs its size");
	l->platform = l->service->platform;
	l->platform_given = *start->platform != 0;
	if (l->platform_given && platform_parse(start->platform, &l->platform, err) < 0)
		return err->code;
	l->number = (unsigned)clock_wall_ns();
	*ret_peer = (struct archive_peer){
		.receive = receive_data, .want = start->seekable ? send_want : NULL, .arg = l, .size = start->size
	};
	return OK;
}

/* ---- publish --------------------------------------------------------------- */

/* All that a publication borrows. */
struct publishing {
	struct buf root_body, manifest_body, config_body;
	struct manifest manifest;
	struct image_config config;
	char manifest_type[MEDIA_TYPE_MAX], root_type[MEDIA_TYPE_MAX];
	struct layer_facts *facts;
	struct layer_image **images; /* the blobs' */
	struct reference *names;
};

static void publishing_free(struct publishing *w)
{
	buf_free(&w->root_body);
	buf_free(&w->manifest_body);
	buf_free(&w->config_body);
	manifest_free(&w->manifest);
	image_config_free(&w->config);
	free(w->facts);
	free(w->images);
	free(w->names);
}

static int read_documents(struct load *l, const struct load_image *image, struct publishing *w, struct err *err)
{
	struct store *s = l->service->store;
	enum media_kind kind;

	if (load_blob_check(l, &image->root, err) < 0 || load_blob_check(l, &image->manifest, err) < 0 ||
	    load_blob_check(l, &image->config, err) < 0)
		return err->code;
	if (content_read(s, &image->manifest, &w->manifest_body, err) < 0 ||
	    content_read(s, &image->config, &w->config_body, err) < 0 ||
	    document_kind(buf_bytes(&w->manifest_body), NULL, &kind, err) < 0)
		return err->code;
	snprintf(w->manifest_type, sizeof w->manifest_type, "%s", media_kind_name(kind));
	snprintf(w->root_type, sizeof w->root_type, "%s", w->manifest_type);
	if (!digest_eq(&image->root, &image->manifest)) {
		if (content_read(s, &image->root, &w->root_body, err) < 0 ||
		    document_kind(buf_bytes(&w->root_body), NULL, &kind, err) < 0)
			return err->code;
		snprintf(w->root_type, sizeof w->root_type, "%s", media_kind_name(kind));
	}
	return manifest_parse(buf_bytes(&w->manifest_body), &w->manifest, err) < 0 ||
			       image_config_parse(buf_bytes(&w->config_body), &w->config, err) < 0
		       ? err->code
		       : OK;
}

static int check_kept(struct load *l, const struct manifest *m, struct err *err)
{
	int r = OK;

	for (size_t i = 0; r == OK && i < m->n_layers; i++)
		r = load_blob_check(l, &m->layers[i].digest, err);
	return r;
}

static int find_facts(struct load *l, struct publishing *w, struct err *err)
{
	w->facts = calloc(w->manifest.n_layers + 1, sizeof *w->facts);
	w->images = calloc(w->manifest.n_layers + 1, sizeof(*w->images));
	if (!w->facts || !w->images)
		return fail_nomem(err);
	for (size_t i = 0; i < w->manifest.n_layers; i++) {
		const struct digest *d = &w->manifest.layers[i].digest;
		const struct load_blob *b = load_blob_find(l, d);

		w->images[i] = b && b->facts ? b->image : NULL;
		if (b && b->facts)
			w->facts[i] = *b->facts;
		else if (layer_facts_get(l->service->store, d, &w->facts[i], err) < 0)
			return err->code;
	}
	return OK;
}

static int parse_names(const struct load_image *image, struct publishing *w, struct err *err)
{
	w->names = calloc(image->n_names + 1, sizeof *w->names);
	if (!w->names)
		return fail_nomem(err);
	for (size_t i = 0; i < image->n_names; i++)
		if (reference_parse(image->names[i], &w->names[i], err) < 0)
			return err->code;
	return OK;
}

static int prepare(struct load *l, const struct load_image *image, struct publishing *ret_publishing, struct err *err)
{
	CLEANUP(publishing_free)
	struct publishing w = {
		.root_body = BUF_INIT(MANIFEST_BYTES_MAX),
		.manifest_body = BUF_INIT(MANIFEST_BYTES_MAX),
		.config_body = BUF_INIT(CONFIG_BYTES_MAX),
	};

	if (read_documents(l, image, &w, err) < 0 || check_kept(l, &w.manifest, err) < 0 ||
	    find_facts(l, &w, err) < 0 || parse_names(image, &w, err) < 0)
		return err->code;
	*ret_publishing = TAKE(w);
	return OK;
}

static struct publication publication_of(const struct load *l, const struct load_image *image,
					 const struct publishing *w)
{
	return (struct publication){
		.names = w->names,
		.n_names = l->peer ? 0 : image->n_names,
		.root = image->root,
		.root_bytes = buf_bytes(&w->root_body),
		.root_media_type = w->root_type,
		.manifest_digest = image->manifest,
		.manifest_size = (int64_t)w->manifest_body.len,
		.manifest_media_type = w->manifest_type,
		.manifest = &w->manifest,
		.config = &w->config,
		.layers = w->facts,
		.synthesized = image->synthesized,
		.layer_images = w->images,
		.action = IMAGED__V1__EVENT__ACTION__ACTION_LOAD,
		.now_ns = clock_wall_ns(),
	};
}

static void count_new(struct load *l, const struct digest *d)
{
	struct load_blob *b = load_blob_find(l, d);

	if (!b || !b->brought || b->counted)
		return;
	b->counted = true;
	l->new_bytes += b->size;
}

/* What else came is collected again. */
static void count_new_of(struct load *l, const struct load_image *image, const struct manifest *m)
{
	count_new(l, &image->root);
	count_new(l, &image->manifest);
	count_new(l, &image->config);
	for (size_t i = 0; i < m->n_layers; i++)
		count_new(l, &m->layers[i].digest);
}

/* Whatever may be wrong with any image is found before the first one is published. */
static int check_all(struct load *l, struct err *err)
{
	for (size_t i = 0; i < l->n_images; i++) {
		CLEANUP(publishing_free) struct publishing w = { .names = NULL };

		struct publication publication;

		if (cancel_check(l->cancel, err) < 0 || prepare(l, &l->images[i], &w, err) < 0)
			return err->code;
		publication = publication_of(l, &l->images[i], &w);
		if (image_publication_check(&publication, err) < 0)
			return err->code;
		count_new_of(l, &l->images[i], &w.manifest);
	}
	return OK;
}

static int publish(struct load *l, const struct load_image *image, struct err *err)
{
	CLEANUP(publishing_free) struct publishing w = { .names = NULL };
	struct publication publication;
	bool changed;

	if (prepare(l, image, &w, err) < 0)
		return err->code;
	publication = publication_of(l, image, &w);
	return image_publish(l->service->store, &publication, &changed, err);
}

/* ---- telling --------------------------------------------------------------- */

struct telling {
	struct arena arena;
	Imaged__V1__LoadedImage message;
};

static void telling_free(struct telling *t)
{
	arena_free(&t->arena);
}

/* A name that leads elsewhere until the publication. */
static int note_replaced(struct load *l, const struct load_image *image, const char *name, char *familiar,
			 struct telling *t, struct err *err)
{
	Imaged__Store__V1__NameRecord *record;
	Imaged__V1__ReplacedName *m;
	struct digest old;
	int r = name_get(l->service->store, name, &t->arena, &record, err);

	if (r != OK)
		return r == E_NOT_FOUND ? OK : r;
	if (digest_of_record(&record->config, &old, err) < 0)
		return err->code;
	if (digest_eq(&old, &image->config))
		return OK;
	m = arena_alloc(&t->arena, sizeof *m);
	if (!m)
		return fail_nomem(err);
	imaged__v1__replaced_name__init(m);
	m->reference = familiar;
	m->old_image_id = digest_message(&t->arena, &old);
	t->message.replaced[t->message.n_replaced++] = m;
	return m->old_image_id ? OK : fail_nomem(err);
}

static int describe(struct load *l, const struct load_image *image, struct telling *t, struct err *err)
{
	Imaged__V1__LoadedImage *m = &t->message;

	arena_init(&t->arena, ANSWER_BYTES_MAX);
	imaged__v1__loaded_image__init(m);
	m->image_id = digest_message(&t->arena, &image->config);
	m->manifest_digest = digest_message(&t->arena, &image->manifest);
	m->references = arena_array(&t->arena, image->n_names + 1, sizeof *m->references);
	m->replaced = arena_array(&t->arena, image->n_names + 1, sizeof(*m->replaced));
	if (!m->image_id || !m->manifest_digest || !m->references || !m->replaced)
		return fail_nomem(err);
	for (size_t i = 0; i < image->n_names; i++) {
		char familiar[REFERENCE_TEXT_MAX];
		struct reference ref;

		if (reference_parse(image->names[i], &ref, err) < 0)
			return err->code;
		m->references[i] = arena_string(&t->arena, reference_familiar(&ref, familiar));
		if (!m->references[i])
			return fail_nomem(err);
		m->n_references++;
		if (note_replaced(l, image, image->names[i], m->references[i], t, err) < 0)
			return err->code;
	}
	return OK;
}

static int publish_and_tell(struct load *l, const struct load_image *image, struct err *untold, struct err *err)
{
	CLEANUP(telling_free) struct telling t = { .arena = { .cap = 0 } };
	Imaged__V1__LoadEvent event = IMAGED__V1__LOAD_EVENT__INIT;

	if (describe(l, image, &t, err) < 0 || publish(l, image, err) < 0)
		return err->code;
	event.event_case = IMAGED__V1__LOAD_EVENT__EVENT_IMAGE;
	event.image = &t.message;
	if (untold->code == OK)
		load_send(l, &event, untold);
	return OK;
}

/* All of them, also when the client has gone meanwhile: half an archive is nothing that
 * anybody asked for. */
static int publish_all(struct load *l, struct err *err)
{
	struct err untold = ERR_INIT;

	for (size_t i = 0; i < l->n_images; i++)
		if (publish_and_tell(l, &l->images[i], &untold, err) < 0)
			return err->code;
	if (load_publish_parents(l, err) < 0)
		return err->code;
	if (untold.code != OK)
		*err = untold;
	return untold.code;
}

static int send_done(struct load *l, struct err *err)
{
	Imaged__V1__LoadEvent event = IMAGED__V1__LOAD_EVENT__INIT;
	Imaged__V1__LoadDone m = IMAGED__V1__LOAD_DONE__INIT;

	m.new_bytes = l->new_bytes;
	m.present_bytes = l->present_bytes;
	event.event_case = IMAGED__V1__LOAD_EVENT__EVENT_DONE;
	event.done = &m;
	return load_send(l, &event, err);
}

/* ---- the call -------------------------------------------------------------- */

static int run(struct load *l, const struct archive_peer *peer, struct err *err)
{
	if (archive_source_open(&l->source, peer, l->service->worker_program, l->cancel, err) < 0 ||
	    load_scan(l, err) < 0 || load_plan(l, err) < 0 || load_blobs_commit(l, err) < 0 || check_all(l, err) < 0 ||
	    publish_all(l, err) < 0)
		return err->code;
	return send_done(l, err);
}

static void release(struct load *l)
{
	enum { MANY_MEMBERS = 1000 };
	bool many = l->n_came > MANY_MEMBERS;

	archive_source_close(&l->source);
	load_blobs_release(l);
	load_forget_members(l);
	for (size_t i = 0; i < l->n_images; i++)
		load_image_free(&l->images[i]);
	free(l->images);
	load_forget_roots(l);
	if (l->call)
		release_workers(l->call, l->workers);
	else
		layer_workers_unref(l->workers);
	if (many) /* the allocator keeps the pages of that many small pieces unless it is told */
		malloc_trim(0);
}

int load(void *self, struct rpc_call *call, struct err *err)
{
	struct load l = { .service = self, .call = call, .cancel = rpc_call_cancel(call) };
	struct archive_peer peer;
	int r;

	if (store_read_only(l.service->store))
		return fail(err, E_READ_ONLY, "the store at %s is read-only: nothing can be loaded",
			    store_root(l.service->store));
	if (admission_enter(&l.service->uploads, UPLOADS_MAX, "archives are coming", err) < 0)
		return err->code;
	r = receive_start(&l, &peer, err);
	if (r == OK)
		r = run(&l, &peer, err);
	release(&l);
	admission_leave(&l.service->uploads);
	return r;
}

int load_unnamed(struct image_service *service, const struct load_peer *peer, struct err *err)
{
	const struct archive_peer archive = { .receive = peer->receive, .arg = peer->arg };
	struct load l = { .service = service,
			  .peer = peer,
			  .cancel = peer->cancel,
			  .platform = peer->platform,
			  .platform_given = true };
	int r = run(&l, &archive, err);

	release(&l);
	return r;
}
