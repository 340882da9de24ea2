#include "service/image/transfer.h"

#include <utlist.h>

#include "proto/runtime/clock.h"
#include "service/pool.h"

enum { QUEUED_MAX = 8192, NOTIFY_BYTES = 256 * 1024 };

struct watcher {
	struct transfer_watch *watch;
	struct watcher *next;
};

struct transfer {
	struct transfers *table;
	struct transfer *prev, *next; /* in the table; guarded by table->mu */
	unsigned refs;		      /* watchers and the thread; guarded by table->mu */
	unsigned watching;	      /* guarded by table->mu */
	struct cancel *cancel;

	/* Owned by the thread that runs it. */
	struct digest digest;
	struct descriptor blob; /* media_type is our copy */
	uint8_t *data;		/* our copy of the request's, blob.size bytes; or NULL */
	struct repository *repository;
	struct layer_workers *workers;
	struct layer_job *job;
	bool is_layer;	  /* constant: the worker looks into it */
	int64_t notified; /* offset that watchers were woken for */

	pthread_mutex_t mu; /* guards what follows */
	struct watcher *watchers;
	struct transfer_status status;
	struct err result; /* code OK when done */
	struct ingest *ingest;
	struct layer_facts facts;
};

struct transfers {
	struct store *store;
	struct pool *pool;
	pthread_mutex_t mu;
	pthread_cond_t removed; /* a transfer left the list */
	struct transfer *list;
	size_t n;
};

/* ---- watching ------------------------------------------------------------- */

void transfer_watch_init(struct transfer_watch *w)
{
	*w = (struct transfer_watch){ .dirty = false };
	pthread_mutex_init(&w->mu, NULL);
	cond_init_monotonic(&w->changed);
}

void transfer_watch_destroy(struct transfer_watch *w)
{
	pthread_cond_destroy(&w->changed);
	pthread_mutex_destroy(&w->mu);
}

void transfer_watch_wake(void *watch)
{
	struct transfer_watch *w = watch;

	pthread_mutex_lock(&w->mu);
	w->dirty = true;
	pthread_cond_signal(&w->changed);
	pthread_mutex_unlock(&w->mu);
}

void transfer_watch_wait(struct transfer_watch *w, int64_t ms)
{
	struct timespec until = clock_deadline(ms);
	int rc = 0;

	pthread_mutex_lock(&w->mu);
	while (!w->dirty && !rc)
		rc = pthread_cond_timedwait(&w->changed, &w->mu, &until);
	w->dirty = false;
	pthread_mutex_unlock(&w->mu);
}

/* Wakes everybody; t->mu is held, so that no watcher can leave meanwhile. */
static void notify_locked(struct transfer *t)
{
	for (struct watcher *w = t->watchers; w; w = w->next)
		transfer_watch_wake(w->watch);
}

static void set_state(struct transfer *t, enum transfer_state state, const char *message)
{
	pthread_mutex_lock(&t->mu);
	t->status.state = state;
	snprintf(t->status.message, sizeof t->status.message, "%s", message ? message : "");
	notify_locked(t);
	pthread_mutex_unlock(&t->mu);
}

/* ---- running -------------------------------------------------------------- */

static void on_progress(void *arg, int64_t offset, int64_t fetched)
{
	struct transfer *t = arg;

	if (t->job)
		layer_job_available(t->job, offset);
	pthread_mutex_lock(&t->mu);
	t->status.offset = offset;
	t->status.fetched = fetched;
	if (t->status.state == TRANSFER_RETRYING)
		t->status.state = TRANSFER_DOWNLOADING;
	if (offset - t->notified >= NOTIFY_BYTES) {
		t->notified = offset;
		notify_locked(t);
	}
	pthread_mutex_unlock(&t->mu);
}

static void on_retrying(void *arg, const char *why)
{
	set_state(arg, TRANSFER_RETRYING, why);
}

