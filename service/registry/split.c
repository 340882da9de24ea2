/*
 * The rest of a large blob in ranges, over several connections at once.
 *
 * Each lane is a thread with one connection: it claims the first gap of the ingest that
 * nobody has claimed, at most SPLIT_BYTES of it, asks for exactly these bytes, and writes
 * them where they belong. The thread of the transfer hashes what is there in order, tells
 * the observer, and starts lanes while what comes is less than this machine can take and
 * connections are idle (lanes.h). What a lane leaves behind is a gap like any other, so
 * nothing is kept of who was to fetch what.
 *
 * Lanes cost: bytes are read back to be hashed, and a server that is near gives one
 * connection all that we can take. So a large blob begins as one stream of ranges, and
 * becomes this when it turns out slow.
 *
 * A lane that breaks ends, and what it wrote stays; only when the last one did, the
 * attempt has failed, and fetch.c decides. An answer that is not what was asked for ends
 * all of them: then one stream goes on at the first gap. The address of the storage that
 * an answer was redirected to serves for the next ranges until it is refused.
 */
#include <pthread.h>
#include <stdio.h>

#include "proto/runtime/clock.h"
#include "proto/runtime/sanitize.h"
#include "service/registry/content_range.h"
#include "service/registry/fetch_internal.h"
#include "service/registry/lanes.h"

enum {
	SPLIT_BYTES = 8 * 1024 * 1024,	     /* of one range */
	SPLIT_BYTES_ALONE = 8 * SPLIT_BYTES, /* while one connection is fast enough */
	ENOUGH_BYTES_PER_MS = 150 * 1000,    /* a lane more is not worth it */
	RATE_MS = 100,
	SPLIT_AHEAD = 16 * SPLIT_BYTES, /* how far behind the first gap a range may begin */
	STACK_BYTES = (SANITIZED ? 1024 : 256) * 1024,
};

struct lane {
	struct split *split;
	pthread_t thread;
	bool started;	      /* of the owner: to be joined */
	bool accepted;	      /* its answer was looked at */
	bool running;	      /* split->mu, like what follows */
	struct run claim;     /* empty: none */
	struct answer answer; /* the lane's own while it runs */
};

struct split {
	struct fetch *fetch;
	struct cancel *stop;
	pthread_mutex_t mu;
	pthread_cond_t news; /* bytes, or the end of a lane */
	struct lane lanes[LANES_PER_BLOB];
	unsigned running;
	unsigned most, ceiling; /* lanes that the server seems to bear now, and at best */
	bool dirty;		/* something happened since the owner looked */
	bool failed;		/* the lane that ended last did so with `end` and `why` */
	bool over;		/* no lane begins anything any more */
	int64_t offset;		/* of the ingest, as the owner said last */
	int64_t fetched;
	struct storage storage; /* of the last good answer */
	bool mixed;		/* one came from another host than the first */
	char etag[INGEST_ETAG_MAX];
	struct end end;
	struct err why;
};

/* ---- the rate --------------------------------------------------------------- */

/* At the end of a window, which begins the next. */
static bool window_is_slow(struct rate *r)
{
	int64_t now = clock_monotonic_ms(), ms = now - r->since_ms, bytes = r->bytes;

	if (ms < RATE_MS)
		return false;
	*r = (struct rate){ .since_ms = now };
	return bytes < ms * ENOUGH_BYTES_PER_MS;
}

/* ---- claims ---------------------------------------------------------------- */

static const struct run *claim_of(const struct split *s, int64_t at)
{
	for (size_t i = 0; i < ARRAY_LEN(s->lanes); i++)
		if (s->lanes[i].claim.from <= at && at < s->lanes[i].claim.to)
			return &s->lanes[i].claim;
	return NULL;
}

static int64_t end_of_claim(const struct split *s, int64_t from, int64_t to)
{
	if (to > from + SPLIT_BYTES)
		to = from + SPLIT_BYTES;
	for (size_t i = 0; i < ARRAY_LEN(s->lanes); i++)
		if (s->lanes[i].claim.from > from && s->lanes[i].claim.from < to)
			to = s->lanes[i].claim.from;
	return to;
}

