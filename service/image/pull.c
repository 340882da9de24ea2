/* Pull: the steps of pull.h in order, and the publication. */
#include "service/image/pull.h"

#include <stdio.h>

#include "proto/runtime/clock.h"
#include "service/image/convert.h"
#include "service/registry/warning.h"
#include "store/image/names.h"
#include "store/types/descriptor.h"

/* ---- events --------------------------------------------------------------- */

static int send_event(struct pull *p, const Imaged__V1__PullEvent *event, struct err *err)
{
	return p->peer->send(p->peer->arg, event, err);
}

int pull_send_resolved(struct pull *p, struct err *err)
{
	Imaged__V1__PullEvent event = IMAGED__V1__PULL_EVENT__INIT;
	Imaged__V1__PullResolved m = IMAGED__V1__PULL_RESOLVED__INIT;
	char name[REFERENCE_TEXT_MAX];
	CLEANUP(arena_free) struct arena a;

	arena_init(&a, ANSWER_BYTES_MAX);
	m.reference = reference_text(&p->ref, name);
	m.root = descriptor_message(&a, p->root_media_type, &p->root, (int64_t)p->root_body.len);
	m.manifest = descriptor_message(&a, p->manifest_media_type, &p->manifest_digest, (int64_t)p->manifest_body.len);
	m.layers = arena_array(&a, p->manifest.n_layers + 1, sizeof *m.layers);
	if (!m.root || !m.manifest || !m.layers)
		return fail_nomem(err);
	for (size_t i = 0; i < p->manifest.n_layers; i++) {
		const struct descriptor *d = &p->manifest.layers[i];

		m.layers[i] = descriptor_message(&a, d->media_type, &d->digest, d->size);
		if (!m.layers[i])
			return fail_nomem(err);
	}
	m.n_layers = p->manifest.n_layers;
	event.event_case = IMAGED__V1__PULL_EVENT__EVENT_RESOLVED;
	event.resolved = &m;
	return send_event(p, &event, err);
}

static Imaged__V1__LayerProgress__State state_message(enum transfer_state state, bool existed)
{
	if (existed)
		return IMAGED__V1__LAYER_PROGRESS__STATE__STATE_EXISTS;
	switch (state) {
	case TRANSFER_WAITING:
		return IMAGED__V1__LAYER_PROGRESS__STATE__STATE_WAITING;
	case TRANSFER_DOWNLOADING:
		return IMAGED__V1__LAYER_PROGRESS__STATE__STATE_DOWNLOADING;
	case TRANSFER_RETRYING:
		return IMAGED__V1__LAYER_PROGRESS__STATE__STATE_RETRYING;
	case TRANSFER_VERIFYING:
		return IMAGED__V1__LAYER_PROGRESS__STATE__STATE_VERIFYING;
	case TRANSFER_DONE:
		return IMAGED__V1__LAYER_PROGRESS__STATE__STATE_COMPLETE;
	case TRANSFER_FAILED:
		break;
	}
	return IMAGED__V1__LAYER_PROGRESS__STATE__STATE_UNSPECIFIED;
}

int pull_send_layer(struct pull *p, const struct pull_blob *b, const struct transfer_status *status, bool existed,
		    struct err *err)
{
	Imaged__V1__PullEvent event = IMAGED__V1__PULL_EVENT__INIT;
	Imaged__V1__LayerProgress m = IMAGED__V1__LAYER_PROGRESS__INIT;
	char text[DIGEST_TEXT_MAX];

	m.digest = digest_text(&b->descriptor.digest, text);
	m.state = state_message(status->state, existed);
	m.current = existed ? b->descriptor.size : status->present;
	m.total = b->descriptor.size;
	m.message = (char *)status->message;
	m.resumed = status->resumed;
	event.event_case = IMAGED__V1__PULL_EVENT__EVENT_LAYER;
	event.layer = &m;
	return send_event(p, &event, err);
}

enum { WARNING_MAX = 1024 };

/* Ours, then the registry's. */
static char *add_registry_warnings(struct pull *p, const char *ours, char *out, size_t size)
{
	size_t used = (size_t)snprintf(out, size, "%s%s", ours, *ours ? "; " : "");

	repository_warnings(p->repository, out + used, size - used);
	if (!out[used] && *ours)
		out[used - 2] = 0;
	return out;
}

