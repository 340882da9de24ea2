/* Blobs into ingests, through everything that registries and networks do to them. */
#include <stdatomic.h>

#include "store/content/ingest.h"
#include "tests/unit/registry/rig.h"

enum { SIZE = 3 * 1024 * 1024 + 17 };

/* How the next answers come about; after the last step the blob is served well. */
enum step {
	GOOD = 0,
	BREAK_HALF,    /* 200 or 206, then the connection is gone half-way */
	BREAK_AT_ONCE, /* headers, no byte */
	RESET_HALF,
	STALL_HALF,
	REDIRECT, /* 307 to the storage */

	STATUS_503,
	STATUS_429,
	STATUS_416,
	STATUS_404,
	STATUS_401,

	IGNORE_RANGE,  /* 200 with everything */
	IGNORE_HALF,   /* the same, broken off half-way */
	EMPTY_RANGE,   /* 206 of what was asked, without a byte */
	SHIFTED_RANGE, /* 206 one byte further */
	SHORT_RANGE,   /* 206 with only some of what was asked */
	NO_CONTENT_RANGE,
	OTHER_TOTAL, /* 206 of a file of another size */

	TOO_LONG,
	TOO_SHORT,
	TOO_LONG_CHUNKED,
	CHUNKED,
	HTTP_1_0,
	OTHER_BYTES, /* right size, wrong content */
	ENCODED,
	STEPS_MAX = 32,
};

struct world {
	struct rig *rig;
	struct fake *registry, *storage;
	struct store *store;
	char folder[64];
	uint8_t *data;
	struct descriptor blob;
	enum step steps[STEPS_MAX];
	atomic_uint at;
	const char *etag;
	bool always_redirect;
	enum step storage_steps[STEPS_MAX];
	atomic_uint storage_at;
	const char *want_token; /* NULL: open */

	atomic_int retrying, restarted;
	atomic_llong progress, fetched;
	char why[512];
	struct err err;
};

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

static void serve_step(struct fake_conn *c, const struct fake_request *q, const struct world *w, enum step step)
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

static void start(struct world *w)
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

static void stop(struct world *w)
{
	rig_free(w->rig);
	fake_stop(w->registry);
	fake_stop(w->storage);
	store_close(w->store);
	remove_folder(w->folder);
	free(w->data);
}

static void on_progress(void *arg, int64_t offset, int64_t fetched)
{
	struct world *w = arg;

	atomic_store(&w->progress, offset);
	atomic_store(&w->fetched, fetched);
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

static struct ingest *open_ingest(struct world *w)
{
	struct ingest *i = NULL;

	assert_ok(ingest_open(w->store, &w->blob.digest, w->blob.size, &i, &w->err), &w->err);
	return i;
}

static int fetch_into(struct world *w, struct ingest *i, const struct credentials *credentials, struct cancel *cancel)
{
	CLEANUP(repository_unrefp)
	struct repository *r = open_repository(w->rig, fake_authority(w->registry), "a/b", credentials);
	struct fetch_observer o = { on_progress, on_retrying, on_restarted, w };

	return registry_fetch(r, &w->blob, i, &o, cancel, &w->err);
}

static int fetch_with(struct world *w, const struct credentials *credentials)
{
	CLEANUP(ingest_unrefp) struct ingest *i = open_ingest(w);
	int code = fetch_into(w, i, credentials, NULL);

	if (code == OK) {
		assert_ok(content_commit(w->store, &i, 1, &w->err), &w->err);
		assert_true(content_exists(w->store, &w->blob.digest, NULL));
	}
	return code;
}

static int fetch(struct world *w)
{
	return fetch_with(w, NULL);
}

static const char *range_of_last(struct world *w)
{
	static struct fake_request q;

	assert_true(fake_last(w->registry, "GET", "/v2/a/b/blobs/", &q));
	return fake_header(&q, "Range");
}

static const char *if_range_of_last(struct world *w)
{
	static struct fake_request q;

	assert_true(fake_last(w->registry, "GET", "/v2/a/b/blobs/", &q));
	return fake_header(&q, "If-Range");
}

static unsigned requests(struct world *w)
{
	return fake_count(w->registry, "GET", "/v2/a/b/blobs/");
}

/* ---- what goes well -------------------------------------------------------- */

static void fetch_takes_a_blob_in_one_request(void **state)
{
	struct world w = { 0 };

	(void)state;
	start(&w);
	assert_ok(fetch(&w), &w.err);
	assert_int_equal(requests(&w), 1);
	assert_null(range_of_last(&w));
	assert_int_equal(atomic_load(&w.progress), SIZE);
	assert_int_equal(atomic_load(&w.fetched), SIZE);
	assert_int_equal(atomic_load(&w.retrying), 0);
	stop(&w);
}

static void fetch_takes_bodies_of_unknown_length(void **state)
{
	static const enum step steps[] = { CHUNKED, HTTP_1_0 };

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(steps); i++) {
		struct world w = { .steps = { steps[i] } };

		start(&w);
		assert_ok(fetch(&w), &w.err);
		assert_int_equal(requests(&w), 1);
		stop(&w);
	}
}

