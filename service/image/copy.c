/* Copy: the steps of copy.h in order. */
#include "service/image/copy.h"

#include "service/image/convert.h"

/* ---- events ---------------------------------------------------------------- */

static int send_event(struct copy *c, const Imaged__V1__PushEvent *event, struct err *err)
{
	return imaged__v1__image_service__copy_send(c->call, event, err);
}

static int fill_layers(const struct copy *c, struct arena *a, Imaged__V1__PushStarted *m, struct err *err)
{
	m->layers = arena_array(a, c->n_blobs + 1, sizeof *m->layers);
	if (!m->layers)
		return fail_nomem(err);
	for (size_t i = 0; i < c->n_blobs; i++) {
		Imaged__V1__PushLayer *layer;

		if (!c->blobs[i].layer)
			continue;
		layer = arena_alloc(a, sizeof *layer);
		if (!layer)
			return fail_nomem(err);
		imaged__v1__push_layer__init(layer);
		layer->digest = digest_message(a, &c->blobs[i].descriptor->digest);
		layer->size = c->blobs[i].descriptor->size;
		if (!layer->digest)
			return fail_nomem(err);
		m->layers[m->n_layers++] = layer;
	}
	return OK;
}

static int send_started(struct copy *c, struct err *err)
{
	Imaged__V1__PushEvent event = IMAGED__V1__PUSH_EVENT__INIT;
	Imaged__V1__PushStarted m = IMAGED__V1__PUSH_STARTED__INIT;
	char name[REFERENCE_TEXT_MAX];
	CLEANUP(arena_free) struct arena a;

	arena_init(&a, ANSWER_BYTES_MAX);
	m.repository = reference_name(&c->destination, name);
	if (fill_layers(c, &a, &m, err) < 0)
		return err->code;
	event.event_case = IMAGED__V1__PUSH_EVENT__EVENT_STARTED;
	event.started = &m;
	return send_event(c, &event, err);
}

int copy_send_layer(struct copy *c, struct copy_blob *b, const struct upload_status *status, struct err *err)
{
	Imaged__V1__PushEvent event = IMAGED__V1__PUSH_EVENT__INIT;
	Imaged__V1__PushProgress m = IMAGED__V1__PUSH_PROGRESS__INIT;
	char text[DIGEST_TEXT_MAX];

	upload_tell(&b->told, status, &m);
	m.digest = digest_text(&b->descriptor->digest, text);
	m.total = b->descriptor->size;
	event.event_case = IMAGED__V1__PUSH_EVENT__EVENT_LAYER;
	event.layer = &m;
	return send_event(c, &event, err);
}

static int send_end(struct copy *c, struct err *err)
{
	Imaged__V1__PushEvent event = IMAGED__V1__PUSH_EVENT__INIT;
	Imaged__V1__PushedTag tag = IMAGED__V1__PUSHED_TAG__INIT;
	Imaged__V1__PushDone done = IMAGED__V1__PUSH_DONE__INIT;
	struct rate_message limit;
	char digest[DIGEST_TEXT_MAX];

	tag.tag = c->destination.tag;
	tag.digest = digest_text(&c->root->digest, digest);
	tag.size = (int64_t)c->root->body.len;
	tag.media_type = c->root->media_type;
	event.event_case = IMAGED__V1__PUSH_EVENT__EVENT_TAG;
	event.tag = &tag;
	if (send_event(c, &event, err) < 0)
		return err->code;
	done.rate_limit = rate_message_of(c->to, &limit);
	done.sent_bytes = c->sent_bytes;
	event.event_case = IMAGED__V1__PUSH_EVENT__EVENT_DONE;
	event.done = &done;
	return send_event(c, &event, err);
}

/* ---- publish --------------------------------------------------------------- */

static int put(struct copy *c, const struct copy_document *d, const char *tag, struct err *err)
{
	struct manifest_upload m = {
		.body = buf_bytes(&d->body),
		.media_type = d->media_type,
		.digest = &d->digest,
		.tags = &tag,
		.n_tags = tag && *tag,
	};

	return registry_put_manifest(c->to, &m, c->cancel, err);
}

