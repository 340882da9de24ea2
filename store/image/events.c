#include "store/image/events.h"

#include "proto/runtime/clock.h"
#include "store/image/event_log.h"
#include "store/internal.h"
#include "store/meta/scan.h"
#include "store/meta/txn.h"
#include "store/record.h"

enum { TRIMMED_TEXT_MAX = 24, PAGE_EVENTS = 64, PAGE_BYTES = 256 * 1024 };

/* ---- the log -------------------------------------------------------------- */

static bool note_event(void *arg, struct bytes key, UNUSED struct bytes value, UNUSED uint64_t revision)
{
	struct event_log *log = arg;
	uint64_t number;

	if (key_parse_event(key, &number)) {
		log->last = number;
		log->count++;
	}
	return true;
}

/* With the log's lock; reads at most some thousand keys, once. */
static void load(struct store *s)
{
	struct key prefix = key_event_prefix();

	if (s->events.loaded)
		return;
	s->events.count = 0;
	s->events.loaded = meta_prefix(s->shared, key_bytes(&prefix), note_event, &s->events, NULL) == OK;
}

static int trimmed_up_to(struct store *s, uint64_t *ret_revision, struct err *err)
{
	CLEANUP(buf_free) struct buf text = BUF_INIT(TRIMMED_TEXT_MAX);
	struct key k = key_setting("trimmed");
	int r = meta_get(s->shared, key_bytes(&k), &text, NULL, err);

	*ret_revision = r == OK ? strtoull(buf_text(&text), NULL, 10) : 0;
	return r == E_NOT_FOUND ? OK : r;
}

uint64_t events_revision(struct store *s)
{
	return meta_revision(s->shared);
}

/* ---- write ---------------------------------------------------------------- */

int event_add(struct meta_txn *t, enum event_action action, const struct digest *config, const char *name,
	      const struct digest *digest, int64_t now_ns, struct err *err)
{
	CLEANUP(buf_free) struct buf packed = BUF_INIT(RECORD_BYTES_MAX);
	Imaged__Store__V1__EventRecord e = IMAGED__STORE__V1__EVENT_RECORD__INIT;
	char config_text[DIGEST_TEXT_MAX], text[DIGEST_TEXT_MAX];
	struct key prefix = key_event_prefix();
	int r;

	e.time_ns = now_ns;
	e.action = action;
	if (config)
		e.image_id = digest_text(config, config_text);
	if (name)
		e.name = (char *)name;
	if (digest)
		e.digest = digest_text(digest, text);
	r = record_pack(&e.base, &packed, err);
	if (r == OK)
		meta_txn_put_at_revision(t, key_bytes(&prefix), buf_bytes(&packed));
	return r;
}

/* Drops the oldest events, at most `most`. */
static size_t trim(struct store *s, struct meta_txn *t, size_t most)
{
	CLEANUP(freep) struct meta_scan *scan = malloc(sizeof *scan);
	struct key prefix = key_event_prefix(), marker = key_setting("trimmed");
	char text[TRIMMED_TEXT_MAX];
	const struct key *k;
	uint64_t number = 0;
	size_t n = 0;

	if (!scan)
		return 0;
	meta_scan_prefix(scan, s->shared, &prefix);
	while (n < most && meta_scan_next(scan, &k, NULL, NULL) == OK && k && key_parse_event(key_bytes(k), &number)) {
		meta_txn_delete(t, key_bytes(k));
		n++;
	}
	if (!n)
		return 0;
	snprintf(text, sizeof text, "%llu", (unsigned long long)number);
	meta_txn_put(t, key_bytes(&marker), bytes_of(text));
	return n;
}

/* How many events this transaction should drop; it is the only one that does then. */
static size_t begin_trim(struct store *s, size_t added, size_t room)
{
	struct event_log *log = &s->events;
	size_t excess = 0;

	pthread_mutex_lock(&log->mu);
	load(s);
	if (!log->trimming && room >= 2 && log->count + added > EVENTS_KEPT) {
		excess = log->count + added - EVENTS_KEPT;
		excess = excess < room - 1 ? excess : room - 1;
		log->trimming = true;
	}
	pthread_mutex_unlock(&log->mu);
	return excess;
}

int event_commit(struct store *s, struct meta_txn *t, struct err *err)
{
	struct event_log *log = &s->events;
	size_t added = t->n_numbered, wanted = begin_trim(s, added, meta_txn_room(t)), dropped = 0;
	uint64_t revision = 0;
	int r;

	if (wanted)
		dropped = trim(s, t, wanted);
	r = meta_txn_commit(s->shared, t, &revision, err);
	pthread_mutex_lock(&log->mu);
	if (wanted)
		log->trimming = false;
	if (r == OK) {
		log->count = log->count + added - dropped;
		if (added && revision > log->last)
			log->last = revision;
		pthread_cond_broadcast(&log->grown);
	}
	pthread_mutex_unlock(&log->mu);
	return r;
}

