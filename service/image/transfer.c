#include "service/image/layer_file.h"
#include "service/image/transfer_internal.h"

#include <sys/resource.h>
#include <utlist.h>

#include "proto/runtime/clock.h"

enum { QUEUED_MAX = 8192, OPEN_IMAGES_SHARE = 8 };

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

/* ---- the table ------------------------------------------------------------ */

/* A share of the limit of open files. */
static unsigned open_images_max(void)
{
	struct rlimit limit;

	if (getrlimit(RLIMIT_NOFILE, &limit) < 0 || limit.rlim_cur / OPEN_IMAGES_SHARE > QUEUED_MAX)
		return QUEUED_MAX;
	return (unsigned)(limit.rlim_cur / OPEN_IMAGES_SHARE);
}

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
	transfer_list_init(&t->shown);
	t->open_images_max = open_images_max();
	t->per_host = threads > 1 ? threads / 2 : 1;
	pthread_mutex_init(&t->mu, NULL);
	*ret_transfers = t;
	return OK;
}

void transfers_free(struct transfers *t)
{
	if (!t)
		return;
	pool_free(t->pool);
	transfer_list_destroy(&t->shown);
	pthread_mutex_destroy(&t->mu);
	free(t);
}

struct transfer_list *transfers_list(struct transfers *t)
{
	return &t->shown;
}

size_t transfers_running(struct transfers *t)
{
	size_t n;

	pthread_mutex_lock(&t->mu);
	n = t->n;
	pthread_mutex_unlock(&t->mu);
	return n;
}

void transfers_load(struct transfers *t, struct pool_load *ret_load)
{
	pool_load(t->pool, ret_load);
}

static void transfer_free(struct transfer *t)
{
	if (t->image_is_open)
		atomic_fetch_sub(&t->table->open_images, 1);
	layer_job_free(t->job);
	layer_image_free(t->image);
	layer_workers_unref(t->workers);
	repository_unref(t->repository);
	ingest_unref(t->ingest);
	cancel_unref(t->cancel);
	pthread_mutex_destroy(&t->mu);
	free(t->blob.media_type);
	for (size_t i = 0; i < t->blob.n_urls; i++)
		free(t->blob.urls[i]);
	free(t->blob.urls);
	free(t->name);
	free(t->data);
	free(t);
}

void transfer_unlist_locked(struct transfer *t)
{
	if (!t->listed)
		return;
	t->listed = false;
	transfer_list_remove(&t->entry);
	DL_DELETE(t->table->list, t);
	t->table->n--;
}

/* Drops one reference. The last one takes the transfer out of the table only
 * when its ingest is closed, so that a successor can open it. */
void transfer_unref_locked(struct transfer *t)
{
	struct transfers *table = t->table;

	if (--t->refs)
		return;
	/* Closing may write a journal, or give back the blocks of an image that nobody has
	 * committed: not under the lock. The entry stays listed, without watchers, so that
	 * nobody joins it. */
	pthread_mutex_unlock(&table->mu);
	ingest_unref(TAKE(t->ingest));
	layer_image_free(TAKE(t->image));
	pthread_mutex_lock(&table->mu);
	transfer_unlist_locked(t);
	transfer_free(t);
}

/* ---- turns ---------------------------------------------------------------- */

static bool may_run_locked(struct transfers *table, const struct host *host)
{
	unsigned running = 0;

	for (const struct transfer *t = table->list; t; t = t->next)
		running += t->host == host && t->turn == TURN_NOW;
	return !host || running < table->per_host;
}

static int take_turn_locked(struct transfer *t, struct err *err)
{
	if (!may_run_locked(t->table, t->host))
		return OK; /* transfer_end_turn_locked() comes back to it */
	if (pool_run(t->table->pool, transfer_run, t, err) < 0)
		return E_BUSY;
	t->turn = TURN_NOW;
	return OK;
}

/* Who runs for that host; the same image several times. */
static size_t running_locked(const struct transfers *table, const struct host *host, const struct digest **ret_sources,
			     size_t max)
{
	size_t n = 0;

	for (const struct transfer *t = table->list; t && n < max; t = t->next)
		if (t->host == host && t->turn == TURN_NOW)
			ret_sources[n++] = &t->source;
	return n;
}

