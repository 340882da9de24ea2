#include "proto/runtime/clock.h"
#include "store/cache/step_state.h"

/* ---- entries, under c->mu ---------------------------------------------------------------- */

static struct step_entry *find_entry(struct step_cache *c, const struct digest *first)
{
	struct step_entry *e;

	HASH_FIND(hh, c->entries, first, sizeof *first, e);
	return e;
}

static struct step_entry *find_or_add_entry(struct step_cache *c, const struct digest *first)
{
	struct step_entry *e = find_entry(c, first);

	if (e)
		return e;
	e = calloc(1, sizeof *e);
	if (!e)
		return NULL;
	e->first = *first;
	HASH_ADD(hh, c->entries, first, sizeof e->first, e);
	if (HASH_ADDED(e))
		return e;
	free(e);
	return NULL;
}

static void drop_entry_if_idle(struct step_cache *c, struct step_entry *e)
{
	if (e->pins || e->leaving || e->uses || e->n_olds)
		return;
	HASH_DEL(c->entries, e);
	free(e->olds);
	free(e);
}

/* ---- pins, under c->mu --------------------------------------------------------------------- */

static struct step_pin *find_pin(struct step_cache *c, const struct digest *key)
{
	struct step_pin *p;

	HASH_FIND(hh, c->pins, key, sizeof *key, p);
	return p;
}

static struct step_pin *add_pin(struct step_cache *c, const struct digest *key)
{
	struct step_pin *p = calloc(1, sizeof *p);

	if (!p)
		return NULL;
	p->key = *key;
	HASH_ADD(hh, c->pins, key, sizeof p->key, p);
	if (HASH_ADDED(p))
		return p;
	free(p);
	return NULL;
}

static void drop_pin_if_idle(struct step_cache *c, struct step_pin *p)
{
	if (p->count)
		return;
	HASH_DEL(c->pins, p);
	free(p->firsts);
	free(p);
}

static bool has_first(const struct step_pin *p, const struct digest *first)
{
	for (size_t i = 0; i < p->n_firsts; i++)
		if (digest_eq(&p->firsts[i], first))
			return true;
	return false;
}

/* The entry is pinned once by each key, however often that is pinned. */
static bool pin_entry(struct step_pin *p, struct step_entry *e)
{
	struct digest *firsts;

	if (has_first(p, &e->first))
		return true;
	firsts = reallocarray(p->firsts, p->n_firsts + 1, sizeof *firsts);
	if (!firsts)
		return false;
	p->firsts = firsts;
	p->firsts[p->n_firsts++] = e->first;
	e->pins++;
	return true;
}

static bool pin_by(struct step_cache *c, const struct digest *key, struct step_entry *e)
{
	struct step_pin *p = find_pin(c, key);

	if (!p)
		p = add_pin(c, key);
	if (!p)
		return false;
	if (!pin_entry(p, e)) {
		drop_pin_if_idle(c, p);
		return false;
	}
	p->count++;
	return true;
}

int step_pin(struct step_cache *c, const struct digest *key, const struct digest *first, bool wait, struct err *err)
{
	struct step_entry *e;
	int r = OK;

	pthread_mutex_lock(&c->mu);
	while ((e = find_entry(c, first)) && e->leaving && wait)
		pthread_cond_wait(&c->left, &c->mu);
	if (e && e->leaving)
		r = fail(err, E_NOT_FOUND, "the result of this step is being removed");
	if (r == OK && !e)
		e = find_or_add_entry(c, first);
	if (r == OK && (!e || !pin_by(c, key, e)))
		r = fail_nomem(err);
	if (r != OK && e)
		drop_entry_if_idle(c, e);
	pthread_mutex_unlock(&c->mu);
	return r;
}

/* Adds what the entry kept to the list; without memory for that the auditor will find it. */
static void take_olds(struct step_entry *e, struct step_old **olds, size_t *n)
{
	struct step_old *all = e->n_olds ? reallocarray(*olds, *n + e->n_olds, sizeof *all) : NULL;

	if (all) {
		memcpy(all + *n, e->olds, e->n_olds * sizeof *all);
		*olds = all;
		*n += e->n_olds;
	}
	free(e->olds);
	e->olds = NULL;
	e->n_olds = 0;
}

static void unpin_entry(struct step_cache *c, const struct digest *first, struct step_old **olds, size_t *n)
{
	struct step_entry *e = find_entry(c, first);

	if (!e)
		return;
	if (--e->pins == 0)
		take_olds(e, olds, n);
	drop_entry_if_idle(c, e);
}

void step_unpin(struct step_cache *c, const struct digest *key, struct step_old **ret_olds, size_t *ret_n)
{
	struct step_pin *p;

	*ret_olds = NULL;
	*ret_n = 0;
	pthread_mutex_lock(&c->mu);
	p = find_pin(c, key);
	if (p && --p->count == 0) {
		for (size_t i = 0; i < p->n_firsts; i++)
			unpin_entry(c, &p->firsts[i], ret_olds, ret_n);
		drop_pin_if_idle(c, p);
	}
	pthread_mutex_unlock(&c->mu);
}

bool step_is_pinned(struct step_cache *c, const struct digest *first)
{
	struct step_entry *e;
	bool pinned;

	pthread_mutex_lock(&c->mu);
	e = find_entry(c, first);
	pinned = e && e->pins;
	pthread_mutex_unlock(&c->mu);
	return pinned;
}