int event_write(struct store *s, enum event_action action, const struct digest *config, const char *name,
		const struct digest *digest, int64_t now_ns, struct err *err)
{
	CLEANUP(meta_txn_freep) struct meta_txn *t = meta_txn_new();
	int r;

	if (!t)
		return fail_nomem(err);
	r = event_add(t, action, config, name, digest, now_ns, err);
	return r == OK ? event_commit(s, t, err) : r;
}

/* ---- read ----------------------------------------------------------------- */

/* Events as they lie in the database, copied out of one snapshot. */
struct event_page {
	uint64_t revisions[PAGE_EVENTS];
	size_t at[PAGE_EVENTS], len[PAGE_EVENTS];
	size_t n;
	struct buf bytes;
};

static bool keep(void *arg, struct bytes key, struct bytes value, UNUSED uint64_t revision)
{
	struct event_page *p = arg;

	if (!key_parse_event(key, &p->revisions[p->n]))
		return true;
	p->at[p->n] = p->bytes.len;
	p->len[p->n] = value.len;
	if (!buf_append(&p->bytes, value.data, value.len))
		return false;
	return ++p->n < PAGE_EVENTS;
}

static int read_page(struct store *s, uint64_t revision, struct event_page *p, struct err *err)
{
	struct key from = key_event(revision + 1), prefix = key_event_prefix(), to = key_after_prefix(&prefix);
	uint64_t trimmed = 0;
	int r;

	p->n = 0;
	buf_reset(&p->bytes);
	r = meta_range(s->shared, key_bytes(&from), key_bytes(&to), keep, p, err);
	if (r == OK && !p->n && !buf_ok(&p->bytes))
		r = fail_nomem(err);
	if (r == OK) /* after the page: what was dropped before it was read shows here */
		r = trimmed_up_to(s, &trimmed, err);
	if (r == OK && trimmed > revision)
		r = fail(err, E_OUT_OF_RANGE,
			 "events after revision %llu are no longer kept; the oldest are after %llu",
			 (unsigned long long)revision, (unsigned long long)trimmed);
	return r;
}

typedef int event_visit(void *arg, uint64_t revision, const Imaged__Store__V1__EventRecord *event);

static int visit_one(const struct event_page *p, size_t i, event_visit *visit, void *arg, struct err *err)
{
	CLEANUP(arena_free) struct arena arena = { .cap = 0 };
	struct bytes wire = { p->bytes.data + p->at[i], p->len[i] };
	ProtobufCMessage *m;
	int r;

	arena_init(&arena, RECORD_ARENA_MAX);
	r = record_unpack(&imaged__store__v1__event_record__descriptor, wire, &arena, &m, err);
	if (r != OK)
		return r;
	r = visit(arg, p->revisions[i], (Imaged__Store__V1__EventRecord *)m);
	return r < 0 ? visit_failed(err, r, "the reader of events has ended") : OK;
}

int events_read(struct store *s, uint64_t revision, event_visit *visit, void *arg, uint64_t *ret_last, struct err *err)
{
	CLEANUP(freep) struct event_page *p = calloc(1, sizeof *p);
	int r;

	*ret_last = revision;
	if (!p)
		return fail_nomem(err);
	if (revision > meta_revision(s->shared))
		return fail(err, E_OUT_OF_RANGE, "revision %llu is in the future: the newest is %llu",
			    (unsigned long long)revision, (unsigned long long)meta_revision(s->shared));
	p->bytes.max = PAGE_BYTES;
	do {
		r = read_page(s, *ret_last, p, err);
		for (size_t i = 0; r == OK && i < p->n; i++) {
			r = visit_one(p, i, visit, arg, err);
			if (r == OK)
				*ret_last = p->revisions[i];
		}
	} while (r == OK && p->n);
	buf_free(&p->bytes);
	return r;
}

/* ---- wait ----------------------------------------------------------------- */

struct waiter {
	struct event_log *log;
	bool cancelled; /* guarded by the log's lock */
};

static void wake(void *arg)
{
	struct waiter *w = arg;

	pthread_mutex_lock(&w->log->mu);
	w->cancelled = true;
	pthread_cond_broadcast(&w->log->grown);
	pthread_mutex_unlock(&w->log->mu);
}

bool events_wait(struct store *s, uint64_t revision, struct cancel *cancel)
{
	struct waiter w = { .log = &s->events };
	struct cancel_hook hook = { .fn = wake, .arg = &w };
	bool grown;

	if (cancel)
		cancel_hook(cancel, &hook);
	pthread_mutex_lock(&s->events.mu);
	load(s);
	while (s->events.last <= revision && !w.cancelled)
		pthread_cond_wait(&s->events.grown, &s->events.mu);
	grown = s->events.last > revision;
	pthread_mutex_unlock(&s->events.mu);
	if (cancel)
		cancel_unhook(cancel, &hook);
	return grown;
}