static bool next_locked(struct split *s, struct run *ret_run)
{
	int64_t at = 0, from, to;

	if (s->over)
		return false;
	while (ingest_missing(s->fetch->ingest, at, &from, &to)) {
		const struct run *taken = claim_of(s, from);

		if (from - s->offset >= SPLIT_AHEAD)
			return false;
		if (!taken) {
			*ret_run = (struct run){ from, end_of_claim(s, from, to) };
			return true;
		}
		at = taken->to;
	}
	return false;
}

static bool claim_next(struct lane *l)
{
	struct split *s = l->split;
	struct repository *r = s->fetch->repository;
	bool claimed;

	pthread_mutex_lock(&s->mu);
	l->claim = (struct run){ 0 };
	s->most += s->most < s->ceiling;
	claimed = (s->running == 1 || lanes_may_stay(r->registry->lanes, repository_host(r))) &&
		  s->running <= s->most && next_locked(s, &l->claim);
	pthread_mutex_unlock(&s->mu);
	return claimed;
}

/* ---- one range ------------------------------------------------------------- */

static void storage_free(struct storage *s)
{
	free(s->url);
}

static struct storage storage_of(struct split *s)
{
	struct storage storage = { 0 };

	pthread_mutex_lock(&s->mu);
	if (s->storage.url)
		storage = (struct storage){ strdup(s->storage.url), s->storage.from };
	pthread_mutex_unlock(&s->mu);
	return storage; /* without memory the registry is asked again */
}

static void keep_storage(struct split *s, const struct answer *a)
{
	struct storage storage = { a->redirected ? strdup(a->at.text) : NULL, a->from };

	pthread_mutex_lock(&s->mu);
	free(s->storage.url);
	s->storage = storage;
	s->mixed = s->mixed || (a->from && a->from != s->fetch->from);
	pthread_mutex_unlock(&s->mu);
}

/* Signed addresses expire, or are good for one use: the registry knows a fresh one. */
static bool is_stale(int status)
{
	return status == 400 || status == 401 || status == 403 || status == 404;
}

static int open_range(struct lane *l, enum retry_class *ret_class, struct err *err)
{
	struct split *s = l->split;
	CLEANUP(storage_free) struct storage storage = storage_of(s);
	int r = fetch_open(s->fetch, &l->claim, storage.url ? &storage : NULL, s->stop, &l->answer, ret_class, err);

	if (!storage.url || (r == OK && !is_stale(http_response_of(l->answer.x)->status)))
		return r;
	if (r != OK && r != E_REGISTRY && r != E_TLS)
		return r;
	answer_free(&l->answer);
	keep_storage(s, &l->answer);
	return fetch_open(s->fetch, &l->claim, NULL, s->stop, &l->answer, ret_class, err);
}

/* Exactly the range, of the same version of the blob. */
static bool is_asked_for(const struct split *s, const struct lane *l)
{
	const char *etag = http_header_of(l->answer.x, "ETag");
	const char *coding = http_header_of(l->answer.x, "Content-Encoding");
	struct content_range r;

	if (http_response_of(l->answer.x)->status != 206 || (coding && *coding && strcmp(coding, "identity") != 0))
		return false;
	if (etag && *etag == '"' && *s->etag && strcmp(etag, s->etag) != 0)
		return false;
	return content_range_parse(http_header_of(l->answer.x, "Content-Range"), &r) && r.first == l->claim.from &&
	       r.last == l->claim.to - 1 && (r.total < 0 || r.total == s->fetch->blob->size);
}

static void tell_owner(struct split *s, size_t bytes)
{
	pthread_mutex_lock(&s->mu);
	s->fetched += (int64_t)bytes;
	s->dirty = true;
	pthread_cond_signal(&s->news);
	pthread_mutex_unlock(&s->mu);
}

static int copy_range(struct lane *l, struct end *ret_end, struct err *err)
{
	struct split *s = l->split;
	struct fetch *f = s->fetch;
	int64_t at = l->claim.from;
	struct bytes piece;
	int r;

	ret_end->how = BROKEN;
	while ((r = http_next(l->answer.x, &piece, s->stop, err)) == 1) {
		if ((int64_t)piece.len > l->claim.to - at) {
			ret_end->how = NO_SPLIT;
			return fetch_fail(f, E_REGISTRY, err,
					  "the registry sent more than the range that it was asked for");
		}
		ret_end->how = FATAL;
		r = ingest_write_at(f->ingest, at, piece.data, piece.len, err);
		if (r != OK)
			return r;
		ret_end->how = BROKEN;
		at += (int64_t)piece.len;
		tell_owner(s, piece.len);
	}
	if (r == OK && at < l->claim.to)
		r = fetch_fail(f, E_REGISTRY, err, "unexpected EOF");
	if (r == E_REGISTRY)
		answer_broke_off(f->repository, &l->answer);
	else if (r < 0)
		ret_end->how = FATAL;
	return r;
}

