#include "tests/unit/registry/fetch_world.h"

/* ---- the server ------------------------------------------------------------ */

static size_t range_of(const struct fake_request *q)
{
	const char *range = fake_header(q, "Range");
	unsigned long from = 0;

	return range && sscanf(range, "bytes=%lu-", &from) == 1 ? from : 0;
}

static void head(struct fake_conn *c, const struct world *w, int status, size_t from, size_t shown, size_t total,
		 size_t length)
{
	char text[1024];
	int n = snprintf(text, sizeof text, "HTTP/1.1 %d Status\r\nContent-Length: %zu\r\n", status, length);

	if (w->etag)
		n += snprintf(text + n, sizeof text - (size_t)n, "ETag: %s\r\n", w->etag);
	if (status == 206 && shown)
		n += snprintf(text + n, sizeof text - (size_t)n, "Content-Range: bytes %zu-%zu/%zu\r\n", from,
			      from + length - 1, total);
	snprintf(text + n, sizeof text - (size_t)n, "\r\n");
	fake_puts(c, text);
}

static void serve_part(struct fake_conn *c, const struct world *w, size_t from, size_t stop_after)
{
	size_t length = SIZE - from;

	head(c, w, from ? 206 : 200, from, 1, SIZE, length);
	fake_send(c, w->data + from, stop_after < length ? stop_after : length);
}

static void serve_chunks(struct fake_conn *c, const struct world *w, size_t extra)
{
	char size[32];

	fake_puts(c, "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n");
	for (size_t at = 0, n; at < SIZE; at += n) {
		n = SIZE - at < 100000 ? SIZE - at : 100000;
		snprintf(size, sizeof size, "%zx\r\n", n);
		fake_puts(c, size);
		fake_send(c, w->data + at, n);
		fake_puts(c, "\r\n");
	}
	fake_puts(c, extra ? "1\r\nx\r\n0\r\n\r\n" : "0\r\n\r\n");
}

static void serve_other_bytes(struct fake_conn *c, const struct world *w, size_t from)
{
	uint8_t *wrong = malloc(SIZE);

	memcpy(wrong, w->data, SIZE);
	wrong[SIZE - 1] ^= 1;
	head(c, w, from ? 206 : 200, from, 1, SIZE, SIZE - from);
	fake_send(c, wrong + from, SIZE - from);
	free(wrong);
}

static void serve_empty_range(struct fake_conn *c, const struct fake_request *q)
{
	char headers[80];

	snprintf(headers, sizeof headers, "Content-Range: bytes %zu-%d/%d\r\n", range_of(q), SIZE - 1, SIZE);
	fake_text(c, q, 206, headers, "");
}

/* Answers to a Range that are not what was asked for. */
static void serve_odd_range(struct fake_conn *c, const struct fake_request *q, const struct world *w, enum step step)
{
	size_t from = range_of(q);
	size_t left = SIZE - from, shift = step == SHIFTED_RANGE, length = left - shift;

	if (step == IGNORE_RANGE)
		return serve_part(c, w, 0, SIZE);
	if (step == IGNORE_HALF) {
		serve_part(c, w, 0, SIZE / 2);
		return fake_hang_up(c);
	}
	if (step == EMPTY_RANGE)
		return serve_empty_range(c, q);
	if (step == SHORT_RANGE)
		length = left / 2;
	head(c, w, 206, from + shift, step != NO_CONTENT_RANGE, step == OTHER_TOTAL ? SIZE + 5 : SIZE, length);
	fake_send(c, w->data + from + shift, length);
}

static void serve_status(struct fake_conn *c, const struct fake_request *q, enum step step)
{
	switch (step) {
	case STATUS_503:
		return fake_text(c, q, 503, "Content-Type: text/html\r\n", "<html>later</html>");
	case STATUS_429:
		return fake_text(c, q, 429, "Retry-After: 3\r\n", "");
	case STATUS_404:
		return fake_text(c, q, 404, "", "{\"errors\":[{\"code\":\"BLOB_UNKNOWN\",\"message\":\"no blob\"}]}");
	case STATUS_401:
		return fake_text(c, q, 401, "WWW-Authenticate: Basic realm=\"r\"\r\n", "");
	default:
		return fake_text(c, q, 416, "Content-Range: bytes */17\r\n", "");
	}
}

/* Whole bodies that are odd in another way. */
static void serve_whole(struct fake_conn *c, const struct fake_request *q, const struct world *w, enum step step)
{
	switch (step) {
	case TOO_LONG:
		return fake_reply(c, q, 200, "", w->data, SIZE + 1);
	case TOO_SHORT:
		return fake_reply(c, q, 200, "", w->data, SIZE - 1);
	case TOO_LONG_CHUNKED:
	case CHUNKED:
		return serve_chunks(c, w, step == TOO_LONG_CHUNKED);
	case HTTP_1_0:
		fake_puts(c, "HTTP/1.0 200 OK\r\n\r\n");
		fake_send(c, w->data, SIZE);
		return fake_hang_up(c);
	case ENCODED:
		return fake_reply(c, q, 200, "Content-Encoding: gzip\r\n", w->data, SIZE);
	default:
		return serve_other_bytes(c, w, range_of(q));
	}
}

