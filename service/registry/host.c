#include "service/registry/host.h"

#include <stdio.h>
#include <strings.h>

#include "proto/runtime/clock.h"
#include "service/registry/flight.h"
#include "service/registry/netaddr.h"

enum { HOSTS_KEPT_MAX = 256, REST_S = 30 };

struct host {
	struct host *next; /* the table's mu, as `users` and `last_used` */
	unsigned users;
	int64_t last_used;

	struct http_client *http;
	struct host_config config;
	struct scheme_rule rule;
	bool insecure;

	pthread_mutex_t mu;
	struct flight contact; /* mu */
	bool known;	       /* mu, as what follows */
	bool https;
	struct challenge challenge;
	enum http_failure failed; /* of the last contact */
	int64_t rests_from;	  /* mu, s; 0: it does not rest */
};

struct insecure_entry {
	char text[HOST_AUTHORITY_MAX]; /* "" for a network */
	struct network network;
};

struct host_table {
	struct http_client *http;
	struct insecure_entry *insecure;
	size_t n_insecure;
	pthread_mutex_t mu;
	struct host *hosts; /* mu */
	size_t n_hosts;	    /* mu */
};

/* ---- the list of insecure hosts -------------------------------------------- */

static bool is_listed(const struct host_table *t, const char *authority, const char *host)
{
	for (size_t i = 0; i < t->n_insecure; i++) {
		const struct insecure_entry *e = &t->insecure[i];

		if (e->text[0] ? !strcmp(e->text, authority) : network_has_host(&e->network, host))
			return true;
	}
	return false;
}

static bool is_listed_authority(const struct host_table *t, const char *authority)
{
	char host[HOST_AUTHORITY_MAX];
	const char *port;

	scheme_split_port(authority, host, &port);
	return is_listed(t, authority, host);
}

static bool is_loopback(const char *authority)
{
	char host[HOST_AUTHORITY_MAX];
	const char *port;

	scheme_split_port(authority, host, &port);
	return netaddr_class_of_host(host) == NETADDR_LOOPBACK;
}

/* Who gives an authority for a host, or says that it be verified, means it, also on
 * this machine. */
struct scheme_rule host_table_rule(const struct host_table *t, const struct host_config *c, bool *ret_insecure)
{
	struct scheme_case q = {
		.authority = c->authority,
		.said = c->said,
		.tls = host_config_has_tls(c),
		.insecure = c->asked_insecure || is_listed_authority(t, c->authority),
	};
	bool meant = c->n_ca_files || c->verify == VERIFY;

	if (c->said == SCHEME_UNSAID && meant && !q.insecure)
		q.said = SCHEME_HTTPS;
	*ret_insecure = c->asked_insecure || c->verify == VERIFY_NOT ||
			(c->verify == VERIFY_UNSAID &&
			 (q.insecure || (c->said == SCHEME_UNSAID && !meant && is_loopback(c->authority))));
	return scheme_rule_of(&q);
}

bool host_table_is_insecure(const struct host_table *t, const char *authority)
{
	char lower[HOST_AUTHORITY_MAX];

	return host_authority(authority, lower) && (is_loopback(lower) || is_listed_authority(t, lower));
}

static int add_insecure(struct host_table *t, const char *text, struct err *err)
{
	struct insecure_entry *e = &t->insecure[t->n_insecure];
	CLEANUP(url_free) struct url u = { 0 };
	char url[HOST_AUTHORITY_MAX + 16];

	if (network_parse(text, &e->network)) {
		e->text[0] = 0;
		t->n_insecure++;
		return OK;
	}
	if (strpbrk(text, "/@?#") || !host_authority(text, e->text))
		return fail(err, E_INVALID, "insecure registry \"%s\": HOST[:PORT] or a network (CIDR) was expected",
			    text);
	snprintf(url, sizeof url, "http://%s/", e->text);
	if (url_parse(url, &u, NULL) != OK)
		return fail(err, E_INVALID, "insecure registry \"%s\": not a valid host", text);
	t->n_insecure++;
	return OK;
}

/* ---- the table ------------------------------------------------------------- */

static void host_free(struct host *h)
{
	flight_destroy(&h->contact);
	pthread_mutex_destroy(&h->mu);
	host_config_free(&h->config);
	free(h);
}

void host_table_free(struct host_table *t)
{
	if (!t)
		return;
	while (t->hosts) {
		struct host *h = t->hosts;

		t->hosts = h->next;
		host_free(h);
	}
	pthread_mutex_destroy(&t->mu);
	free(t->insecure);
	free(t);
}

static void host_table_freep(struct host_table **t)
{
	host_table_free(*t);
}

int host_table_new(struct http_client *http, const char *const *insecure, size_t n_insecure,
		   struct host_table **ret_table, struct err *err)
{
	CLEANUP(host_table_freep) struct host_table *t = calloc(1, sizeof *t);

