/* CheckStore: the store finds, this repairs: what is damaged or missing is fetched
 * again from a repository that the image came from; images of layers are made again. */
#include "store/check.h"

#include "proto/runtime/clock.h"
#include "service/image/check_layer.h"
#include "service/image/convert.h"
#include "service/image/image_service.h"
#include "service/registry/host.h"
#include "store/cache/step_cache.h"
#include "store/image/events.h"

struct checking {
	struct image_service *service;
	struct rpc_call *call;
	const Imaged__V1__CheckStoreRequest *request;
	struct layer_check layers;
	int64_t findings, repaired;
	int64_t progress_at_ms;
	struct err *err;
};

/* ---- repair --------------------------------------------------------------- */

static int fetch_document(struct checking *c, struct repository *repository, const struct reference *ref,
			  struct ingest **ret_ingest, struct err *err)
{
	struct remote_manifest remote = { .size = 0 };
	int r = registry_manifest(repository, ref, rpc_call_cancel(c->call), &remote, err);

	if (r == OK)
		r = ingest_bytes(c->service->store, &ref->digest, buf_bytes(&remote.body), ret_ingest, err);
	remote_manifest_free(&remote);
	return r;
}

/* A pull may be at it: then its bytes are waited for, or gone on from. */
static int open_ingest(struct checking *c, const struct finding *f, struct ingest **ret_ingest, struct err *err)
{
	enum { BUSY_MS = 50 };
	struct cancel *cancel = rpc_call_cancel(c->call);
	int r;

	do
		r = ingest_open(c->service->store, &f->digest, f->size, ret_ingest, err);
	while (r == E_BUSY && !cancel_wait(cancel, BUSY_MS));
	return r == E_BUSY ? cancel_check(cancel, err) : r;
}

/* No ingest when somebody else brought it meanwhile. */
static int fetch_blob(struct checking *c, struct repository *repository, const struct finding *f,
		      struct ingest **ret_ingest, struct err *err)
{
	CLEANUP(ingest_unrefp) struct ingest *ingest = NULL;
	struct descriptor blob = {
		.media_type = (char *)f->media_type,
		.type = media_type_of(f->media_type),
		.digest = f->digest,
		.size = f->size,
	};
	int r = open_ingest(c, f, &ingest, err);

	if (r == E_EXISTS)
		return OK;
	if (r < 0 || registry_fetch(repository, &blob, ingest, NULL, rpc_call_cancel(c->call), err) < 0)
		return err->code;
	*ret_ingest = TAKE(ingest);
	return OK;
}

static int fetch_from(struct checking *c, const struct finding *f, const char *source, struct err *err)
{
	struct credentials credentials;
	CLEANUP(repository_unrefp) struct repository *repository = NULL;
	CLEANUP(ingest_unrefp) struct ingest *ingest = NULL;
	enum media_kind kind = media_type_of(f->media_type).kind;
	struct reference ref;
	int r;

	if (reference_parse(source, &ref, err) < 0)
		return err->code;
	credentials = credentials_of(credentials_among(c->request->credentials, c->request->n_credentials, ref.domain));
	if (repository_open(c->service->registry, &ref, &credentials, &repository, err) < 0)
		return err->code;
	ref.digest = f->digest;
	r = media_is_manifest(kind) || media_is_index(kind) ? fetch_document(c, repository, &ref, &ingest, err)
							    : fetch_blob(c, repository, f, &ingest, err);
	if (r < 0 || !ingest)
		return r;
	return content_commit(c->service->store, &ingest, 1, err);
}

static int fetch_from_any(struct checking *c, const struct finding *f, struct err *err)
{
	for (size_t i = 0; i < f->n_sources; i++) {
		if (fetch_from(c, f, f->sources[i], err) == OK)
			return OK;
		if (cancel_fired(rpc_call_cancel(c->call)))
			break;
	}
	return err->code;
}

/* Failed: the damaged bytes go back to where they were, since they may be all that
 * there is, and the next check finds them again. */
static int put_back(struct checking *c, const struct finding *f, struct err *err)
{
	struct err why = { .code = OK };
	int r = content_restore(c->service->store, &f->digest, NULL, &why);

	if (r == E_EXISTS) /* somebody else brought it meanwhile */
		return OK;
	return r < 0 ? err_wrap(err, "the damaged content could not be put back (%s)", why.text) : err->code;
}

/* Builds make it again. Whatever becomes of it otherwise, they are not to rely on it. */
static int forget_results(struct checking *c, const struct finding *f)
{
	struct step_cache *cache = c->service->build.step_cache;

	if (!cache)
		return E_NOT_FOUND;
	return f->step ? step_cache_forget(cache, f->step, NULL) : step_cache_forget_blob(cache, &f->digest, NULL);
}

static int repair_content(struct checking *c, const struct finding *f, struct err *err)
{
	bool aside = f->kind == FINDING_BLOB_DAMAGED;
	int r = forget_results(c, f);

	if (!f->n_images && !f->n_sources && r == OK)
		return OK;
	if (!f->n_sources || f->size < 0)
		return fail(err, E_NOT_FOUND,
			    "it came from no registry: remove the image, then load or build it again");
	if (aside && content_quarantine(c->service->store, &f->digest, err) < 0)
		return err->code;
	r = fetch_from_any(c, f, err);
	if (r < 0 && aside)
		r = put_back(c, f, err);
	return r;
}

