/*
 * Registry hosts: one that is asked for images, over which scheme, and what it wants
 * to see first.
 *
 * The first contact is GET /v2/ (as docker's, so its failures read like docker's).
 * It decides the scheme where the rule (scheme.h) leaves two: https, and http when
 * nobody answers there or the peer does not speak TLS, and only then: never after an
 * HTTP answer, never after a handshake that failed (registry-cri.md 1.3). The
 * decision is remembered until a connection fails.
 *
 * Hosts that are configured differently are different hosts, whatever their name.
 *
 * Threads: any. One contact per host at a time; others wait for it.
 */
#ifndef SERVICE_REGISTRY_HOST_H
#define SERVICE_REGISTRY_HOST_H

#include "service/registry/challenge.h"
#include "service/registry/host_config.h"
#include "service/registry/http.h"
#include "service/registry/url.h"

struct host_table;
struct host;

/* `insecure`: HOST[:PORT] as in references, addresses, CIDR networks (for hosts
 * that are written as addresses). E_INVALID names an entry that is none of these. */
int host_table_new(struct http_client *http, const char *const *insecure, size_t n_insecure,
		   struct host_table **ret_table, struct err *err);
void host_table_free(struct host_table *t); /* all hosts must be given back */

/* A host as it is configured. Takes what is in `config`, whose files must be loaded,
 * also on failure. */
int host_get(struct host_table *t, struct host_config *config, struct host **ret_host, struct err *err);
/* The host of a reference's domain when nobody says anything about it: "docker.io" is
 * asked at registry-1.docker.io. */
int host_get_default(struct host_table *t, const char *domain, struct host **ret_host, struct err *err);
void host_put(struct host_table *t, struct host *h); /* NULL is fine */

/* Whether certificates of HOST[:PORT], of which nobody says more, are not verified. */
bool host_table_is_insecure(const struct host_table *t, const char *authority);

/* How a host with this configuration is asked: the scheme, and whether its certificate
 * is not verified. */
struct scheme_rule host_table_rule(const struct host_table *t, const struct host_config *c, bool *ret_insecure);

struct host_view {
	struct url origin; /* "https://HOST[:PORT]/" */
	bool insecure;
	struct challenge challenge;	  /* scheme AUTH_NONE: it wants nothing */
	const struct host_config *config; /* the host's, as long as it is held; NULL: only led to */
};

void host_view_free(struct host_view *v); /* also the cleanup function */

/* Sets for a request to a URL that this host is at, or led to, how its TLS is: others
 * than the host itself are shown no certificate of ours. */
void host_view_prepare(const struct host_view *v, const struct url *to, struct http_request *q);

/* What is known, after a first contact where there was none. E_REGISTRY, E_TLS as
 * http_open(); ret_failed (may be NULL) is written always. */
int host_contact(struct host *h, struct cancel *cancel, struct host_view *ret_view, enum http_failure *ret_failed,
		 struct err *err);

/* A connection failed: the next contact finds out anew. */
void host_forget(struct host *h);
/* What a 401 of this host asked for; its scope is not the host's. */
void host_learn(struct host *h, const struct challenge *c);

/* A mirror that failed is passed over for a short while, by everybody; times are the
 * wall clock's, in seconds. */
void host_rest(struct host *h, int64_t now_s);
bool host_is_resting(struct host *h, int64_t now_s);
/* Whether the host with this configuration, whose files are loaded, rests. */
bool host_table_is_resting(struct host_table *t, const struct host_config *config, int64_t now_s);

const char *host_name(const struct host *h); /* HOST[:PORT] */

/* The challenge to answer in a response's WWW-Authenticate headers, if any. */
bool host_challenge_of(const struct http_exchange *x, struct challenge *ret_challenge);

#endif
