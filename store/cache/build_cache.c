#include "store/cache/build_cache.h"

static const char kind_mount[] = "exec.cachemount", kind_context[] = "source.local";

/* ---- what each of them tells --------------------------------------------------------------- */

static struct build_cache_item item_of_step(const struct step_usage *u)
{
	return (struct build_cache_item){
		.place = { BUILD_CACHE_STEPS, u->key },
		.kind = u->kind,
		.description = u->description,
		.bytes = u->bytes,
		.shared = u->shared,
		.in_use = u->in_use,
		.created_ns = u->result.created_ns,
		.last_used_ns = u->last_used_ns,
		.use_count = u->use_count,
	};
}

static struct build_cache_item item_of_mount(const struct cache_mount_usage *u)
{
	return (struct build_cache_item){
		.place = { BUILD_CACHE_MOUNTS, u->key },
		.kind = kind_mount,
		.description = u->id,
		.bytes = u->bytes,
		.in_use = u->in_use,
		.created_ns = u->created_ns,
		.last_used_ns = u->last_used_ns,
		.use_count = u->use_count,
	};
}

static struct build_cache_item item_of_context(const struct context_usage *u)
{
	return (struct build_cache_item){
		.place = { BUILD_CACHE_CONTEXTS, u->id },
		.kind = kind_context,
		.description = "local source for context",
		.bytes = u->bytes,
		.in_use = u->in_use,
		.created_ns = u->created_ns,
		.last_used_ns = u->last_used_ns,
		.use_count = 1,
	};
}

/* ---- each -------------------------------------------------------------------------------------- */

struct listing {
	const struct build_cache *cache;
	build_cache_visit *visit;
	void *arg;
	bool stopped;
	int r; /* of a visit */
	struct err *err;
};

static bool tell(struct listing *l, const struct build_cache_item *item)
{
	l->stopped = !l->visit(l->arg, item);
	return !l->stopped;
}

static bool visit_step(void *arg, const struct step_usage *u)
{
	struct build_cache_item item = item_of_step(u);
	struct listing *l = arg;
	bool counts;

	l->r = step_cache_counts(l->cache->steps, u, &counts, l->err);
	if (l->r != OK)
		return false;
	if (!counts)
		item.bytes = 0;
	return tell(l, &item);
}

static bool visit_mount(void *arg, const struct cache_mount_usage *u)
{
	struct build_cache_item item = item_of_mount(u);

	return tell(arg, &item);
}

static bool visit_context(void *arg, const struct context_usage *u)
{
	struct build_cache_item item = item_of_context(u);

	return tell(arg, &item);
}

/* *ret_key: from where on; NULL: all of it. False: the part lies before. */
static bool begins(const struct build_cache_place *after, enum build_cache_part part, const struct digest **ret_key)
{
	*ret_key = after && after->part == part ? &after->key : NULL;
	return !after || after->part <= part;
}

int build_cache_each(const struct build_cache *c, const struct build_cache_place *after, struct cancel *cancel,
		     build_cache_visit *visit, void *arg, struct err *err)
{
	struct err own = ERR_INIT;
	struct listing l = { .cache = c, .visit = visit, .arg = arg, .err = err ? err : &own };
	const struct digest *key;
	int r = OK;

	if (c->steps && begins(after, BUILD_CACHE_STEPS, &key))
		r = step_cache_each(c->steps, key, visit_step, &l, l.err);
	if (r == OK)
		r = l.r;
	if (r == OK && !l.stopped && c->mounts && begins(after, BUILD_CACHE_MOUNTS, &key))
		r = cache_mounts_each(c->mounts, key, cancel, visit_mount, &l, l.err);
	if (r == OK && !l.stopped && c->contexts && begins(after, BUILD_CACHE_CONTEXTS, &key))
		r = contexts_each(c->contexts, key, visit_context, &l, l.err);
	return r;
}

/* ---- how much ----------------------------------------------------------------------------------- */

static bool add_item(void *arg, const struct build_cache_item *item)
{
	struct build_cache_totals *t = arg;

	t->count++;
	t->in_use += item->in_use;
	if (item->shared)
		return true;
	t->bytes += item->bytes;
	t->in_use_bytes += item->in_use ? item->bytes : 0;
	return true;
}

int build_cache_totals(const struct build_cache *c, struct cancel *cancel, struct build_cache_totals *ret_totals,
		       struct err *err)
{
	struct build_cache_totals totals = { 0 };
	int r = build_cache_each(c, NULL, cancel, add_item, &totals, err);

	if (r == OK)
		*ret_totals = totals;
	return r;
}

/* ---- what goes ------------------------------------------------------------------------------------- */

struct part {
	int64_t last_used_ns, bytes;
};

/* Looks for the time before which everything goes that may. */
struct choice {
	const struct build_cache_limits *limits;
	int64_t total; /* of all that is here */
	struct part *parts;
	size_t n, capacity;
	bool failed;
};

static bool wants_kind(const struct build_cache_limits *limits, const char *kind)
{
	for (size_t i = 0; i < limits->n_kinds; i++)
		if (!strcmp(limits->kinds[i], kind))
			return true;
	return !limits->n_kinds;
}

static bool wants_contexts(const struct build_cache_limits *limits)
{
	return limits->all && wants_kind(limits, kind_context);
}

