#include "service/registry/token_cache.h"

#include "service/registry/flight.h"

enum { TOKENS_KEPT_MAX = 512 };

struct entry {
	struct entry *next;
	char *key;
	unsigned users; /* calls that hold it: it may not go */
	struct token token;
	struct flight fetch;
};

struct token_cache {
	pthread_mutex_t mu;    /* guards all of it */
	struct entry *entries; /* the last used first */
	size_t n;
};

int64_t token_expiry(int64_t asked_at, int64_t expires_in)
{
	if (expires_in < TOKEN_LIFE_MIN_S)
		expires_in = TOKEN_LIFE_MIN_S;
	return asked_at + (expires_in > TOKEN_LIFE_MAX_S ? TOKEN_LIFE_MAX_S : expires_in);
}

static void entry_free(struct entry *e)
{
	secret_wipe(&e->token.text);
	flight_destroy(&e->fetch);
	free(e->key);
	free(e);
}

struct token_cache *token_cache_new(void)
{
	struct token_cache *c = calloc(1, sizeof *c);

	if (c)
		pthread_mutex_init(&c->mu, NULL);
	return c;
}

void token_cache_free(struct token_cache *c)
{
	if (!c)
		return;
	while (c->entries) {
		struct entry *e = c->entries;

		c->entries = e->next;
		entry_free(e);
	}
	pthread_mutex_destroy(&c->mu);
	free(c);
}

static struct entry *find(struct token_cache *c, const char *key)
{
	for (struct entry **p = &c->entries; *p; p = &(*p)->next) {
		struct entry *e = *p;

		if (strcmp(e->key, key) != 0)
			continue;
		*p = e->next;
		e->next = c->entries;
		c->entries = e;
		return e;
	}
	return NULL;
}

static void drop_last_idle(struct token_cache *c)
{
	struct entry **last = NULL, *e;

	for (struct entry **p = &c->entries; *p; p = &(*p)->next)
		if (!(*p)->users)
			last = p;
	if (!last)
		return;
	e = *last;
	*last = e->next;
	c->n--;
	entry_free(e);
}

static struct entry *find_or_add(struct token_cache *c, const char *key)
{
	struct entry *e = find(c, key);

	if (e)
		return e;
	if (c->n >= TOKENS_KEPT_MAX)
		drop_last_idle(c);
	e = calloc(1, sizeof *e);
	if (!e)
		return NULL;
	flight_init(&e->fetch);
	e->key = strdup(key);
	if (!e->key) {
		entry_free(e);
		return NULL;
	}
	e->next = c->entries;
	c->entries = e;
	c->n++;
	return e;
}

/* With mu held, which is open during the fetch. */
static int lead(struct token_cache *c, struct entry *e, const struct token_source *s, struct cancel *cancel,
		struct err *err)
{
	struct err why = ERR_INIT;
	struct token fresh = { 0 };
	int r;

	pthread_mutex_unlock(&c->mu);
	r = s->fetch(s->arg, &fresh, cancel, &why);
	pthread_mutex_lock(&c->mu);
	secret_wipe(&e->token.text);
	if (r == OK)
		e->token = fresh;
	else if (err)
		*err = why;
	flight_land(&e->fetch, r, &why);
	return r;
}

static int get(struct token_cache *c, struct entry *e, const struct token_source *s, struct cancel *cancel,
	       struct err *err)
{
	while (!token_is_fresh(&e->token, s->now)) {
		int r = flight_join(&e->fetch, &c->mu, cancel, err);

		if (r == FLIGHT_LEAD)
			return lead(c, e, s, cancel, err);
		if (r != FLIGHT_LANDED)
			return r;
	}
	return OK;
}

int token_cache_get(struct token_cache *c, const char *key, const struct token_source *source, struct secret *ret_token,
		    struct cancel *cancel, struct err *err)
{
	struct entry *e;
	int r;

	pthread_mutex_lock(&c->mu);
	e = find_or_add(c, key);
	if (e)
		e->users++;
	r = e ? get(c, e, source, cancel, err) : fail_nomem(err);
	if (r == OK && !secret_copy(ret_token, &e->token.text))
		r = fail_nomem(err);
	if (e)
		e->users--;
	pthread_mutex_unlock(&c->mu);
	return r;
}

void token_cache_drop(struct token_cache *c, const char *key, const struct secret *refused)
{
	struct entry *e;

	pthread_mutex_lock(&c->mu);
	e = find(c, key);
	if (e && secret_eq(&e->token.text, refused))
		secret_wipe(&e->token.text);
	pthread_mutex_unlock(&c->mu);
}
