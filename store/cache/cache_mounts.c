#include "store/cache/cache_mounts.h"

#include <fcntl.h>
#include <sys/stat.h>

#include "proto/runtime/clock.h"
#include "store/cache/cache_mount_state.h"

/* A use less than this after the last that is on record is written down with others. */
static const int64_t use_step_ns = INT64_C(60) * 1000000000;

int cache_mounts_new(struct store *s, struct cache_mounts **ret_mounts, struct err *err)
{
	struct cache_mounts *c = calloc(1, sizeof *c);

	if (!c)
		return fail_nomem(err);
	c->store = s;
	pthread_mutex_init(&c->mu, NULL);
	cond_init_monotonic(&c->left);
	*ret_mounts = c;
	return OK;
}

/* ---- which one it is ------------------------------------------------------------------------------- */

static void hash_field(struct hasher *h, const void *data, size_t len)
{
	uint64_t length = len;

	hasher_update(h, &length, sizeof length);
	hasher_update(h, data, len);
}

struct digest cache_mount_key(const struct cache_mount_request *request)
{
	uint32_t numbers[3] = { request->mode & 07777, request->uid, request->gid };
	uint8_t seed[DIGEST_KEY_MAX];
	struct hasher h;

	hasher_init(&h, DIGEST_SHA256);
	hash_field(&h, request->id, strlen(request->id));
	hash_field(&h, numbers, sizeof numbers);
	hash_field(&h, seed, digest_is_set(&request->seed) ? digest_to_key(&request->seed, seed) : 0);
	return hasher_final(&h);
}

/* ---- whose turn it is, under g->mu --------------------------------------------------------------------- */

static struct cache_copy *copy_by_number(struct cache_group *g, unsigned number)
{
	for (size_t i = 0; i < g->n_copies; i++)
		if (g->copies[i].number == number)
			return &g->copies[i];
	return NULL;
}

static struct cache_copy *free_copy(struct cache_group *g)
{
	for (size_t i = 0; i < g->n_copies; i++)
		if (!g->copies[i].users)
			return &g->copies[i];
	return NULL;
}

static struct cache_copy *shared_copy(struct cache_group *g)
{
	for (size_t i = 0; i < g->n_copies; i++)
		if (g->copies[i].users && g->copies[i].shared)
			return &g->copies[i];
	return NULL;
}

/* *ret_wait: somebody has to leave first, or to fill it. NULL without it: another one is made. */
static struct cache_copy *choose(struct cache_group *g, enum cache_sharing sharing, bool *ret_wait)
{
	struct cache_copy *copy = sharing == CACHE_SHARED ? shared_copy(g) : NULL;

	*ret_wait = copy && !copy->filled;
	if (!copy)
		copy = free_copy(g);
	*ret_wait = *ret_wait || (!copy && sharing == CACHE_LOCKED && g->n_copies);
	return *ret_wait ? NULL : copy;
}

static void wake(void *arg)
{
	struct cache_group *g = arg;

	pthread_mutex_lock(&g->mu);
	pthread_cond_broadcast(&g->left);
	pthread_mutex_unlock(&g->mu);
}

static int wait_for_turn(struct cache_group *g, enum cache_sharing sharing, struct cancel *cancel,
			 struct cache_copy **ret_copy, struct err *err)
{
	bool wait;
	int r;

	for (;;) {
		*ret_copy = choose(g, sharing, &wait);
		r = cancel_check(cancel, err);
		if (r != OK || !wait)
			return r;
		pthread_cond_wait(&g->left, &g->mu);
	}
}

/* What a new one begins with is not there: anything may be. */
static int empty_copy(struct cache_group *g, const struct cache_copy *copy, struct err *err)
{
	CLEANUP(closep) int fd = -1;
	int r = cache_copy_open(g, copy->number, O_RDONLY, &fd, err);

	return r == OK ? cache_dir_empty(fd, err) : r;
}

static int take_copy(struct cache_group *g, const struct cache_mount_request *request, struct cancel *cancel,
		     struct cache_copy **ret_copy, bool *ret_is_new, struct err *err)
{
	struct cache_copy *copy;
	int r = wait_for_turn(g, request->sharing, cancel, &copy, err);

	if (r != OK)
		return r;
	*ret_is_new = !copy || !copy->filled;
	if (!copy)
		r = cache_copy_make(g, request, &copy, err);
	else if (!copy->filled)
		r = empty_copy(g, copy, err);
	if (r != OK)
		return r;
	copy->filled = copy->filled || !g->has_seed;
	*ret_copy = copy;
	return OK;
}

