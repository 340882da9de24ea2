#include "service/mount/mounts_internal.h"

bool claim_begin(struct mounts *m, struct claim *c)
{
	struct claim *other;

	pthread_mutex_lock(&m->mu);
	for (other = m->claims; other && strcmp(other->target, c->target) != 0;)
		other = other->next;
	if (!other) {
		c->next = m->claims;
		m->claims = c;
	}
	pthread_mutex_unlock(&m->mu);
	return !other;
}

void claim_end(struct mounts *m, struct claim *c)
{
	struct claim **p = &m->claims;

	pthread_mutex_lock(&m->mu);
	while (*p != c)
		p = &(*p)->next;
	*p = c->next;
	pthread_mutex_unlock(&m->mu);
}