	if (!t)
		return fail_nomem(err);
	t->http = http;
	pthread_mutex_init(&t->mu, NULL);
	t->insecure = calloc(n_insecure + 1, sizeof *t->insecure);
	if (!t->insecure)
		return fail_nomem(err);
	for (size_t i = 0; i < n_insecure; i++) {
		int r = add_insecure(t, insecure[i], err);

		if (r != OK)
			return r;
	}
	*ret_table = TAKE(t);
	return OK;
}

static struct host *host_new(const struct host_table *t, struct host_config *config)
{
	struct host *h = calloc(1, sizeof *h);

	if (!h)
		return NULL;
	h->http = t->http;
	h->config = TAKE(*config);
	h->rule = host_table_rule(t, &h->config, &h->insecure);
	pthread_mutex_init(&h->mu, NULL);
	flight_init(&h->contact);
	return h;
}

/* The table stays small: the one that was idle longest goes. */
static void drop_idlest(struct host_table *t)
{
	struct host **oldest = NULL, *h;

	for (struct host **p = &t->hosts; *p; p = &(*p)->next)
		if (!(*p)->users && (!oldest || (*p)->last_used < (*oldest)->last_used))
			oldest = p;
	if (!oldest)
		return;
	h = *oldest;
	*oldest = h->next;
	t->n_hosts--;
	host_free(h);
}

static struct host *find(const struct host_table *t, const struct host_config *config)
{
	struct host *h = t->hosts;

	while (h && !digest_eq(&h->config.fingerprint, &config->fingerprint))
		h = h->next;
	return h;
}

static struct host *find_or_add(struct host_table *t, struct host_config *config)
{
	struct host *h = find(t, config);

	if (h)
		return h;
	if (t->n_hosts >= HOSTS_KEPT_MAX)
		drop_idlest(t);
	h = host_new(t, config);
	if (h) {
		h->next = t->hosts;
		t->hosts = h;
		t->n_hosts++;
	}
	return h;
}

int host_get(struct host_table *t, struct host_config *config, struct host **ret_host, struct err *err)
{
	struct host *h;

	pthread_mutex_lock(&t->mu);
	h = find_or_add(t, config);
	if (h)
		h->users++;
	pthread_mutex_unlock(&t->mu);
	host_config_free(config);
	if (!h)
		return fail_nomem(err);
	*ret_host = h;
	return OK;
}

int host_get_default(struct host_table *t, const char *domain, struct host **ret_host, struct err *err)
{
	CLEANUP(host_config_free) struct host_config config = { 0 };
	char authority[HOST_AUTHORITY_MAX];

	if (!host_authority(domain, authority))
		return fail(err, E_INVALID_REFERENCE, "invalid registry host \"%s\"", domain);
	host_config_default(authority, &config);
	if (host_config_load(&config, err) < 0)
		return E_NO_MEMORY;
	return host_get(t, &config, ret_host, err);
}

void host_put(struct host_table *t, struct host *h)
{
	if (!h)
		return;
	pthread_mutex_lock(&t->mu);
	h->users--;
	h->last_used = clock_monotonic_ms();
	pthread_mutex_unlock(&t->mu);
}

/* ---- contact --------------------------------------------------------------- */

struct found {
	bool https;
	struct challenge challenge;
};

bool host_challenge_of(const struct http_exchange *x, struct challenge *ret_challenge)
{
	const struct http_response *response = http_response_of(x);
	struct bytes values[CHALLENGES_MAX];
	size_t n = 0;

	for (size_t i = 0; i < response->n_headers && n < CHALLENGES_MAX; i++)
		if (!strcasecmp(response->headers[i].name, "WWW-Authenticate"))
			values[n++] = bytes_of(response->headers[i].value);
	return challenge_choose(values, n, ret_challenge);
}

static int ask(const struct host *h, bool https, struct cancel *cancel, struct found *ret_found,
	       enum http_failure *ret_failed, struct err *err)
{
	CLEANUP(http_closep) struct http_exchange *x = NULL;
	CLEANUP(freep)
	char *url = format("http%s://%s%s/", https ? "s" : "", h->config.authority, h->config.path);
	struct http_header headers[HOST_HEADERS_MAX];
	struct http_request q = { .method = "GET",
				  .url = url,
				  .headers = headers,
				  .insecure = h->insecure,
				  .tls = h->config.tls,
				  .connect_timeout_ms = h->config.dial_timeout_ms,
				  .reach = HTTP_REACH_ANY,
				  .ret_failure = ret_failed };
	int r;

	*ret_failed = HTTP_FAILED_LOCAL;
	if (!url)
		return fail_nomem(err);
	for (size_t i = 0; i < h->config.n_headers; i++)
		headers[q.n_headers++] = (struct http_header){ h->config.headers[i].name, h->config.headers[i].value };
	r = http_open(h->http, &q, cancel, &x, err);
	if (r != OK)
		return r;
	ret_found->https = https;
	ret_found->challenge = (struct challenge){ 0 };
	if (http_response_of(x)->status == 401 && host_challenge_of(x, &ret_found->challenge))
		ret_found->challenge.scope[0] = 0;
	http_drain(x);
	return OK;
}

