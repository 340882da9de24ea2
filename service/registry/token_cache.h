/*
 * Bearer tokens that are still good.
 *
 * A token is found again only for the same registry, certificates verified or not, realm,
 * service, set of scopes and identity of credentials: never across users. One fetch per key at a time, shared
 * by those who wait. A registry's 401 drops the token that it refused, and only
 * that one (somebody may have fetched a newer one meanwhile).
 *
 * Threads: any. Time is the caller's.
 */
#ifndef SERVICE_REGISTRY_TOKEN_CACHE_H
#define SERVICE_REGISTRY_TOKEN_CACHE_H

#include "proto/runtime/cancel.h"
#include "service/registry/secret.h"

enum {
	TOKEN_LIFE_MIN_S = 60, /* what the protocol assumes when nothing is said */
	TOKEN_LIFE_MAX_S = 12 * 60 * 60,
	TOKEN_SKEW_S = 10, /* not used in its last seconds */
};

struct token {
	struct secret text;
	int64_t expires_at; /* wall clock, s */
};

static inline bool token_is_fresh(const struct token *t, int64_t now)
{
	return secret_is_set(&t->text) && t->expires_at - TOKEN_SKEW_S > now;
}

/* The end of a token's life, from a server's `expires_in` (0: not said) and the
 * time when it was asked for; what the server thinks the time is does not count. */
int64_t token_expiry(int64_t asked_at, int64_t expires_in);

struct token_cache;

struct token_cache *token_cache_new(void); /* NULL without memory */
void token_cache_free(struct token_cache *c);

/* How a token is got when there is none; ret_token is filled on OK. */
struct token_source {
	int (*fetch)(void *arg, struct token *ret_token, struct cancel *cancel, struct err *err);
	void *arg;
	int64_t now;
};

int token_cache_get(struct token_cache *c, const char *key, const struct token_source *source, struct secret *ret_token,
		    struct cancel *cancel, struct err *err);
void token_cache_drop(struct token_cache *c, const char *key, const struct secret *refused);

#endif
