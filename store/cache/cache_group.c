#include <fcntl.h>
#include <sys/stat.h>

#include "store/cache/cache_mount_state.h"

/* ---- in use ------------------------------------------------------------------------------------ */

static struct cache_group *find(struct cache_mounts *c, const struct digest *key)
{
	struct cache_group *g;

	HASH_FIND(hh, c->groups, key, sizeof *key, g);
	return g;
}

static void group_free(struct cache_group *g)
{
	pthread_mutex_destroy(&g->mu);
	pthread_cond_destroy(&g->left);
	free(g->copies);
	free(g);
}

/* Under c->mu. */
static struct cache_group *add(struct cache_mounts *c, const struct digest *key)
{
	struct cache_group *g = calloc(1, sizeof *g);

	if (!g)
		return NULL;
	g->mounts = c;
	g->key = *key;
	g->refs = 1;
	digest_hex(key, g->hex);
	pthread_mutex_init(&g->mu, NULL);
	pthread_cond_init(&g->left, NULL);
	HASH_ADD(hh, c->groups, key, sizeof g->key, g);
	if (HASH_ADDED(g))
		return g;
	group_free(g);
	return NULL;
}

struct cache_group *cache_group_enter(struct cache_mounts *c, const struct digest *key)
{
	struct cache_group *g;

	pthread_mutex_lock(&c->mu);
	while ((g = find(c, key)) && g->leaving)
		pthread_cond_wait(&c->left, &c->mu);
	if (g)
		g->refs++;
	else
		g = add(c, key);
	pthread_mutex_unlock(&c->mu);
	return g;
}

void cache_group_leave(struct cache_group *g)
{
	struct cache_mounts *c = g->mounts;
	bool over;

	pthread_mutex_lock(&c->mu);
	over = --g->refs == 0 && !g->uses;
	g->leaving = false;
	if (over)
		HASH_DEL(c->groups, g);
	pthread_cond_broadcast(&c->left);
	pthread_mutex_unlock(&c->mu);
	if (over)
		group_free(g);
}

bool cache_group_seize(struct cache_mounts *c, const struct digest *key, struct cache_group **ret_group)
{
	struct cache_group *g;
	bool seized;

	pthread_mutex_lock(&c->mu);
	g = find(c, key);
	seized = !g || (!g->refs && !g->leaving);
	if (seized && g)
		g->refs++;
	else if (seized)
		g = add(c, key);
	if (seized && g)
		g->leaving = true;
	pthread_mutex_unlock(&c->mu);
	*ret_group = g;
	return seized && g;
}

bool cache_group_is_used(struct cache_mounts *c, const struct digest *key)
{
	struct cache_group *g;
	bool used;

	pthread_mutex_lock(&c->mu);
	g = find(c, key);
	used = g && g->refs;
	pthread_mutex_unlock(&c->mu);
	return used;
}

/* ---- directories ----------------------------------------------------------------------------------- */

static struct cache_copy *add_copy(struct cache_group *g, unsigned number)
{
	struct cache_copy *copies = reallocarray(g->copies, g->n_copies + 1, sizeof *copies);

	if (!copies)
		return NULL;
	g->copies = copies;
	g->copies[g->n_copies] = (struct cache_copy){ .number = number };
	return &g->copies[g->n_copies++];
}

static int by_number(const void *a, const void *b)
{
	const struct cache_copy *x = a, *y = b;

	return (x->number > y->number) - (x->number < y->number);
}

/* What was being made when a process was killed is not a number and goes. */
static int load_name(struct cache_group *g, int at, const char *name, struct err *err)
{
	unsigned long number;
	char *end;

	if (!strcmp(name, ".") || !strcmp(name, ".."))
		return OK;
	number = strtoul(name, &end, 10);
	if (*end || number >= CACHE_COPIES_MAX)
		return cache_dir_remove(at, name, err);
	return add_copy(g, (unsigned)number) ? OK : fail_nomem(err);
}

static int load_copies(struct cache_group *g, struct err *err)
{
	int fd = openat(g->mounts->store->caches_fd, g->hex, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW), r = OK;
	DIR *dir = fd < 0 ? NULL : fdopendir(fd);
	struct dirent *e;

	if (!dir) {
		closep(&fd);
		return errno == ENOENT ? OK : fail_errno(err, "open cache mount '%s'", g->hex);
	}
	while (r == OK) {
		if (!dir_next(dir, &e))
			r = fail_errno(err, "read cache mount '%s'", g->hex);
		if (!e || r != OK)
			break;
		r = load_name(g, dirfd(dir), e->d_name, err);
	}
	closedir(dir);
	if (r == OK && g->n_copies)
		qsort(g->copies, g->n_copies, sizeof *g->copies, by_number);
	return r;
}