static void note_use(struct cache_group *g)
{
	g->uses++;
	g->last_used_ns = clock_wall_ns();
	if (g->last_used_ns - g->written_ns >= use_step_ns)
		cache_record_update(g, NULL); /* else it is written with the next */
}

static int enter_locked(struct cache_group *g, const struct cache_mount_request *request, struct cancel *cancel,
			struct cache_mount *mount, bool *ret_is_new, struct err *err)
{
	struct cache_copy *copy;
	int r = g->loaded ? OK : cache_group_load(g, err);

	if (r == OK)
		r = cache_record_make(g, request, err);
	if (r == OK)
		r = take_copy(g, request, cancel, &copy, ret_is_new, err);
	if (r == OK)
		r = cache_copy_open(g, copy->number, O_PATH, &mount->fd, err);
	if (r != OK)
		return r;
	mount->number = copy->number;
	copy->users++;
	copy->shared = request->sharing == CACHE_SHARED;
	note_use(g);
	return OK;
}

static int enter(struct cache_group *g, const struct cache_mount_request *request, struct cancel *cancel,
		 struct cache_mount *mount, bool *ret_is_new, struct err *err)
{
	struct cancel_hook hook = { .fn = wake, .arg = g };
	int r;

	if (cancel)
		cancel_hook(cancel, &hook);
	pthread_mutex_lock(&g->mu);
	r = enter_locked(g, request, cancel, mount, ret_is_new, err);
	pthread_mutex_unlock(&g->mu);
	if (cancel)
		cancel_unhook(cancel, &hook);
	return r;
}

int cache_mount_enter(struct cache_mounts *c, const struct cache_mount_request *request, struct cancel *cancel,
		      struct cache_mount **ret_mount, bool *ret_is_new, struct err *err)
{
	CLEANUP(freep) struct cache_mount *mount = calloc(1, sizeof *mount);
	struct digest key = cache_mount_key(request);
	bool is_new = false;
	int r = store_writable(c->store, err);

	if (r != OK)
		return r;
	if (!mount)
		return fail_nomem(err);
	mount->fd = -1;
	mount->group = cache_group_enter(c, &key);
	if (!mount->group)
		return fail_nomem(err);
	r = enter(mount->group, request, cancel, mount, &is_new, err);
	if (r != OK) {
		cache_group_leave(mount->group);
		return r;
	}
	*ret_mount = TAKE(mount);
	*ret_is_new = is_new;
	return OK;
}

/* ---- of one that is entered ------------------------------------------------------------------------------ */

void cache_mount_ready(struct cache_mount *m)
{
	struct cache_group *g = m->group;
	struct cache_copy *copy;

	pthread_mutex_lock(&g->mu);
	copy = copy_by_number(g, m->number);
	if (copy && !copy->filled) {
		copy->filled = true;
		cache_record_update(g, NULL); /* else the next run fills it again */
		pthread_cond_broadcast(&g->left);
	}
	pthread_mutex_unlock(&g->mu);
}

int cache_mount_directory(const struct cache_mount *m)
{
	return m->fd;
}

void cache_mount_leave(struct cache_mount *m)
{
	struct cache_group *g;
	struct cache_copy *copy;

	if (!m)
		return;
	g = m->group;
	pthread_mutex_lock(&g->mu);
	copy = copy_by_number(g, m->number);
	if (copy && --copy->users == 0 && !copy->filled)
		empty_copy(g, copy, NULL); /* else who takes it does */
	pthread_cond_broadcast(&g->left);
	pthread_mutex_unlock(&g->mu);
	closep(&m->fd);
	free(m);
	cache_group_leave(g);
}

/* ---- uses ------------------------------------------------------------------------------------------------- */

/* One with uses that are not written and nobody in it. */
static struct cache_group *seize_unwritten(struct cache_mounts *c)
{
	struct cache_group *g, *next, *found = NULL;

	pthread_mutex_lock(&c->mu);
	HASH_ITER(hh, c->groups, g, next)
	{
		if (found || g->refs || g->leaving)
			continue;
		g->refs++;
		g->leaving = true;
		found = g;
	}
	pthread_mutex_unlock(&c->mu);
	return found;
}

void cache_mounts_write_uses(struct cache_mounts *c)
{
	struct cache_group *g;

	while ((g = seize_unwritten(c))) {
		pthread_mutex_lock(&g->mu);
		if (cache_record_update(g, NULL) != OK)
			g->uses = 0; /* it looks older than it is, no more */
		pthread_mutex_unlock(&g->mu);
		cache_group_leave(g);
	}
}

void cache_mounts_free(struct cache_mounts *c)
{
	if (!c)
		return;
	cache_mounts_write_uses(c);
	pthread_mutex_destroy(&c->mu);
	pthread_cond_destroy(&c->left);
	free(c);
}