static int refused(struct lane *l, struct end *ret_end, struct err *err)
{
	struct split *s = l->split;
	int status = http_response_of(l->answer.x)->status;

	if (status == 200 || status == 206 || status == 416) {
		ret_end->how = NO_SPLIT;
		return fetch_fail(s->fetch, E_REGISTRY, err, "the registry answered a range request with other bytes");
	}
	fetch_refuse(s->fetch, &l->answer, s->stop, err);
	ret_end->retry_after = err->retry_after_ms;
	return err->code;
}

static int fetch_range(struct lane *l, struct end *ret_end, struct err *err)
{
	struct split *s = l->split;
	int r;

	*ret_end = (struct end){ .how = BROKEN, .class = RETRY_BROKEN };
	if (!l->answer.x) {
		r = open_range(l, &ret_end->class, err);
		if (r != OK)
			return r;
	}
	if (!l->accepted && !is_asked_for(s, l))
		return refused(l, ret_end, err);
	l->accepted = false;
	ret_end->class = RETRY_BROKEN;
	keep_storage(s, &l->answer);
	r = copy_range(l, ret_end, err);
	answer_free(&l->answer);
	return r;
}

/* ---- a lane ---------------------------------------------------------------- */

static void leave_extra(struct split *s)
{
	lanes_leave(s->fetch->repository->registry->lanes, repository_host(s->fetch->repository));
}

/* The first failure that no other lane can make good, else that of the lane that ended last. */
static void lane_ended(struct lane *l, int code, const struct end *end, const struct err *why)
{
	struct split *s = l->split;
	bool final = end->how == FATAL || end->how == NO_SPLIT;

	answer_free(&l->answer);
	pthread_mutex_lock(&s->mu);
	l->claim = (struct run){ 0 };
	l->running = false;
	s->running--;
	if (s->running)
		leave_extra(s);
	if (code != OK && (end->class == RETRY_THROTTLE || end->class == RETRY_SERVER))
		s->ceiling = s->running > 1 ? s->running : 1;
	if (code != OK && s->most > 1)
		s->most--;
	if (s->most > s->ceiling)
		s->most = s->ceiling;
	if (!s->over) {
		s->failed = code != OK;
		s->end = *end;
		s->why = *why;
		s->over = s->failed && final;
	}
	s->dirty = true;
	pthread_cond_signal(&s->news);
	pthread_mutex_unlock(&s->mu);
}

static void *lane_run(void *arg)
{
	struct lane *l = arg;
	struct end end = { .how = PARTIAL };
	struct err why = ERR_INIT;
	int r = OK;

	do
		r = fetch_range(l, &end, &why);
	while (r == OK && claim_next(l));
	lane_ended(l, r, &end, &why);
	return NULL;
}

static bool start_thread(struct lane *l)
{
	pthread_attr_t attr;
	bool started;

	pthread_attr_init(&attr);
	pthread_attr_setstacksize(&attr, STACK_BYTES);
	started = !pthread_create(&l->thread, &attr, lane_run, l);
	pthread_attr_destroy(&attr);
	return started;
}

static struct lane *idle_lane(struct split *s)
{
	struct lane *idle = NULL;

	pthread_mutex_lock(&s->mu);
	for (size_t i = 0; i < ARRAY_LEN(s->lanes) && !idle; i++)
		if (!s->lanes[i].running)
			idle = &s->lanes[i];
	pthread_mutex_unlock(&s->mu);
	if (idle && idle->started) {
		pthread_join(idle->thread, NULL);
		idle->started = false;
	}
	return idle;
}

/* One more lane, where there is something to fetch and a connection for it; `first` is
 * the open answer to that range, or NULL. */