static int send_done(struct pull *p, const struct digest *manifest, const struct digest *config, bool up_to_date,
		     const char *warning, struct err *err)
{
	Imaged__V1__PullEvent event = IMAGED__V1__PULL_EVENT__INIT;
	Imaged__V1__PullDone m = IMAGED__V1__PULL_DONE__INIT;
	char name[REFERENCE_TEXT_MAX], id[DIGEST_TEXT_MAX], root[DIGEST_TEXT_MAX], chosen[DIGEST_TEXT_MAX];
	struct rate_message limit;
	char warnings[WARNING_MAX + WARNINGS_MAX + 2];

	m.reference = reference_text(&p->ref, name);
	m.image_id = digest_text(config, id);
	m.root_digest = digest_text(&p->root, root);
	m.manifest_digest = digest_text(manifest, chosen);
	m.up_to_date = up_to_date;
	m.known = up_to_date || p->image_known;
	m.warning = add_registry_warnings(p, warning, warnings, sizeof warnings);
	m.fetched_bytes = p->fetched_bytes;
	m.rate_limit = rate_message_of(p->repository, &limit);
	m.host = (char *)repository_served_by(p->repository);
	event.event_case = IMAGED__V1__PULL_EVENT__EVENT_DONE;
	event.done = &m;
	return send_event(p, &event, err);
}

/* ---- publish -------------------------------------------------------------- */

/* What is shared between images is keyed by diff ID, so the claim of the
 * configuration must be what the worker found (DESIGN.md 11.7). */
static int check_diff_ids(const struct pull *p, struct err *err)
{
	char claimed[DIGEST_TEXT_MAX], found[DIGEST_TEXT_MAX];

	for (size_t i = 0; i < p->manifest.n_layers; i++) {
		const struct pull_blob *b = &p->blobs[p->layer_blob[i]];

		if (!digest_eq(&b->facts.diff_id, &p->config.diff_ids[i]))
			return fail(
				err, E_DIGEST_MISMATCH, "layer %zu has the diff ID %s, the image configuration says %s",
				i, digest_text(&b->facts.diff_id, found), digest_text(&p->config.diff_ids[i], claimed));
	}
	return OK;
}

static int commit(struct pull *p, struct err *err)
{
	CLEANUP(freep) struct ingest **ingests = calloc(p->n_blobs, sizeof *ingests);
	size_t n = 0;

	if (!ingests)
		return fail_nomem(err);
	for (size_t i = 0; i < p->n_blobs; i++)
		if (p->blobs[i].ingest)
			ingests[n++] = p->blobs[i].ingest;
	return n ? content_commit(p->service->store, ingests, n, err) : OK;
}

static int publish(struct pull *p, bool *ret_changed, struct err *err)
{
	CLEANUP(freep) struct layer_facts *facts = calloc(p->manifest.n_layers + 1, sizeof *facts);
	CLEANUP(freep) struct layer_image **images = calloc(p->manifest.n_layers + 1, sizeof(*images));
	struct reference names[2] = { p->ref, p->ref };
	bool by_digest = digest_is_set(&p->ref.digest);
	char source[REFERENCE_TEXT_MAX];
	struct publication publication = {
		.names = names,
		.n_names = by_digest ? 1 : 2,
		.root = p->root,
		.root_media_type = p->root_media_type,
		.manifest_digest = p->manifest_digest,
		.manifest_size = (int64_t)p->manifest_body.len,
		.manifest_media_type = p->manifest_media_type,
		.manifest = &p->manifest,
		.config = &p->config,
		.layers = facts,
		.layer_images = images,
		.source = reference_name(&p->ref, source),
		.lease = &p->lease,
		.action = IMAGED__V1__EVENT__ACTION__ACTION_PULL,
		.now_ns = clock_wall_ns(),
	};

	if (!facts || !images)
		return fail_nomem(err);
	names[1].tag[0] = 0;
	names[1].digest = p->root;
	if (!digest_eq(&p->root, &p->manifest_digest))
		publication.root_bytes = buf_bytes(&p->root_body);
	for (size_t i = 0; i < p->manifest.n_layers; i++) {
		facts[i] = p->blobs[p->layer_blob[i]].facts;
		images[i] = p->blobs[p->layer_blob[i]].image;
	}
	if (image_publish(p->service->store, &publication, ret_changed, err) < 0)
		return err->code;
	p->leased = false;
	return OK;
}

