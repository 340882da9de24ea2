/* Push: the steps of push.h in order, and what the client is told. */
#include "service/image/push.h"

#include "proto/runtime/clock.h"
#include "service/image/convert.h"

enum {
	WAITING = IMAGED__V1__PUSH_PROGRESS__STATE__STATE_WAITING,
	EXISTS = IMAGED__V1__PUSH_PROGRESS__STATE__STATE_EXISTS
};

/* ---- events ---------------------------------------------------------------- */

static int send_event(struct push *p, const Imaged__V1__PushEvent *event, struct err *err)
{
	return p->event(p->arg, event, err);
}

static Imaged__V1__PushLayer *layer_message(struct arena *a, const struct push_blob *b)
{
	Imaged__V1__PushLayer *m = arena_alloc(a, sizeof *m);

	if (!m)
		return NULL;
	imaged__v1__push_layer__init(m);
	m->digest = digest_message(a, &b->digest);
	m->size = b->size;
	if (digest_is_set(&b->diff_id))
		m->diff_id = digest_message(a, &b->diff_id);
	return m->digest && m->diff_id ? m : NULL;
}

static int send_started(struct push *p, struct err *err)
{
	Imaged__V1__PushEvent event = IMAGED__V1__PUSH_EVENT__INIT;
	Imaged__V1__PushStarted m = IMAGED__V1__PUSH_STARTED__INIT;
	char name[REFERENCE_TEXT_MAX];
	CLEANUP(arena_free) struct arena a;

	arena_init(&a, ANSWER_BYTES_MAX);
	m.repository = reference_name(&p->ref, name);
	m.layers = arena_array(&a, p->n_blobs + 1, sizeof *m.layers);
	if (!m.layers)
		return fail_nomem(err);
	for (size_t i = 0; i < p->n_blobs; i++)
		if (p->blobs[i].layer && !(m.layers[m.n_layers++] = layer_message(&a, &p->blobs[i])))
			return fail_nomem(err);
	event.event_case = IMAGED__V1__PUSH_EVENT__EVENT_STARTED;
	event.started = &m;
	return send_event(p, &event, err);
}

int push_send_layer(struct push *p, struct push_blob *b, const struct upload_status *status, struct err *err)
{
	Imaged__V1__PushEvent event = IMAGED__V1__PUSH_EVENT__INIT;
	Imaged__V1__PushProgress m = IMAGED__V1__PUSH_PROGRESS__INIT;
	char digest[DIGEST_TEXT_MAX];

	upload_tell(&b->told, status, &m);
	m.digest = digest_text(&b->digest, digest);
	m.total = b->size;
	event.event_case = IMAGED__V1__PUSH_EVENT__EVENT_LAYER;
	event.layer = &m;
	return send_event(p, &event, err);
}

static int send_tag(struct push *p, const char *tag, const struct push_document *root, struct err *err)
{
	Imaged__V1__PushEvent event = IMAGED__V1__PUSH_EVENT__INIT;
	Imaged__V1__PushedTag m = IMAGED__V1__PUSHED_TAG__INIT;
	char digest[DIGEST_TEXT_MAX];

	m.tag = (char *)tag;
	m.digest = digest_text(&root->digest, digest);
	m.size = (int64_t)root->body.len;
	m.media_type = (char *)root->media_type;
	event.event_case = IMAGED__V1__PUSH_EVENT__EVENT_TAG;
	event.tag = &m;
	return send_event(p, &event, err);
}

static int send_done(struct push *p, struct err *err)
{
	Imaged__V1__PushEvent event = IMAGED__V1__PUSH_EVENT__INIT;
	Imaged__V1__PushDone m = IMAGED__V1__PUSH_DONE__INIT;
	struct rate_message limit;

	m.rate_limit = rate_message_of(p->repository, &limit);
	m.sent_bytes = p->sent_bytes;
	event.event_case = IMAGED__V1__PUSH_EVENT__EVENT_DONE;
	event.done = &m;
	return send_event(p, &event, err);
}

/* The layers of the image in one state, the highest first, as docker tells them. */
static int send_layers(struct push *p, const struct push_image *image, int state, struct err *err)
{
	for (size_t i = 0; i < image->n_documents; i++)
		for (size_t j = image->documents[i].n_blobs; j-- > 0;) {
			struct push_blob *b = &p->blobs[image->documents[i].blobs[j]];

			if (!b->layer ||
			    (b->told.status.state == (Imaged__V1__PushProgress__State)state && state != WAITING))
				continue;
			upload_status_set(&b->status, state, state == EXISTS ? b->size : 0, "");
			if (push_send_layer(p, b, &b->status, err) < 0)
				return err->code;
		}
	return OK;
}

