/*
 * Inside of the cache of steps: for the files of this folder.
 */
#ifndef STORE_CACHE_STEP_STATE_H
#define STORE_CACHE_STEP_STATE_H

#include "proto/runtime/hash.h"
#include "store/cache/step_cache.h"
#include "store/gc/lease.h"
#include "store/internal.h"
#include "store/record.h"

typedef Imaged__Store__V1__StepRecord step_record;

/* A result that another one took the place of while somebody relied on it. */
struct step_old {
	struct lease_id lease;
	struct digest blob;
};

/* What is known of a result beside its record: one that is pinned, that is leaving, or whose
 * uses are not written down yet. */
struct step_entry {
	struct digest first;
	unsigned pins;
	bool leaving;	       /* its record is being removed: nobody gets it */
	int64_t last_used_ns;  /* since the record was written; 0: not */
	int64_t uses;	       /* the same */
	struct step_old *olds; /* to let go of with the last pin */
	size_t n_olds;
	UT_hash_handle hh;
};

/* A key by which somebody pinned results: which they are. Mostly one, two when the result
 * was replaced in between. */
struct step_pin {
	struct digest key;
	unsigned count;
	struct digest *firsts;
	size_t n_firsts;
	UT_hash_handle hh;
};

struct step_cache {
	struct store *store;
	pthread_mutex_t mu; /* guards both tables */
	pthread_cond_t left;
	struct step_entry *entries;
	struct step_pin *pins;
	size_t unwritten; /* entries with uses */
};

/* ---- pins and uses (step_pins.c) ----------------------------------------------------- */

/* E_NOT_FOUND: it is leaving, unless `wait`. */
int step_pin(struct step_cache *c, const struct digest *key, const struct digest *first, bool wait, struct err *err);
/* Nothing but *ret_olds is left to do; the caller's, to let go of. */
void step_unpin(struct step_cache *c, const struct digest *key, struct step_old **ret_olds, size_t *ret_n);
void step_note_use(struct step_cache *c, const struct digest *first, int64_t now_ns);
bool step_is_pinned(struct step_cache *c, const struct digest *first);
/* What is not in the record yet. */
void step_unwritten_use(struct step_cache *c, const struct digest *first, int64_t *last_used_ns, int64_t *use_count);
/* Keeps `old` for those who have the result pinned besides the caller. False: nobody has. */
bool step_keep_old(struct step_cache *c, const struct digest *first, const struct step_old *old);
/* False: somebody has it. */
bool step_seize(struct step_cache *c, const struct digest *first);
void step_release(struct step_cache *c, const struct digest *first);
/* Into the records; what cannot be written is kept for the next time. */
void step_write_uses(struct step_cache *c);
void step_pins_free(struct step_cache *c);

/* ---- records (step_record.c) ----------------------------------------------------------- */

int step_read(struct store *s, const struct digest *first, struct arena *arena, step_record **ret_record,
	      uint64_t *ret_revision, struct err *err);
/* The static text of a layer's media type; NULL: it is none. */
const char *step_media_type(const char *text);
int step_result_of(const step_record *record, struct step_result *ret_result, struct err *err);
/* Whose lease it is. E_CORRUPT. */
int step_lease_of(const step_record *record, struct lease_id *ret_lease, struct err *err);
bool step_lists_key(const step_record *record, const struct digest *key);
/* The first key of what is found by `key`, which may be that. E_NOT_FOUND. */
int step_first_of(struct store *s, const struct digest *key, struct digest *ret_first, struct err *err);
/* Adds the deletion of those other keys of a record that lead to it still. */
int step_delete_aliases(struct store *s, struct meta_txn *t, const struct digest *first, const step_record *record,
			struct err *err);

/* Lets go of leases and of what only they held. */
int step_let_go(struct store *s, const struct step_old *olds, size_t n, int64_t *freed, struct err *err);

/* ---- notes (step_notes.c) ---------------------------------------------------------------- */

/* Those that were not used since, nor for STEP_NOTE_DAYS. */
int step_notes_prune(struct step_cache *c, int64_t oldest_ns, struct cancel *cancel, struct err *err);

/* ---- removal (step_remove.c) ------------------------------------------------------------ */

enum { STEPS_AT_ONCE = 12 };

/* Those that nobody has pinned: records, leases, and what nothing else needs. *ret_gone gets the
 * number of those that went, *freed grows; with `visit` NULL nobody is told. */
int step_remove(struct step_cache *c, const struct digest *firsts, size_t n, step_visit *visit, void *arg,
		size_t *ret_gone, int64_t *freed, struct err *err);

/* Fills in what a visitor is told; borrows from the record. */
int step_usage_of(struct step_cache *c, const struct digest *first, const step_record *record,
		  struct step_usage *ret_usage, struct err *err);

#endif