static int look_for_image(struct pull *p, struct err *err)
{
	CLEANUP(arena_free) struct arena a;
	struct digest *manifests;
	size_t n;

	arena_init(&a, ANSWER_BYTES_MAX);
	if (manifests_of(p->service->store, &p->manifest.config.digest, &a, &manifests, &n, err) < 0)
		return err->code;
	p->image_known = n > 0;
	return OK;
}

/* A manifest without an index is taken as it is, whatever it runs on. */
static void platform_warning(const struct pull *p, char *out, size_t size)
{
	char name[REFERENCE_TEXT_MAX], wanted[PLATFORM_TEXT_MAX], actual[PLATFORM_TEXT_MAX], shown[PLATFORM_TEXT_MAX];

	*out = 0;
	if (!p->platform_given || !*p->config.platform.os || platform_rank(&p->platform, &p->config.platform))
		return;
	snprintf(out, size,
		 "image with reference %s was found but its platform (%s) does not match the specified platform (%s)",
		 reference_familiar(&p->ref, name),
		 printable_text(platform_text(&p->config.platform, actual), shown, sizeof shown),
		 platform_text(&p->platform, wanted));
}

/* The first worker gets ready while the registry is asked. One of several pulls may
 * have no layer for its own: they have theirs started when it comes. */
static int start_workers(struct pull *p, struct err *err)
{
	if (p->workers)
		return OK;
	if (layer_workers_new(p->service->worker_program, 0, &p->workers, err) < 0)
		return err->code;
	if (atomic_load(&p->service->running_pulls) == 1)
		layer_workers_start(p->workers);
	return OK;
}

static int pull_and_publish(struct pull *p, struct err *err)
{
	char warning[WARNING_MAX];
	bool changed = false;

	if (start_workers(p, err) < 0 || pull_manifest(p, err) < 0 || pull_fetch(p, err) < 0 ||
	    check_diff_ids(p, err) < 0 || commit(p, err) < 0 || look_for_image(p, err) < 0 ||
	    publish(p, &changed, err) < 0)
		return err->code;
	platform_warning(p, warning, sizeof warning);
	utf8_clean(warning);
	return send_done(p, &p->manifest_digest, &p->manifest.config.digest, !changed, warning, err);
}

/* ---- the call ------------------------------------------------------------- */

static int up_to_date(struct pull *p, bool *ret_done, struct err *err)
{
	enum { LOOKUP_BYTES_MAX = 8 * 1024 * 1024 };
	CLEANUP(arena_free) struct arena a;
	Imaged__Store__V1__NameRecord *name = NULL;
	struct digest manifest, config;
	int r;

	arena_init(&a, LOOKUP_BYTES_MAX);
	r = pull_up_to_date(p, &a, &name, err);
	*ret_done = r == 1;
	if (r <= 0)
		return r;
	if (digest_of_record(&name->manifest, &manifest, err) < 0 || digest_of_record(&name->config, &config, err) < 0)
		return err->code;
	image_touch(p->service->store, &manifest, clock_wall_ns());
	return send_done(p, &manifest, &config, true, "", err);
}

/* Each text with its end, so that they cannot run into each other. */
static struct digest source_of(const struct pull *p)
{
	char name[REFERENCE_TEXT_MAX];
	const char *const texts[] = { reference_name(&p->ref, name),
				      p->credentials.server_address,
				      p->credentials.username,
				      p->credentials.password,
				      p->credentials.identity_token,
				      p->credentials.registry_token,
				      p->credentials.or_anonymous ? "or anonymous" : "" };
	struct hasher h;

	hasher_init(&h, DIGEST_SHA256);
	for (size_t i = 0; i < ARRAY_LEN(texts); i++) {
		const char *text = texts[i] ? texts[i] : "";

		hasher_update(&h, text, strlen(text) + 1);
	}
	return hasher_final(&h);
}

static int run(struct pull *p, struct err *err)
{
	bool done = false;

	p->source = source_of(p);
	if (repository_open(p->service->registry, &p->ref, &p->credentials, &p->repository, err) < 0 ||
	    pull_look_up(p, err) < 0)
		return err->code;
	if (!p->name_known && start_workers(p, err) < 0)
		return err->code;
	if (pull_resolve(p, err) < 0 || up_to_date(p, &done, err) < 0)
		return err->code;
	return done ? OK : pull_and_publish(p, err);
}