static void on_restarted(void *arg)
{
	struct transfer *t = arg;

	t->notified = 0;
	if (t->job)
		layer_job_restart(t->job);
}

static int start_job(struct transfer *t, int fd, struct err *err)
{
	if (t->workers)
		return layer_job_start(t->workers, fd, t->blob.type.compression, t->blob.size, &t->job, err);
	close(fd);
	return OK;
}

/* The blob is committed already: only what it holds is not on record. */
static int run_committed(struct transfer *t, struct err *err)
{
	int64_t size = 0;
	int fd = -1;

	if (content_open(t->table->store, &t->digest, &fd, &size, err) < 0)
		return err->code;
	if (size != t->blob.size) {
		close(fd);
		return fail(err, E_BAD_CONTENT, "blob has %lld bytes, the manifest says %lld", (long long)size,
			    (long long)t->blob.size);
	}
	if (start_job(t, fd, err) < 0)
		return err->code;
	on_progress(t, size, 0);
	return OK;
}

static int run_write(struct ingest *ingest, struct transfer *t, struct err *err)
{
	if (ingest_offset(ingest) && ingest_restart(ingest, err) < 0)
		return err->code;
	if (ingest_write(ingest, t->data, (size_t)t->blob.size, err) < 0)
		return err->code;
	return ingest_finish(ingest, err);
}

static int run_fetch(struct transfer *t, struct ingest *ingest, struct err *err)
{
	struct fetch_observer observer = { on_progress, on_retrying, on_restarted, t };
	int fd = -1;

	pthread_mutex_lock(&t->mu);
	t->ingest = ingest;
	t->status.resumed = ingest_offset(ingest);
	t->status.offset = t->status.resumed;
	pthread_mutex_unlock(&t->mu);
	set_state(t, TRANSFER_DOWNLOADING, NULL);
	if (ingest_reader(ingest, &fd, err) < 0 || start_job(t, fd, err) < 0)
		return err->code;
	if (t->job)
		layer_job_available(t->job, ingest_offset(ingest));
	if (t->data)
		return run_write(ingest, t, err);
	return registry_fetch(t->repository, &t->blob, ingest, &observer, t->cancel, err);
}

static int run_verify(struct transfer *t, struct err *err)
{
	struct layer_facts facts = { .tar_size = 0 };

	if (!t->job)
		return OK;
	set_state(t, TRANSFER_VERIFYING, NULL);
	if (layer_job_finish(t->job, t->cancel, &facts, err) < 0)
		return err->code;
	pthread_mutex_lock(&t->mu);
	t->facts = facts;
	pthread_mutex_unlock(&t->mu);
	return OK;
}

static int run(struct transfer *t, struct err *err)
{
	struct ingest *ingest = NULL;
	int r;

	if (cancel_check(t->cancel, err) < 0)
		return err->code;
	r = ingest_open(t->table->store, &t->digest, t->blob.size, &ingest, err);
	r = r == E_EXISTS ? run_committed(t, err) : r < 0 ? r : run_fetch(t, ingest, err);
	if (r < 0)
		return r;
	return run_verify(t, err);
}

static void unref_locked(struct transfer *t);

static void run_task(void *arg)
{
	struct transfer *t = arg;
	struct transfers *table = t->table;
	struct ingest *failed = NULL;
	struct err err = { .code = OK };
	int r = run(t, &err);

	layer_job_free(TAKE(t->job));
	layer_workers_unref(TAKE(t->workers));
	repository_unref(TAKE(t->repository));
	pthread_mutex_lock(&t->mu);
	if (r < 0) {
		char text[DIGEST_TEXT_MAX];

		err_wrap(&err, "blob %s", digest_text(&t->digest, text));
		t->result = err;
		t->status.state = TRANSFER_FAILED;
		failed = TAKE(t->ingest);
	} else {
		t->status.state = TRANSFER_DONE;
		t->status.offset = t->blob.size;
	}
	notify_locked(t);
	pthread_mutex_unlock(&t->mu);
	ingest_unref(failed);

	pthread_mutex_lock(&table->mu);
	unref_locked(t);
	pthread_mutex_unlock(&table->mu);
}