static bool nobody_speaks_tls(enum http_failure failed)
{
	return failed == HTTP_FAILED_CONNECT || failed == HTTP_FAILED_NOT_TLS;
}

/* A caller who says that a host may be insecure means a host that is there: of nobody who
 * listens docker's client tells by https. */
static int first_contact(const struct host *h, struct cancel *cancel, struct found *ret_found,
			 enum http_failure *ret_failed, struct err *err)
{
	int r = ask(h, h->rule.https, cancel, ret_found, ret_failed, err);
	struct err https = *err;

	if (r == OK || !h->rule.fallback || !nobody_speaks_tls(*ret_failed))
		return r;
	r = ask(h, false, cancel, ret_found, ret_failed, err);
	if (r == OK || *ret_failed != HTTP_FAILED_CONNECT || !h->config.asked_insecure)
		return r;
	*err = https;
	return https.code;
}

/* With mu held: known afterwards, or the failure. */
static int await_contact(struct host *h, struct cancel *cancel, struct err *err)
{
	int r = OK;

	while (r == OK && !h->known) {
		enum http_failure failed = HTTP_FAILED_NOT;
		struct found found = { 0 };
		struct err why = ERR_INIT;

		r = flight_join(&h->contact, &h->mu, cancel, err);
		if (r == FLIGHT_LEAD) {
			pthread_mutex_unlock(&h->mu);
			r = first_contact(h, cancel, &found, &failed, &why);
			pthread_mutex_lock(&h->mu);
			h->known = r == OK;
			h->failed = failed;
			if (h->known) {
				h->https = found.https;
				h->challenge = found.challenge;
			} else if (err) {
				*err = why;
			}
			flight_land(&h->contact, r, &why);
		} else if (r == FLIGHT_LANDED) {
			r = OK;
		}
	}
	return r;
}

static int view(const struct host *h, bool https, struct host_view *v, struct err *err)
{
	CLEANUP(freep) char *url = format("http%s://%s/", https ? "s" : "", h->config.authority);

	return url ? url_parse(url, &v->origin, err) : fail_nomem(err);
}

int host_contact(struct host *h, struct cancel *cancel, struct host_view *ret_view, enum http_failure *ret_failed,
		 struct err *err)
{
	CLEANUP(host_view_free) struct host_view v = { .insecure = h->insecure, .config = &h->config };
	enum http_failure failed;
	bool https;
	int r;

	pthread_mutex_lock(&h->mu);
	r = await_contact(h, cancel, err);
	failed = h->failed;
	https = h->https;
	v.challenge = h->challenge;
	pthread_mutex_unlock(&h->mu);
	if (ret_failed)
		*ret_failed = r == OK ? HTTP_FAILED_NOT : failed;
	if (r == OK)
		r = view(h, https, &v, err);
	if (r == OK)
		*ret_view = TAKE(v);
	return r;
}

void host_view_free(struct host_view *v)
{
	url_free(&v->origin);
}

void host_view_prepare(const struct host_view *v, const struct url *to, struct http_request *q)
{
	bool home = url_same_origin(to, &v->origin);

	if (!v->config)
		return;
	q->tls = v->config->tls;
	q->show_nothing = !home;
	q->connect_timeout_ms = home ? v->config->dial_timeout_ms : 0;
}

void host_forget(struct host *h)
{
	pthread_mutex_lock(&h->mu);
	h->known = false;
	pthread_mutex_unlock(&h->mu);
}

void host_learn(struct host *h, const struct challenge *c)
{
	pthread_mutex_lock(&h->mu);
	h->challenge = *c;
	h->challenge.scope[0] = 0;
	pthread_mutex_unlock(&h->mu);
}

void host_rest(struct host *h, int64_t now_s)
{
	pthread_mutex_lock(&h->mu);
	h->rests_from = now_s;
	pthread_mutex_unlock(&h->mu);
}

bool host_is_resting(struct host *h, int64_t now_s)
{
	bool rests;

	pthread_mutex_lock(&h->mu);
	rests = h->rests_from && now_s >= h->rests_from && now_s < h->rests_from + REST_S;
	pthread_mutex_unlock(&h->mu);
	return rests;
}

bool host_table_is_resting(struct host_table *t, const struct host_config *config, int64_t now_s)
{
	struct host *h;
	bool rests;

	pthread_mutex_lock(&t->mu);
	h = find(t, config);
	rests = h && host_is_resting(h, now_s);
	pthread_mutex_unlock(&t->mu);
	return rests;
}

const char *host_name(const struct host *h)
{
	return h->config.authority;
}
