/*
 * A blob into an ingest, through interruptions.
 *
 * Each attempt asks the registry anew (a signed address of its storage expires) for
 * what is missing, says how it ended, and decide() alone says whether there is
 * another. Bytes that were never here before make the next failure the first one
 * again (retry.h), so only a transfer that stands still, or starts over and over,
 * is given up.
 */
#include <stdio.h>

#include "proto/runtime/clock.h"
#include "service/registry/content_range.h"
#include "service/registry/fetch_internal.h"
#include "service/registry/lanes.h"
#include "service/registry/refusal.h"

/* ---- telling --------------------------------------------------------------- */

int fetch_tell(const struct fetch *f, struct err *err)
{
	struct fetch_progress now = { ingest_offset(f->ingest), ingest_present(f->ingest), f->fetched };

	if (!f->observer || !f->observer->progress)
		return OK;
	return f->observer->progress(f->observer->arg, &now, err);
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
	if (ingest_present(f->ingest) == 0)
		return OK;
	r = ingest_restart(f->ingest, err);
	if (r == OK && f->observer && f->observer->restarted)
		f->observer->restarted(f->observer->arg);
	return r;
}

int fetch_fail(const struct fetch *f, int code, struct err *err, const char *fmt, ...)
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

int fetch_open(const struct fetch *f, const struct run *range, const struct storage *storage, struct cancel *cancel,
	       struct answer *ret_answer, enum retry_class *ret_class, struct err *err)
{
	char digest[DIGEST_TEXT_MAX], text[64];
	CLEANUP(freep) char *path = request_path(f->repository, "blobs", digest_text(&f->blob->digest, digest));
	struct request q = { .method = "GET", .path = path, .bulk = true };

	*ret_class = RETRY_NEVER;
	if (!path)
		return fail_nomem(err);
	if (storage) {
		q.at = storage->url;
		q.from = storage->from;
	}
	if (range) {
		snprintf(text, sizeof text, "bytes=%lld-", (long long)range->from);
		if (range->to < f->blob->size)
			snprintf(text, sizeof text, "bytes=%lld-%lld", (long long)range->from,
				 (long long)range->to - 1);
		q.range = text;
		q.if_range = f->other_etag ? NULL : ingest_etag(f->ingest);
	}
	return request_send(f->repository, &q, cancel, ret_answer, ret_class, err);
}

/* What is missing, or a part of it; the whole where the server knows no ranges. */
static int open_answer(struct fetch *f, struct answer *ret_answer, enum retry_class *ret_class, struct err *err)
{
	split_plan(f);
	f->asked_range = f->bounded || (ingest_present(f->ingest) > 0 && !f->no_ranges);
	return fetch_open(f, f->asked_range ? &f->range : NULL, NULL, f->cancel, ret_answer, ret_class, err);
}

