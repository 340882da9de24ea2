/*
 * A blob into an ingest, through interruptions.
 *
 * Each attempt asks the registry anew (a signed address of its storage expires) for
 * what is missing. Any byte that arrives makes the next failure the first one
 * again (retry.h), so only a transfer that stands still is given up.
 */
#include <stdio.h>

#include "service/registry/content_range.h"
#include "service/registry/refusal.h"

struct fetch {
	struct repository *repository;
	const struct descriptor *blob;
	struct ingest *ingest;
	const struct fetch_observer *observer;
	struct cancel *cancel;
	struct retry retry;
	int64_t fetched;
	bool no_ranges;	 /* the server answered a Range with nonsense */
	bool other_etag; /* the server knows the blob by another tag than our start has */
	bool second_try; /* started over after bytes that were wrong */
	bool mixed;	 /* the bytes do not all come from this answer */
};

/* What an attempt ended with. */
enum outcome { DONE, AGAIN, FAILED };

/* ---- telling --------------------------------------------------------------- */

static void tell_progress(const struct fetch *f)
{
	if (f->observer && f->observer->progress)
		f->observer->progress(f->observer->arg, ingest_offset(f->ingest), f->fetched);
}

static void tell_retrying(const struct fetch *f, const char *why)
{
	if (f->observer && f->observer->retrying)
		f->observer->retrying(f->observer->arg, why);
}

static int start_over(struct fetch *f, struct err *err)
{
	int r;

	f->mixed = false;
	if (ingest_offset(f->ingest) == 0)
		return OK;
	r = ingest_restart(f->ingest, err);
	if (r == OK && f->observer && f->observer->restarted)
		f->observer->restarted(f->observer->arg);
	return r;
}

static int fail_blob(const struct fetch *f, int code, struct err *err, const char *fmt, ...)
	__attribute__((format(printf, 4, 5)));

static int fail_blob(const struct fetch *f, int code, struct err *err, const char *fmt, ...)
{
	char digest[DIGEST_TEXT_MAX];
	va_list ap;

	va_start(ap, fmt);
	failv(err, code, fmt, ap);
	va_end(ap);
	if (err)
		err_wrap(err, "blob %s of %s", digest_text(&f->blob->digest, digest), f->repository->familiar);
	return code;
}

/* ---- the answer ------------------------------------------------------------ */

static int open_answer(struct fetch *f, struct answer *ret_answer, enum retry_class *ret_class, struct err *err)
{
	char digest[DIGEST_TEXT_MAX], range[48];
	CLEANUP(freep) char *path = request_path(f->repository, "blobs", digest_text(&f->blob->digest, digest));
	struct request q = { .method = "GET", .path = path, .bulk = true };

	*ret_class = RETRY_NEVER;
	if (!path)
		return fail_nomem(err);
	if (ingest_offset(f->ingest) > 0) {
		snprintf(range, sizeof range, "bytes=%lld-", (long long)ingest_offset(f->ingest));
		q.range = range;
		q.if_range = f->other_etag ? NULL : ingest_etag(f->ingest);
	}
	return request_send(f->repository, &q, f->cancel, ret_answer, ret_class, err);
}

static void refuse(const struct fetch *f, struct answer *a, struct err *err)
{
	struct wanted w = { .blob = &f->blob->digest };
	CLEANUP(reply_free)
	struct reply reply = { .status = http_response_of(a->x)->status,
			       .retry_after_ms = request_retry_after(f->repository, a->x) };

	reply.body.max = 64 * 1024;
	http_body(a->x, &reply.body, f->cancel, NULL);
	reply.shown = TAKE(a->shown);
	refusal_of(f->repository, &w, &reply, err);
}

/* An address of the storage that does not let us in: signed ones expire. */
static bool is_expired(const struct answer *a)
{
	int status = http_response_of(a->x)->status;

	return a->redirected && (status == 400 || status == 401 || status == 403);
}

/* Weak tags do not name bytes. A part that names none goes on with the one we have. */
static void keep_etag(struct fetch *f, const struct answer *a)
{
	const char *etag = http_header_of(a->x, "ETag");

	if (!etag && http_response_of(a->x)->status == 206)
		return;

	ingest_set_etag(f->ingest, etag && etag[0] == '"' && strlen(etag) < INGEST_ETAG_MAX ? etag : "");
}

static int accept_whole(struct fetch *f, const struct answer *a, struct err *err)
{
	int64_t length = http_response_of(a->x)->content_length;

	if (length >= 0 && length != f->blob->size)
		return fail_blob(f, E_BAD_CONTENT, err, "the registry has %lld bytes, the manifest says %lld",
				 (long long)length, (long long)f->blob->size);
	return start_over(f, err);
}

/* OK: the body goes on where the ingest stands. */
static int accept(struct fetch *f, const struct answer *a, bool *ret_usable, struct err *err)
{
	const struct http_response *response = http_response_of(a->x);
	const char *coding = http_header_of(a->x, "Content-Encoding");
	int r = OK;

	*ret_usable = true;
	if (coding && *coding && strcmp(coding, "identity") != 0)
		return fail_blob(f, E_BAD_CONTENT, err, "the registry sent it re-encoded (Content-Encoding: %.32s)",
				 coding);
	if (response->status == 200)
		r = accept_whole(f, a, err);
	else
		*ret_usable = content_range_continues(http_header_of(a->x, "Content-Range"), ingest_offset(f->ingest),
						      f->blob->size);
	if (r == OK && *ret_usable)
		keep_etag(f, a);
	return r;
}

