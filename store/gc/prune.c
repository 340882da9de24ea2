/*
 * gc_prune(): what interrupted operations left, although the next one could use it.
 */
#include "store/gc/collect.h"
#include "store/gc/lease_end.h"
#include "store/internal.h"
#include "store/meta/scan.h"

enum { CANDIDATES = 64 };

struct pruning {
	struct store *store;
	bool dry_run;
	struct doomed dead;
	struct cancel *cancel;
	struct digest digests[CANDIDATES];
	size_t n, count;
	int64_t freed;
	int r; /* of the visitor */
	struct err *err;
};

/* ---- leases --------------------------------------------------------------- */

/* Dead ones stay dead, so that nothing has to be compared. */
static int end_if_dead(struct pruning *w, const struct key *k, struct err *err)
{
	struct lease_id id;
	bool live;
	int r;

	if (!key_parse_lease(key_bytes(k), &id))
		return OK;
	r = lease_is_live(w->store, &id, &live, err);
	return r == OK && !live ? lease_release(w->store, &id, err) : r;
}

static int end_leases(struct pruning *w, struct err *err)
{
	CLEANUP(freep) struct meta_scan *scan = malloc(sizeof *scan);
	struct key prefix = key_lease_prefix();
	const struct key *k;
	int r;

	if (!scan)
		return fail_nomem(err);
	meta_scan_prefix(scan, w->store->shared, &prefix);
	while ((r = meta_scan_next(scan, &k, NULL, err)) == OK && k) {
		r = cancel_check(w->cancel, err);
		if (r == OK)
			r = end_if_dead(w, k, err);
		if (r != OK)
			return r;
	}
	return r;
}

/* ---- blobs ---------------------------------------------------------------- */

static int collect(struct pruning *w, struct err *err)
{
	size_t n = w->n;
	int r = cancel_check(w->cancel, err);

	w->n = 0;
	return r == OK ? gc_collect(w->store, w->digests, n, &w->dead, &w->freed, &w->count, err) : r;
}

static int count_unused(struct pruning *w, const struct digest *d, int64_t size, struct err *err)
{
	bool in_use;
	int r = cancel_check(w->cancel, err);

	if (r == OK)
		r = blob_in_use(w->store, d, &w->dead, &in_use, err);
	if (r != OK || in_use)
		return r;
	w->freed += size;
	return layer_bytes_of(w->store, d, &w->dead, &w->freed, err);
}

static bool visit_blob(void *arg, const struct digest *d, int64_t size)
{
	struct pruning *w = arg;

	if (w->dry_run) {
		w->r = count_unused(w, d, size, w->err);
	} else {
		w->digests[w->n++] = *d;
		if (w->n == CANDIDATES)
			w->r = collect(w, w->err);
	}
	return w->r == OK;
}

static int prune_blobs(struct pruning *w, struct err *err)
{
	int r = content_list(w->store, visit_blob, w, err);

	if (r == OK)
		r = w->r;
	return r == OK && !w->dry_run ? collect(w, err) : r;
}

/* ---- all of it ------------------------------------------------------------ */

static int prune_ingests(struct pruning *w, struct err *err)
{
	int64_t bytes = 0;
	int r = w->dry_run ? ingest_unopened(w->store, &bytes, err) : ingest_sweep(w->store, INT64_MAX, &bytes, err);

	w->freed += bytes;
	return r;
}

int gc_prune(struct store *s, bool dry_run, const struct gone *gone, struct cancel *cancel, int64_t *ret_freed,
	     struct err *err)
{
	CLEANUP(freep) struct pruning *w = calloc(1, sizeof *w);
	struct err own = ERR_INIT;
	int r = dry_run ? OK : store_writable(s, err);

	*ret_freed = 0;
	if (r != OK)
		return r;
	if (!w)
		return fail_nomem(err);
	w->store = s;
	w->dry_run = dry_run;
	w->dead = (struct doomed){ .gone = gone, .dead_leases = true };
	w->cancel = cancel;
	w->err = err ? err : &own;
	if (!dry_run)
		r = end_leases(w, w->err);
	if (r == OK)
		r = prune_blobs(w, w->err);
	if (r == OK)
		r = prune_ingests(w, w->err);
	*ret_freed = w->freed; /* also of what went before a failure */
	return r;
}