bool step_keep_old(struct step_cache *c, const struct digest *first, const struct step_old *old)
{
	struct step_old *olds = NULL;
	struct step_entry *e;

	pthread_mutex_lock(&c->mu);
	e = find_entry(c, first);
	if (e && e->pins)
		olds = reallocarray(e->olds, e->n_olds + 1, sizeof *olds);
	if (olds) {
		e->olds = olds;
		e->olds[e->n_olds++] = *old;
	}
	pthread_mutex_unlock(&c->mu);
	return olds != NULL;
}

/* ---- leaving --------------------------------------------------------------------------------- */

bool step_seize(struct step_cache *c, const struct digest *first)
{
	struct step_entry *e;
	bool seized;

	pthread_mutex_lock(&c->mu);
	e = find_or_add_entry(c, first);
	seized = e && !e->pins && !e->leaving;
	if (seized)
		e->leaving = true;
	pthread_mutex_unlock(&c->mu);
	return seized;
}

void step_release(struct step_cache *c, const struct digest *first)
{
	struct step_entry *e;

	pthread_mutex_lock(&c->mu);
	e = find_entry(c, first);
	if (e) {
		e->leaving = false;
		c->unwritten -= e->uses != 0;
		e->uses = e->last_used_ns = 0; /* of a result that is gone */
		drop_entry_if_idle(c, e);
	}
	pthread_cond_broadcast(&c->left);
	pthread_mutex_unlock(&c->mu);
}

/* ---- uses ------------------------------------------------------------------------------------- */

void step_note_use(struct step_cache *c, const struct digest *first, int64_t now_ns)
{
	struct step_entry *e;

	pthread_mutex_lock(&c->mu);
	e = find_entry(c, first);
	if (e) {
		c->unwritten += e->uses == 0;
		e->uses++;
		e->last_used_ns = now_ns;
	}
	pthread_mutex_unlock(&c->mu);
}

void step_unwritten_use(struct step_cache *c, const struct digest *first, int64_t *last_used_ns, int64_t *use_count)
{
	struct step_entry *e;

	pthread_mutex_lock(&c->mu);
	e = find_entry(c, first);
	if (e && e->uses) {
		*use_count += e->uses;
		if (e->last_used_ns > *last_used_ns)
			*last_used_ns = e->last_used_ns;
	}
	pthread_mutex_unlock(&c->mu);
}

enum { USES_PER_TXN = META_TXN_OPS };

struct use {
	struct digest first;
	int64_t last_used_ns, uses;
};

/* Takes them out of the table. */
static size_t take_uses(struct step_cache *c, struct use *uses, size_t max)
{
	struct step_entry *e, *next;
	size_t n = 0;

	pthread_mutex_lock(&c->mu);
	HASH_ITER(hh, c->entries, e, next)
	{
		if (n == max)
			break;
		if (!e->uses || e->leaving)
			continue;
		uses[n++] = (struct use){ e->first, e->last_used_ns, e->uses };
		c->unwritten--;
		e->uses = e->last_used_ns = 0;
		drop_entry_if_idle(c, e);
	}
	pthread_mutex_unlock(&c->mu);
	return n;
}

static void put_use(struct step_cache *c, struct meta_txn *t, const struct use *u)
{
	CLEANUP(arena_free) struct arena arena;
	struct key k = key_step(&u->first);
	step_record *record;
	uint64_t revision;

	arena_init(&arena, RECORD_ARENA_MAX);
	if (step_read(c->store, &u->first, &arena, &record, &revision, NULL) != OK)
		return;
	record->use_count += u->uses;
	if (u->last_used_ns > record->last_used_ns)
		record->last_used_ns = u->last_used_ns;
	meta_txn_compare(t, key_bytes(&k), revision);
	record_put(t, &k, &record->base, NULL);
}

static bool commit_uses(struct step_cache *c, struct meta_txn *t)
{
	return !meta_txn_ops(t) || meta_txn_commit(c->store->local, t, NULL, NULL) == OK;
}

/* A use that gets lost makes its result look older than it is, no more. */
void step_write_uses(struct step_cache *c)
{
	CLEANUP(meta_txn_freep) struct meta_txn *t = meta_txn_new();
	CLEANUP(freep) struct use *uses = calloc(USES_PER_TXN, sizeof *uses);
	size_t n;

	if (!t || !uses || c->store->read_only)
		return;
	while ((n = take_uses(c, uses, USES_PER_TXN)) > 0) {
		for (size_t i = 0; i < n; i++)
			put_use(c, t, &uses[i]);
		if (commit_uses(c, t))
			continue;
		for (size_t i = 0; i < n; i++) { /* one of them changed meanwhile */
			put_use(c, t, &uses[i]);
			commit_uses(c, t);
		}
	}
}

void step_pins_free(struct step_cache *c)
{
	struct step_entry *e, *next_entry;
	struct step_pin *p, *next_pin;

	HASH_ITER(hh, c->pins, p, next_pin)
	{
		HASH_DEL(c->pins, p);
		free(p->firsts);
		free(p);
	}
	HASH_ITER(hh, c->entries, e, next_entry)
	{
		HASH_DEL(c->entries, e);
		free(e->olds);
		free(e);
	}
}