/* ---- the table ------------------------------------------------------------ */

int transfers_new(struct store *s, unsigned threads, struct transfers **ret_transfers, struct err *err)
{
	struct transfers *t = calloc(1, sizeof *t);

	if (!t)
		return fail_nomem(err);
	t->store = s;
	if (pool_new("transfer", threads, QUEUED_MAX, &t->pool, err) < 0) {
		free(t);
		return err->code;
	}
	pthread_mutex_init(&t->mu, NULL);
	cond_init_monotonic(&t->removed);
	*ret_transfers = t;
	return OK;
}

void transfers_free(struct transfers *t)
{
	if (!t)
		return;
	pool_free(t->pool);
	pthread_cond_destroy(&t->removed);
	pthread_mutex_destroy(&t->mu);
	free(t);
}

size_t transfers_running(struct transfers *t)
{
	size_t n;

	pthread_mutex_lock(&t->mu);
	n = t->n;
	pthread_mutex_unlock(&t->mu);
	return n;
}

static void transfer_free(struct transfer *t)
{
	layer_job_free(t->job);
	layer_workers_unref(t->workers);
	repository_unref(t->repository);
	ingest_unref(t->ingest);
	cancel_unref(t->cancel);
	pthread_mutex_destroy(&t->mu);
	free(t->blob.media_type);
	free(t->data);
	free(t);
}

/* Drops one reference. The last one takes the transfer out of the table only
 * when its ingest is closed, so that a successor can open it. */
static void unref_locked(struct transfer *t)
{
	struct transfers *table = t->table;

	if (--t->refs)
		return;
	/* Closing may write a journal: not under the lock. The entry stays listed,
	 * without watchers, and newcomers wait for its removal. */
	pthread_mutex_unlock(&table->mu);
	ingest_unref(TAKE(t->ingest));
	pthread_mutex_lock(&table->mu);
	DL_DELETE(table->list, t);
	table->n--;
	pthread_cond_broadcast(&table->removed);
	transfer_free(t);
}

static struct transfer *find_locked(struct transfers *table, const struct digest *d)
{
	struct transfer *t;

	DL_FOREACH(table->list, t)
	{
		if (digest_eq(&t->digest, d))
			return t;
	}
	return NULL;
}

static uint8_t *copy_bytes(struct bytes b)
{
	uint8_t *copy = malloc(b.len);

	if (copy)
		memcpy(copy, b.data, b.len);
	return copy;
}

static int transfer_new(struct transfers *table, const struct transfer_request *request, struct transfer **ret_transfer,
			struct err *err)
{
	struct transfer *t = calloc(1, sizeof *t);

	if (!t)
		return fail_nomem(err);
	pthread_mutex_init(&t->mu, NULL);
	t->table = table;
	t->digest = request->blob->digest;
	t->blob = *request->blob;
	t->blob.media_type = strdup(request->blob->media_type);
	t->cancel = cancel_new();
	t->repository = request->repository ? repository_ref(request->repository) : NULL;
	t->workers = request->workers ? layer_workers_ref(request->workers) : NULL;
	t->is_layer = request->workers != NULL;
	t->data = request->data.len ? copy_bytes(request->data) : NULL;
	if (!t->blob.media_type || !t->cancel || (request->data.len && !t->data)) {
		transfer_free(t);
		return fail_nomem(err);
	}
	*ret_transfer = t;
	return OK;
}

static int watch(struct transfer *t, struct transfer_watch *w, struct err *err)
{
	struct watcher *entry = calloc(1, sizeof *entry);

	if (!entry)
		return fail_nomem(err);
	entry->watch = w;
	pthread_mutex_lock(&t->mu);
	entry->next = t->watchers;
	t->watchers = entry;
	pthread_mutex_unlock(&t->mu);
	return OK;
}

