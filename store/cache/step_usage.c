#include "store/cache/step_state.h"
#include "store/meta/scan.h"

/* ---- each ---------------------------------------------------------------------------------- */

static int visit_one(struct step_cache *c, const struct digest *first, step_visit *visit, void *arg, bool *ret_go_on,
		     struct err *err)
{
	CLEANUP(arena_free) struct arena arena;
	struct step_usage usage;
	step_record *record;
	int r;

	*ret_go_on = true;
	arena_init(&arena, RECORD_ARENA_MAX);
	r = step_read(c->store, first, &arena, &record, NULL, err);
	if (r == OK)
		r = step_usage_of(c, first, record, &usage, err);
	if (r == E_NOT_FOUND || r == E_CORRUPT) /* went just now; the check will tell */
		return OK;
	if (r == OK)
		*ret_go_on = visit(arg, &usage);
	return r;
}

int step_cache_each(struct step_cache *c, const struct digest *after, step_visit *visit, void *arg, struct err *err)
{
	CLEANUP(freep) struct meta_scan *scan = malloc(sizeof *scan);
	struct key prefix = key_step_prefix(), last = after ? key_step(after) : prefix;
	bool go_on = true;
	const struct key *k;
	int r;

	if (!scan)
		return fail_nomem(err);
	meta_scan_after(scan, c->store->local, &prefix, after ? &last : NULL);
	while ((r = meta_scan_next(scan, &k, NULL, err)) == OK && k && go_on) {
		struct digest first;

		if (key_parse_step(key_bytes(k), &first))
			r = visit_one(c, &first, visit, arg, &go_on, err);
		if (r != OK)
			return r;
	}
	return r;
}

int step_cache_count(struct step_cache *c, int64_t *ret_count, struct err *err)
{
	CLEANUP(freep) struct meta_scan *scan = malloc(sizeof *scan);
	struct key prefix = key_step_prefix();
	const struct key *k;
	int64_t n = 0;
	int r;

	if (!scan)
		return fail_nomem(err);
	meta_scan_prefix(scan, c->store->local, &prefix);
	while ((r = meta_scan_next(scan, &k, NULL, err)) == OK && k)
		n++;
	*ret_count = n;
	return r;
}

/* ---- blobs that several results have ---------------------------------------------------------- */

static int compare_keys(const struct digest *a, const struct digest *b)
{
	struct key x = key_step(a), y = key_step(b);
	int order = memcmp(x.bytes, y.bytes, min_size(x.len, y.len));

	return order ? order : (x.len > y.len) - (x.len < y.len);
}

/* By the leases that hold the blob, of which each result has one. */
int step_cache_counts(struct step_cache *c, const struct step_usage *usage, bool *ret_counts, struct err *err)
{
	CLEANUP(freep) struct meta_scan *scan = malloc(sizeof *scan);
	struct key prefix = key_edge_kind_prefix(&usage->result.blob, EDGE_LEASE);
	const struct key *k;
	int r;

	*ret_counts = true;
	if (!scan)
		return fail_nomem(err);
	meta_scan_prefix(scan, c->store->shared, &prefix);
	while ((r = meta_scan_next(scan, &k, NULL, err)) == OK && k && *ret_counts) {
		struct digest blob, step;
		struct edge_parent parent;

		if (!key_parse_edge(key_bytes(k), &blob, &parent))
			continue;
		r = lease_step(c->store, &parent.lease, &step, err);
		if (r != OK && r != E_NOT_FOUND && r != E_CORRUPT)
			return r;
		*ret_counts = r != OK || compare_keys(&step, &usage->key) >= 0;
	}
	return r;
}

struct blob_use {
	struct digest blob;
	size_t results; /* that are left */
	UT_hash_handle hh;
};

static bool add_blob(struct blob_use **blobs, const struct digest *blob)
{
	struct blob_use *b;

	HASH_FIND(hh, *blobs, blob, sizeof *blob, b);
	if (!b) {
		b = calloc(1, sizeof *b);
		if (!b)
			return false;
		b->blob = *blob;
		HASH_ADD(hh, *blobs, blob, sizeof b->blob, b);
		if (!HASH_ADDED(b)) {
			free(b);
			return false;
		}
	}
	b->results++;
	return true;
}

/* Whether this result is the last one with its blob. */
static bool drop_blob(struct blob_use *blobs, const struct digest *blob)
{
	struct blob_use *b;

	HASH_FIND(hh, blobs, blob, sizeof *blob, b);
	return b && b->results && --b->results == 0;
}

static void free_blobs(struct blob_use *blobs)
{
	struct blob_use *b, *next;

	HASH_ITER(hh, blobs, b, next)
	{
		HASH_DEL(blobs, b);
		free(b);
	}
}

/* ---- how much of it ------------------------------------------------------------------------------- */

struct adding {
	struct step_totals totals;
	struct blob_use *blobs, *used;
	bool failed;
};

static bool is_new(struct blob_use *const *blobs, const struct digest *blob)
{
	struct blob_use *b;

	HASH_FIND(hh, *blobs, blob, sizeof *blob, b);
	return !b;
}

static bool add_totals(void *arg, const struct step_usage *u)
{
	struct adding *a = arg;
	const struct digest *blob = &u->result.blob;

	a->totals.count++;
	a->totals.in_use += u->in_use;
	if (u->shared)
		return true;
	if (is_new(&a->blobs, blob))
		a->totals.bytes += u->bytes;
	if (u->in_use && is_new(&a->used, blob))
		a->totals.in_use_bytes += u->bytes;
	a->failed = !add_blob(&a->blobs, blob) || (u->in_use && !add_blob(&a->used, blob));
	return !a->failed;
}