static void empty_blob_needs_no_request(void **state)
{
	struct world w = { 0 };

	(void)state;
	start(&w);
	w.blob = descriptor_of("", 0);
	assert_ok(fetch(&w), &w.err);
	assert_int_equal(requests(&w), 0);
	stop(&w);
}

/* ---- interruptions --------------------------------------------------------- */

static void broken_transfers_go_on_where_they_broke(void **state)
{
	static const enum step steps[] = { BREAK_HALF, RESET_HALF, STALL_HALF };

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(steps); i++) {
		struct world w = { .steps = { steps[i] }, .etag = "\"v1\"" };

		start(&w);
		assert_ok(fetch(&w), &w.err);
		assert_int_equal(requests(&w), 2);
		assert_non_null(range_of_last(&w));
		assert_string_equal(if_range_of_last(&w), "\"v1\"");
		assert_int_equal(atomic_load(&w.retrying), 1);
		assert_int_equal(atomic_load(&w.restarted), 0);
		assert_int_equal(atomic_load(&w.fetched), SIZE);
		stop(&w);
	}
}

static void weak_etags_are_not_sent_back(void **state)
{
	struct world w = { .steps = { BREAK_HALF }, .etag = "W/\"v1\"" };

	(void)state;
	start(&w);
	assert_ok(fetch(&w), &w.err);
	assert_null(if_range_of_last(&w));
	stop(&w);
}

static void every_byte_of_progress_renews_patience(void **state)
{
	struct world w = { 0 };

	(void)state;
	for (int i = 0; i < 12; i++)
		w.steps[i] = BREAK_HALF;
	start(&w);
	assert_ok(fetch(&w), &w.err);
	assert_int_equal(requests(&w), 13);
	stop(&w);
}

static void five_failures_without_progress_are_the_end(void **state)
{
	struct world w = { 0 };

	(void)state;
	for (int i = 0; i < STEPS_MAX; i++)
		w.steps[i] = BREAK_AT_ONCE;
	start(&w);
	assert_int_equal(fetch(&w), E_REGISTRY);
	assert_non_null(strstr(w.err.text, "unexpected EOF"));
	assert_int_equal(requests(&w), 5);
	assert_int_equal(atomic_load(&w.retrying), 4);
	stop(&w);
}

static void server_errors_within_a_transfer_are_waited_out(void **state)
{
	struct world w = { .steps = { STATUS_503, BREAK_HALF, STATUS_503, STATUS_429 } };

	(void)state;
	start(&w);
	assert_ok(fetch(&w), &w.err);
	assert_int_equal(requests(&w), 5);
	assert_int_equal(rig_sleep_ms(w.rig, 3), 3000);
	stop(&w);
}

static void fetch_of_a_dead_registry_gives_up_after_some_pauses(void **state)
{
	struct world w = { 0 };

	(void)state;
	start(&w);
	assert_ok(fetch(&w), &w.err); /* so that the host is known */
	w.blob = descriptor_of("other", 5);
	{
		struct repository *r = open_repository(w.rig, fake_authority(w.registry), "a/b", NULL);
		struct ingest *i = open_ingest(&w);

		fake_stop(w.registry);
		w.registry = NULL;
		assert_int_equal(registry_fetch(r, &w.blob, i, NULL, NULL, &w.err), E_REGISTRY);
		assert_non_null(strstr(w.err.text, "connection refused"));
		assert_int_equal(rig_sleeps(w.rig), 4);
		ingest_unref(i);
		repository_unref(r);
	}
	stop(&w);
}