/* ---- the body -------------------------------------------------------------- */

static int copy_body(struct fetch *f, struct answer *a, struct err *err)
{
	struct bytes piece;
	int r;

	while ((r = http_next(a->x, &piece, f->cancel, err)) == 1) {
		r = ingest_write(f->ingest, piece.data, piece.len, err);
		if (r != OK)
			return r == E_LIMIT ? fail_blob(f, E_BAD_CONTENT, err, "the registry sent more than %lld bytes",
							(long long)f->blob->size)
					    : r;
		f->fetched += (int64_t)piece.len;
		retry_progress(&f->retry);
		tell_progress(f);
	}
	return r;
}

/* ---- attempts -------------------------------------------------------------- */

/* Another attempt after a pause, or the failure that err holds. */
static enum outcome pause_for(struct fetch *f, enum retry_class class, int64_t retry_after, struct err *err)
{
	const struct retry_env *env = f->repository->registry->env;
	int64_t pause = class == RETRY_NEVER ? -1 : retry_pause(&f->retry, class, retry_after, env);

	if (pause < 0)
		return FAILED;
	tell_retrying(f, err->text);
	f->mixed = true;
	if (env->sleep(env->arg, f->cancel, pause))
		return AGAIN;
	cancel_check(f->cancel, err);
	return FAILED;
}

static enum outcome no_ranges(struct fetch *f, const char *why, struct err *err)
{
	if (f->no_ranges && ingest_offset(f->ingest) == 0) {
		fail_blob(f, E_REGISTRY, err, "%s", why);
		return FAILED;
	}
	f->no_ranges = true;
	tell_retrying(f, why);
	return start_over(f, err) == OK ? AGAIN : FAILED;
}

/* A start that came from another registry, or before its storage moved, has another
 * tag; the bytes are the digest's all the same. So a whole body in answer to
 * If-Range is not taken before the range alone was asked for. */
static bool try_without_etag(struct fetch *f, const struct answer *a)
{
	if (http_response_of(a->x)->status != 200 || f->other_etag || ingest_offset(f->ingest) == 0 ||
	    !*ingest_etag(f->ingest))
		return false;
	f->other_etag = true;
	return true;
}

static enum outcome take_body(struct fetch *f, struct answer *a, struct err *err)
{
	bool usable;
	int r;

	if (try_without_etag(f, a))
		return AGAIN;
	r = accept(f, a, &usable, err);
	if (r == OK && !usable)
		return no_ranges(f, "the registry answered a range request with other bytes", err);
	if (r == OK)
		r = copy_body(f, a, err);
	if (r == OK && ingest_offset(f->ingest) < f->blob->size && http_response_of(a->x)->status == 200)
		r = fail_blob(f, E_REGISTRY, err, "unexpected EOF"); /* a body without a length */
	if (r == OK)
		return ingest_offset(f->ingest) < f->blob->size ? AGAIN : DONE;
	return r == E_REGISTRY ? pause_for(f, RETRY_BROKEN, 0, err) : FAILED;
}

static enum outcome attempt(struct fetch *f, struct err *err)
{
	CLEANUP(answer_free) struct answer a = { 0 };
	enum retry_class class;
	int r = open_answer(f, &a, &class, err), status;

	if (r != OK)
		return pause_for(f, class, 0, err);
	status = http_response_of(a.x)->status;
	if (status == 200 || status == 206)
		return take_body(f, &a, err);
	if (status == 416)
		return no_ranges(f, "the registry cannot go on where the transfer broke off", err);
	if (is_expired(&a))
		class = RETRY_BROKEN;
	refuse(f, &a, err);
	return pause_for(f, class, err->retry_after_ms, err);
}

/* Wrong bytes that came in pieces (another version meanwhile, a damaged start that
 * was kept) get one more chance as a whole. */
static enum outcome finish(struct fetch *f, struct err *err)
{
	int r = ingest_finish(f->ingest, err);

	if (r == OK)
		return DONE;
	if (r != E_DIGEST_MISMATCH || f->second_try || !f->mixed)
		return FAILED;
	f->second_try = true;
	tell_retrying(f, err->text);
	if (f->observer && f->observer->restarted)
		f->observer->restarted(f->observer->arg);
	f->mixed = false;
	return ingest_restart(f->ingest, err) == OK ? AGAIN : FAILED;
}

int registry_fetch(struct repository *r, const struct descriptor *d, struct ingest *ingest,
		   const struct fetch_observer *observer, struct cancel *cancel, struct err *err)
{
	struct fetch f = { r, d, ingest, observer, cancel, .retry = { .purpose = RETRY_TRANSFER } };
	struct err why = ERR_INIT;
	enum outcome end = AGAIN;

	f.mixed = ingest_offset(ingest) > 0;
	while (end == AGAIN) {
		end = ingest_offset(ingest) < d->size ? attempt(&f, &why) : DONE;
		if (end == DONE)
			end = finish(&f, &why);
	}
	if (end == DONE)
		return OK;
	if (err)
		*err = why;
	return why.code;
}
