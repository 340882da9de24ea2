/* CheckStore: the store finds, this repairs: what is damaged or missing is fetched
 * again from a repository that the image came from. */
#include "store/check.h"

#include "proto/runtime/clock.h"
#include "service/image/convert.h"
#include "service/image/image_service.h"

struct checking {
	struct image_service *service;
	struct rpc_call *call;
	const Imaged__V1__CheckStoreRequest *request;
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

static void ignore_progress(UNUSED void *arg, UNUSED int64_t offset, UNUSED int64_t fetched)
{
}

static void ignore_retry(UNUSED void *arg, UNUSED const char *why)
{
}

static void ignore_restart(UNUSED void *arg)
{
}

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
	struct fetch_observer nobody = { ignore_progress, ignore_retry, ignore_restart, NULL };

	if (ingest_open(c->service->store, &f->digest, f->size, &ingest, err) < 0 ||
	    registry_fetch(repository, &blob, ingest, &nobody, rpc_call_cancel(c->call), err) < 0)
		return err->code;
	*ret_ingest = TAKE(ingest);
	return OK;
}

static int fetch_from(struct checking *c, const struct finding *f, const char *source, struct err *err)
{
	struct credentials credentials = credentials_of(c->request->credentials);
	CLEANUP(repository_unrefp) struct repository *repository = NULL;
	CLEANUP(ingest_unrefp) struct ingest *ingest = NULL;
	enum media_kind kind = media_type_of(f->media_type).kind;
	struct reference ref;
	int r;

	if (reference_parse(source, &ref, err) < 0 ||
	    repository_open(c->service->registry, &ref, &credentials, &repository, err) < 0)
		return err->code;
	ref.digest = f->digest;
	r = media_is_manifest(kind) || media_is_index(kind) ? fetch_document(c, repository, &ref, &ingest, err)
							    : fetch_blob(c, repository, f, &ingest, err);
	if (r < 0 || !ingest)
		return r;
	return content_commit(c->service->store, &ingest, 1, err);
}

/* A damaged blob stays in quarantine only if another copy was found: it may be all
 * that there is. */
static int repair(struct checking *c, const struct finding *f, struct err *err)
{
	if (!f->n_sources)
		return fail(err, E_NOT_FOUND, "it came from no registry; load or build the image again");
	if (f->kind == FINDING_BLOB_DAMAGED && content_quarantine(c->service->store, &f->digest, err) < 0)
		return err->code;
	for (size_t i = 0; i < f->n_sources; i++) {
		if (fetch_from(c, f, f->sources[i], err) == OK)
			return OK;
		if (cancel_check(rpc_call_cancel(c->call), NULL) < 0)
			return err->code;
	}
	return err->code;
}

static bool repairable(const struct checking *c, const struct finding *f)
{
	return c->request->repair && (f->kind == FINDING_BLOB_DAMAGED || f->kind == FINDING_BLOB_MISSING);
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
	for (size_t i = 0; m.images && i < f->n_images; i++) {
		m.images[i] = digest_message(&a, &f->images[i]);
		if (!m.images[i])
			return fail_nomem(c->err);
		m.n_images++;
	}
	if (repairable(c, f)) {
		m.repaired = repair(c, f, &why) == OK;
		if (m.repaired)
			c->repaired++;
		else
			m.repair_error = why.text;
	}
	event.event_case = IMAGED__V1__CHECK_STORE_EVENT__EVENT_FINDING;
	event.finding = &m;
	return send_event(c, &event);
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
	m.bytes_checked = p->bytes_checked;
	m.bytes_total = p->bytes_total;
	event.event_case = IMAGED__V1__CHECK_STORE_EVENT__EVENT_PROGRESS;
	event.progress = &m;
	return send_event(c, &event);
}

int check_store(void *self, struct rpc_call *call, const Imaged__V1__CheckStoreRequest *request, struct err *err)
{
	struct checking c = { .service = self, .call = call, .request = request, .err = err };
	struct check check = {
		.quick = request->quick,
		.cancel = rpc_call_cancel(call),
		.progress = on_progress,
		.finding = on_finding,
		.arg = &c,
	};
	Imaged__V1__CheckStoreEvent event = IMAGED__V1__CHECK_STORE_EVENT__INIT;
	Imaged__V1__CheckSummary m = IMAGED__V1__CHECK_SUMMARY__INIT;
	struct check_progress totals = { .blobs_checked = 0 };

	if (request->repair && store_read_only(c.service->store))
		return fail(err, E_READ_ONLY, "the store is read-only: nothing can be repaired");
	if (store_check(c.service->store, &check, &totals, err) < 0)
		return err->code;
	m.blobs = totals.blobs_checked;
	m.bytes = totals.bytes_checked;
	m.findings = c.findings;
	m.repaired = c.repaired;
	event.event_case = IMAGED__V1__CHECK_STORE_EVENT__EVENT_SUMMARY;
	event.summary = &m;
	return send_event(&c, &event);
}