/* A pull that was interrupted leaves its lease (lease.h), so that the next one finds its
 * bytes; one that was refused for good leaves nothing. */
static bool worth_keeping(int code)
{
	switch (code) {
	case E_BAD_CONTENT:
	case E_DIGEST_MISMATCH:
	case E_UNSUPPORTED:
	case E_LIMIT:
		return false;
	default:
		return true;
	}
}

static void discard(struct pull *p)
{
	struct store *s = p->service->store;

	lease_release(s, &p->lease, NULL);
	for (size_t i = 0; i < p->n_blobs; i++) {
		const struct digest *d = &p->blobs[i].descriptor.digest;
		int64_t freed = 0;

		ingest_discard(s, d);
		gc_blobs(s, d, 1, &freed, NULL);
	}
}

static void release(struct pull *p, int code)
{
	pull_leave(p);
	if (p->leased && worth_keeping(code))
		lease_abandon(p->service->store, &p->lease, NULL);
	else if (p->leased)
		discard(p);
	if (p->peer->call)
		release_workers(p->peer->call, p->workers);
	else
		layer_workers_unref(p->workers);
	repository_unref(p->repository);
	manifest_free(&p->manifest);
	image_config_free(&p->config);
	buf_free(&p->root_body);
	buf_free(&p->manifest_body);
	buf_free(&p->config_body);
	free(p->blobs);
	free(p->layer_blob);
	transfer_watch_destroy(&p->watch);
}

static int parse_request(struct pull *p, const Imaged__V1__PullRequest *request, struct err *err)
{
	char name[REFERENCE_TEXT_MAX];

	if (reference_parse(request->reference, &p->ref, err) < 0)
		return err->code;
	if (!strcmp(reference_familiar_name(&p->ref, name), "scratch"))
		return fail(err, E_INVALID_REFERENCE, "'scratch' is a reserved name");
	reference_default_tag(&p->ref);
	if (digest_is_set(&p->ref.digest))
		p->ref.tag[0] = 0;
	p->no_layers = request->no_layers || p->service->no_layers;
	p->platform = p->service->platform;
	p->platform_given = *request->platform != 0;
	return p->platform_given ? platform_parse(request->platform, &p->platform, err) : OK;
}

int pull_for(struct image_service *service, const struct pull_peer *peer, const Imaged__V1__PullRequest *request,
	     struct err *err)
{
	struct pull p = {
		.service = service,
		.peer = peer,
		.cancel = peer->cancel,
		.credentials = credentials_of(request->credentials),
		.root_body = BUF_INIT(MANIFEST_BYTES_MAX),
		.manifest_body = BUF_INIT(MANIFEST_BYTES_MAX),
		.config_body = BUF_INIT(CONFIG_BYTES_MAX),
	};
	int r;

	if (store_read_only(service->store))
		return fail(err, E_READ_ONLY, "the store at %s is read-only: nothing can be pulled",
			    store_root(service->store));
	if (parse_request(&p, request, err) < 0)
		return err->code;
	transfer_watch_init(&p.watch);
	atomic_fetch_add(&service->running_pulls, 1);
	r = run(&p, err);
	release(&p, r);
	atomic_fetch_sub(&service->running_pulls, 1);
	return r;
}

static int send_to_client(void *call, const Imaged__V1__PullEvent *event, struct err *err)
{
	return imaged__v1__image_service__pull_send(call, event, err);
}

int pull_one(struct image_service *service, struct rpc_call *call, const Imaged__V1__PullRequest *request,
	     struct err *err)
{
	const struct pull_peer peer = {
		.send = send_to_client,
		.arg = call,
		.origin = IMAGED__V1__TRANSFER__ORIGIN__ORIGIN_API,
		.cancel = rpc_call_cancel(call),
		.call = call,
	};

	return pull_for(service, &peer, request, err);
}

int pull(void *self, struct rpc_call *call, const Imaged__V1__PullRequest *request, struct err *err)
{
	int r = request->all_tags ? pull_all_tags(self, call, request, err) : pull_one(self, call, request, err);

	credentials_wipe(request->credentials);
	return r;
}
