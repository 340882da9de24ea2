/*
 * One blob to a registry: mount or session, and through interruptions. Each attempt says
 * how it ended, and decide() alone says whether there is another.
 */
#include "service/registry/upload.h"

#include <stdio.h>

#include "service/metrics/counters.h"
#include "service/registry/refusal.h"

enum {
	SINGLE_POST_MAX = 16 * 1024,	    /* sent with the POST, for one round trip less */
	CHUNK_DEFAULT = 64 * 1024 * 1024,   /* where the server wants pieces, and after a first 413 */
	CHUNK_SMALLEST = 256 * 1024,	    /* a server that refuses this takes nothing */
	CHUNK_LARGEST = 1024 * 1024 * 1024, /* of what a server may ask for */
	DELETE_TIMEOUT_MS = 2000,
};

struct session {
	struct repository *repository;
	const struct upload *upload;
	struct cancel *cancel;
	struct retry retry;
	char *location;	       /* NULL: no session */
	struct endpoint *from; /* whose session it is, */
	struct repository *of; /* and in which repository it began: that of a mount has endpoints of its own */
	int64_t offset;	       /* bytes that the registry says it has */
	int64_t chunk;	       /* longest piece; 0: all at once */
	int64_t least;	       /* shortest piece the server takes, but for the last */
	bool in_pieces;	       /* PATCH from here on */
	bool mixed;	       /* its bytes do not all come from one request */
	bool second_try;       /* started over after bytes that were wrong */
	int64_t base;	       /* of the body that is being sent */
	int64_t best;	       /* the highest offset so far: what is above is progress */
	int64_t sent;
};

/* How an attempt ended. */
enum ending {
	COMPLETE,
	BROKEN,	     /* no answer, or one that asks to come again: its class says more */
	STALE,	     /* the session is not known any more, or elsewhere than we are */
	TOO_LARGE,   /* 413 */
	WRONG_BYTES, /* the registry has others than the digest says */
	FATAL,
};

struct end {
	enum ending how;
	enum retry_class class;
	int64_t retry_after;
};

static const struct end complete = { .how = COMPLETE }, fatal = { .how = FATAL };

static void end_session(struct session *s)
{
	free(TAKE(s->location));
	s->offset = 0;
	s->mixed = false;
}

/* ---- the body -------------------------------------------------------------- */

static int read_body(void *arg, int64_t offset, uint8_t *data, size_t size, size_t *ret_len, struct err *err)
{
	struct session *s = arg;
	const struct upload *u = s->upload;
	int r = u->source.read(u->source.arg, s->base + offset, data, size, ret_len, err);

	if (r != OK)
		return r;
	s->sent += (int64_t)*ret_len;
	metric_add(METRIC_PUSHED_BYTES, (int64_t)*ret_len);
	if (u->observer && u->observer->progress)
		u->observer->progress(u->observer->arg, s->base + offset + (int64_t)*ret_len);
	return OK;
}

/* ---- answers --------------------------------------------------------------- */

static int status_of(const struct answer *a)
{
	return http_response_of(a->x)->status;
}

static bool is_done(int status)
{
	return status == 200 || status == 201 || status == 204;
}

static int take_location(struct session *s, const struct answer *a, struct err *err)
{
	CLEANUP(host_view_free) struct host_view host = { 0 };
	char *location = NULL;
	int r = host_contact(a->from->host, s->cancel, &host, NULL, err);

	if (r == OK)
		r = upload_location(&host.origin, &a->at, http_header_of(a->x, "Location"), &location, err);
	if (r != OK)
		return err_wrap(err, "%s", a->shown);
	free(s->location);
	s->location = location;
	s->from = a->from;
	return OK;
}

/* The least length of a piece: asked for by a header, and then pieces it is. */
static void take_least_length(struct session *s, const struct answer *a)
{
	const char *value = http_header_of(a->x, "OCI-Chunk-Min-Length");
	size_t n = value ? strspn(value, "0123456789") : 0;

	if (!n || value[n] || n > 12)
		return;
	s->least = strtoll(value, NULL, 10);
	if (s->least > CHUNK_LARGEST)
		s->least = CHUNK_LARGEST;
	s->in_pieces = s->least > 0;
	if (s->in_pieces && !s->chunk)
		s->chunk = CHUNK_DEFAULT;
}

static int refuse(struct session *s, struct answer *a, struct err *err)
{
	struct wanted w = { .blob = s->upload->digest, .push = true };

	return refusal_of_answer(s->repository, &w, a, s->cancel, err);
}

static bool says(const struct err *err, const char *words)
{
	return strcasestr(err->text, words) != NULL;
}