/* ---- manifests ------------------------------------------------------------- */

static const struct push_document *root_of(const struct push_image *image)
{
	return &image->documents[image->n_documents - 1];
}

/* Which of the tags do not lead to the root yet. */
static int find_missing_tags(struct push *p, const struct push_image *image, const char **missing, size_t *ret_n,
			     struct err *err)
{
	const struct push_document *root = root_of(image);

	*ret_n = 0;
	for (size_t i = 0; i < image->n_tags; i++) {
		bool has = false;

		if (registry_has_manifest(p->repository, image->tags[i], root->media_type, &root->digest, p->cancel,
					  &has, err) < 0)
			return err->code;
		if (!has)
			missing[(*ret_n)++] = image->tags[i];
	}
	return OK;
}

static int put(struct push *p, const struct push_document *d, const char *const *tags, size_t n_tags, struct err *err)
{
	struct manifest_upload m = { .body = buf_bytes(&d->body),
				     .media_type = d->media_type,
				     .digest = &d->digest,
				     .tags = tags,
				     .n_tags = n_tags };

	return registry_put_manifest(p->repository, &m, p->cancel, err);
}

static int put_documents(struct push *p, const struct push_image *image, const char *const *tags, size_t n_tags,
			 struct err *err)
{
	for (size_t i = 0; i + 1 < image->n_documents; i++)
		if (put(p, &image->documents[i], NULL, 0, err) < 0)
			return err->code;
	return put(p, root_of(image), tags, n_tags, err);
}

/* An index of which something is not here goes as it is where the registry has that. */
static int settle_absent(struct push *p, struct push_image *image, const char **missing, size_t *n, struct err *err)
{
	if (!*n)
		return OK;
	for (size_t i = 0; i < image->n_absent; i++) {
		char digest[DIGEST_TEXT_MAX];
		bool has = false;

		if (registry_has_manifest(p->repository, digest_text(&image->absent[i], digest), NULL,
					  &image->absent[i], p->cancel, &has, err) < 0)
			return err->code;
		if (has)
			continue;
		if (push_load(p, image, &image->chosen, err) < 0)
			return err->code;
		return find_missing_tags(p, image, missing, n, err);
	}
	return OK;
}

/* ---- the store's side ------------------------------------------------------ */

/* While they are read nobody removes them. */
static int hold(struct push *p, const struct push_image *image, struct lease_id *ret_lease, bool *ret_held,
		struct err *err)
{
	CLEANUP(freep) struct digest *digests = NULL;
	size_t n = 0;

	for (size_t i = 0; i < image->n_documents; i++)
		n += 1 + image->documents[i].n_blobs;
	digests = calloc(n + 1, sizeof *digests);
	if (!digests)
		return fail_nomem(err);
	n = 0;
	for (size_t i = 0; i < image->n_documents; i++) {
		digests[n++] = image->documents[i].digest;
		for (size_t j = 0; j < image->documents[i].n_blobs; j++)
			digests[n++] = p->blobs[image->documents[i].blobs[j]].digest;
	}
	if (lease_create(p->service->store, "push", digests, n, ret_lease, err) < 0)
		return err->code;
	*ret_held = true;
	return OK;
}

static bool is_noted(struct push *p, const struct reference *name)
{
	Imaged__Store__V1__NameRecord *record;
	char text[REFERENCE_TEXT_MAX];
	CLEANUP(arena_free) struct arena a;

	arena_init(&a, 64 * 1024);
	return name_get(p->service->store, reference_text(name, text), &a, &record, NULL) == OK;
}

