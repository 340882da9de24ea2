#include "tests/unit/image/world.h"

#include <fcntl.h>
#include <sched.h>
#include <sys/stat.h>

enum { FOREVER_MS = 24 * 60 * 60 * 1000, THREADS = 8 };

/* ---- the gate ------------------------------------------------------------------- */

static void pass_gate(struct world *w)
{
	unsigned place;

	pthread_mutex_lock(&w->mu);
	place = w->at_gate++;
	pthread_cond_broadcast(&w->changed);
	while (!w->gate_open && place >= w->let_pass)
		pthread_cond_wait(&w->changed, &w->mu);
	pthread_mutex_unlock(&w->mu);
}

static void set(struct world *w, bool *field)
{
	pthread_mutex_lock(&w->mu);
	*field = true;
	pthread_cond_broadcast(&w->changed);
	pthread_mutex_unlock(&w->mu);
}

static void await_count(struct world *w, const unsigned *count, unsigned n)
{
	pthread_mutex_lock(&w->mu);
	while (*count < n)
		pthread_cond_wait(&w->changed, &w->mu);
	pthread_mutex_unlock(&w->mu);
}

void world_open_gate(struct world *w)
{
	set(w, &w->gate_open);
}

static void count(struct world *w, unsigned *field)
{
	pthread_mutex_lock(&w->mu);
	(*field)++;
	pthread_cond_broadcast(&w->changed);
	pthread_mutex_unlock(&w->mu);
}

void world_let_pass(struct world *w)
{
	count(w, &w->let_pass);
}

void world_hold_pauses(struct world *w)
{
	set(w, &w->hold_pauses);
}

void world_await_gate(struct world *w, unsigned n)
{
	await_count(w, &w->at_gate, n);
}

unsigned world_busy(struct world *w)
{
	unsigned n;

	pthread_mutex_lock(&w->mu);
	n = w->busy;
	pthread_mutex_unlock(&w->mu);
	return n;
}

void world_await_busy(struct world *w, unsigned n)
{
	await_count(w, &w->busy, n);
}

void world_await_gone(struct world *w, unsigned n)
{
	await_count(w, &w->gone, n);
}

void world_answer(struct world *w, enum answer_kind kind)
{
	pthread_mutex_lock(&w->mu);
	w->kind = kind;
	pthread_mutex_unlock(&w->mu);
}

static enum answer_kind next_kind(struct world *w)
{
	enum answer_kind kind;

	pthread_mutex_lock(&w->mu);
	kind = w->kind;
	if (kind == BREAK_HALF)
		w->kind = SERVE;
	pthread_mutex_unlock(&w->mu);
	return kind;
}

/* ---- the registry --------------------------------------------------------------- */

static size_t range_of(const struct fake_request *q)
{
	const char *range = fake_header(q, "Range");
	unsigned long from = 0;

	return range && sscanf(range, "bytes=%lu-", &from) == 1 ? from : 0;
}

static void serve_head(struct fake_conn *c, size_t from)
{
	char text[256];

	if (from)
		snprintf(text, sizeof text,
			 "HTTP/1.1 206 Partial\r\nContent-Length: %zu\r\nContent-Range: bytes %zu-%d/%d\r\n\r\n",
			 BLOB_SIZE - from, from, BLOB_SIZE - 1, BLOB_SIZE);
	else
		snprintf(text, sizeof text, "HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n", BLOB_SIZE);
	fake_puts(c, text);
}

static void serve_other_bytes(struct fake_conn *c, const struct fake_request *q, const struct world *w)
{
	uint8_t *bytes = malloc(BLOB_SIZE);

	memcpy(bytes, w->data, BLOB_SIZE);
	bytes[BLOB_SIZE / 3] ^= 1;
	fake_reply(c, q, 200, "", bytes, BLOB_SIZE);
	free(bytes);
}

static void serve_halves(struct fake_conn *c, struct world *w, enum answer_kind kind, size_t from)
{
	size_t half = (BLOB_SIZE - from) / 2;

	serve_head(c, from);
	fake_send(c, w->data + from, half);
	if (kind == BREAK_HALF)
		return fake_hang_up(c);
	if (kind == STALL_HALF) {
		fake_stall(c);
		count(w, &w->gone);
		return;
	}
	if (kind == HOLD_HALF)
		pass_gate(w);
	fake_send(c, w->data + from + half, BLOB_SIZE - from - half);
}