/* What an answer to bytes that is no success means. */
static struct end read_refusal(struct session *s, struct answer *a, struct err *err)
{
	int status = status_of(a);
	enum retry_class class = retry_class_of_status(status);
	struct end end = { .how = FATAL, .class = RETRY_BROKEN };

	refuse(s, a, err);
	if (class != RETRY_NEVER)
		return (struct end){ BROKEN, class, err->retry_after_ms };
	if (status == 413)
		end.how = TOO_LARGE;
	else if (status == 404 || status == 416)
		end.how = STALE;
	else if (status == 400 && says(err, "digest"))
		end.how = WRONG_BYTES;
	return end;
}

static struct end broken(const struct err *err, enum retry_class class)
{
	if (class == RETRY_NEVER)
		return fatal;
	return (struct end){ BROKEN, class, err->retry_after_ms };
}

/* ---- a session ------------------------------------------------------------- */

static char *uploads_path(const struct session *s, const char *name, const char *value, const char *from)
{
	CLEANUP(buf_free) struct buf b = BUF_INIT(4096);
	CLEANUP(freep) char *path = request_path(s->repository, "blobs", "uploads/");

	if (!path || !buf_puts(&b, path))
		return NULL;
	if (name && !url_add_query(&b, name, value))
		return NULL;
	if (from && !url_add_query(&b, "from", from))
		return NULL;
	return buf_take(&b);
}

static char *digest_location(const struct session *s)
{
	CLEANUP(buf_free) struct buf b = BUF_INIT(URL_MAX + 256);
	char digest[DIGEST_TEXT_MAX];

	return buf_puts(&b, s->location) && url_add_query(&b, "digest", digest_text(s->upload->digest, digest))
		       ? buf_take(&b)
		       : NULL;
}

/* 202: the session is there. */
static struct end take_session(struct session *s, struct repository *of, struct answer *a, struct err *err)
{
	if (status_of(a) != 202)
		return read_refusal(s, a, err);
	s->of = of;
	if (take_location(s, a, err) != OK)
		return fatal;
	take_least_length(s, a);
	http_drain(a->x);
	s->offset = 0;
	s->mixed = false;
	return complete;
}

static struct end begin(struct session *s, struct err *err)
{
	CLEANUP(answer_free) struct answer a = { 0 };
	CLEANUP(freep) char *path = uploads_path(s, NULL, NULL, NULL);
	struct request q = { .method = "POST", .path = path, .capability = HOST_PUSH };
	enum retry_class class = RETRY_NEVER;

	if (!path) {
		fail_nomem(err);
		return fatal;
	}
	if (request_send(s->repository, &q, s->cancel, &a, &class, err) != OK)
		return broken(err, class);
	return take_session(s, s->repository, &a, err);
}

/* The whole blob with the POST. Who does not know that answers 202 or refuses it; then a
 * session of its own tells more. *ret_done: it is stored. */
static void try_single_post(struct session *s, bool *ret_done)
{
	CLEANUP(answer_free) struct answer a = { 0 };
	char digest[DIGEST_TEXT_MAX];
	CLEANUP(freep) char *path = uploads_path(s, "digest", digest_text(s->upload->digest, digest), NULL);
	struct http_source source = { .length = s->upload->source.length, .read = read_body, .arg = s };
	struct request q = {
		.method = "POST", .path = path, .capability = HOST_PUSH, .content_type = "application/octet-stream"
	};

	struct err why = ERR_INIT;

	q.source = &source;
	s->base = 0;
	*ret_done = false;
	if (!path || request_send(s->repository, &q, s->cancel, &a, NULL, NULL) != OK)
		return;
	*ret_done = status_of(&a) == 201;
	if (status_of(&a) == 202)
		take_session(s, s->repository, &a, &why);
}

/* GET of the session: how far it got. Where that cannot be told it starts over. */
static void ask_offset(struct session *s)
{
	CLEANUP(answer_free) struct answer a = { 0 };
	struct request q = { .method = "GET", .at = s->location, .from = s->from, .capability = HOST_PUSH };
	struct err why = ERR_INIT;
	int64_t end;

	s->mixed = true; /* what broke off may have left bytes, whatever is said now */
	if (request_send(s->of, &q, s->cancel, &a, NULL, NULL) != OK)
		return; /* the next attempt will see */
	end = upload_range_end(http_header_of(a.x, "Range"));
	if (status_of(&a) != 204 || end < 0 || end > s->upload->source.length) {
		end_session(s);
		return;
	}
	/* An empty session and one of a byte look the same in some registries ("0-0"). */
	s->offset = end > 1 ? end : 0;
	s->in_pieces = s->offset > 0;
	if (http_header_of(a.x, "Location") && take_location(s, &a, &why) != OK)
		end_session(s);
}

