#include <fcntl.h>
#include <sys/random.h>

#include "store/cache/cache_mount_state.h"
#include "store/meta/scan.h"

static const char gone_prefix[] = "gone-";

/* ---- what there is ----------------------------------------------------------------------------------- */

static int visit_one(struct cache_mounts *c, const struct key *k, struct cancel *cancel, cache_mount_visit *visit,
		     void *arg, bool *ret_go_on, struct err *err)
{
	CLEANUP(arena_free) struct arena arena;
	struct cache_mount_usage usage = { 0 };
	char hex[DIGEST_TEXT_MAX];
	cache_mount_record *record;
	int r;

	arena_init(&arena, RECORD_ARENA_MAX);
	if (!key_parse_cache_mount(key_bytes(k), &usage.key))
		return OK;
	r = cache_record_get(c->store, &usage.key, &arena, &record, NULL, err);
	if (r == E_NOT_FOUND || r == E_CORRUPT)
		return OK;
	if (r == OK)
		r = cache_dir_size(c->store->caches_fd, digest_hex(&usage.key, hex), cancel, &usage.bytes, err);
	if (r != OK)
		return r;
	usage.id = record->id;
	usage.created_ns = record->created_ns;
	usage.last_used_ns = record->last_used_ns;
	usage.use_count = record->use_count;
	usage.in_use = cache_group_is_used(c, &usage.key);
	*ret_go_on = visit(arg, &usage);
	return OK;
}

int cache_mounts_each(struct cache_mounts *c, const struct digest *after, struct cancel *cancel,
		      cache_mount_visit *visit, void *arg, struct err *err)
{
	CLEANUP(freep) struct meta_scan *scan = malloc(sizeof *scan);
	struct key prefix = key_cache_mount_prefix(), last = after ? key_cache_mount(after) : prefix;
	bool go_on = true;
	const struct key *k;
	int r;

	if (!scan)
		return fail_nomem(err);
	if (!c->store->read_only)
		cache_mounts_write_uses(c);
	meta_scan_after(scan, c->store->local, &prefix, after ? &last : NULL);
	while ((r = meta_scan_next(scan, &k, NULL, err)) == OK && k && go_on) {
		r = cancel_check(cancel, err);
		if (r == OK)
			r = visit_one(c, k, cancel, visit, arg, &go_on, err);
		if (r != OK)
			return r;
	}
	return r;
}

/* ---- what goes ------------------------------------------------------------------------------------------ */

static int delete_record(struct cache_mounts *c, const struct digest *key, struct err *err)
{
	CLEANUP(meta_txn_freep) struct meta_txn *t = meta_txn_new();
	struct key k = key_cache_mount(key);

	if (!t)
		return fail_nomem(err);
	meta_txn_use_reserve(t);
	meta_txn_delete(t, key_bytes(&k));
	return meta_txn_commit(c->store->local, t, NULL, err);
}

/* Out of the way first, so that nobody waits until all of it is gone. */
static int set_aside(struct cache_mounts *c, const struct digest *key, char ret_name[32], struct err *err)
{
	char hex[DIGEST_TEXT_MAX];
	uint64_t random;

	if (getrandom(&random, sizeof random, 0) != sizeof random)
		return fail_errno(err, "random number for a name");
	snprintf(ret_name, 32, "%s%016llx", gone_prefix, (unsigned long long)random);
	if (renameat(c->store->caches_fd, digest_hex(key, hex), c->store->caches_fd, ret_name) && errno != ENOENT)
		return fail_errno(err, "remove cache mount '%s'", hex);
	return OK;
}

/* *ret_gone false: somebody is in it. */
static int remove_one(struct cache_mounts *c, const struct digest *key, bool *ret_gone, struct err *err)
{
	struct cache_group *g;
	char aside[32] = "";
	int r;

	*ret_gone = false;
	if (!cache_group_seize(c, key, &g))
		return OK;
	r = delete_record(c, key, err);
	if (r == OK)
		r = set_aside(c, key, aside, err);
	g->uses = 0;
	g->loaded = g->recorded = false;
	g->n_copies = 0;
	cache_group_leave(g);
	*ret_gone = r == OK;
	return r == OK ? cache_dir_remove(c->store->caches_fd, aside, err) : r;
}

struct pruning {
	struct cache_mounts *mounts;
	const struct cache_mount_limits *limits;
	int64_t freed;
	int r; /* of the visitor */
	struct err *err;
};

static bool prune_one(void *arg, const struct cache_mount_usage *usage)
{
	struct pruning *p = arg;
	bool gone = true;

	if (usage->in_use || (p->limits->unused_since && usage->last_used_ns >= p->limits->unused_since))
		return true;
	if (!p->limits->dry_run)
		p->r = remove_one(p->mounts, &usage->key, &gone, p->err);
	if (p->r != OK || !gone)
		return p->r == OK;
	p->freed += usage->bytes;
	return !p->limits->visit || p->limits->visit(p->limits->arg, usage);
}

static bool has_record(struct cache_mounts *c, const char *hex)
{
	char text[DIGEST_TEXT_MAX];
	struct digest key;
	uint64_t revision;
	struct key k;

	snprintf(text, sizeof text, "sha256:%.64s", hex);
	if (digest_parse(text, &key, NULL) != OK)
		return true; /* none of ours */
	k = key_cache_mount(&key);
	return cache_group_is_used(c, &key) || record_revision(c->store->local, &k, &revision, NULL) != E_NOT_FOUND;
}

/* What removals left that were cut off. A directory is made behind its record. */
static void sweep(struct cache_mounts *c)
{
	int fd = openat(c->store->caches_fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	DIR *dir = fd < 0 ? NULL : fdopendir(fd);
	struct dirent *e;

	if (!dir) {
		closep(&fd);
		return;
	}
	while (dir_next(dir, &e) && e) {
		bool aside = !strncmp(e->d_name, gone_prefix, sizeof gone_prefix - 1);

		if (*e->d_name != '.' && (aside || !has_record(c, e->d_name)))
			cache_dir_remove(c->store->caches_fd, e->d_name, NULL);
	}
	closedir(dir);
}

int cache_mounts_prune(struct cache_mounts *c, const struct cache_mount_limits *limits, int64_t *ret_freed,
		       struct err *err)
{
	struct err own = ERR_INIT;
	struct pruning p = { .mounts = c, .limits = limits, .err = err ? err : &own };
	int r = limits->dry_run ? OK : store_writable(c->store, err);

	*ret_freed = 0;
	if (r == OK)
		r = cache_mounts_each(c, NULL, limits->cancel, prune_one, &p, p.err);
	if (r == OK)
		r = p.r;
	if (r == OK && !limits->dry_run)
		sweep(c);
	*ret_freed = p.freed; /* also of what went before a failure */
	return r;
}