static void unwatch(struct transfer *t, struct transfer_watch *w)
{
	pthread_mutex_lock(&t->mu);
	for (struct watcher **p = &t->watchers; *p; p = &(*p)->next) {
		struct watcher *entry = *p;

		if (entry->watch == w) {
			*p = entry->next;
			free(entry);
			break;
		}
	}
	pthread_mutex_unlock(&t->mu);
}

/* Waits until no dying transfer of that digest is left; table->mu is held. */
static int await_locked(struct transfers *table, const struct digest *d, struct cancel *cancel,
			struct transfer **ret_live, struct err *err)
{
	enum { STEP_MS = 100 };

	for (;;) {
		struct transfer *t = find_locked(table, d);
		struct timespec until = clock_deadline(STEP_MS);

		if (!t || t->watching) {
			*ret_live = t;
			return OK;
		}
		if (cancel_check(cancel, err) < 0)
			return err->code;
		pthread_cond_timedwait(&table->removed, &table->mu, &until);
	}
}

static int join_locked(struct transfers *table, const struct transfer_request *request, struct transfer_watch *w,
		       struct cancel *cancel, struct transfer **ret_transfer, bool *ret_started, struct err *err)
{
	struct transfer *t = NULL;

	if (await_locked(table, &request->blob->digest, cancel, &t, err) < 0)
		return err->code;
	if (t && t->blob.size != request->blob->size)
		return fail(err, E_BAD_CONTENT, "two manifests disagree on the size of a blob: %lld and %lld",
			    (long long)t->blob.size, (long long)request->blob->size);
	if (t && t->is_layer != (request->workers != NULL))
		return fail(err, E_BAD_CONTENT, "a blob is used as a layer and as a configuration");
	if (t) {
		if (watch(t, w, err) < 0)
			return err->code;
	} else {
		if (transfer_new(table, request, &t, err) < 0)
			return err->code;
		if (watch(t, w, err) < 0 || pool_run(table->pool, run_task, t, err) < 0) {
			unwatch(t, w);
			transfer_free(t);
			return err->code;
		}
		t->refs = 1; /* the thread's */
		DL_APPEND(table->list, t);
		table->n++;
	}
	*ret_started = !t->watching;
	t->refs++;
	t->watching++;
	*ret_transfer = t;
	return OK;
}

int transfer_join(struct transfers *table, const struct transfer_request *request, struct transfer_watch *w,
		  struct cancel *cancel, struct transfer **ret_transfer, bool *ret_started, struct err *err)
{
	int r;

	pthread_mutex_lock(&table->mu);
	r = join_locked(table, request, w, cancel, ret_transfer, ret_started, err);
	pthread_mutex_unlock(&table->mu);
	return r;
}

void transfer_leave(struct transfer *t, struct transfer_watch *w)
{
	struct transfers *table = t->table;

	unwatch(t, w);
	pthread_mutex_lock(&table->mu);
	if (--t->watching == 0)
		cancel_fire(t->cancel, E_CANCELLED);
	unref_locked(t);
	pthread_mutex_unlock(&table->mu);
}

void transfer_status(struct transfer *t, struct transfer_status *ret_status)
{
	pthread_mutex_lock(&t->mu);
	*ret_status = t->status;
	pthread_mutex_unlock(&t->mu);
}

int transfer_result(struct transfer *t, struct ingest **ret_ingest, struct layer_facts *ret_facts, struct err *err)
{
	int code;

	pthread_mutex_lock(&t->mu);
	code = t->result.code;
	if (code < 0 && err)
		*err = t->result;
	if (code == OK) {
		*ret_ingest = t->ingest;
		if (ret_facts)
			*ret_facts = t->facts;
	}
	pthread_mutex_unlock(&t->mu);
	return code;
}