/* Nobody waits for what this one says. */
static void give_up(struct session *s)
{
	CLEANUP(answer_free) struct answer a = { 0 };
	struct request q = { .method = "DELETE",
			     .at = s->location,
			     .from = s->from,
			     .capability = HOST_PUSH,
			     .timeout_ms = DELETE_TIMEOUT_MS };

	if (s->location && request_send(s->of, &q, NULL, &a, NULL, NULL) == OK)
		http_drain(a.x);
	end_session(s);
}

/* ---- bytes ----------------------------------------------------------------- */

static struct end finish_with(struct session *s, const struct http_source *source, struct err *err)
{
	CLEANUP(answer_free) struct answer a = { 0 };
	CLEANUP(freep) char *url = digest_location(s);
	struct request q = { .method = "PUT", .at = url, .from = s->from, .capability = HOST_PUSH, .source = source };
	enum retry_class class = RETRY_NEVER;

	if (!url) {
		fail_nomem(err);
		return fatal;
	}
	if (source)
		q.content_type = "application/octet-stream";
	if (request_send(s->of, &q, s->cancel, &a, &class, err) != OK)
		return broken(err, class);
	if (!is_done(status_of(&a)))
		return read_refusal(s, &a, err);
	http_drain(a.x);
	return complete;
}

static struct end send_whole(struct session *s, struct err *err)
{
	struct http_source source = { .length = s->upload->source.length, .read = read_body, .arg = s };

	s->base = 0;
	return finish_with(s, source.length ? &source : NULL, err);
}

/* The registry says how far it is now; what it says nothing of it has taken. */
static struct end take_chunk(struct session *s, struct answer *a, int64_t end, struct err *err)
{
	const char *range = http_header_of(a->x, "Range");
	int64_t has = range ? upload_range_end(range) : end;

	if (take_location(s, a, err) != OK)
		return fatal;
	http_drain(a->x);
	if (has <= s->offset || has > end) {
		fail(err, E_REGISTRY, "the registry has %lld bytes of the upload after %lld were sent", (long long)has,
		     (long long)end);
		return (struct end){ .how = STALE, .class = RETRY_BROKEN };
	}
	s->offset = has;
	if (has > s->best) {
		retry_progress(&s->retry, has - s->best);
		s->best = has;
	}
	return complete;
}

static struct end send_chunk(struct session *s, struct err *err)
{
	CLEANUP(answer_free) struct answer a = { 0 };
	int64_t left = s->upload->source.length - s->offset, length = left;
	int64_t chunk = s->chunk && s->chunk < s->least ? s->least : s->chunk;
	struct http_source source = { .read = read_body, .arg = s };
	struct request q = { .method = "PATCH",
			     .at = s->location,
			     .from = s->from,
			     .capability = HOST_PUSH,
			     .content_type = "application/octet-stream" };
	enum retry_class class = RETRY_NEVER;
	char range[48];
	int status;

	if (chunk && chunk < left)
		length = chunk;
	source.length = length;
	s->base = s->offset;
	snprintf(range, sizeof range, "%lld-%lld", (long long)s->offset, (long long)(s->offset + length - 1));
	q.content_range = range;
	q.source = &source;
	if (request_send(s->of, &q, s->cancel, &a, &class, err) != OK)
		return broken(err, class);
	status = status_of(&a);
	if (status != 202 && !is_done(status))
		return read_refusal(s, &a, err);
	s->mixed = true;
	return take_chunk(s, &a, s->offset + length, err);
}

static struct end send_pieces(struct session *s, struct err *err)
{
	while (s->offset < s->upload->source.length) {
		struct end end = send_chunk(s, err);

		if (end.how != COMPLETE)
			return end;
	}
	return finish_with(s, NULL, err);
}

static struct end attempt(struct session *s, struct err *err)
{
	if (!s->location) {
		struct end end = begin(s, err);

		if (end.how != COMPLETE)
			return end;
	}
	return s->in_pieces && s->upload->source.length ? send_pieces(s, err) : send_whole(s, err);
}

/* ---- what comes next ------------------------------------------------------- */

static bool pause_for(struct session *s, const struct end *end, struct err *err)
{
	const struct retry_env *env = s->repository->registry->env;
	int64_t pause = retry_pause(&s->retry, end->class, end->retry_after, env);

	if (pause < 0)
		return false;
	if (s->upload->observer && s->upload->observer->retrying)
		s->upload->observer->retrying(s->upload->observer->arg, err->text);
	if (env->sleep(env->arg, s->cancel, pause))
		return true;
	cancel_check(s->cancel, err);
	return false;
}

