#include "service/mount/layer_cache.h"

#include <fcntl.h>

struct cached_layer {
	struct layer_key key;
	int mount;
	bool opaque; /* its root hides what is below */
	struct mount_id *users;
	size_t n_users;
	struct cached_layer *next;
};

void layer_cache_init(struct layer_cache *c)
{
	*c = (struct layer_cache){ .first = NULL };
	pthread_mutex_init(&c->mu, NULL);
}

static void cached_free(struct cached_layer *l)
{
	close(l->mount);
	free(l->users);
	free(l);
}

void layer_cache_free(struct layer_cache *c)
{
	while (c->first) {
		struct cached_layer *l = c->first;

		c->first = l->next;
		cached_free(l);
	}
	pthread_mutex_destroy(&c->mu);
}

static struct cached_layer *find(struct layer_cache *c, const struct layer_key *key)
{
	for (struct cached_layer *l = c->first; l; l = l->next)
		if (l->key.way == key->way && digest_eq(&l->key.diff_id, &key->diff_id))
			return l;
	return NULL;
}

static bool add_user(struct cached_layer *l, const struct mount_id *user)
{
	struct mount_id *users = reallocarray(l->users, l->n_users + 1, sizeof *users);

	if (!users)
		return false;
	l->users = users;
	users[l->n_users++] = *user;
	return true;
}

int layer_cache_get(struct layer_cache *c, const struct layer_key *key, const struct mount_id *user, bool *ret_opaque)
{
	struct cached_layer *l;
	int fd = -1;

	pthread_mutex_lock(&c->mu);
	l = find(c, key);
	if (l && add_user(l, user)) {
		fd = fcntl(l->mount, F_DUPFD_CLOEXEC, 0);
		*ret_opaque = l->opaque;
	}
	pthread_mutex_unlock(&c->mu);
	return fd;
}

static struct cached_layer *cached_new(const struct layer_key *key, const struct mount_id *user, int mount, bool opaque)
{
	struct cached_layer *l = calloc(1, sizeof *l);

	if (!l)
		return NULL;
	l->key = *key;
	l->opaque = opaque;
	l->mount = fcntl(mount, F_DUPFD_CLOEXEC, 0);
	if (l->mount >= 0 && add_user(l, user))
		return l;
	closep(&l->mount);
	free(l);
	return NULL;
}

void layer_cache_put(struct layer_cache *c, const struct layer_key *key, const struct mount_id *user, int mount,
		     bool opaque)
{
	struct cached_layer *l;

	pthread_mutex_lock(&c->mu);
	l = c->n < LAYER_CACHE_MAX && !find(c, key) ? cached_new(key, user, mount, opaque) : NULL;
	if (l) {
		l->next = c->first;
		c->first = l;
		c->n++;
	}
	pthread_mutex_unlock(&c->mu);
}

static void remove_user(struct cached_layer *l, const struct mount_id *user)
{
	for (size_t i = l->n_users; i-- > 0;)
		if (!memcmp(l->users[i].bytes, user->bytes, sizeof user->bytes))
			l->users[i] = l->users[--l->n_users];
}

void layer_cache_release(struct layer_cache *c, const struct mount_id *user)
{
	pthread_mutex_lock(&c->mu);
	for (struct cached_layer **p = &c->first; *p;) {
		struct cached_layer *l = *p;

		remove_user(l, user);
		if (l->n_users) {
			p = &l->next;
			continue;
		}
		*p = l->next;
		c->n--;
		cached_free(l);
	}
	pthread_mutex_unlock(&c->mu);
}
