/* What a transfer does on its thread: bytes into an ingest, a layer to the worker. */
#include "proto/runtime/clock.h"
#include "service/image/convert.h"
#include "service/image/layer_file.h"
#include "service/image/transfer_internal.h"
#include "service/log.h"
#include "service/metrics/counters.h"
#include "service/registry/foreign.h"

enum { NOTIFY_BYTES = 256 * 1024, BUSY_MS = 50 };

/* ---- telling -------------------------------------------------------------- */

/* Wakes everybody; t->mu is held, so that no watcher can leave meanwhile. */
static void notify_locked(struct transfer *t)
{
	for (struct watcher *w = t->watchers; w; w = w->next)
		transfer_watch_wake(w->watch);
}

static Imaged__V1__Transfer__State shown_state(enum transfer_state state)
{
	switch (state) {
	case TRANSFER_WAITING:
		return IMAGED__V1__TRANSFER__STATE__STATE_WAITING;
	case TRANSFER_DOWNLOADING:
		return IMAGED__V1__TRANSFER__STATE__STATE_TRANSFERRING;
	case TRANSFER_RETRYING:
		return IMAGED__V1__TRANSFER__STATE__STATE_RETRYING;
	case TRANSFER_VERIFYING:
		return IMAGED__V1__TRANSFER__STATE__STATE_VERIFYING;
	case TRANSFER_DONE:
	case TRANSFER_FAILED: /* it leaves the list */
		break;
	}
	return IMAGED__V1__TRANSFER__STATE__STATE_COMPLETE;
}

static void set_state(struct transfer *t, enum transfer_state state, const char *message)
{
	transfer_entry_state(&t->entry, shown_state(state), message);
	pthread_mutex_lock(&t->mu);
	t->status.state = state;
	snprintf(t->status.message, sizeof t->status.message, "%s", message ? message : "");
	utf8_clean(t->status.message);
	notify_locked(t);
	pthread_mutex_unlock(&t->mu);
}

/* ---- running -------------------------------------------------------------- */

/* The rest of a layer that is known to be bad is not fetched. */
static int on_progress(void *arg, const struct fetch_progress *now, struct err *err)
{
	struct transfer *t = arg;
	bool notable = now->present - t->notified >= NOTIFY_BYTES, resumes;

	if (t->job)
		layer_job_available(t->job, now->offset);
	pthread_mutex_lock(&t->mu);
	t->status.present = now->present;
	if (now->fetched > t->status.fetched)
		metric_add(METRIC_PULLED_BYTES, now->fetched - t->status.fetched);
	t->status.fetched = now->fetched;
	resumes = t->status.state == TRANSFER_RETRYING;
	if (resumes)
		t->status.state = TRANSFER_DOWNLOADING;
	if (notable) {
		t->notified = now->present;
		notify_locked(t);
	}
	pthread_mutex_unlock(&t->mu);
	if (resumes)
		transfer_entry_state(&t->entry, IMAGED__V1__TRANSFER__STATE__STATE_TRANSFERRING, NULL);
	if (notable || resumes)
		transfer_entry_current(&t->entry, now->present);
	return notable && t->job ? layer_file_check(t->table->store, t->job, err) : OK;
}

static int all_here(struct transfer *t, struct err *err)
{
	struct fetch_progress now = { .offset = t->blob.size, .present = t->blob.size };

	return on_progress(t, &now, err);
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
	CLEANUP(closep) int owned = fd;

	if (!t->workers)
		return OK;
	if (t->no_image)
		return layer_job_start(t->workers, take_fd(&owned), t->blob.type.compression, t->blob.size, &t->job,
				       err);
	if (layer_image_new(t->table->store, &t->image, err) < 0)
		return err->code;
	return layer_job_start_image(t->workers, take_fd(&owned), layer_image_fd(t->image), t->blob.type.compression,
				     t->blob.size, &t->job, err);
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
	return all_here(t, err);
}

static int run_write(struct ingest *ingest, struct transfer *t, struct err *err)
{
	if (ingest_offset(ingest) && ingest_restart(ingest, err) < 0)
		return err->code;
	if (ingest_write(ingest, t->data, (size_t)t->blob.size, err) < 0 || ingest_finish(ingest, err) < 0)
		return err->code;
	return all_here(t, err);
}

static int run_fetch(struct transfer *t, struct ingest *ingest, struct err *err)
{
	struct fetch_observer observer = { on_progress, on_retrying, on_restarted, t };
	int fd = -1;

	pthread_mutex_lock(&t->mu);
	t->ingest = ingest;
	t->status.resumed = ingest_present(ingest);
	t->status.present = t->status.resumed;
	atomic_store(&t->entry.resumed, t->status.resumed);
	atomic_store(&t->entry.current, t->status.resumed);
	pthread_mutex_unlock(&t->mu);
	set_state(t, TRANSFER_DOWNLOADING, NULL);
	if (ingest_reader(ingest, &fd, err) < 0 || start_job(t, fd, err) < 0)
		return err->code;
	if (t->job)
		layer_job_available(t->job, ingest_offset(ingest));
	if (t->data)
		return run_write(ingest, t, err);
	return registry_fetch_layer(t->repository, &t->blob, ingest, &observer, t->cancel, err);
}

/* An image of hundreds of layers holds as many until it is published. */
static int keep_image(struct transfer *t, struct err *err)
{
	struct transfers *table = t->table;

	if (!t->image)
		return OK;
	t->image_is_open = atomic_fetch_add(&table->open_images, 1) < table->open_images_max;
	if (t->image_is_open)
		return OK;
	atomic_fetch_sub(&table->open_images, 1);
	return layer_image_park(t->image, err);
}