/* ---- resuming across fetches ----------------------------------------------- */

static void later_fetch_goes_on_with_what_is_there(void **state)
{
	struct world w = { .steps = { BREAK_HALF, STATUS_404 }, .etag = "\"v1\"" };

	(void)state;
	start(&w);
	assert_int_equal(fetch(&w), E_NOT_FOUND);
	assert_ok(fetch(&w), &w.err);
	assert_non_null(range_of_last(&w));
	assert_string_equal(if_range_of_last(&w), "\"v1\"");
	assert_true(atomic_load(&w.fetched) < SIZE);
	stop(&w);
}

static void server_without_ranges_starts_over(void **state)
{
	struct world w = { .steps = { BREAK_HALF, IGNORE_RANGE } };

	(void)state;
	start(&w);
	assert_ok(fetch(&w), &w.err);
	assert_int_equal(atomic_load(&w.restarted), 1);
	assert_int_equal(requests(&w), 2);
	stop(&w);
}

/* As a registry whose storage gives other tags than the one the start came from. */
static void serve_by_etag(struct fake_conn *c, const struct fake_request *q, void *arg)
{
	struct world *w = arg;
	const char *if_range = fake_header(q, "If-Range");

	if (!strcmp(q->path, "/v2/"))
		fake_text(c, q, 200, "", "");
	else if (if_range && strcmp(if_range, w->etag) != 0)
		serve_step(c, q, w, IGNORE_RANGE);
	else
		serve_step(c, q, w, GOOD);
}

static void etag_that_changed_does_not_cost_the_bytes(void **state)
{
	struct world w = { .steps = { BREAK_HALF, STATUS_404 }, .etag = "\"v1\"" };

	(void)state;
	start(&w);
	assert_int_equal(fetch(&w), E_NOT_FOUND);
	fake_stop(w.registry);
	w.etag = "\"v2\"";
	w.registry = fake_start(FAKE_PLAIN, serve_by_etag, &w);
	assert_ok(fetch(&w), &w.err);
	assert_int_equal(atomic_load(&w.restarted), 0);
	assert_true(atomic_load(&w.fetched) < SIZE);
	assert_non_null(range_of_last(&w));
	assert_null(if_range_of_last(&w));
	stop(&w);
}

static void nonsense_ranges_start_over(void **state)
{
	static const enum step steps[] = { SHIFTED_RANGE, NO_CONTENT_RANGE, OTHER_TOTAL, STATUS_416 };

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(steps); i++) {
		struct world w = { .steps = { BREAK_HALF, steps[i] } };

		start(&w);
		assert_ok(fetch(&w), &w.err);
		assert_int_equal(atomic_load(&w.restarted), 1);
		assert_null(range_of_last(&w));
		stop(&w);
	}
}

static void shorter_ranges_are_taken_and_asked_on(void **state)
{
	struct world w = { .steps = { BREAK_HALF, SHORT_RANGE, SHORT_RANGE } };

	(void)state;
	start(&w);
	assert_ok(fetch(&w), &w.err);
	assert_int_equal(requests(&w), 4);
	assert_int_equal(atomic_load(&w.restarted), 0);
	stop(&w);
}

static void endless_nonsense_ranges_end(void **state)
{
	struct world w = { 0 };

	(void)state;
	for (int i = 0; i < STEPS_MAX; i++)
		w.steps[i] = STATUS_416;
	start(&w);
	assert_int_equal(fetch(&w), E_REGISTRY);
	assert_in_range(requests(&w), 1, 4);
	stop(&w);
}

static void parts_without_a_byte_are_failures(void **state)
{
	struct world w = { .steps = { BREAK_HALF } };

	(void)state;
	for (int i = 1; i < STEPS_MAX - 1; i++)
		w.steps[i] = EMPTY_RANGE;
	start(&w);
	assert_int_equal(fetch(&w), E_REGISTRY);
	assert_non_null(strstr(w.err.text, "unexpected EOF"));
	assert_int_equal(requests(&w), 5);
	assert_int_equal(rig_sleeps(w.rig), 4);
	stop(&w);
}

/* A server without ranges behind a proxy that cuts: what comes again is no progress. */
static void starting_over_and_over_ends(void **state)
{
	struct world w = { 0 };

	(void)state;
	for (int i = 0; i < STEPS_MAX - 1; i++)
		w.steps[i] = IGNORE_HALF;
	start(&w);
	assert_int_equal(fetch(&w), E_REGISTRY);
	assert_int_equal(requests(&w), 5);
	assert_int_equal(rig_sleeps(w.rig), 4);
	stop(&w);
}