static bool start_lane(struct split *s, const struct run *range, struct answer *first)
{
	struct repository *r = s->fetch->repository;
	struct lane *l = idle_lane(s);
	bool extra, started = false;

	if (!l)
		return false;
	pthread_mutex_lock(&s->mu);
	extra = s->running > 0;
	/* Where the last one has just failed, that comes first. */
	if ((extra || !s->failed) && s->running < s->most && (range || next_locked(s, &l->claim)) &&
	    (!extra || lanes_enter_extra(r->registry->lanes, repository_host(r)))) {
		if (range)
			l->claim = *range;
		l->accepted = first != NULL;
		if (first)
			l->answer = TAKE(*first);
		s->running++;
		l->running = true;
		started = l->started = start_thread(l);
		if (!started) {
			l->running = false;
			s->running--;
			if (extra)
				leave_extra(s);
		}
	}
	if (!started) {
		answer_free(&l->answer);
		l->claim = (struct run){ 0 };
	}
	pthread_mutex_unlock(&s->mu);
	return started;
}

/* ---- the owner ------------------------------------------------------------- */

static void on_cancel(void *arg)
{
	struct split *s = arg;

	cancel_fire(s->stop, E_CANCELLED);
	pthread_mutex_lock(&s->mu);
	s->dirty = true;
	pthread_cond_signal(&s->news);
	pthread_mutex_unlock(&s->mu);
}

/* A lane that stands still brings no news: where there may be another, not for long. */
static void await_news(struct split *s)
{
	struct timespec until = clock_deadline(RATE_MS);
	int rc = 0;

	pthread_mutex_lock(&s->mu);
	while (!s->dirty && !rc)
		rc = s->running < s->most ? pthread_cond_timedwait(&s->news, &s->mu, &until)
					  : pthread_cond_wait(&s->news, &s->mu);
	s->dirty = false;
	pthread_mutex_unlock(&s->mu);
}

/* What this attempt brought, for the retries and for whoever watches. */
static void take_count(struct split *s)
{
	struct fetch *f = s->fetch;
	int64_t fetched;

	pthread_mutex_lock(&s->mu);
	fetched = s->fetched;
	s->fetched = 0;
	s->offset = ingest_offset(f->ingest);
	pthread_mutex_unlock(&s->mu);
	f->fetched += fetched;
	if (f->best < ingest_offset(f->ingest))
		f->best = ingest_offset(f->ingest);
	f->rate.bytes += fetched;
	if (fetched)
		retry_progress(&f->retry, fetched);
}

/* Twice as many after each window that was slow. */
static void add_lanes(struct split *s)
{
	unsigned more = 0;

	if (!window_is_slow(&s->fetch->rate))
		return;
	pthread_mutex_lock(&s->mu);
	more = s->running;
	pthread_mutex_unlock(&s->mu);
	while (more && start_lane(s, NULL, NULL))
		more--;
}

/* Hashes what is there in order. */
static int catch_up(struct split *s, struct end *ret_end, struct err *err)
{
	int r;

	ret_end->how = FATAL;
	do {
		r = ingest_advance(s->fetch->ingest, err);
		take_count(s);
		if (r >= 0 && fetch_tell(s->fetch, err) < 0) {
			ret_end->how = fetch_ending_of_told(err->code);
			return err->code;
		}
	} while (r > 0);
	return r;
}

static bool lanes_failed(struct split *s, struct end *ret_end, struct err *err)
{
	bool failed;

	pthread_mutex_lock(&s->mu);
	failed = s->failed && (s->over || !s->running);
	if (failed) {
		*ret_end = s->end;
		*err = s->why;
	}
	pthread_mutex_unlock(&s->mu);
	return failed;
}

/* Nothing follows the offset, and nothing will without a lane. */
static bool is_stuck(struct split *s)
{
	const struct fetch *f = s->fetch;
	int64_t from, to;

	return ingest_missing(f->ingest, ingest_offset(f->ingest), &from, &to) && from == ingest_offset(f->ingest);
}

static bool is_idle(struct split *s)
{
	bool idle;

	pthread_mutex_lock(&s->mu);
	idle = !s->running;
	pthread_mutex_unlock(&s->mu);
	return idle;
}

/* Lanes end when the token fires, and what they then say is not why. */
static struct end end_unless_cancelled(const struct fetch *f, struct end end, struct err *err)
{
	if (cancel_check(f->cancel, err) < 0)
		end.how = FATAL;
	return end;
}

static struct end supervise(struct split *s, struct err *err)
{
	struct fetch *f = s->fetch;
	struct end end = { .how = FATAL };