static int repair(struct checking *c, const struct finding *f, struct err *err)
{
	if (f->layer_image)
		return layer_check_repair(&c->layers, f->layer_image, err);
	if (f->kind != FINDING_RECORD_BROKEN)
		return repair_content(c, f, err);
	return forget_results(c, f) == OK ? OK : fail(err, E_BUSY, "a build uses the result of this step");
}

/* It is mended all the same when this cannot be written. */
static void tell_watchers(struct checking *c, const struct finding *f)
{
	event_write(c->service->store, EVENT_REPAIR, f->n_images ? &f->images[0] : NULL, NULL, &f->digest,
		    clock_wall_ns(), NULL);
}

static bool repairable(const struct checking *c, const struct finding *f)
{
	return c->request->repair &&
	       (f->layer_image || f->step || f->kind == FINDING_BLOB_DAMAGED || f->kind == FINDING_BLOB_MISSING);
}

/* ---- events --------------------------------------------------------------- */

static int send_event(struct checking *c, const Imaged__V1__CheckStoreEvent *event)
{
	return imaged__v1__image_service__check_store_send(c->call, event, c->err);
}

static int on_finding(void *arg, const struct finding *f)
{
	struct checking *c = arg;
	Imaged__V1__CheckStoreEvent event = IMAGED__V1__CHECK_STORE_EVENT__INIT;
	Imaged__V1__CheckFinding m = IMAGED__V1__CHECK_FINDING__INIT;
	char text[DIGEST_TEXT_MAX] = "";
	struct err why = { .code = OK };
	CLEANUP(arena_free) struct arena a;

	arena_init(&a, ANSWER_BYTES_MAX);
	c->findings++;
	m.kind = (Imaged__V1__CheckFinding__Kind)f->kind;
	m.digest = digest_is_set(&f->digest) ? digest_text(&f->digest, text) : text;
	m.detail = (char *)f->detail;
	m.images = arena_array(&a, f->n_images + 1, sizeof *m.images);
	if (!m.images)
		return fail_nomem(c->err);
	for (size_t i = 0; i < f->n_images; i++) {
		m.images[i] = digest_message(&a, &f->images[i]);
		if (!m.images[i])
			return fail_nomem(c->err);
		m.n_images++;
	}
	if (repairable(c, f)) {
		m.repaired = repair(c, f, &why) == OK;
		if (m.repaired) {
			c->repaired++;
			tell_watchers(c, f);
		} else {
			utf8_clean(why.text);
			m.repair_error = why.text;
		}
	}
	event.event_case = IMAGED__V1__CHECK_STORE_EVENT__EVENT_FINDING;
	event.finding = &m;
	return send_event(c, &event);
}

static int on_layer_image(void *arg, const struct layer_image_entry *i, int fd, const struct check_step *step,
			  struct err *err)
{
	struct checking *c = arg;

	return layer_check_look_into(&c->layers, i, fd, step, err);
}

static int on_progress(void *arg, const struct check_progress *p)
{
	enum { EVERY_MS = 200 };
	struct checking *c = arg;
	Imaged__V1__CheckStoreEvent event = IMAGED__V1__CHECK_STORE_EVENT__INIT;
	Imaged__V1__CheckProgress m = IMAGED__V1__CHECK_PROGRESS__INIT;
	int64_t now = clock_monotonic_ms();

	if (now - c->progress_at_ms < EVERY_MS)
		return OK;
	c->progress_at_ms = now;
	m.blobs_checked = p->blobs_checked;
	m.blobs_total = p->blobs_total;
	m.bytes_checked = p->bytes_checked + p->layer_bytes_checked;
	m.bytes_total = p->bytes_total + p->layer_bytes_total;
	event.event_case = IMAGED__V1__CHECK_STORE_EVENT__EVENT_PROGRESS;
	event.progress = &m;
	return send_event(c, &event);
}

static int check(struct image_service *service, struct rpc_call *call, const Imaged__V1__CheckStoreRequest *request,
		 struct err *err)
{
	struct checking c = { .service = service, .call = call, .request = request, .err = err };
	struct check run = {
		.quick = request->quick,
		.cancel = rpc_call_cancel(call),
		.progress = on_progress,
		.finding = on_finding,
		.look_into = on_layer_image,
		.arg = &c,
	};
	Imaged__V1__CheckStoreEvent event = IMAGED__V1__CHECK_STORE_EVENT__INIT;
	Imaged__V1__CheckSummary m = IMAGED__V1__CHECK_SUMMARY__INIT;
	struct check_progress totals = { .blobs_checked = 0 };
	int r;

	c.layers = (struct layer_check){ .service = service, .quick = request->quick, .cancel = run.cancel };
	if (request->repair && store_read_only(c.service->store))
		return fail(err, E_READ_ONLY, "the store is read-only: nothing can be repaired");
	r = store_check(c.service->store, &run, &totals, err);
	layer_check_release(&c.layers);
	if (r < 0)
		return r;
	m.blobs = totals.blobs_checked;
	m.bytes = totals.bytes_checked;
	m.findings = c.findings;
	m.repaired = c.repaired;
	m.layer_images = totals.layer_images_checked;
	m.layer_images_not_compared = c.layers.not_compared;
	event.event_case = IMAGED__V1__CHECK_STORE_EVENT__EVENT_SUMMARY;
	event.summary = &m;
	return send_event(&c, &event);
}

int check_store(void *self, struct rpc_call *call, const Imaged__V1__CheckStoreRequest *request, struct err *err)
{
	int r = check(self, call, request, err);

	for (size_t i = 0; i < request->n_credentials; i++)
		credentials_wipe(request->credentials[i]);
	return r;
}