/* Smaller pieces may get through, as proxies limit one request. */
static bool cut_smaller(struct session *s)
{
	int64_t had = s->in_pieces && s->chunk ? s->chunk : s->upload->source.length - s->offset;

	s->chunk = had > CHUNK_DEFAULT ? CHUNK_DEFAULT : had / 4;
	s->in_pieces = true;
	return s->chunk >= CHUNK_SMALLEST && s->chunk >= s->least;
}

/* The one place that says whether there is another attempt. TOO_LARGE is bounded by the
 * smallest piece, WRONG_BYTES comes once; all else waits, is counted, and ends (retry.c). */
static bool decide(struct session *s, const struct end *end, struct err *err)
{
	switch (end->how) {
	case COMPLETE:
	case FATAL:
		return false;
	case STALE:
		if (!pause_for(s, end, err))
			return false;
		if (s->location && s->offset)
			ask_offset(s);
		else
			end_session(s);
		return true;
	case BROKEN:
		if (!pause_for(s, end, err))
			return false;
		if (s->location)
			ask_offset(s);
		return true;
	case TOO_LARGE:
		if (!cut_smaller(s))
			return false;
		give_up(s);
		return true;
	case WRONG_BYTES:
		if (s->second_try || !s->mixed) {
			err->code = E_CORRUPT;
			return false;
		}
		s->second_try = true;
		s->best = 0;
		s->in_pieces = s->least > 0;
		give_up(s);
		return true;
	}
	return false;
}

/* ---- mounts ---------------------------------------------------------------- */

/* 201: done. 202: a session, and it goes on. Whatever else it says, there is the way
 * without: a mount saves bytes and decides nothing. */
static bool try_mount(struct session *s, const struct upload_mount *m)
{
	CLEANUP(answer_free) struct answer a = { 0 };
	char digest[DIGEST_TEXT_MAX];
	CLEANUP(freep) char *path = uploads_path(s, "mount", digest_text(s->upload->digest, digest), m->from);
	struct request q = { .method = "POST", .path = path, .capability = HOST_PUSH };
	struct err why = ERR_INIT;

	if (!path || request_send(m->repository, &q, s->cancel, &a, NULL, NULL) != OK)
		return false;
	if (status_of(&a) == 202)
		take_session(s, m->repository, &a, &why);
	else
		http_drain(a.x);
	return status_of(&a) == 201;
}

static const struct upload_mount *mount_from_any(struct session *s)
{
	for (size_t i = 0; i < s->upload->n_mounts && !s->location; i++)
		if (try_mount(s, &s->upload->mounts[i]))
			return &s->upload->mounts[i];
	return NULL;
}

/* ---- the interface --------------------------------------------------------- */

static int send_blob(struct session *s, struct err *err)
{
	struct err why = ERR_INIT;
	struct end end;
	bool done = false;

	if (!s->location && s->upload->source.length <= SINGLE_POST_MAX && s->upload->source.length)
		try_single_post(s, &done);
	if (done)
		return OK;
	do
		end = attempt(s, &why);
	while (decide(s, &end, &why));
	if (end.how == COMPLETE)
		return OK;
	give_up(s);
	if (err)
		*err = why;
	return why.code;
}

static enum metric outcome_of(const struct upload_result *result, int code)
{
	if (code == OK)
		return result->mounted ? METRIC_PUSH_MOUNTED : METRIC_PUSH_OK;
	return code == E_CANCELLED ? METRIC_PUSH_CANCELLED : METRIC_PUSH_FAILED;
}

int registry_upload(struct repository *r, const struct upload *u, struct cancel *cancel,
		    struct upload_result *ret_result, struct err *err)
{
	struct session s = { .repository = r, .upload = u, .cancel = cancel, .retry = { .purpose = RETRY_TRANSFER } };
	int code = OK;

	*ret_result = (struct upload_result){ .mounted = mount_from_any(&s) };
	if (!ret_result->mounted) {
		code = cancel_check(cancel, err);
		if (code == OK)
			code = send_blob(&s, err);
		else
			give_up(&s);
	}
	ret_result->sent = s.sent;
	metric_add(outcome_of(ret_result, code), 1);
	free(s.location);
	return code;
}

int registry_has_blob(struct repository *r, const struct digest *d, struct cancel *cancel, bool *ret_has,
		      struct err *err)
{
	CLEANUP(answer_free) struct answer a = { 0 };
	char digest[DIGEST_TEXT_MAX];
	CLEANUP(freep) char *path = request_path(r, "blobs", digest_text(d, digest));
	struct request q = { .method = "HEAD", .path = path, .capability = HOST_PUSH };
	int code = path ? request_patient(r, &q, cancel, &a, err) : fail_nomem(err);

	if (code != OK)
		return code;
	*ret_has = status_of(&a) == 200;
	http_drain(a.x);
	return OK;
}