void fetch_refuse(const struct fetch *f, struct answer *a, struct cancel *cancel, struct err *err)
{
	struct wanted w = { .blob = &f->blob->digest };

	refusal_of_answer(f->repository, &w, a, cancel, err);
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
		return fetch_fail(f, E_BAD_CONTENT, err, "the registry has %lld bytes, the manifest says %lld",
				  (long long)length, (long long)f->blob->size);
	if (ingest_offset(f->ingest) > 0) /* it was asked for a part, without If-Range by now */
		f->no_ranges = true;
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
		return fetch_fail(f, E_BAD_CONTENT, err, "the registry sent it re-encoded (Content-Encoding: %.32s)",
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

/* What was here before an answer started over does not count again. */
static void note_progress(struct fetch *f)
{
	if (ingest_offset(f->ingest) <= f->best)
		return;
	retry_progress(&f->retry, ingest_offset(f->ingest) - f->best);
	f->best = ingest_offset(f->ingest);
}

/* Of what the progress was told to: its verdict, not a failure of its own. */
enum ending fetch_ending_of_told(int code)
{
	return code == E_BAD_CONTENT || code == E_UNSUPPORTED || code == E_LIMIT ? WRONG_BYTES : FATAL;
}

/* OK also when lanes are due: then there is more to come. */
static int copy_body(struct fetch *f, struct answer *a, struct end *ret_end, struct err *err)
{
	bool part = http_response_of(a->x)->status == 206;
	struct bytes piece;
	int r;

	f->rate = (struct rate){ .since_ms = clock_monotonic_ms() };
	while ((r = http_next(a->x, &piece, f->cancel, err)) == 1) {
		if (part && (int64_t)piece.len > f->range.to - ingest_offset(f->ingest)) {
			ret_end->how = NO_RANGE;
			return fetch_fail(f, E_REGISTRY, err,
					  "the registry sent more than the range that it was asked for");
		}
		r = ingest_write(f->ingest, piece.data, piece.len, err);
		if (r != OK)
			return r == E_LIMIT
				       ? fetch_fail(f, E_BAD_CONTENT, err, "the registry sent more than %lld bytes",
						    (long long)f->blob->size)
				       : r;
		f->fetched += (int64_t)piece.len;
		f->rate.bytes += (int64_t)piece.len;
		note_progress(f);
		r = fetch_tell(f, err);
		if (r != OK) {
			ret_end->how = fetch_ending_of_told(r);
			return r;
		}
		if (part && split_is_due(f)) {
			ret_end->how = SLOW;
			return OK;
		}
	}
	if (r == E_REGISTRY) {
		ret_end->how = BROKEN;
		answer_broke_off(f->repository, a);
	} else if (r == OK && f->bounded) {
		split_range_ended(f);
	}
	return r;
}

/* ---- one attempt ----------------------------------------------------------- */

/* A start that came from another registry, or before its storage moved, has another
 * tag; the bytes are the digest's all the same. So a whole body in answer to
 * If-Range is not taken before the range alone was asked for. */
static bool is_other_etag(const struct fetch *f, const struct answer *a)
{
	return http_response_of(a->x)->status == 200 && !f->other_etag && !f->no_ranges &&
	       ingest_present(f->ingest) > 0 && *ingest_etag(f->ingest);
}

static int take_body(struct fetch *f, struct answer *a, struct end *ret_end, struct err *err)
{
	int64_t before = ingest_offset(f->ingest);
	bool usable;
	int r = accept(f, a, &usable, err);

	if (r == OK && !usable) {
		ret_end->how = NO_RANGE;
		return fetch_fail(f, E_REGISTRY, err, "the registry answered a range request with other bytes");
	}
	ret_end->how = FATAL;
	if (r == OK)
		r = copy_body(f, a, ret_end, err);
	if (r == E_BAD_CONTENT && a->from != repository_registry(f->repository))
		ret_end->how = WRONG_BYTES; /* a mirror's: others may have the right ones */
	if (r != OK || ret_end->how == SLOW)
		return r;
	ret_end->how = ingest_offset(f->ingest) < f->blob->size ? PARTIAL : COMPLETE;
	if (ret_end->how == COMPLETE)
		return OK;
	if (http_response_of(a->x)->status == 206 && ingest_offset(f->ingest) > before)
		return OK;
	ret_end->how = BROKEN; /* a body without a length, or a part without a byte */
	return fetch_fail(f, E_REGISTRY, err, "unexpected EOF");
}

/* Whatever is not COMPLETE, PARTIAL or OTHER_ETAG has its reason in err. */
static struct end attempt(struct fetch *f, struct err *err)
{
	CLEANUP(answer_free) struct answer a = { 0 };
	struct end end = { .how = BROKEN, .class = RETRY_BROKEN };
	int status;

	if (open_answer(f, &a, &end.class, err) != OK)
		return end;
	status = http_response_of(a.x)->status;
	if (is_other_etag(f, &a))
		return (struct end){ .how = OTHER_ETAG };
	if (status == 200 || status == 206) {
		end.class = RETRY_BROKEN;
		f->mixed = f->mixed || (f->from && f->from != a.from);
		f->from = a.from;
		take_body(f, &a, &end, err);
		return end.how == SLOW ? split_fetch(f, &a, err) : end;
	}
	if (status == 416) {
		fetch_fail(f, E_REGISTRY, err, "the registry cannot go on where the transfer broke off");
		return (struct end){ .how = NO_RANGE };
	}
	if (is_expired(&a))
		end.class = RETRY_BROKEN;
	fetch_refuse(f, &a, f->cancel, err);
	end.retry_after = err->retry_after_ms;
	return end;
}

static struct end finish(struct fetch *f, struct err *err)
{
	int r = ingest_finish(f->ingest, err);

	return (struct end){ .how = r == OK ? COMPLETE : r == E_DIGEST_MISMATCH ? WRONG_BYTES : FATAL };
}

/* ---- what comes next ------------------------------------------------------- */

/* Another attempt after a pause; false with the reason when there is none. */
static bool pause_for(struct fetch *f, enum retry_class class, int64_t retry_after, struct err *err)
{
	const struct retry_env *env = f->repository->registry->env;
	int64_t pause = class == RETRY_NEVER ? -1 : retry_pause(&f->retry, class, retry_after, env);

	if (pause < 0)
		return false;
	tell_retrying(f, err->text);
	if (env->sleep(env->arg, f->cancel, pause))
		return true;
	cancel_check(f->cancel, err);
	return false;
}

/* Wrong bytes that came in pieces (another version meanwhile, from several hosts, a damaged
 * start that was kept) get one more chance as a whole; those of a mirror, from the next host. */
static bool start_afresh(struct fetch *f, struct err *err)
{
	bool another = f->from && endpoint_refuse(f->repository, f->from, HOST_PULL);

	if (!another && (f->second_try || !f->mixed))
		return false;
	f->second_try = f->no_split = true;
	f->from = NULL;
	f->best = 0;
	tell_retrying(f, err->text);
	if (f->observer && f->observer->restarted)
		f->observer->restarted(f->observer->arg);
	f->mixed = false;
	return ingest_restart(f->ingest, err) == OK;
}

/*
 * Whether there is another attempt: the one place that says so. What goes on at once
 * is bounded by itself (PARTIAL brought bytes, OTHER_ETAG and WRONG_BYTES come
 * once); all else waits, is counted, and ends (retry.c).
 */
static bool decide(struct fetch *f, const struct end *end, struct err *err)
{
	switch (end->how) {
	case COMPLETE:
	case FATAL:
	case SLOW:
		return false;
	case PARTIAL:
		f->mixed = f->mixed || !*ingest_etag(f->ingest);
		return true;
	case OTHER_ETAG:
		f->other_etag = true;
		return true;
	case NO_RANGE:
		f->no_ranges = true;
		return f->asked_range && pause_for(f, RETRY_BROKEN, 0, err);
	case NO_SPLIT:
		f->no_split = true;
		return pause_for(f, RETRY_BROKEN, 0, err);
	case BROKEN:
		f->mixed = true;
		return pause_for(f, end->class, end->retry_after, err);
	case WRONG_BYTES:
		return start_afresh(f, err);
	}
	return false;
}

/* What lies behind a gap that was closed. */
static struct end catch_up(struct fetch *f, struct err *err)
{
	int r;

	while ((r = ingest_advance(f->ingest, err)) > 0) {
		note_progress(f);
		r = fetch_tell(f, err);
		if (r < 0)
			return (struct end){ .how = fetch_ending_of_told(r) };
	}
	return (struct end){ .how = r < 0 ? FATAL : COMPLETE };
}

static struct end fetch(struct fetch *f, struct err *why)
{
	struct end end;

	do {
		end = catch_up(f, why);
		if (end.how == COMPLETE && ingest_offset(f->ingest) < f->blob->size)
			end = attempt(f, why);
		if (end.how == COMPLETE)
			end = finish(f, why);
	} while (decide(f, &end, why));
	return end;
}

int registry_fetch(struct repository *r, const struct descriptor *d, struct ingest *ingest,
		   const struct fetch_observer *observer, struct cancel *cancel, struct err *err)
{
	struct fetch f = { r, d, ingest, observer, cancel, .retry = { .purpose = RETRY_TRANSFER } };
	bool counted = lanes_enter(r->registry->lanes, repository_host(r));
	struct err why = ERR_INIT;
	struct end end;

	f.best = ingest_offset(ingest);
	f.mixed = ingest_present(ingest) > 0;
	end = fetch(&f, &why);
	if (counted)
		lanes_leave(r->registry->lanes, repository_host(r));
	if (end.how == COMPLETE)
		return OK;
	if (err)
		*err = why;
	return why.code;
}