static int run_verify(struct transfer *t, struct err *err)
{
	struct layer_facts facts = { .tar_size = 0 };

	if (!t->job)
		return OK;
	set_state(t, TRANSFER_VERIFYING, NULL);
	if (layer_file_finish(t->table->store, t->job, t->image, t->cancel, &facts, err) < 0 || keep_image(t, err) < 0)
		return err->code;
	pthread_mutex_lock(&t->mu);
	t->facts = facts;
	pthread_mutex_unlock(&t->mu);
	return OK;
}

/* A check that repairs has the ingest open as well, for as long as it fetches. */
static int open_ingest(struct transfer *t, struct ingest **ret_ingest, struct err *err)
{
	int r;

	do
		r = ingest_open(t->table->store, &t->digest, t->blob.size, ret_ingest, err);
	while (r == E_BUSY && !cancel_wait(t->cancel, BUSY_MS));
	return r;
}

/* OK when what is committed is what its name says; else E_NOT_FOUND, and it is out
 * of the way. */
static int check_committed(struct transfer *t, struct err *err)
{
	int r = content_verify(t->table->store, &t->digest, NULL, NULL, t->cancel, err);

	if (r == E_CORRUPT)
		r = content_quarantine(t->table->store, &t->digest, err);
	else if (r == OK)
		return OK;
	t->aside = r == OK;
	return r == OK ? fail(err, E_NOT_FOUND, "damaged") : r;
}

/* OK without an ingest: what is committed is good. Somebody may commit the blob between
 * a quarantine and our second try. */
static int open_or_find(struct transfer *t, struct ingest **ret_ingest, struct err *err)
{
	int r;

	do {
		r = open_ingest(t, ret_ingest, err);
		if (r != E_EXISTS)
			return r;
		r = check_committed(t, err);
	} while (r == E_NOT_FOUND); /* it went out of the way: each round takes one damaged file */
	return r;
}

static int run(struct transfer *t, struct err *err)
{
	struct ingest *ingest = NULL;
	int r = cancel_check(t->cancel, err);

	if (r == OK)
		r = open_or_find(t, &ingest, err);
	if (r == OK)
		r = ingest ? run_fetch(t, ingest, err) : run_committed(t, err);
	return r == OK ? run_verify(t, err) : r;
}

/* Failed: the damaged bytes go back to where they were, since they may be all that
 * there is, and the next one finds them again. Before the ingest is closed, so that
 * nobody else has one; E_BUSY: a check that repairs has it and puts them back itself. */
static void put_back(struct transfer *t, int r)
{
	if (t->aside && r != E_BUSY)
		content_restore(t->table->store, &t->digest, t->ingest, NULL);
}

/* Nobody may join a failure, and a successor finds the ingest closed. */
static void retire(struct transfer *t)
{
	struct ingest *ingest;

	pthread_mutex_lock(&t->mu);
	ingest = TAKE(t->ingest);
	pthread_mutex_unlock(&t->mu);
	ingest_unref(ingest);
	pthread_mutex_lock(&t->table->mu);
	transfer_unlist_locked(t);
	pthread_mutex_unlock(&t->table->mu);
}

static void settle(struct transfer *t, int r, struct err *err)
{
	char text[DIGEST_TEXT_MAX];

	pthread_mutex_lock(&t->mu);
	if (r < 0) {
		err_wrap(err, "blob %s", digest_text(&t->digest, text));
		t->result = *err;
		t->status.state = TRANSFER_FAILED;
	} else {
		t->status.state = TRANSFER_DONE;
		t->status.present = t->blob.size;
	}
	notify_locked(t);
	pthread_mutex_unlock(&t->mu);
	if (r == OK) {
		transfer_entry_state(&t->entry, IMAGED__V1__TRANSFER__STATE__STATE_COMPLETE, NULL);
		transfer_entry_current(&t->entry, t->blob.size);
	}
}

static enum metric outcome_of(int r)
{
	if (r == OK)
		return METRIC_PULL_OK;
	return r == E_CANCELLED ? METRIC_PULL_CANCELLED : METRIC_PULL_FAILED;
}

static void log_end(const struct transfer *t, int r, int64_t ms)
{
	const struct log_context *before = log_enter(&t->context);
	char text[DIGEST_TEXT_MAX];

	log_line(LOG_DEBUG, "transfer of %s after %lld ms: %s, %lld of %lld bytes fetched",
		 digest_text(&t->digest, text), (long long)ms, r < 0 ? err_reason(r) : "OK",
		 (long long)t->status.fetched, (long long)t->blob.size);
	log_enter(before);
}

void transfer_run(void *transfer)
{
	struct transfer *t = transfer;
	struct transfers *table = t->table;
	struct err err = { .code = OK };
	int64_t began_ms = clock_monotonic_ms();
	int r = run(t, &err);

	layer_job_free(TAKE(t->job));
	layer_workers_unref(TAKE(t->workers));
	repository_unref(TAKE(t->repository));
	if (r < 0) {
		put_back(t, r);
		retire(t);
	}
	metric_add(outcome_of(r), 1);
	settle(t, r, &err);
	log_end(t, r, clock_monotonic_ms() - began_ms);
	pthread_mutex_lock(&table->mu);
	transfer_end_turn_locked(t);
	transfer_unref_locked(t);
	pthread_mutex_unlock(&table->mu);
}