/* The one whose image has the fewest turns; of these the first. */
static struct transfer *fairest_locked(struct transfers *table, const struct host *host)
{
	enum { RUNNING_MAX = 64 };
	const struct digest *sources[RUNNING_MAX];
	size_t n = running_locked(table, host, sources, RUNNING_MAX), fewest = SIZE_MAX;
	struct transfer *fairest = NULL;

	for (struct transfer *t = table->list; t && fewest; t = t->next) {
		size_t turns = 0;

		if (t->host != host || t->turn != TURN_TO_COME)
			continue;
		for (size_t i = 0; i < n; i++)
			turns += digest_eq(sources[i], &t->source);
		if (turns < fewest) {
			fewest = turns;
			fairest = t;
		}
	}
	return fairest;
}

/* The pool cannot refuse: start_locked() bounds what waits, and this is one of its threads. */
void transfer_end_turn_locked(struct transfer *t)
{
	struct transfer *next;

	t->turn = TURN_OVER;
	next = fairest_locked(t->table, t->host);
	if (next)
		take_turn_locked(next, NULL);
}

/* ---- joining -------------------------------------------------------------- */

static struct transfer *find_locked(struct transfers *table, const struct digest *d)
{
	for (struct transfer *t = table->list; t; t = t->next)
		if (digest_eq(&t->digest, d))
			return t;
	return NULL;
}

static uint8_t *copy_bytes(struct bytes b)
{
	uint8_t *copy = malloc(b.len);

	if (copy)
		memcpy(copy, b.data, b.len);
	return copy;
}

/* What the thread needs of it may outlive the manifest. */
static bool copy_blob(struct transfer *t, const struct descriptor *blob)
{
	t->blob = *blob;
	t->blob.data = (struct bytes){ NULL, 0 };
	t->blob.n_urls = 0;
	t->blob.urls = calloc(blob->n_urls + 1, sizeof *t->blob.urls);
	t->blob.media_type = strdup(blob->media_type);
	for (size_t i = 0; t->blob.urls && i < blob->n_urls; i++) {
		t->blob.urls[i] = strdup(blob->urls[i]);
		if (!t->blob.urls[i])
			return false;
		t->blob.n_urls++;
	}
	return t->blob.media_type && t->blob.urls;
}

static int transfer_new(struct transfers *table, const struct transfer_request *request, struct transfer **ret_transfer,
			struct err *err)
{
	struct transfer *t = calloc(1, sizeof *t);