static void serve(struct fake_conn *c, const struct fake_request *q, void *arg)
{
	struct world *w = arg;
	enum answer_kind kind;

	if (!strstr(q->path, "/blobs/"))
		return fake_text(c, q, 200, "", "");
	kind = next_kind(w);
	if (kind == MISSING)
		return fake_text(c, q, 404, "", "{\"errors\":[{\"code\":\"BLOB_UNKNOWN\",\"message\":\"no blob\"}]}");
	if (kind == UNAVAILABLE)
		return fake_text(c, q, 503, "", "later");
	if (kind == OTHER_BYTES)
		return serve_other_bytes(c, q, w);
	serve_halves(c, w, kind, range_of(q));
}

unsigned world_requests(struct world *w)
{
	return fake_count(w->fake, "GET", "/v2/a/b/blobs/");
}

static int64_t wall(UNUSED void *arg)
{
	return 1800000000;
}

static uint32_t chance(UNUSED void *arg)
{
	return 0;
}

/* Deaf to its cancel token while it is held: a transfer that takes long to end. */
static bool pause_at_gate(void *arg, struct cancel *cancel, UNUSED int64_t ms)
{
	struct world *w = arg;
	bool held;

	pthread_mutex_lock(&w->mu);
	held = w->hold_pauses;
	pthread_mutex_unlock(&w->mu);
	if (held)
		pass_gate(w);
	return !cancel_fired(cancel);
}

/* ---- the store (the programs are linked with --wrap) ------------------------------ */

static struct world *the_world; /* of the test that runs */

void world_commit_before_open(struct world *w, unsigned nth)
{
	pthread_mutex_lock(&w->mu);
	w->commit_at = nth;
	pthread_mutex_unlock(&w->mu);
}

static bool commit_is_due(struct world *w)
{
	bool due;

	pthread_mutex_lock(&w->mu);
	due = w->commit_at == 1;
	w->commit_at -= w->commit_at > 0;
	pthread_mutex_unlock(&w->mu);
	return due;
}

int __real_ingest_open(struct store *s, const struct digest *d, int64_t size, struct ingest **ret_ingest,
		       struct err *err);
int __wrap_ingest_open(struct store *s, const struct digest *d, int64_t size, struct ingest **ret_ingest,
		       struct err *err);

int __wrap_ingest_open(struct store *s, const struct digest *d, int64_t size, struct ingest **ret_ingest,
		       struct err *err)
{
	int r;

	if (commit_is_due(the_world))
		world_commit(the_world);
	r = __real_ingest_open(s, d, size, ret_ingest, err);
	if (r == E_BUSY)
		count(the_world, &the_world->busy);
	return r;
}

/* ---- the world ------------------------------------------------------------------ */

int world_start(void **state)
{
	struct world *w = calloc(1, sizeof *w);
	struct registry_options options = { .env = &w->env };
	struct err err = ERR_INIT;
	struct reference ref;

	assert_non_null(w);
	the_world = w;
	pthread_mutex_init(&w->mu, NULL);
	pthread_cond_init(&w->changed, NULL);
	w->env = (struct retry_env){ wall, chance, pause_at_gate, w };
	w->data = malloc(BLOB_SIZE);
	assert_non_null(w->data);
	for (size_t i = 0; i < BLOB_SIZE; i++)
		w->data[i] = (uint8_t)(i * 7 + (i >> 11));
	w->blob = descriptor_of(w->data, BLOB_SIZE);
	w->source = descriptor_of("source", 6).digest;
	w->fake = fake_start(FAKE_PLAIN, serve, w);
	w->store = temporary_store(w->folder);
	assert_ok(registry_new(&options, &w->registry, &err), &err);
	ref = ref_of(fake_authority(w->fake), "a/b");
	assert_ok(repository_open(w->registry, &ref, NULL, &w->repository, &err), &err);
	assert_ok(transfers_new(w->store, THREADS, &w->transfers, &err), &err);
	*state = w;
	return 0;
}

int world_stop(void **state)
{
	struct world *w = *state;

	world_open_gate(w);
	transfers_free(w->transfers);
	repository_unref(w->repository);
	registry_free(w->registry);
	fake_stop(w->fake);
	store_close(w->store);
	remove_folder(w->folder);
	pthread_cond_destroy(&w->changed);
	pthread_mutex_destroy(&w->mu);
	free(w->data);
	free(w);
	return 0;
}

void world_make_layer(struct world *w)
{
	memset(w->data, 0, BLOB_SIZE);
	w->blob = descriptor_of(w->data, BLOB_SIZE);
}

void world_commit_ingest(struct world *w, struct ingest *ingest)
{
	struct err err = ERR_INIT;

	assert_non_null(ingest);
	assert_ok(content_commit(w->store, &ingest, 1, &err), &err);
	world_assert_intact(w);
}

