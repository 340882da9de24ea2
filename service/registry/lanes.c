#include "service/registry/lanes.h"

#include <pthread.h>

struct count {
	const struct host *host;
	unsigned n; /* > 0 */
	struct count *next;
};

struct lanes {
	pthread_mutex_t mu;
	struct count *hosts; /* mu, like total: those with lanes at work */
	unsigned total;
};

struct lanes *lanes_new(void)
{
	struct lanes *l = calloc(1, sizeof *l);

	if (l)
		pthread_mutex_init(&l->mu, NULL);
	return l;
}

void lanes_free(struct lanes *l)
{
	if (!l)
		return;
	while (l->hosts) {
		struct count *c = l->hosts;

		l->hosts = c->next;
		free(c);
	}
	pthread_mutex_destroy(&l->mu);
	free(l);
}

static struct count **find(struct lanes *l, const struct host *host)
{
	struct count **p = &l->hosts;

	while (*p && (*p)->host != host)
		p = &(*p)->next;
	return p;
}

static bool enter_locked(struct lanes *l, const struct host *host)
{
	struct count **p = find(l, host);

	if (!*p) {
		*p = calloc(1, sizeof **p);
		if (!*p)
			return false;
		(*p)->host = host;
	}
	(*p)->n++;
	l->total++;
	return true;
}

bool lanes_enter(struct lanes *l, const struct host *host)
{
	bool entered;

	pthread_mutex_lock(&l->mu);
	entered = enter_locked(l, host);
	pthread_mutex_unlock(&l->mu);
	return entered;
}

static bool fits_locked(struct lanes *l, const struct host *host, unsigned more)
{
	const struct count *c = *find(l, host);

	return (c ? c->n : 0) + more <= LANES_PER_HOST && l->total + more <= LANES_IN_ALL;
}

bool lanes_enter_extra(struct lanes *l, const struct host *host)
{
	bool entered;

	pthread_mutex_lock(&l->mu);
	entered = fits_locked(l, host, 1) && enter_locked(l, host);
	pthread_mutex_unlock(&l->mu);
	return entered;
}

static bool fits(struct lanes *l, const struct host *host, unsigned more)
{
	bool fit;

	pthread_mutex_lock(&l->mu);
	fit = fits_locked(l, host, more);
	pthread_mutex_unlock(&l->mu);
	return fit;
}

bool lanes_has_room(struct lanes *l, const struct host *host)
{
	return fits(l, host, 1);
}

bool lanes_may_stay(struct lanes *l, const struct host *host)
{
	return fits(l, host, 0);
}

void lanes_leave(struct lanes *l, const struct host *host)
{
	struct count **p, *c;

	pthread_mutex_lock(&l->mu);
	p = find(l, host);
	c = *p;
	if (c) {
		l->total--;
		if (!--c->n) {
			*p = c->next;
			free(c);
		}
	}
	pthread_mutex_unlock(&l->mu);
}