static int note_image(struct push *p, const struct push_image *image, const struct push_document *d,
		      const struct reference *name, struct err *err)
{
	CLEANUP(arena_free) struct arena a;
	CLEANUP(image_content_free) struct image_content c = { 0 };
	CLEANUP(freep) struct layer_facts *facts = NULL;
	const struct push_document *root = root_of(image);
	char source[REFERENCE_TEXT_MAX];
	struct publication publication;
	struct image stored;
	bool changed;

	arena_init(&a, ANSWER_BYTES_MAX);
	if (image_get(p->service->store, &d->digest, &a, &stored, err) < 0 ||
	    image_content_read(p->service->store, &stored, &c, err) < 0)
		return err->code;
	facts = calloc(c.manifest.n_layers + 1, sizeof *facts);
	if (!facts)
		return fail_nomem(err);
	for (size_t i = 0; i < c.manifest.n_layers; i++)
		if (layer_facts_get(p->service->store, &c.manifest.layers[i].digest, &facts[i], err) < 0)
			return err->code;
	publication = (struct publication){
		.names = name,
		.n_names = name != NULL,
		.root = root->digest,
		.root_media_type = root->media_type,
		.manifest_digest = d->digest,
		.manifest_size = (int64_t)d->body.len,
		.manifest_media_type = d->media_type,
		.manifest = &c.manifest,
		.config = &c.config,
		.layers = facts,
		.source = reference_name(&p->ref, source),
		.action = IMAGED__V1__EVENT__ACTION__ACTION_PUSH,
		.now_ns = clock_wall_ns(),
	};
	if (root != d)
		publication.root_bytes = buf_bytes(&root->body);
	return image_publish(p->service->store, &publication, &changed, err);
}

/* The image can be had from there, and is called NAME@DIGEST as well. */
static int note(struct push *p, const struct push_image *image, struct err *err)
{
	const struct push_document *root = root_of(image), *named = root;
	struct reference name = p->ref;

	name.tag[0] = 0;
	name.digest = root->digest;
	if (store_read_only(p->service->store) || is_noted(p, &name))
		return OK;
	for (size_t i = 0; i < image->n_documents; i++)
		if (digest_eq(&image->documents[i].digest, &image->chosen))
			named = &image->documents[i];
	for (size_t i = 0; i < image->n_documents; i++) {
		const struct push_document *d = &image->documents[i];
		struct err why = ERR_INIT;

		if (!d->is_image || !image_is_listed(p->service->store, &d->digest))
			continue; /* removed meanwhile, or never an image here */
		if (note_image(p, image, d, d == named ? &name : NULL, &why) < 0 && d == named)
			return fail(err, why.code, "the image was pushed, and the store could not note it: %s",
				    why.text);
	}
	return OK;
}

/* ---- one image ------------------------------------------------------------- */

static int send_image(struct push *p, struct push_image *image, const char *const *tags, size_t n_tags, struct err *err)
{
	struct lease_id lease;
	bool held = false;
	int r = store_read_only(p->service->store) ? OK : hold(p, image, &lease, &held, err);

	if (r == OK)
		r = push_blobs(p, image, err);
	if (r == OK)
		r = put_documents(p, image, tags, n_tags, err);
	if (held)
		lease_release(p->service->store, &lease, NULL);
	return r;
}

static int push_image(struct push *p, struct push_image *image, struct err *err)
{
	CLEANUP(freep) const char **missing = calloc(image->n_tags + 1, sizeof *missing);
	size_t n = 0;
	int r;

	if (!missing)
		return fail_nomem(err);
	if (push_load(p, image, NULL, err) < 0 || send_layers(p, image, WAITING, err) < 0 ||
	    find_missing_tags(p, image, missing, &n, err) < 0 || settle_absent(p, image, missing, &n, err) < 0)
		return err->code;
	if (n == image->n_tags)
		r = send_image(p, image, missing, n, err);
	else
		r = n ? put(p, root_of(image), missing, n, err) : OK;
	if (r == OK && n < image->n_tags)
		r = send_layers(p, image, EXISTS, err);
	if (r != OK || note(p, image, err) < 0)
		return err->code;
	for (size_t i = 0; i < image->n_tags; i++)
		if (send_tag(p, image->tags[i], root_of(image), err) < 0)
			return err->code;
	return OK;
}

static int push_images(struct push *p, struct err *err)
{
	for (size_t i = 0; i < p->n_images; i++) {
		int r = push_image(p, &p->images[i], err);

		push_unload(&p->images[i]);
		if (r != OK)
			return r;
	}
	return OK;
}

/* ---- the call -------------------------------------------------------------- */

static int parse_request(struct push *p, const Imaged__V1__PushRequest *request, struct err *err)
{
	if (reference_parse(request->reference, &p->ref, err) < 0)
		return err->code;
	if (digest_is_set(&p->ref.digest))
		return fail(err, E_INVALID_REFERENCE, "cannot push a digest reference");
	if (p->all_tags && p->ref.tag[0])
		return fail(err, E_INVALID_REFERENCE, "tag can't be used with --all-tags/-a");
	if (!p->all_tags)
		reference_default_tag(&p->ref);
	p->platform_given = *request->platform != 0;
	return p->platform_given ? platform_parse(request->platform, &p->platform, err) : OK;
}