void world_commit(struct world *w)
{
	CLEANUP(ingest_unrefp) struct ingest *i = NULL;
	struct err err = ERR_INIT;

	assert_ok(ingest_bytes(w->store, &w->blob.digest, (struct bytes){ w->data, BLOB_SIZE }, &i, &err), &err);
	world_commit_ingest(w, i);
}

void world_assert_intact(struct world *w)
{
	struct err err = ERR_INIT;

	assert_ok(content_verify(w->store, &w->blob.digest, NULL, NULL, NULL, &err), &err);
}

static int open_committed(const struct world *w)
{
	char text[DIGEST_TEXT_MAX], path[256];
	const char *hex = digest_text(&w->blob.digest, text) + strlen("sha256:");
	int fd;

	snprintf(path, sizeof path, "%s/content/sha256/%.2s/%s", w->folder, hex, hex);
	assert_int_equal(chmod(path, 0600), 0);
	fd = open(path, O_RDWR | O_CLOEXEC);
	assert_true(fd >= 0);
	return fd;
}

void world_damage(struct world *w)
{
	int fd = open_committed(w);
	uint8_t wrong = w->data[BLOB_HALF] ^ 1;

	assert_int_equal(pwrite(fd, &wrong, 1, BLOB_HALF), 1);
	close(fd);
}

void world_cut(struct world *w)
{
	int fd = open_committed(w);

	assert_int_equal(ftruncate(fd, BLOB_HALF), 0);
	close(fd);
}

void world_await_none(struct world *w)
{
	while (transfers_running(w->transfers))
		sched_yield();
}

/* ---- watchers ------------------------------------------------------------------- */

void watcher_init(struct watcher *x, struct world *w)
{
	*x = (struct watcher){ .request = { .blob = &w->blob, .repository = w->repository, .source = w->source } };
	transfer_watch_init(&x->watch);
}

void watcher_destroy(struct watcher *x)
{
	assert_null(x->transfer);
	transfer_watch_destroy(&x->watch);
}

int watcher_join_code(struct watcher *x, struct world *w, struct err *err)
{
	return transfer_join(w->transfers, &x->request, &x->watch, &x->transfer, &x->started, err);
}

void watcher_join(struct watcher *x, struct world *w)
{
	struct err err = ERR_INIT;

	assert_ok(watcher_join_code(x, w, &err), &err);
	while (!x->transfer) {
		sched_yield();
		assert_ok(watcher_join_code(x, w, &err), &err);
	}
}

void watcher_leave(struct watcher *x)
{
	transfer_leave(TAKE(x->transfer), &x->watch);
}

struct transfer_status watcher_status(struct watcher *x)
{
	struct transfer_status status;

	transfer_status(x->transfer, &status);
	return status;
}

void watcher_await_state(struct watcher *x, enum transfer_state state)
{
	while (watcher_status(x).state != state) {
		assert_true(watcher_status(x).state < TRANSFER_DONE || watcher_status(x).state == state);
		transfer_watch_wait(&x->watch, FOREVER_MS);
	}
}

void watcher_await_offset(struct watcher *x, int64_t offset)
{
	while (watcher_status(x).present < offset) {
		assert_true(watcher_status(x).state < TRANSFER_DONE);
		transfer_watch_wait(&x->watch, FOREVER_MS);
	}
}

static void await_end(struct watcher *x)
{
	while (watcher_status(x).state < TRANSFER_DONE)
		transfer_watch_wait(&x->watch, FOREVER_MS);
}

struct ingest *watcher_done(struct watcher *x, struct layer_facts *ret_facts)
{
	struct ingest *ingest = NULL;
	struct err err = ERR_INIT;

	await_end(x);
	assert_ok(transfer_result(x->transfer, &ingest, ret_facts, &err), &err);
	assert_int_equal(watcher_status(x).state, TRANSFER_DONE);
	assert_int_equal(watcher_status(x).present, BLOB_SIZE);
	return ingest;
}

void watcher_failed(struct watcher *x, int code, struct err *ret_err)
{
	struct ingest *ingest = (struct ingest *)x; /* not to be touched */

	await_end(x);
	*ret_err = (struct err)ERR_INIT;
	assert_string_equal(err_reason(transfer_result(x->transfer, &ingest, NULL, ret_err)), err_reason(code));
	assert_int_equal(watcher_status(x).state, TRANSFER_FAILED);
	assert_ptr_equal(ingest, x);
	assert_int_equal(ret_err->code, code);
}
