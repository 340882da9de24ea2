#include "store/contexts/context_state.h"
#include "store/meta/scan.h"
#include "store/record.h"

/* ---- what there is --------------------------------------------------------------------------- */

static bool is_in_use(struct contexts *c, const struct digest *id)
{
	struct context *x;

	pthread_mutex_lock(&c->mu);
	HASH_FIND(hh, c->in_use, id, sizeof *id, x);
	pthread_mutex_unlock(&c->mu);
	return x != NULL;
}

static int read_usage(struct contexts *c, const struct key *k, struct context_usage *ret_usage, struct err *err)
{
	CLEANUP(arena_free) struct arena arena = { .cap = 0 };
	Imaged__Store__V1__ContextRecord *record;
	ProtobufCMessage *m;
	int r;

	if (!key_parse_context(key_bytes(k), &ret_usage->id))
		return fail(err, E_CORRUPT, "metadata: a key of a build context is damaged");
	arena_init(&arena, RECORD_ARENA_MAX);
	r = record_get(c->store->local, k, &imaged__store__v1__context_record__descriptor, &arena, &m, NULL, err);
	if (r != OK)
		return r;
	record = (Imaged__Store__V1__ContextRecord *)m;
	ret_usage->bytes = record->list_bytes + record->pack_bytes +
			   (int64_t)record->entries * (int64_t)sizeof(struct context_place);
	ret_usage->entries = record->entries;
	ret_usage->created_ns = record->created_ns;
	ret_usage->last_used_ns = record->last_used_ns;
	ret_usage->in_use = is_in_use(c, &ret_usage->id);
	return OK;
}

int contexts_each(struct contexts *c, const struct digest *after, context_visit *visit, void *arg, struct err *err)
{
	CLEANUP(freep) struct meta_scan *scan = malloc(sizeof *scan);
	struct key prefix = key_context_prefix(), last = after ? key_context(after) : prefix;
	const struct key *k;
	int r;

	if (!scan)
		return fail_nomem(err);
	meta_scan_after(scan, c->store->local, &prefix, after ? &last : NULL);
	while ((r = meta_scan_next(scan, &k, NULL, err)) == OK && k) {
		struct context_usage usage;

		r = read_usage(c, k, &usage, err);
		if (r == E_NOT_FOUND) /* removed just now */
			continue;
		if (r != OK || !visit(arg, &usage))
			break;
	}
	return r;
}

/* ---- what goes --------------------------------------------------------------------------------- */

struct pruning {
	struct context_usage *all;
	size_t n, capacity;
	int64_t bytes;
	bool failed;
};

static bool collect(void *pruning, const struct context_usage *usage)
{
	struct pruning *p = pruning;

	if (p->n == p->capacity) {
		size_t capacity = p->capacity ? 2 * p->capacity : 64;
		struct context_usage *all = reallocarray(p->all, capacity, sizeof *all);

		p->failed = !all;
		if (p->failed)
			return false;
		p->all = all;
		p->capacity = capacity;
	}
	p->all[p->n++] = *usage;
	p->bytes += usage->bytes;
	return true;
}

static int by_use(const void *a, const void *b)
{
	const struct context_usage *x = a, *y = b;

	return (x->last_used_ns > y->last_used_ns) - (x->last_used_ns < y->last_used_ns);
}

/* E_BUSY: somebody uses it. */
static int remove_unused(struct contexts *c, const struct digest *id, struct err *err)
{
	struct context *x;
	int r;

	if (!context_seize(c, id, &x))
		return fail(err, E_BUSY, "the build context is in use");
	r = context_remove(c, id, err);
	context_release(x);
	return r;
}

static bool must_go(const struct pruning *p, const struct context_usage *u, const struct context_limits *limits)
{
	if (u->in_use)
		return false;
	return u->last_used_ns < limits->unused_since || (limits->max_bytes >= 0 && p->bytes > limits->max_bytes);
}

static int prune(struct contexts *c, struct pruning *p, const struct context_limits *limits,
		 struct context_freed *ret_freed, struct err *err)
{
	for (size_t i = 0; i < p->n; i++) {
		const struct context_usage *u = &p->all[i];
		int r = OK;

		if (!must_go(p, u, limits))
			continue;
		if (!limits->dry_run)
			r = remove_unused(c, &u->id, err);
		if (r == E_BUSY)
			continue;
		if (r != OK)
			return r;
		p->bytes -= u->bytes;
		ret_freed->bytes += u->bytes;
		ret_freed->count++;
		if (limits->visit)
			limits->visit(limits->arg, u);
	}
	return OK;
}

int contexts_prune(struct contexts *c, const struct context_limits *limits, struct context_freed *ret_freed,
		   struct err *err)
{
	struct pruning p = { 0 };
	int r = contexts_each(c, NULL, collect, &p, err);

	*ret_freed = (struct context_freed){ 0 };
	if (r == OK && p.failed)
		r = fail_nomem(err);
	if (r == OK && p.n) {
		qsort(p.all, p.n, sizeof *p.all, by_use);
		r = prune(c, &p, limits, ret_freed, err);
	}
	free(p.all);
	if (r == OK && !limits->dry_run)
		contexts_sweep(c);
	return r;
}
