#include "store/cache/step_state.h"
#include "store/gc/in_use.h"
#include "store/meta/scan.h"

/* ---- what there is to tell ------------------------------------------------------------------ */

static int is_shared(struct store *s, const struct digest *blob, bool *ret_shared, struct err *err)
{
	CLEANUP(freep) struct meta_scan *scan = malloc(sizeof *scan);
	struct key prefix = key_edge_kind_prefix(blob, EDGE_MANIFEST);
	const struct key *k;
	int r;

	*ret_shared = false;
	if (!scan)
		return fail_nomem(err);
	meta_scan_prefix(scan, s->shared, &prefix);
	while ((r = meta_scan_next(scan, &k, NULL, err)) == OK && k && !*ret_shared) {
		struct edge_parent parent;
		struct digest child;

		if (key_parse_edge(key_bytes(k), &child, &parent))
			r = edge_is_live(s, &child, &parent, NULL, ret_shared, err);
		if (r != OK)
			return r;
	}
	return r;
}

int step_usage_of(struct step_cache *c, const struct digest *first, const step_record *record,
		  struct step_usage *ret_usage, struct err *err)
{
	struct step_usage u = { .key = *first, .description = record->description, .kind = record->kind };
	int64_t image_bytes = 0;
	int r = step_result_of(record, &u.result, err);

	if (r == OK)
		r = layer_images_size(c->store, &u.result.diff_id, &image_bytes, err);
	if (r == OK)
		r = is_shared(c->store, &u.result.blob, &u.shared, err);
	if (r != OK)
		return r;
	u.bytes = u.result.blob_size + image_bytes;
	u.last_used_ns = record->last_used_ns;
	u.use_count = record->use_count;
	step_unwritten_use(c, first, &u.last_used_ns, &u.use_count);
	u.in_use = step_is_pinned(c, first);
	*ret_usage = u;
	return OK;
}

/* ---- what goes --------------------------------------------------------------------------------- */

/* At most STEPS_AT_ONCE, which are seized. */
struct removing {
	struct step_cache *cache;
	step_visit *visit;
	void *arg;
	struct meta_txn *txn;
	struct digest seized[STEPS_AT_ONCE];
	size_t n_seized;
	struct step_old gone[STEPS_AT_ONCE];
	size_t n_gone, n_records;
};

/* A damaged record goes too; what it held is the auditor's, which sees nothing that names it. */
static void note_gone(struct removing *w, const struct digest *first, const step_record *record)
{
	struct step_old *old = &w->gone[w->n_gone];
	struct step_usage usage;

	if (step_lease_of(record, &old->lease, NULL) != OK || digest_from_data(record->blob, &old->blob, NULL) != OK)
		return;
	w->n_gone++;
	if (w->visit && step_usage_of(w->cache, first, record, &usage, NULL) == OK)
		w->visit(w->arg, &usage);
}

static int delete_one(struct removing *w, const struct digest *first, struct err *err)
{
	CLEANUP(arena_free) struct arena arena;
	struct key k = key_step(first);
	step_record *record = NULL;
	uint64_t revision;
	int r;

	arena_init(&arena, RECORD_ARENA_MAX);
	r = step_read(w->cache->store, first, &arena, &record, &revision, err);
	if (r == E_NOT_FOUND)
		return OK;
	if (r != OK && r != E_CORRUPT)
		return r;
	meta_txn_compare(w->txn, key_bytes(&k), revision);
	meta_txn_delete(w->txn, key_bytes(&k));
	w->n_records++;
	if (!record)
		return OK;
	note_gone(w, first, record);
	return step_delete_aliases(w->cache->store, w->txn, first, record, err);
}

/* The records first: what is left of a removal that was cut off has no record and is garbage. */
static int remove_seized(struct removing *w, int64_t *freed, struct err *err)
{
	int r = OK;

	meta_txn_use_reserve(w->txn);
	for (size_t i = 0; r == OK && i < w->n_seized; i++)
		r = delete_one(w, &w->seized[i], err);
	if (r == OK && w->n_records)
		r = meta_txn_commit(w->cache->store->local, w->txn, NULL, err);
	return r == OK ? step_let_go(w->cache->store, w->gone, w->n_gone, freed, err) : r;
}

int step_remove(struct step_cache *c, const struct digest *firsts, size_t n, step_visit *visit, void *arg,
		size_t *ret_gone, int64_t *freed, struct err *err)
{
	CLEANUP(meta_txn_freep) struct meta_txn *t = meta_txn_new();
	struct removing w = { .cache = c, .visit = visit, .arg = arg, .txn = t };
	int r = store_writable(c->store, err);

	*ret_gone = 0;
	if (r != OK)
		return r;
	if (!t)
		return fail_nomem(err);
	for (size_t i = 0; i < n && i < STEPS_AT_ONCE; i++)
		if (step_seize(c, &firsts[i]))
			w.seized[w.n_seized++] = firsts[i];
	r = remove_seized(&w, freed, err);
	for (size_t i = 0; i < w.n_seized; i++)
		step_release(c, &w.seized[i]);
	if (r == OK)
		*ret_gone = w.n_records;
	return r;
}

/* ---- of no use any more ------------------------------------------------------------------------ */

int step_cache_forget(struct step_cache *c, const struct digest *key, struct err *err)
{
	struct digest first;
	int64_t freed = 0;
	size_t gone;
	int r = step_first_of(c->store, key, &first, err);

	if (r == OK)
		r = step_remove(c, &first, 1, NULL, NULL, &gone, &freed, err);
	if (r != OK)
		return r;
	return gone ? OK : fail(err, E_BUSY, "a build uses the result of this step");
}

struct forgetting {
	struct step_cache *cache;
	const struct digest *blob;
	size_t found;
	int r;
	struct err *err;
};

static bool forget_if_has(void *arg, const struct step_usage *u)
{
	struct forgetting *f = arg;

	if (!digest_eq(&u->result.blob, f->blob))
		return true;
	f->found++;
	f->r = step_cache_forget(f->cache, &u->key, f->err);
	return f->r == OK;
}

int step_cache_forget_blob(struct step_cache *c, const struct digest *blob, struct err *err)
{
	struct err own = ERR_INIT;
	struct forgetting f = { .cache = c, .blob = blob, .err = err ? err : &own };
	int r = step_cache_each(c, NULL, forget_if_has, &f, f.err);

	if (r != OK || f.r != OK)
		return r != OK ? r : f.r;
	return f.found ? OK : fail(err, E_NOT_FOUND, "no result of a step has this content");
}
