#include "service/image/transfer_list.h"

#include <stdio.h>

#include "proto/runtime/clock.h"
#include "service/image/convert.h"

void transfer_list_init(struct transfer_list *l)
{
	*l = (struct transfer_list){ .n = 0 };
	pthread_mutex_init(&l->mu, NULL);
	cond_init_monotonic(&l->changed);
}

void transfer_list_destroy(struct transfer_list *l)
{
	pthread_cond_destroy(&l->changed);
	pthread_mutex_destroy(&l->mu);
}

/* ---- entries -------------------------------------------------------------- */

static void wake(void *list)
{
	struct transfer_list *l = list;

	pthread_mutex_lock(&l->mu);
	pthread_cond_broadcast(&l->changed);
	pthread_mutex_unlock(&l->mu);
}

/* The revision comes before the look at the watchers, who look the other way round. */
static void touch(struct transfer_list *l)
{
	if (!l)
		return;
	atomic_fetch_add(&l->revision, 1);
	if (atomic_load(&l->watchers))
		wake(l);
}

static void note_moving(struct transfer_entry *e, int state)
{
	if (state == IMAGED__V1__TRANSFER__STATE__STATE_TRANSFERRING && !atomic_load(&e->moving_ms))
		atomic_store(&e->moving_ms, clock_monotonic_ms());
}

void transfer_list_add(struct transfer_list *l, struct transfer_entry *e)
{
	pthread_mutex_lock(&l->mu);
	e->list = l;
	e->started_ns = clock_wall_ns();
	note_moving(e, atomic_load(&e->state));
	e->next = NULL;
	e->prev = l->last;
	*(l->last ? &l->last->next : &l->first) = e;
	l->last = e;
	l->n++;
	pthread_mutex_unlock(&l->mu);
	touch(l);
}

void transfer_list_remove(struct transfer_entry *e)
{
	struct transfer_list *l = e->list;

	if (!l)
		return;
	pthread_mutex_lock(&l->mu);
	*(e->prev ? &e->prev->next : &l->first) = e->next;
	*(e->next ? &e->next->prev : &l->last) = e->prev;
	l->n--;
	pthread_mutex_unlock(&l->mu);
	e->list = NULL;
	touch(l);
}

void transfer_entry_state(struct transfer_entry *e, Imaged__V1__Transfer__State state, const char *why)
{
	if (e->list) {
		pthread_mutex_lock(&e->list->mu);
		snprintf(e->message, sizeof e->message, "%s", why ? why : "");
		utf8_clean(e->message);
		pthread_mutex_unlock(&e->list->mu);
	}
	note_moving(e, (int)state);
	atomic_store(&e->state, (int)state);
	touch(e->list);
}

void transfer_entry_current(struct transfer_entry *e, int64_t current)
{
	atomic_store(&e->current, current);
	touch(e->list);
}

void transfer_entry_moves(struct transfer_entry *e, int64_t current)
{
	if (atomic_load(&e->state) == IMAGED__V1__TRANSFER__STATE__STATE_RETRYING)
		transfer_entry_state(e, IMAGED__V1__TRANSFER__STATE__STATE_TRANSFERRING, NULL);
	transfer_entry_current(e, current);
}

void transfer_entry_origin(struct transfer_entry *e, Imaged__V1__Transfer__Origin origin)
{
	atomic_fetch_or(&e->origins, 1U << (unsigned)origin);
	touch(e->list);
}

void transfer_entry_watchers(struct transfer_entry *e, int watchers)
{
	atomic_store(&e->watchers, watchers);
	touch(e->list);
}

/* ---- watching ------------------------------------------------------------- */

void transfer_snapshot_free(struct transfer_snapshot *s)
{
	for (size_t i = 0; i < s->n; i++)
		free(s->repositories[i]);
	free(s->repositories);
	free(s->entries);
	*s = (struct transfer_snapshot){ 0 };
}

static void copy(struct transfer_entry *to, const struct transfer_entry *from)
{
	*to = (struct transfer_entry){ .direction = from->direction,
				       .digest = from->digest,
				       .total = from->total,
				       .started_ns = from->started_ns };
	atomic_init(&to->state, atomic_load(&from->state));
	atomic_init(&to->current, atomic_load(&from->current));
	atomic_init(&to->resumed, atomic_load(&from->resumed));
	atomic_init(&to->moving_ms, atomic_load(&from->moving_ms));
	atomic_init(&to->watchers, atomic_load(&from->watchers));
	atomic_init(&to->origins, atomic_load(&from->origins));
	memcpy(to->message, from->message, sizeof to->message);
}

static bool copy_locked(const struct transfer_list *l, struct transfer_snapshot *s)
{
	s->entries = calloc(l->n + 1, sizeof *s->entries);
	s->repositories = calloc(l->n + 1, sizeof *s->repositories);
	for (const struct transfer_entry *e = l->first; s->entries && s->repositories && e; e = e->next) {
		s->repositories[s->n] = strdup(e->repository);
		if (!s->repositories[s->n])
			return false;
		copy(&s->entries[s->n], e);
		s->entries[s->n].repository = s->repositories[s->n];
		s->n++;
	}
	return s->entries && s->repositories;
}

int transfer_list_snapshot(struct transfer_list *l, struct transfer_snapshot *ret_snapshot, struct err *err)
{
	CLEANUP(transfer_snapshot_free) struct transfer_snapshot s = { .revision = atomic_load(&l->revision) };
	bool copied;

	pthread_mutex_lock(&l->mu);
	copied = copy_locked(l, &s);
	pthread_mutex_unlock(&l->mu);
	if (!copied)
		return fail_nomem(err);
	*ret_snapshot = TAKE(s);
	return OK;
}

bool transfer_list_wait(struct transfer_list *l, uint64_t revision, struct cancel *until)
{
	struct cancel_hook hook = { .fn = wake, .arg = l };

	atomic_fetch_add(&l->watchers, 1);
	cancel_hook(until, &hook);
	pthread_mutex_lock(&l->mu);
	while (atomic_load(&l->revision) == revision && !cancel_fired(until))
		pthread_cond_wait(&l->changed, &l->mu);
	pthread_mutex_unlock(&l->mu);
	cancel_unhook(until, &hook);
	atomic_fetch_sub(&l->watchers, 1);
	return !cancel_fired(until);
}