	if (!t)
		return fail_nomem(err);
	pthread_mutex_init(&t->mu, NULL);
	t->table = table;
	if (log_current())
		t->context = *log_current();
	t->digest = request->blob->digest;
	t->source = request->source;
	t->name = strdup(request->name ? request->name : "");
	t->cancel = cancel_new();
	t->repository = request->repository ? repository_ref(request->repository) : NULL;
	t->workers = request->workers ? layer_workers_ref(request->workers) : NULL;
	t->is_layer = request->workers != NULL;
	t->no_image = request->no_image;
	t->data = request->data.len ? copy_bytes(request->data) : NULL;
	t->host = t->repository && !t->data ? repository_host(t->repository) : NULL;
	t->entry = (struct transfer_entry){ .direction = IMAGED__V1__TRANSFER__DIRECTION__DIRECTION_PULL,
					    .digest = t->digest,
					    .total = request->blob->size,
					    .repository = t->name,
					    .state = IMAGED__V1__TRANSFER__STATE__STATE_WAITING };
	if (!copy_blob(t, request->blob) || !t->name || !t->cancel || (request->data.len && !t->data)) {
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

/* What another manifest says of a blob must not decide over this one's pull. Who wants no
 * image takes part where one is made, not the other way round. */
static bool is_same(const struct transfer *t, const struct transfer_request *request)
{
	return t->blob.size == request->blob->size && t->is_layer == (request->workers != NULL) &&
	       (!t->is_layer || !t->no_image || request->no_image);
}

static bool watches(struct transfer *t, const struct transfer_watch *w)
{
	bool found = false;

	pthread_mutex_lock(&t->mu);
	for (const struct watcher *entry = t->watchers; entry; entry = entry->next)
		found = found || entry->watch == w;
	pthread_mutex_unlock(&t->mu);
	return found;
}

/* Who waits for a transfer that is its own waits for ever. */
static int check_not_own(struct transfer *t, const struct transfer_request *request, const struct transfer_watch *w,
			 struct err *err)
{
	if (!watches(t, w))
		return OK;
	if (t->blob.size != request->blob->size)
		return fail(err, E_BAD_CONTENT, "a manifest disagrees with itself on the size of a blob: %lld and %lld",
			    (long long)t->blob.size, (long long)request->blob->size);
	return fail(err, E_BAD_CONTENT, "a blob is used as a layer and as a configuration");
}

static int start_locked(struct transfers *table, const struct transfer_request *request, struct transfer_watch *w,
			struct transfer **ret_transfer, struct err *err)
{
	struct transfer *t = NULL;
	int r;

	if (table->n >= QUEUED_MAX)
		return fail(err, E_BUSY, "%zu transfers are under way: try again later", table->n);
	r = transfer_new(table, request, &t, err);
	if (r < 0)
		return r;
	r = watch(t, w, err);
	if (r == OK && !t->data) /* what is not on its way is not shown */
		transfer_list_add(&table->shown, &t->entry);
	if (r == OK)
		r = take_turn_locked(t, err); /* from here on its thread may run */
	if (r < 0) {
		transfer_list_remove(&t->entry);
		unwatch(t, w);
		transfer_free(t);
		return r;
	}
	t->refs = 1; /* the thread's */
	t->listed = true;
	DL_APPEND(table->list, t);
	table->n++;
	*ret_transfer = t;
	return OK;
}

static int join_locked(struct transfers *table, const struct transfer_request *request, struct transfer_watch *w,
		       struct transfer **ret_transfer, bool *ret_started, struct err *err)
{
	struct transfer *t = find_locked(table, &request->blob->digest);
	bool ends = t && !t->watching;
	int r;

	*ret_started = !t;
	if (ends || (t && !is_same(t, request))) {
		*ret_transfer = NULL;
		return ends ? OK : check_not_own(t, request, w, err);
	}
	r = t ? watch(t, w, err) : start_locked(table, request, w, &t, err);
	if (r < 0)
		return r;
	t->refs++;
	t->watching++;
	transfer_entry_origin(&t->entry, request->origin);
	transfer_entry_watchers(&t->entry, (int)t->watching);
	*ret_transfer = t;
	return OK;
}

int transfer_join(struct transfers *table, const struct transfer_request *request, struct transfer_watch *w,
		  struct transfer **ret_transfer, bool *ret_started, struct err *err)
{
	int r;

	pthread_mutex_lock(&table->mu);
	r = join_locked(table, request, w, ret_transfer, ret_started, err);
	pthread_mutex_unlock(&table->mu);
	return r;
}

void transfer_leave(struct transfer *t, struct transfer_watch *w)
{
	struct transfers *table = t->table;

	unwatch(t, w);
	pthread_mutex_lock(&table->mu);
	transfer_entry_watchers(&t->entry, (int)t->watching - 1);
	if (--t->watching == 0)
		cancel_fire(t->cancel, E_CANCELLED);
	if (!t->watching && t->turn == TURN_TO_COME) {
		t->turn = TURN_OVER; /* no thread comes for it any more */
		t->refs--;
	}
	transfer_unref_locked(t);
	pthread_mutex_unlock(&table->mu);
}

void transfer_status(struct transfer *t, struct transfer_status *ret_status)
{
	pthread_mutex_lock(&t->mu);
	*ret_status = t->status;
	pthread_mutex_unlock(&t->mu);
}

struct layer_image *transfer_image(const struct transfer *t)
{
	return t->image;
}

bool transfer_is_from(const struct transfer *t, const struct digest *source, bool no_image)
{
	return digest_eq(&t->source, source) && (!t->is_layer || t->no_image == no_image);
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