void serve_step(struct fake_conn *c, const struct fake_request *q, const struct world *w, enum step step)
{
	size_t from = range_of(q), half = (SIZE - from) / 2;

	if (step >= STATUS_503 && step <= STATUS_401)
		return serve_status(c, q, step);
	if (step >= IGNORE_RANGE && step <= OTHER_TOTAL)
		return serve_odd_range(c, q, w, step);
	if (step >= TOO_LONG && step <= ENCODED)
		return serve_whole(c, q, w, step);
	if (step == GOOD)
		return serve_part(c, w, from, SIZE);
	serve_part(c, w, from, step == BREAK_AT_ONCE ? 0 : half);
	if (step == RESET_HALF)
		fake_reset(c);
	else if (step == STALL_HALF)
		fake_stall(c);
	fake_hang_up(c);
}

static void redirect(struct fake_conn *c, const struct fake_request *q, const struct world *w)
{
	CLEANUP(freep)
	char *headers = format("Location: http://%s/data?sig=secret%u\r\n", fake_authority(w->storage), q->number);

	fake_text(c, q, 307, headers, "<a>there</a>");
}

static void serve_registry(struct fake_conn *c, const struct fake_request *q, void *arg)
{
	struct world *w = arg;
	const char *authorization = fake_header(q, "Authorization");
	enum step step;

	if (w->want_token && (!authorization || strcmp(authorization, w->want_token) != 0))
		return fake_text(c, q, 401, "WWW-Authenticate: Basic realm=\"r\"\r\n", "");
	if (!strcmp(q->path, "/v2/"))
		return fake_text(c, q, 200, "", "");
	if (w->always_redirect)
		return redirect(c, q, w);
	step = w->steps[atomic_fetch_add(&w->at, 1) % STEPS_MAX];
	if (step == REDIRECT)
		redirect(c, q, w);
	else
		serve_step(c, q, w, step);
}

/* As S3 does: a request that carries credentials beside its signature is refused. */
static void serve_storage(struct fake_conn *c, const struct fake_request *q, void *arg)
{
	struct world *w = arg;

	if (fake_header(q, "Authorization"))
		return fake_text(c, q, 400, "", "Only one auth mechanism allowed");
	serve_step(c, q, w, w->storage_steps[atomic_fetch_add(&w->storage_at, 1) % STEPS_MAX]);
}

/* ---- the rig --------------------------------------------------------------- */

void world_start(struct world *w)
{
	struct registry_options o = { .http.stall_timeout_ms = 300, .http.header_timeout_ms = 3000 };

	w->rig = rig_with(o);
	w->store = temporary_store(w->folder);
	w->data = malloc(SIZE + 1);
	for (size_t i = 0; i < SIZE + 1; i++)
		w->data[i] = (uint8_t)(i * 7 + (i >> 11));
	w->blob = descriptor_of(w->data, SIZE);
	w->storage = fake_start(FAKE_PLAIN, serve_storage, w);
	w->registry = fake_start(FAKE_PLAIN, serve_registry, w);
}

void world_stop(struct world *w)
{
	rig_free(w->rig);
	fake_stop(w->registry);
	fake_stop(w->storage);
	store_close(w->store);
	remove_folder(w->folder);
	free(w->data);
}

static int on_progress(void *arg, const struct fetch_progress *now, struct err *err)
{
	struct world *w = arg;

	atomic_store(&w->progress, now->offset);
	atomic_store(&w->fetched, now->fetched);
	if (now->offset <= SIZE / 2 || !w->refusals)
		return OK;
	w->refusals--;
	return fail(err, w->refusal, "of no use");
}

static void on_retrying(void *arg, const char *why)
{
	struct world *w = arg;

	atomic_fetch_add(&w->retrying, 1);
	snprintf(w->why, sizeof w->why, "%s", why);
}

static void on_restarted(void *arg)
{
	atomic_fetch_add(&((struct world *)arg)->restarted, 1);
}

struct ingest *open_ingest(struct world *w)
{
	struct ingest *i = NULL;

	assert_ok(ingest_open(w->store, &w->blob.digest, w->blob.size, &i, &w->err), &w->err);
	return i;
}

int fetch_into(struct world *w, struct ingest *i, const struct credentials *credentials, struct cancel *cancel)
{
	CLEANUP(repository_unrefp)
	struct repository *r = open_repository(w->rig, fake_authority(w->registry), "a/b", credentials);
	struct fetch_observer o = { on_progress, on_retrying, on_restarted, w };

	return registry_fetch(r, &w->blob, i, &o, cancel, &w->err);
}

int fetch_with(struct world *w, const struct credentials *credentials)
{
	CLEANUP(ingest_unrefp) struct ingest *i = open_ingest(w);
	int code = fetch_into(w, i, credentials, NULL);

	if (code == OK) {
		assert_ok(content_commit(w->store, &i, 1, &w->err), &w->err);
		assert_true(content_exists(w->store, &w->blob.digest, NULL));
	}
	return code;
}

int fetch(struct world *w)
{
	return fetch_with(w, NULL);
}

const char *range_of_last(struct world *w)
{
	static struct fake_request q;

	assert_true(fake_last(w->registry, "GET", "/v2/a/b/blobs/", &q));
	return fake_header(&q, "Range");
}

const char *if_range_of_last(struct world *w)
{
	static struct fake_request q;

	assert_true(fake_last(w->registry, "GET", "/v2/a/b/blobs/", &q));
	return fake_header(&q, "If-Range");
}

unsigned requests(struct world *w)
{
	return fake_count(w->registry, "GET", "/v2/a/b/blobs/");
}