int step_cache_totals(struct step_cache *c, struct step_totals *ret_totals, struct err *err)
{
	struct adding a = { 0 };
	int r = step_cache_each(c, NULL, add_totals, &a, err);

	free_blobs(a.blobs);
	free_blobs(a.used);
	if (r == OK && a.failed)
		r = fail_nomem(err);
	if (r == OK)
		*ret_totals = a.totals;
	return r;
}

/* ---- prune ------------------------------------------------------------------------------------------- */

struct candidate {
	struct digest first, blob;
	int64_t bytes, last_used_ns;
	bool shared, in_use, wanted;
};

struct pruning {
	struct step_cache *cache;
	const struct step_limits *limits;
	struct candidate *all;
	size_t n, capacity;
	struct blob_use *blobs;
	int64_t bytes; /* that are left, of what no image shares */
	bool failed;
	struct digest going[STEPS_AT_ONCE];
	size_t n_going;
	int64_t freed, oldest_ns; /* of those that stay */
};

static bool is_wanted(const struct step_limits *limits, const char *kind)
{
	for (size_t i = 0; i < limits->n_kinds; i++)
		if (!strcmp(limits->kinds[i], kind))
			return true;
	return !limits->n_kinds;
}

static bool collect(void *arg, const struct step_usage *u)
{
	struct pruning *p = arg;

	if (p->n == p->capacity) {
		size_t capacity = p->capacity ? 2 * p->capacity : 64;
		struct candidate *all = reallocarray(p->all, capacity, sizeof *all);

		p->failed = !all;
		if (p->failed)
			return false;
		p->all = all;
		p->capacity = capacity;
	}
	if (!u->shared && is_new(&p->blobs, &u->result.blob))
		p->bytes += u->bytes;
	p->failed = !u->shared && !add_blob(&p->blobs, &u->result.blob);
	p->all[p->n++] = (struct candidate){
		.first = u->key,
		.blob = u->result.blob,
		.bytes = u->bytes,
		.last_used_ns = u->last_used_ns,
		.shared = u->shared,
		.in_use = u->in_use,
		.wanted = is_wanted(p->limits, u->kind),
	};
	return !p->failed;
}

static int by_use(const void *a, const void *b)
{
	const struct candidate *x = a, *y = b;

	return (x->last_used_ns > y->last_used_ns) - (x->last_used_ns < y->last_used_ns);
}

static bool must_go(const struct pruning *p, const struct candidate *x)
{
	const struct step_limits *limits = p->limits;

	if (x->in_use || !x->wanted || (x->shared && !limits->all))
		return false;
	if (limits->unused_since && x->last_used_ns >= limits->unused_since)
		return false;
	return limits->max_bytes < 0 || (x->shared && !limits->max_bytes) || p->bytes > limits->max_bytes;
}

static int remove_going(struct pruning *p, struct err *err)
{
	size_t gone, n = p->n_going;
	int r = cancel_check(p->limits->cancel, err);

	p->n_going = 0;
	if (r != OK || !n)
		return r;
	return step_remove(p->cache, p->going, n, p->limits->visit, p->limits->arg, &gone, &p->freed, err);
}

static int tell(struct pruning *p, const struct digest *first, struct err *err)
{
	bool go_on;

	return p->limits->visit ? visit_one(p->cache, first, p->limits->visit, p->limits->arg, &go_on, err) : OK;
}

static int prune_one(struct pruning *p, const struct candidate *x, struct err *err)
{
	bool last = !x->shared && drop_blob(p->blobs, &x->blob);

	if (last)
		p->bytes -= x->bytes;
	if (p->limits->dry_run) {
		p->freed += last ? x->bytes : 0;
		return tell(p, &x->first, err);
	}
	p->going[p->n_going++] = x->first;
	return p->n_going == STEPS_AT_ONCE ? remove_going(p, err) : OK;
}

static int prune_all(struct pruning *p, struct err *err)
{
	int r = OK;

	if (p->n)
		qsort(p->all, p->n, sizeof *p->all, by_use);
	for (size_t i = 0; r == OK && i < p->n; i++) {
		if (must_go(p, &p->all[i]))
			r = prune_one(p, &p->all[i], err);
		else if (p->all[i].last_used_ns < p->oldest_ns)
			p->oldest_ns = p->all[i].last_used_ns;
	}
	return r == OK ? remove_going(p, err) : r;
}

int step_cache_prune(struct step_cache *c, const struct step_limits *limits, int64_t *ret_freed, struct err *err)
{
	struct pruning p = { .cache = c, .limits = limits, .oldest_ns = INT64_MAX };
	int r = limits->dry_run ? OK : store_writable(c->store, err);

	*ret_freed = 0;
	if (r != OK)
		return r;
	if (!limits->dry_run)
		step_write_uses(c);
	r = step_cache_each(c, NULL, collect, &p, err);
	if (r == OK && p.failed)
		r = fail_nomem(err);
	if (r == OK)
		r = prune_all(&p, err);
	if (r == OK && !limits->dry_run)
		r = step_notes_prune(c, p.oldest_ns, limits->cancel, err);
	free(p.all);
	free_blobs(p.blobs);
	*ret_freed = p.freed; /* also of what went before a failure */
	return r;
}