	for (;;) {
		if (cancel_check(f->cancel, err) < 0 || catch_up(s, &end, err) < 0)
			return end;
		if (ingest_offset(f->ingest) >= f->blob->size)
			return (struct end){ .how = COMPLETE };
		if (lanes_failed(s, &end, err))
			return end_unless_cancelled(f, end, err);
		add_lanes(s);
		if (is_idle(s) && is_stuck(s) && !lanes_failed(s, &end, err) && !start_lane(s, NULL, NULL)) {
			f->no_split = true; /* no thread to be had: one stream, in this one */
			return (struct end){ .how = PARTIAL };
		}
		await_news(s);
	}
}

static void end_lanes(struct split *s)
{
	pthread_mutex_lock(&s->mu);
	s->over = true;
	pthread_mutex_unlock(&s->mu);
	cancel_fire(s->stop, E_CANCELLED);
	for (size_t i = 0; i < ARRAY_LEN(s->lanes); i++)
		if (s->lanes[i].started)
			pthread_join(s->lanes[i].thread, NULL);
}

/* ---- the interface --------------------------------------------------------- */

void split_plan(struct fetch *f)
{
	int64_t most = f->fast ? SPLIT_BYTES_ALONE : SPLIT_BYTES;

	ingest_missing(f->ingest, ingest_offset(f->ingest), &f->range.from, &f->range.to);
	f->bounded = !f->no_split && !f->no_ranges &&
		     f->blob->size - ingest_present(f->ingest) >= 2 * (int64_t)SPLIT_BYTES;
	if (f->bounded && f->range.to - f->range.from > most)
		f->range.to = f->range.from + most;
}

bool split_is_due(struct fetch *f)
{
	return f->bounded && window_is_slow(&f->rate) &&
	       lanes_has_room(f->repository->registry->lanes, repository_host(f->repository));
}

void split_range_ended(struct fetch *f)
{
	f->fast = f->rate.bytes >= (clock_monotonic_ms() - f->rate.since_ms) * ENOUGH_BYTES_PER_MS;
}

static struct end run_lanes(struct split *s, struct answer *first, struct err *err)
{
	struct run rest = { ingest_offset(s->fetch->ingest), s->fetch->range.to };
	struct cancel_hook hook = { .fn = on_cancel, .arg = s };
	struct end end = { .how = FATAL };

	if (ingest_scatter(s->fetch->ingest, err) < 0)
		return end;
	if (s->fetch->cancel)
		cancel_hook(s->fetch->cancel, &hook);
	start_lane(s, &rest, first);
	start_lane(s, NULL, NULL);
	end = supervise(s, err);
	end_lanes(s);
	if (s->fetch->cancel)
		cancel_unhook(s->fetch->cancel, &hook);
	return end;
}

/* What came until the lanes had ended is hashed as well: the next attempt goes on behind it. */
static void take_the_rest(struct split *s, struct end *end, struct err *err)
{
	struct err later = ERR_INIT;
	struct end other;

	if (end->how != BROKEN && end->how != NO_SPLIT)
		return;
	if (catch_up(s, &other, &later) < 0) {
		*end = other;
		*err = later;
	}
}

struct end split_fetch(struct fetch *f, struct answer *first, struct err *err)
{
	CLEANUP(cancel_unrefp) struct cancel *stop = cancel_new();
	struct split s = { .fetch = f,
			   .stop = stop,
			   .most = LANES_PER_BLOB,
			   .ceiling = LANES_PER_BLOB,
			   .offset = ingest_offset(f->ingest) };
	struct end end = { .how = FATAL };

	if (!stop) {
		fail_nomem(err);
		return end;
	}
	pthread_mutex_init(&s.mu, NULL);
	cond_init_monotonic(&s.news);
	snprintf(s.etag, sizeof s.etag, "%s", ingest_etag(f->ingest));
	for (size_t i = 0; i < ARRAY_LEN(s.lanes); i++)
		s.lanes[i].split = &s;
	f->mixed = f->mixed || !*s.etag;
	end = run_lanes(&s, first, err);
	f->mixed = f->mixed || s.mixed;
	take_the_rest(&s, &end, err);
	take_count(&s);
	storage_free(&s.storage);
	pthread_cond_destroy(&s.news);
	pthread_mutex_destroy(&s.mu);
	return end;
}