static int compress_all(struct push *p, struct err *err)
{
	for (size_t i = 0; i < p->n_images; i++) {
		struct push_image *image = &p->images[i];
		int r = digest_eq(&image->root, &image->chosen) ? push_compress(p, image, image->selected->record, err)
								: push_compress_index(p, image, err);

		if (r < 0)
			return r;
	}
	return OK;
}

/* docker says this without the request that needed them. */
static void shorten(struct err *err)
{
	static const char words[] = ": no basic auth credentials";
	size_t len = strlen(err->text);

	if (err->code == E_UNAUTHENTICATED && len >= sizeof words &&
	    !strcmp(err->text + len - (sizeof words - 1), words))
		snprintf(err->text, sizeof err->text, "%s", words + 2);
}

static int run(struct push *p, struct err *err)
{
	if (push_plan(p, err) < 0 ||
	    repository_open_push(p->service->registry, &p->ref, NULL, &p->credentials, &p->repository, err) < 0 ||
	    repository_contact(p->repository, p->cancel, err) < 0 || compress_all(p, err) < 0 ||
	    push_collect(p, err) < 0 || send_started(p, err) < 0 || push_images(p, err) < 0)
		return err->code;
	return send_done(p, err);
}

static void release(struct push *p)
{
	push_forget_sources(p);
	for (size_t i = 0; i < p->n_images; i++) {
		push_unload(&p->images[i]);
		if (p->images[i].leased)
			lease_release(p->service->store, &p->images[i].lease, NULL);
	}
	free(p->images);
	free(p->blobs);
	selection_free(&p->selection);
	repository_unref(p->repository);
	transfer_watch_destroy(&p->watch);
	pthread_mutex_destroy(&p->mu);
}

static int send_to_client(void *call, const Imaged__V1__PushEvent *event, struct err *err)
{
	return imaged__v1__image_service__push_send(call, event, err);
}

static int push_call(struct image_service *service, struct rpc_call *call, const Imaged__V1__PushRequest *request,
		     struct err *err)
{
	struct push p = {
		.service = service,
		.event = send_to_client,
		.arg = call,
		.cancel = rpc_call_cancel(call),
		.credentials = credentials_of(request->credentials),
		.all_tags = request->all_tags,
		.docker_manifest = request->docker_manifest,
	};
	int r;

	if (parse_request(&p, request, err) < 0)
		return err->code;
	if (admission_enter(&service->pushes, PUSHES_MAX, "pushes run", err) < 0)
		return err->code;
	pthread_mutex_init(&p.mu, NULL);
	transfer_watch_init(&p.watch);
	r = run(&p, err);
	if (r != OK)
		shorten(err);
	release(&p);
	admission_leave(&service->pushes);
	return r;
}

/* ---- of a build ------------------------------------------------------------ */

static int run_content(struct push *p, const struct push_content *c, struct err *err)
{
	const char *tag = c->ref->tag;

	p->images = calloc(1, sizeof *p->images);
	if (!p->images)
		return fail_nomem(err);
	p->n_images = 1;
	p->images->root = c->root;
	p->images->chosen = c->chosen;
	p->images->tags = &tag;
	p->images->n_tags = 1;
	if (repository_open_push(p->service->registry, &p->ref, NULL, &p->credentials, &p->repository, err) < 0 ||
	    repository_contact(p->repository, p->cancel, err) < 0 || push_collect(p, err) < 0 ||
	    send_started(p, err) < 0 || push_images(p, err) < 0)
		return err->code;
	return send_done(p, err);
}

int push_content(struct image_service *service, const struct push_content *c, struct err *err)
{
	struct push p = {
		.service = service,
		.event = c->event,
		.arg = c->arg,
		.cancel = c->cancel,
		.credentials = c->credentials,
		.ref = *c->ref,
	};
	struct err ignored = ERR_INIT;
	int r;

	err = err ? err : &ignored;
	if (admission_enter(&service->pushes, PUSHES_MAX, "pushes run", err) < 0)
		return err->code;
	pthread_mutex_init(&p.mu, NULL);
	transfer_watch_init(&p.watch);
	r = run_content(&p, c, err);
	if (r != OK)
		shorten(err);
	release(&p);
	admission_leave(&service->pushes);
	return r;
}

int push(void *self, struct rpc_call *call, const Imaged__V1__PushRequest *request, struct err *err)
{
	int r = push_call(self, call, request, err);

	credentials_wipe(request->credentials);
	return r;
}