static bool may_go(const struct build_cache_limits *limits, const struct build_cache_item *item)
{
	if (item->in_use || !wants_kind(limits, item->kind))
		return false;
	if (!limits->all && (item->shared || item->kind == kind_context))
		return false;
	return !limits->unused_since || item->last_used_ns < limits->unused_since;
}

static bool add_part(void *arg, const struct build_cache_item *item)
{
	struct choice *c = arg;
	int64_t bytes = item->shared ? 0 : item->bytes;

	c->total += bytes;
	if (!may_go(c->limits, item))
		return true;
	if (c->n == c->capacity) {
		size_t capacity = c->capacity ? 2 * c->capacity : 64;
		struct part *parts = reallocarray(c->parts, capacity, sizeof *parts);

		if (!parts) {
			c->failed = true;
			return false;
		}
		c->parts = parts;
		c->capacity = capacity;
	}
	c->parts[c->n++] = (struct part){ item->last_used_ns, bytes };
	return true;
}

static int by_use(const void *a, const void *b)
{
	const struct part *x = a, *y = b;

	return (x->last_used_ns > y->last_used_ns) - (x->last_used_ns < y->last_used_ns);
}

/* 0: nothing goes. */
static int64_t cut(struct choice *c)
{
	int64_t cutoff = 0;

	if (c->n)
		qsort(c->parts, c->n, sizeof *c->parts, by_use);
	for (size_t i = 0; i < c->n && c->total > c->limits->max_bytes; i++) {
		c->total -= c->parts[i].bytes;
		cutoff = c->parts[i].last_used_ns + 1;
	}
	return cutoff;
}

static int find_cutoff(const struct build_cache *b, const struct build_cache_limits *limits, int64_t *ret_cutoff,
		       struct err *err)
{
	struct choice c = { .limits = limits };
	int r;

	if (limits->max_bytes < 0) {
		*ret_cutoff = limits->unused_since ? limits->unused_since : INT64_MAX;
		return OK;
	}
	r = build_cache_each(b, NULL, limits->cancel, add_part, &c, err);
	if (r == OK && c.failed)
		r = fail_nomem(err);
	if (r == OK)
		*ret_cutoff = cut(&c);
	free(c.parts);
	return r;
}

static bool tell_item(const struct build_cache_limits *limits, const struct build_cache_item *item)
{
	return !limits->visit || limits->visit(limits->arg, item);
}

static bool tell_step(void *arg, const struct step_usage *u)
{
	struct build_cache_item item = item_of_step(u);

	return tell_item(arg, &item);
}

static bool tell_mount(void *arg, const struct cache_mount_usage *u)
{
	struct build_cache_item item = item_of_mount(u);

	return tell_item(arg, &item);
}

static bool tell_context(void *arg, const struct context_usage *u)
{
	struct build_cache_item item = item_of_context(u);

	return tell_item(arg, &item);
}

static int prune_steps(const struct build_cache *c, const struct build_cache_limits *limits, int64_t cutoff,
		       int64_t *freed, struct err *err)
{
	const struct step_limits steps = {
		.kinds = limits->kinds,
		.n_kinds = limits->n_kinds,
		.all = limits->all,
		.unused_since = cutoff,
		.max_bytes = -1,
		.dry_run = limits->dry_run,
		.visit = tell_step,
		.arg = (void *)limits,
		.cancel = limits->cancel,
	};
	int64_t some = 0;
	int r = c->steps ? step_cache_prune(c->steps, &steps, &some, err) : OK;

	*freed += some;
	return r;
}

static int prune_mounts(const struct build_cache *c, const struct build_cache_limits *limits, int64_t cutoff,
			int64_t *freed, struct err *err)
{
	const struct cache_mount_limits mounts = {
		.unused_since = cutoff,
		.dry_run = limits->dry_run,
		.visit = tell_mount,
		.arg = (void *)limits,
		.cancel = limits->cancel,
	};
	int64_t some = 0;
	int r;

	if (!c->mounts || !wants_kind(limits, kind_mount))
		return OK;
	r = cache_mounts_prune(c->mounts, &mounts, &some, err);
	*freed += some;
	return r;
}

static int prune_contexts(const struct build_cache *c, const struct build_cache_limits *limits, int64_t cutoff,
			  int64_t *freed, struct err *err)
{
	const struct context_limits contexts = {
		.max_bytes = -1,
		.unused_since = cutoff,
		.dry_run = limits->dry_run,
		.visit = tell_context,
		.arg = (void *)limits,
	};
	struct context_freed some = { 0 };
	int r;

	if (!c->contexts || !wants_contexts(limits))
		return OK;
	r = contexts_prune(c->contexts, &contexts, &some, err);
	*freed += some.bytes;
	return r;
}

/* What goes is what may go and was last used before one moment: so each can find it by itself. */
int build_cache_prune(const struct build_cache *c, const struct build_cache_limits *limits, int64_t *ret_freed,
		      struct err *err)
{
	int64_t cutoff = 0;
	int r = find_cutoff(c, limits, &cutoff, err);

	*ret_freed = 0;
	if (r != OK || !cutoff)
		return r;
	r = prune_steps(c, limits, cutoff, ret_freed, err);
	if (r == OK)
		r = prune_mounts(c, limits, cutoff, ret_freed, err);
	return r == OK ? prune_contexts(c, limits, cutoff, ret_freed, err) : r;
}
