#include "service/build/session/used_images.h"

#include <pthread.h>

struct used_images {
	pthread_mutex_t mu; /* guards the rest */
	struct digest items[USED_IMAGES_MAX];
	size_t n; /* ever; the oldest is overwritten */
};

struct used_images *used_images_new(void)
{
	struct used_images *u = calloc(1, sizeof *u);

	if (u)
		pthread_mutex_init(&u->mu, NULL);
	return u;
}

void used_images_free(struct used_images *u)
{
	if (!u)
		return;
	pthread_mutex_destroy(&u->mu);
	free(u);
}

bool used_images_note(struct used_images *u, const struct digest *manifest)
{
	bool known = false;

	if (!u)
		return false;
	pthread_mutex_lock(&u->mu);
	for (size_t i = 0; i < u->n && i < USED_IMAGES_MAX && !known; i++)
		known = digest_eq(&u->items[i], manifest);
	if (!known)
		u->items[u->n++ % USED_IMAGES_MAX] = *manifest;
	pthread_mutex_unlock(&u->mu);
	return known;
}