static void server_without_ranges_is_not_asked_for_one_again(void **state)
{
	static const enum step steps[] = { IGNORE_HALF, STATUS_416, SHIFTED_RANGE };

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(steps); i++) {
		struct world w = { .steps = { BREAK_HALF, steps[i], BREAK_HALF } };

		start(&w);
		assert_ok(fetch(&w), &w.err);
		assert_int_equal(requests(&w), 4);
		assert_null(range_of_last(&w));
		assert_int_equal(rig_sleeps(w.rig), 3);
		stop(&w);
	}
}

/* The rest belongs to another version than the start: caught, and healed once. */
static void bytes_that_changed_in_between_are_fetched_again_as_a_whole(void **state)
{
	struct world w = { .steps = { BREAK_HALF, OTHER_BYTES } };

	(void)state;
	start(&w);
	assert_ok(fetch(&w), &w.err);
	assert_int_equal(atomic_load(&w.restarted), 1);
	assert_null(range_of_last(&w));
	stop(&w);
}

static void wrong_bytes_in_one_piece_are_refused_at_once(void **state)
{
	struct world w = { .steps = { OTHER_BYTES } };

	(void)state;
	start(&w);
	assert_int_equal(fetch(&w), E_DIGEST_MISMATCH);
	assert_int_equal(requests(&w), 1);
	assert_false(content_exists(w.store, &w.blob.digest, NULL));
	stop(&w);
}

static void wrong_bytes_twice_are_refused(void **state)
{
	struct world w = { .steps = { BREAK_HALF, OTHER_BYTES, OTHER_BYTES } };

	(void)state;
	start(&w);
	assert_int_equal(fetch(&w), E_DIGEST_MISMATCH);
	stop(&w);
}

/* ---- lies ------------------------------------------------------------------ */

static void lengths_that_do_not_fit_are_refused(void **state)
{
	static const enum step steps[] = { TOO_LONG, TOO_SHORT, TOO_LONG_CHUNKED };

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(steps); i++) {
		struct world w = { .steps = { steps[i], steps[i], steps[i] } };

		start(&w);
		assert_fails(fetch(&w), &w.err, E_BAD_CONTENT, "blob sha256:");
		assert_int_equal(requests(&w), 1);
		stop(&w);
	}
}

/* c-style.md A6 */
static void error_pages_are_not_written(void **state)
{
	struct world w = { .steps = { STATUS_404 } };
	struct ingest *i;

	(void)state;
	start(&w);
	i = open_ingest(&w);
	assert_int_equal(fetch_into(&w, i, NULL, NULL), E_NOT_FOUND);
	assert_int_equal(ingest_offset(i), 0);
	assert_non_null(strstr(w.err.text, "blob unknown: no blob"));
	ingest_unref(i);
	stop(&w);
}

static void content_codings_are_refused(void **state)
{
	struct world w = { .steps = { ENCODED } };

	(void)state;
	start(&w);
	assert_int_equal(fetch(&w), E_BAD_CONTENT);
	assert_non_null(strstr(w.err.text, "Content-Encoding: gzip"));
	stop(&w);
}

/* ---- redirects and credentials --------------------------------------------- */

/* c-style.md A5 */
static void credentials_do_not_follow_redirects(void **state)
{
	struct world w = { .always_redirect = true, .want_token = "Basic YTpi" };
	struct credentials c = { .username = "a", .password = "b" };
	struct fake_request q;

	(void)state;
	start(&w);
	assert_ok(fetch_with(&w, &c), &w.err);
	assert_true(fake_last(w.storage, "GET", "/data", &q));
	assert_null(fake_header(&q, "Authorization"));
	stop(&w);
}

static void storage_is_asked_for_anew_after_a_break(void **state)
{
	struct world w = { .always_redirect = true, .storage_steps = { BREAK_HALF } };
	struct fake_request first, last;

	(void)state;
	start(&w);
	assert_ok(fetch(&w), &w.err);
	assert_int_equal(requests(&w), 2);
	assert_true(fake_last(w.storage, "GET", "/data", &last));
	assert_non_null(fake_header(&last, "Range"));
	assert_true(fake_last(w.storage, "GET", "/data?sig=secret2", &first));
	assert_string_not_equal(first.path, last.path);
	stop(&w);
}

