/*
 * What a token server answers (distribution, "token authentication"): JSON with `token`
 * or `access_token`, perhaps `expires_in` and a `refresh_token`. Keys that come twice
 * are refused, and a token must be visible ASCII, as it goes into a header.
 */
#ifndef SERVICE_REGISTRY_TOKEN_ANSWER_H
#define SERVICE_REGISTRY_TOKEN_ANSWER_H

#include "service/registry/token_cache.h"

enum { TOKEN_BODY_MAX = 64 * 1024 };

/* ret_refresh is set when there is one. `asked_at` is the wall clock, s. E_REGISTRY: it
 * holds no token. */
int token_answer_parse(struct bytes body, int64_t asked_at, struct token *ret_token, struct secret *ret_refresh,
		       struct err *err);

#endif
