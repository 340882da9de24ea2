/*
 * Authentication of one caller at one registry: answers challenges.
 *
 * Nothing is sent before the registry asked for it. Basic goes only to the registry
 * itself; Bearer tokens are fetched from the realm that it names (token_fetch.c has
 * the rules for realms) and kept in the token cache. After a 401 the refused
 * token is dropped and the challenge taken over; the request is then sent once more.
 * A refresh token that is rotated serves the rest of this caller's work; only a login
 * can hand it out, and the daemon writes none down.
 *
 * Threads: any, after auth_init(). Secrets are wiped by auth_destroy().
 */
#ifndef SERVICE_REGISTRY_AUTH_H
#define SERVICE_REGISTRY_AUTH_H

#include <pthread.h>

#include "service/registry/challenge.h"
#include "service/registry/host.h"
#include "service/registry/retry.h"
#include "service/registry/scope.h"
#include "service/registry/token_cache.h"

struct credentials;

enum { AUTH_IDENTITY_MAX = 65 };

/* What all callers share. */
struct auth_context {
	struct http_client *http;
	const struct host_table *hosts;
	struct token_cache *tokens;
	const struct retry_env *env;
	uint8_t salt[32]; /* of identities in cache keys */
};

struct auth {
	const struct auth_context *context;
	struct secret username, password, registry_token;
	char identity[AUTH_IDENTITY_MAX]; /* salted hash of the secrets, hex; "" anonymous */
	bool login;			  /* check the credentials: no cache, ask for a refresh token */
	bool or_anonymous;		  /* where the token server refuses the secrets, ask without */
	bool patient;			  /* what the host asked of others is not answered */

	pthread_mutex_t mu;
	struct scopes wanted;	      /* mu: what every token is asked for */
	bool secrets_refused;	      /* mu: and what anybody may have was enough: they are not shown again */
	struct challenge asked;	      /* mu: what this repository was asked for; AUTH_NONE: nothing yet */
	struct secret identity_token; /* mu: the last one that is good: servers may rotate it */
	struct secret refresh;	      /* mu: what a token server gave: whoever logs in keeps it */
};

/* `credentials` are those for this host, whatever their server_address says
 * (endpoint_takes_credentials()); NULL: none. */
int auth_init(struct auth *a, const struct auth_context *context, const struct credentials *credentials,
	      const char *scope, struct err *err);
void auth_destroy(struct auth *a);

/* From now on every token is asked for this too: "repository:NAME:pull,push" before a
 * push, "repository:FROM:pull" before a mount, SCOPE_CATALOG before a list of repositories. E_LIMIT when there are too
 * many. */
int auth_want(struct auth *a, const char *scope, struct err *err);

/* The value of the Authorization header; none (ret_header stays empty) where nothing
 * was asked for or there is nothing to show. */
int auth_header(struct auth *a, const struct host_view *host, struct cancel *cancel, struct secret *ret_header,
		struct err *err);

/* Whether an answer asks for (other) credentials: 401, or 403 with insufficient_scope
 * (RFC 6750, 3.1). */
bool auth_is_challenge(const struct http_exchange *x);

/* After such an answer of the registry to a request with `sent` (may be empty). *ret_again: another attempt has
 * something new to show. E_UNAUTHENTICATED "no basic auth credentials" when Basic is wanted and there are none. */
int auth_refused(struct auth *a, struct host *host, const struct host_view *view, const struct http_exchange *x,
		 const struct secret *sent, bool *ret_again, struct err *err);

/* A host that a redirect led to, `at`, answered 401: the value of an Authorization header
 * for it alone, from a token that anybody may have. Nothing of the caller's goes there.
 * None where it asks for something else. `reach` is that of the redirect. */
int auth_guest_header(struct auth *a, const struct url *at, bool insecure, enum http_reach reach,
		      const struct http_exchange *x, struct cancel *cancel, struct secret *ret_header, struct err *err);

/* token_fetch.c: one request to a token server. ret_refresh is set when it gave a
 * refresh token. */
struct token_request {
	struct auth *auth;
	const struct host_view *host;
	const char *realm, *service;
	const struct scopes *scopes;
	bool anonymous;	       /* without the caller's secrets */
	enum http_reach reach; /* no further than this, whatever the host itself may name */
};

int token_fetch(const struct token_request *request, struct token *ret_token, struct secret *ret_refresh,
		struct cancel *cancel, struct err *err);

#endif
