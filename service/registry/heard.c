#include "service/registry/heard.h"

#include <stdio.h>

#include "service/registry/repository.h"

enum { REMEMBERED_MAX = 64, WINDOW_UNKNOWN_S = 60 };

void heard_init(struct heard *h)
{
	*h = (struct heard){ .rate.known = false };
	pthread_mutex_init(&h->mu, NULL);
}

void heard_destroy(struct heard *h)
{
	pthread_mutex_destroy(&h->mu);
}

/* ---- the memory ------------------------------------------------------------ */

struct remembered {
	const struct host *host; /* NULL: free. Only compared; a host that took its place costs a HEAD */
	char identity[AUTH_IDENTITY_MAX];
	struct rate_limit rate;
	int64_t at_s;
};

struct rate_memory {
	pthread_mutex_t mu;
	struct remembered list[REMEMBERED_MAX];
};

struct rate_memory *rate_memory_new(void)
{
	struct rate_memory *m = calloc(1, sizeof *m);

	if (m)
		pthread_mutex_init(&m->mu, NULL);
	return m;
}

void rate_memory_free(struct rate_memory *m)
{
	if (!m)
		return;
	pthread_mutex_destroy(&m->mu);
	free(m);
}

static struct remembered *find_locked(struct rate_memory *m, const struct endpoint *e)
{
	for (size_t i = 0; i < REMEMBERED_MAX; i++)
		if (m->list[i].host == e->host && !strcmp(m->list[i].identity, e->auth.identity))
			return &m->list[i];
	return NULL;
}

static struct remembered *oldest_locked(struct rate_memory *m)
{
	struct remembered *oldest = &m->list[0];

	for (size_t i = 1; i < REMEMBERED_MAX; i++)
		if (m->list[i].at_s < oldest->at_s)
			oldest = &m->list[i];
	return oldest;
}

static void remember(struct rate_memory *m, const struct endpoint *of, const struct rate_limit *rate, int64_t now_s)
{
	struct remembered *e;

	pthread_mutex_lock(&m->mu);
	e = find_locked(m, of);
	if (!e)
		e = oldest_locked(m);
	*e = (struct remembered){ .host = of->host, .rate = *rate, .at_s = now_s };
	snprintf(e->identity, sizeof e->identity, "%s", of->auth.identity);
	pthread_mutex_unlock(&m->mu);
}

bool registry_is_low(struct repository *r)
{
	const struct retry_env *env = r->registry->env;
	struct rate_memory *m = r->registry->rates;
	const struct endpoint *asked = endpoint_next(r, HOST_RESOLVE, NULL);
	int64_t now_s = env->wall_s(env->arg);
	const struct remembered *e;
	bool low;

	pthread_mutex_lock(&m->mu);
	e = asked ? find_locked(m, asked) : NULL;
	low = e && rate_limit_is_low(&e->rate) &&
	      now_s - e->at_s < (e->rate.window_s ? e->rate.window_s : WINDOW_UNKNOWN_S);
	pthread_mutex_unlock(&m->mu);
	return low;
}

/* ---- answers --------------------------------------------------------------- */

static bool rate_of(const struct http_exchange *x, struct rate_limit *ret_rate)
{
	return rate_limit_parse(http_header_of(x, "RateLimit-Limit"), http_header_of(x, "RateLimit-Remaining"),
				http_header_of(x, "Docker-RateLimit-Source"), ret_rate);
}

bool heard_nothing_left(const struct http_exchange *x)
{
	struct rate_limit rate;

	return rate_of(x, &rate) && !rate.remaining;
}

void heard_note(struct repository *r, const struct endpoint *from, bool redirected, const struct http_exchange *x)
{
	const struct retry_env *env = r->registry->env;
	struct rate_limit rate;

	if (redirected || !rate_of(x, &rate))
		return;
	pthread_mutex_lock(&r->heard.mu);
	r->heard.rate = rate;
	pthread_mutex_unlock(&r->heard.mu);
	remember(r->registry->rates, from, &rate, env->wall_s(env->arg));
}

void registry_heard(struct repository *r, struct rate_limit *ret_rate)
{
	pthread_mutex_lock(&r->heard.mu);
	*ret_rate = r->heard.rate;
	pthread_mutex_unlock(&r->heard.mu);
}