static void load_filled(struct cache_group *g, const cache_mount_record *record)
{
	g->has_seed = record->seed.len != 0;
	for (size_t i = 0; i < g->n_copies; i++) {
		g->copies[i].filled = !g->has_seed;
		for (size_t k = 0; k < record->n_ready; k++)
			if (record->ready[k] == g->copies[i].number)
				g->copies[i].filled = true;
	}
}

int cache_group_load(struct cache_group *g, struct err *err)
{
	CLEANUP(arena_free) struct arena arena;
	struct store *s = g->mounts->store;
	cache_mount_record *record;
	int r;

	arena_init(&arena, RECORD_ARENA_MAX);
	r = cache_record_get(s, &g->key, &arena, &record, NULL, err);
	if (r == E_NOT_FOUND || r == E_CORRUPT) /* what a removal left that was cut off */
		r = cache_dir_remove(s->caches_fd, g->hex, err);
	else if (r == OK) {
		g->recorded = true;
		g->last_used_ns = g->written_ns = record->last_used_ns;
		r = load_copies(g, err);
		if (r == OK)
			load_filled(g, record);
	}
	g->loaded = r == OK;
	return r;
}

/* ---- new ones --------------------------------------------------------------------------------------- */

static unsigned free_number(const struct cache_group *g)
{
	unsigned number = 0;

	for (size_t i = 0; i < g->n_copies; i++)
		if (g->copies[i].number == number)
			number++;
	return number;
}

/* It gets its name when it is as it should be. */
static int make_dir(int at, const char *name, const struct cache_mount_request *request, struct err *err)
{
	char new_name[32];
	CLEANUP(closep) int fd = -1;

	snprintf(new_name, sizeof new_name, "%s.new", name);
	if (mkdirat(at, new_name, 0700) && errno != EEXIST)
		return fail_errno(err, "create the directory of cache mount '%s'", request->id);
	fd = openat(at, new_name, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
	if (fd < 0 || fchown(fd, request->uid, request->gid))
		return fail_errno(err, "give the directory of cache mount '%s' to %u:%u", request->id, request->uid,
				  request->gid);
	if (fchmod(fd, request->mode & 07777) || renameat(at, new_name, at, name))
		return fail_errno(err, "create the directory of cache mount '%s'", request->id);
	return OK;
}

int cache_copy_make(struct cache_group *g, const struct cache_mount_request *request, struct cache_copy **ret_copy,
		    struct err *err)
{
	struct store *s = g->mounts->store;
	CLEANUP(closep) int fd = -1;
	struct cache_copy *copy;
	char name[16];
	int r;

	if (g->n_copies >= CACHE_COPIES_MAX)
		return fail(err, E_LIMIT, "cache mount '%s' has %d copies in use", request->id, CACHE_COPIES_MAX);
	if (mkdirat(s->caches_fd, g->hex, 0700) && errno != EEXIST)
		return store_fail_errno(s, 0, err, "create cache mount '%s'", request->id);
	fd = openat(s->caches_fd, g->hex, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
	if (fd < 0)
		return fail_errno(err, "open cache mount '%s'", request->id);
	snprintf(name, sizeof name, "%u", free_number(g));
	r = make_dir(fd, name, request, err);
	if (r != OK)
		return r;
	copy = add_copy(g, free_number(g));
	if (!copy)
		return fail_nomem(err);
	qsort(g->copies, g->n_copies, sizeof *g->copies, by_number);
	for (copy = g->copies; copy->number != (unsigned)strtoul(name, NULL, 10); copy++)
		;
	*ret_copy = copy;
	return OK;
}

int cache_copy_open(struct cache_group *g, unsigned number, int flags, int *ret_fd, struct err *err)
{
	char path[DIGEST_TEXT_MAX + 16];

	snprintf(path, sizeof path, "%s/%u", g->hex, number);
	*ret_fd = openat(g->mounts->store->caches_fd, path, flags | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
	return *ret_fd < 0 ? fail_errno(err, "open cache mount '%s'", path) : OK;
}
