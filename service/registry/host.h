/*
 * Registry hosts: whom to ask for a domain, over which scheme, and what the host
 * wants to see first.
 *
 * The first contact is GET /v2/ (as docker's, so its failures read like docker's).
 * It decides the scheme: https; a loopback host with a port and the hosts that are
 * listed as insecure are asked over http when nobody answers on https or the peer
 * does not speak TLS, and only then: never after an HTTP answer, never after a
 * handshake that failed (registry-cri.md 1.3). The decision is remembered until a
 * connection fails.
 *
 * Threads: any. One contact per host at a time; others wait for it.
 */
#ifndef SERVICE_REGISTRY_HOST_H
#define SERVICE_REGISTRY_HOST_H

#include "service/registry/challenge.h"
#include "service/registry/http.h"
#include "service/registry/url.h"

enum { HOST_AUTHORITY_MAX = 256 };

struct host_table;
struct host;

/* `insecure`: HOST[:PORT] as in references, addresses, CIDR networks (for hosts
 * that are written as addresses). E_INVALID names an entry that is none of these. */
int host_table_new(struct http_client *http, const char *const *insecure, size_t n_insecure,
		   struct host_table **ret_table, struct err *err);
void host_table_free(struct host_table *t); /* all hosts must be given back */

/* The host of a reference's domain: "docker.io" is asked at registry-1.docker.io. */
int host_get(struct host_table *t, const char *domain, struct host **ret_host, struct err *err);
void host_put(struct host_table *t, struct host *h); /* NULL is fine */

/* Whether certificates of HOST[:PORT] are not verified. */
bool host_table_is_insecure(const struct host_table *t, const char *authority);

struct host_view {
	struct url origin; /* "https://HOST[:PORT]/" */
	bool insecure;
	struct challenge challenge; /* scheme AUTH_NONE: it wants nothing */
};

void host_view_free(struct host_view *v); /* also the cleanup function */

/* What is known, after a first contact where there was none. E_REGISTRY, E_TLS as
 * http_open(); ret_failed (may be NULL) is written always. */
int host_contact(struct host *h, struct cancel *cancel, struct host_view *ret_view, enum http_failure *ret_failed,
		 struct err *err);

/* A connection failed: the next contact finds out anew. */
void host_forget(struct host *h);
/* What a 401 of this host asked for; its scope is not the host's. */
void host_learn(struct host *h, const struct challenge *c);

/* The challenge to answer in a response's WWW-Authenticate headers, if any. */
bool host_challenge_of(const struct http_exchange *x, struct challenge *ret_challenge);

/* "HOST[:PORT]" of a domain or of what users give as a server address ("https://
 * index.docker.io/v1/"); false when it does not fit. */
bool host_authority(const char *server, char out[HOST_AUTHORITY_MAX]);

#endif