static int publish(struct copy *c, struct err *err)
{
	if (c->there)
		return OK;
	for (size_t i = 0; i < c->n_documents; i++)
		if (c->documents[i] != c->root && put(c, c->documents[i], NULL, err) < 0)
			return err->code;
	return put(c, c->root, c->destination.tag, err);
}

/* ---- the call -------------------------------------------------------------- */

static int open_source(struct copy *c, struct err *err)
{
	struct registry *r = c->service->registry;

	return c->insecure ? repository_open_insecure(r, &c->source, &c->source_credentials, &c->from, err)
			   : repository_open(r, &c->source, &c->source_credentials, &c->from, err);
}

static int open_destination(struct copy *c, const char *from, struct repository **ret_repository, struct err *err)
{
	struct registry *r = c->service->registry;
	const struct credentials *credentials = &c->destination_credentials;

	return c->insecure ? repository_open_push_insecure(r, &c->destination, from, credentials, ret_repository, err)
			   : repository_open_push(r, &c->destination, from, credentials, ret_repository, err);
}

static int open_repositories(struct copy *c, struct err *err)
{
	if (open_source(c, err) < 0 || open_destination(c, NULL, &c->to, err) < 0)
		return err->code;
	if (strcmp(c->source.domain, c->destination.domain) != 0 || !strcmp(c->source.path, c->destination.path))
		return OK;
	return open_destination(c, c->source.path, &c->mounting, err);
}

/* Of two registries a user must know which one refuses: the source's refusals say so. */
static int name_registry(const struct copy *c, struct err *err)
{
	static const char source[] = "pull access denied for ";
	char name[REFERENCE_TEXT_MAX];

	if (err->code != E_DENIED || !strncmp(err->text, source, sizeof source - 1))
		return err->code;
	return err_wrap(err, "push access denied for %s", reference_familiar_name(&c->destination, name));
}

static int run(struct copy *c, struct err *err)
{
	if (open_repositories(c, err) < 0 || copy_plan(c, err) < 0 || send_started(c, err) < 0)
		return err->code;
	if (copy_blobs(c, err) < 0 || publish(c, err) < 0)
		return name_registry(c, err);
	return send_end(c, err);
}

static void release(struct copy *c)
{
	copy_plan_free(c);
	repository_unref(c->from);
	repository_unref(c->to);
	repository_unref(c->mounting);
	transfer_watch_destroy(&c->watch);
	pthread_mutex_destroy(&c->mu);
}

static int parse_request(struct copy *c, const Imaged__V1__CopyRequest *request, struct err *err)
{
	if (reference_parse(request->source, &c->source, err) < 0 ||
	    reference_parse(request->destination, &c->destination, err) < 0)
		return err->code;
	if (digest_is_set(&c->destination.digest))
		return fail(err, E_INVALID_REFERENCE, "a copy cannot be given a digest: it has that of its source");
	reference_default_tag(&c->source);
	if (!c->destination.tag[0])
		memcpy(c->destination.tag, c->source.tag, sizeof c->destination.tag);
	c->referrers = request->referrers;
	c->insecure = request->insecure;
	c->platform_given = *request->platform != 0;
	return c->platform_given ? platform_parse(request->platform, &c->platform, err) : OK;
}

static int answer(struct image_service *service, struct rpc_call *call, const Imaged__V1__CopyRequest *request,
		  struct err *err)
{
	struct copy c = {
		.service = service,
		.call = call,
		.cancel = rpc_call_cancel(call),
		.source_credentials = credentials_of(request->source_credentials),
		.destination_credentials = credentials_of(request->destination_credentials),
	};
	int r = parse_request(&c, request, err);

	if (r == OK)
		r = admission_enter(&service->copies, COPIES_MAX, "copies go on", err);
	if (r < 0)
		return r;
	pthread_mutex_init(&c.mu, NULL);
	transfer_watch_init(&c.watch);
	r = run(&c, err);
	release(&c);
	admission_leave(&service->copies);
	return r;
}

int copy_image(void *self, struct rpc_call *call, const Imaged__V1__CopyRequest *request, struct err *err)
{
	int r = answer(self, call, request, err);

	credentials_wipe(request->source_credentials);
	credentials_wipe(request->destination_credentials);
	return r;
}