static void expired_signatures_are_renewed(void **state)
{
	struct world w = { .always_redirect = true, .storage_steps = { STATUS_401 } };

	(void)state;
	start(&w);
	assert_ok(fetch(&w), &w.err);
	assert_int_equal(requests(&w), 2);
	assert_null(strstr(w.why, "secret"));
	stop(&w);
}

static void token_that_dies_in_mid_transfer_is_renewed(void **state)
{
	struct world w = { .steps = { BREAK_HALF, STATUS_401 } };
	struct credentials c = { .username = "a", .password = "b" };

	(void)state;
	start(&w);
	assert_ok(fetch_with(&w, &c), &w.err);
	assert_int_equal(requests(&w), 3);
	assert_non_null(range_of_last(&w));
	stop(&w);
}

/* ---- cancellation ---------------------------------------------------------- */

struct canceller {
	struct world *w;
	struct cancel *cancel;
};

static void *cancel_in_mid_transfer(void *arg)
{
	struct canceller *c = arg;
	struct cancel *pause = cancel_new();

	while (!atomic_load(&c->w->progress))
		cancel_wait(pause, 2);
	cancel_fire(c->cancel, E_CANCELLED);
	cancel_unref(pause);
	return NULL;
}

static void cancelled_fetch_keeps_its_bytes(void **state)
{
	struct world w = { .steps = { STALL_HALF } };
	struct canceller c = { &w, cancel_new() };
	struct ingest *i;
	pthread_t thread;

	(void)state;
	start(&w);
	i = open_ingest(&w);
	pthread_create(&thread, NULL, cancel_in_mid_transfer, &c);
	assert_int_equal(fetch_into(&w, i, NULL, c.cancel), E_CANCELLED);
	pthread_join(thread, NULL);
	assert_true(ingest_offset(i) > 0);
	ingest_unref(i);
	assert_ok(fetch(&w), &w.err);
	assert_true(atomic_load(&w.fetched) < SIZE);
	cancel_unref(c.cancel);
	stop(&w);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(fetch_takes_a_blob_in_one_request),
		cmocka_unit_test(fetch_takes_bodies_of_unknown_length),
		cmocka_unit_test(empty_blob_needs_no_request),
		cmocka_unit_test(broken_transfers_go_on_where_they_broke),
		cmocka_unit_test(weak_etags_are_not_sent_back),
		cmocka_unit_test(every_byte_of_progress_renews_patience),
		cmocka_unit_test(five_failures_without_progress_are_the_end),
		cmocka_unit_test(server_errors_within_a_transfer_are_waited_out),
		cmocka_unit_test(fetch_of_a_dead_registry_gives_up_after_some_pauses),
		cmocka_unit_test(later_fetch_goes_on_with_what_is_there),
		cmocka_unit_test(server_without_ranges_starts_over),
		cmocka_unit_test(etag_that_changed_does_not_cost_the_bytes),
		cmocka_unit_test(nonsense_ranges_start_over),
		cmocka_unit_test(shorter_ranges_are_taken_and_asked_on),
		cmocka_unit_test(endless_nonsense_ranges_end),
		cmocka_unit_test(parts_without_a_byte_are_failures),
		cmocka_unit_test(starting_over_and_over_ends),
		cmocka_unit_test(server_without_ranges_is_not_asked_for_one_again),
		cmocka_unit_test(bytes_that_changed_in_between_are_fetched_again_as_a_whole),
		cmocka_unit_test(wrong_bytes_in_one_piece_are_refused_at_once),
		cmocka_unit_test(wrong_bytes_twice_are_refused),
		cmocka_unit_test(lengths_that_do_not_fit_are_refused),
		cmocka_unit_test(error_pages_are_not_written),
		cmocka_unit_test(content_codings_are_refused),
		cmocka_unit_test(credentials_do_not_follow_redirects),
		cmocka_unit_test(storage_is_asked_for_anew_after_a_break),
		cmocka_unit_test(expired_signatures_are_renewed),
		cmocka_unit_test(token_that_dies_in_mid_transfer_is_renewed),
		cmocka_unit_test(cancelled_fetch_keeps_its_bytes),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
