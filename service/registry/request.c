#include "service/registry/request.h"

#include <ctype.h>
#include <stdio.h>
#include <strings.h>

#include "service/registry/redirect.h"

enum { HEADERS_MAX = 9 + HOST_HEADERS_MAX };

char *request_path(const struct repository *r, const char *kind, const char *what)
{
	return format("/v2/%s/%s/%s", r->path, kind, what);
}

/* The origin ends in a slash, the path begins with one. */
static char *url_of(const struct host_view *host, const struct request *q)
{
	bool is_api = !strncmp(q->path, "/v2", 3) && (!q->path[3] || q->path[3] == '/');

	return format("%.*s%s%s", (int)strlen(host->origin.text) - 1, host->origin.text,
		      is_api ? host->config->path : "", q->path + (is_api ? 3 : 0));
}

/* Mirrors serve several registries: what is asked of them says which. */
static char *url_at(const struct repository *r, const struct endpoint *e, const struct host_view *host,
		    const struct request *q)
{
	bool is_question = !strcmp(q->method, "GET") || !strcmp(q->method, "HEAD");
	CLEANUP(freep) char *url = q->at ? strdup(q->at) : url_of(host, q);
	struct buf b = BUF_INIT(URL_MAX + 1);

	if (!url || q->at || !e->is_mirror || !is_question)
		return TAKE(url);
	buf_puts(&b, url);
	url_add_query(&b, "ns", r->namespace);
	return buf_take(&b);
}

char *request_shown(const struct host_view *host, const struct request *q)
{
	CLEANUP(freep) char *url = q->at ? strdup(q->at) : url_of(host, q);

	return url ? url_request_shown(q->method, url) : NULL;
}

void answer_free(struct answer *a)
{
	http_close(a->x);
	free(a->shown);
	url_free(&a->at);
	*a = (struct answer){ 0 };
}

int64_t request_retry_after(const struct repository *r, const struct http_exchange *x)
{
	const struct retry_env *env = r->registry->env;

	return retry_after_ms(http_header_of(x, "Retry-After"), env->wall_s(env->arg));
}

/* ---- one stop -------------------------------------------------------------- */

struct trip {
	struct repository *repository;
	struct endpoint *endpoint;
	const struct request *request;
	const struct host_view *host;
	const struct secret *authorization;
	enum http_failure failed;
};

static void add(struct http_header *headers, size_t *n, const char *name, const char *value)
{
	if (value && *value)
		headers[(*n)++] = (struct http_header){ name, value };
}

static bool is_insecure(const struct trip *t, const struct url *at)
{
	char authority[HOST_AUTHORITY_MAX + 8];

	if (url_same_origin(at, &t->host->origin))
		return t->host->insecure;
	snprintf(authority, sizeof authority, "%s:%u", at->host, at->port);
	return host_table_is_insecure(t->repository->registry->hosts, authority);
}

/* Those of the host's configuration stay with the host, as the credentials do. One
 * that is set there stands in for ours. */
static void add_own(const struct trip *t, struct http_header *headers, size_t *n)
{
	const struct host_config *c = t->host->config;
	bool authorized = false;

	for (size_t i = 0; i < c->n_headers; i++) {
		add(headers, n, c->headers[i].name, c->headers[i].value);
		authorized |= !strcasecmp(c->headers[i].name, "Authorization");
	}
	if (!authorized)
		add(headers, n, "Authorization", t->authorization->text);
}

static int stop(struct trip *t, const struct url *at, const struct secret *guest, struct cancel *cancel,
		struct http_exchange **ret_exchange, struct err *err)
{
	bool home = url_same_origin(at, &t->host->origin);
	struct http_header headers[HEADERS_MAX];
	struct http_request q = { .method = t->request->method,
				  .url = at->text,
				  .headers = headers,
				  .body = t->request->body,
				  .source = t->request->source,
				  .bulk = t->request->bulk,
				  .timeout_ms = t->request->timeout_ms };

	add(headers, &q.n_headers, "Accept", t->request->accept);
	add(headers, &q.n_headers, "Range", t->request->range);
	add(headers, &q.n_headers, "If-Range", t->request->if_range);
	add(headers, &q.n_headers, "If-Match", t->request->if_match);
	add(headers, &q.n_headers, "Content-Type", t->request->content_type);
	add(headers, &q.n_headers, "Content-Range", t->request->content_range);
	if (home)
		add_own(t, headers, &q.n_headers);
	else
		add(headers, &q.n_headers, "Authorization", guest->text);
	host_view_prepare(t->host, at, &q);
	q.insecure = is_insecure(t, at);
	q.reach = redirect_reach(&t->host->origin, at);
	q.ret_failure = &t->failed;
	return http_open(t->repository->registry->http, &q, cancel, ret_exchange, err);
}

/* ---- redirects ------------------------------------------------------------- */

static int guest_refused(struct trip *t, const struct url *at, int code, struct err *err)
{
	CLEANUP(freep) char *shown = url_request_shown(t->request->method, at->text);

	t->failed = code == E_REGISTRY ? HTTP_FAILED_CONNECT : HTTP_FAILED_LOCAL; /* as in attempt() */
	err_wrap(err, "%s", shown ? shown : t->request->method);
	return code;
}

/* One stop; another host than the registry that answers 401 is asked once more with a
 * token of its own, which nothing of the caller's is in. */
static int visit(struct trip *t, const struct url *at, struct cancel *cancel, struct answer *a, struct err *err)
{
	CLEANUP(secret_wipe) struct secret guest = { 0 };
	int r = stop(t, at, &guest, cancel, &a->x, err);

	if (r != OK || http_response_of(a->x)->status != 401 || url_same_origin(at, &t->host->origin))
		return r;
	r = auth_guest_header(&t->endpoint->auth, at, is_insecure(t, at), redirect_reach(&t->host->origin, at), a->x,
			      cancel, &guest, err);
	if (r != OK)
		return guest_refused(t, at, r, err);
	if (!secret_is_set(&guest))
		return OK;
	http_drain(a->x);
	http_close(TAKE(a->x));
	return stop(t, at, &guest, cancel, &a->x, err);
}

/* What changes something goes elsewhere only where the method and the body stay as they
 * are (RFC 9110, 15.4). */
static bool leads_on(const struct trip *t, int status)
{
	bool asks = !strcmp(t->request->method, "GET") || !strcmp(t->request->method, "HEAD");

	return asks ? redirect_is(status) : status == 307 || status == 308;
}

static int follow(struct trip *t, struct url *at, struct cancel *cancel, struct answer *a, struct err *err)
{
	for (unsigned hops = 0;; hops++) {
		CLEANUP(url_free) struct url to = { 0 };
		int r = visit(t, at, cancel, a, err);

		if (r != OK || !leads_on(t, http_response_of(a->x)->status))
			return r;
		t->failed = HTTP_FAILED_LOCAL;
		r = redirect_next(at, http_header_of(a->x, "Location"), hops, &to, err);
		if (r != OK) {
			CLEANUP(freep) char *shown = url_request_shown(t->request->method, at->text);

			err_wrap(err, "%s", shown ? shown : t->request->method);
			return r;
		}
		http_drain(a->x);
		http_close(TAKE(a->x));
		url_free(at);
		*at = TAKE(to);
	}
}

static int travel(struct trip *t, struct cancel *cancel, struct answer *ret_answer, struct err *err)
{
	CLEANUP(answer_free) struct answer a = { 0 };
	CLEANUP(url_free) struct url at = { 0 };
	CLEANUP(freep) char *url = url_at(t->repository, t->endpoint, t->host, t->request);
	int r = url ? url_parse(url, &at, err) : fail_nomem(err);

	t->failed = HTTP_FAILED_LOCAL;
	if (r == OK)
		r = follow(t, &at, cancel, &a, err);
	if (r != OK) {
		/* Only for the registry's own address, not for that of its storage. */
		if ((t->failed == HTTP_FAILED_CONNECT || t->failed == HTTP_FAILED_NOT_TLS) &&
		    url_same_origin(&at, &t->host->origin))
			host_forget(t->endpoint->host);
		return r;
	}
	a.from = t->endpoint;
	a.redirected = !url_same_origin(&at, &t->host->origin);
	a.shown = url_request_shown(t->request->method, at.text);
	if (!a.shown)
		return fail_nomem(err);
	a.at = TAKE(at);
	*ret_answer = TAKE(a);
	return OK;
}

/* ---- authentication -------------------------------------------------------- */

/* A failure to get a token is shown as the failure of the request that needed it. */
static int wrap_auth(const struct trip *t, int code, struct err *err)
{
	CLEANUP(freep) char *shown = request_shown(t->host, t->request);

	err_wrap(err, "%s", shown ? shown : t->request->method);
	return code;
}

static int attempt(struct repository *r, struct endpoint *e, const struct request *q, bool may_repeat,
		   struct cancel *cancel, struct answer *ret_answer, bool *ret_again, enum http_failure *ret_failed,
		   struct err *err)
{
	CLEANUP(host_view_free) struct host_view host = { 0 };
	CLEANUP(secret_wipe) struct secret authorization = { 0 };
	CLEANUP(answer_free) struct answer a = { 0 };
	struct trip t = { r, e, q, &host, &authorization, HTTP_FAILED_LOCAL };
	int code = host_contact(e->host, cancel, &host, ret_failed, err);

	*ret_again = false;
	if (code != OK)
		return code;
	*ret_failed = HTTP_FAILED_LOCAL;
	code = auth_header(&e->auth, &host, cancel, &authorization, err);
	if (code == E_REGISTRY) {
		*ret_failed =
			HTTP_FAILED_CONNECT; /* tried again already, as a question; a transfer has more patience */
		return code;
	}
	if (code != OK)
		return wrap_auth(&t, code, err);
	code = travel(&t, cancel, &a, err);
	*ret_failed = t.failed;
	if (code != OK)
		return code;
	heard_note(r, e, a.redirected, a.x);
	if (!a.redirected)
		warnings_take(&r->warnings, http_response_of(a.x));
	/* What a server says over http that has changed to https meanwhile. */
	if (http_response_of(a.x)->status == 400 && !host.origin.https)
		host_forget(e->host);
	if (auth_is_challenge(a.x) && !a.redirected && may_repeat) {
		code = auth_refused(&e->auth, e->host, &host, a.x, &authorization, ret_again, err);
		if (code != OK)
			return wrap_auth(&t, code, err);
		if (*ret_again)
			http_drain(a.x);
	}
	*ret_answer = TAKE(a);
	return OK;
}

static int send_to(struct repository *r, struct endpoint *e, const struct request *q, struct cancel *cancel,
		   struct answer *ret_answer, enum retry_class *ret_class, struct err *err)
{
	CLEANUP(answer_free) struct answer a = { 0 };
	enum http_failure failed = HTTP_FAILED_LOCAL;
	bool again;
	int code = attempt(r, e, q, true, cancel, &a, &again, &failed, err);

	if (code == OK && again) {
		answer_free(&a);
		code = attempt(r, e, q, false, cancel, &a, &again, &failed, err);
	}
	*ret_class = code == OK				   ? retry_class_of_status(http_response_of(a.x)->status)
		     : code == E_REGISTRY || code == E_TLS ? retry_class_of_failure(failed)
							   : RETRY_NEVER;
	if (code == OK)
		*ret_answer = TAKE(a);
	return code;
}

/* ---- whom to ask ----------------------------------------------------------- */

/* What another host would not change. */
static bool is_ours(int code)
{
	return code == E_CANCELLED || code == E_DEADLINE || code == E_NO_MEMORY;
}

static int nobody_may(const struct repository *r, const struct request *q, struct err *err)
{
	static const char *const words[HOST_CAPABILITIES] = { [HOST_PULL] = "pull from",
							      [HOST_RESOLVE] = "resolve tags of",
							      [HOST_PUSH] = "push to",
							      [HOST_REFERRERS] = "ask for referrers in" };

	return fail(err, E_DENIED, "no host that is configured for %s may be used to %s %s", r->namespace,
		    words[q->capability], r->familiar);
}

/* A push is one host's from its first question to its last tag. */
static bool stays(const struct request *q)
{
	return q->at || q->capability == HOST_PUSH;
}

/* A mirror that wants to know us, and does not. */
static bool is_closed_to_us(int code, const struct answer *a)
{
	return code == E_UNAUTHENTICATED || (code == OK && http_response_of(a->x)->status == 401 && !a->redirected);
}

static void note_served(struct repository *r, const struct answer *a)
{
	if (http_response_of(a->x)->status < 300)
		atomic_store(&r->served_by, (size_t)(a->from - r->endpoints));
}

int request_send(struct repository *r, const struct request *q, struct cancel *cancel, struct answer *ret_answer,
		 enum retry_class *ret_class, struct err *err)
{
	struct endpoint *e = q->at ? q->from : endpoint_next(r, q->capability, NULL), *next;
	enum retry_class class = RETRY_NEVER;
	struct err why = ERR_INIT;
	int code = e ? OK : nobody_may(r, q, &why);

	for (; e; e = next) {
		CLEANUP(answer_free) struct answer a = { 0 };

		code = send_to(r, e, q, cancel, &a, &class, &why);
		next = stays(q) ? NULL : endpoint_next(r, q->capability, e);
		if (!next || is_ours(code) || (code == OK && http_response_of(a.x)->status < 400)) {
			if (code == OK) {
				note_served(r, &a);
				*ret_answer = TAKE(a);
			}
			break;
		}
		if (class != RETRY_NEVER || code == E_TLS)
			endpoint_rest(r, e);
		if (is_closed_to_us(code, &a))
			atomic_store(&e->refused, true);
	}
	if (ret_class)
		*ret_class = class;
	if (code != OK && err)
		*err = why;
	return code;
}

void answer_broke_off(struct repository *r, const struct answer *a)
{
	if (a->from != repository_registry(r))
		endpoint_rest(r, a->from);
}

bool endpoint_refuse(struct repository *r, struct endpoint *from, enum host_capability capability)
{
	atomic_store(&from->refused, true);
	return endpoint_next(r, capability, from) != NULL;
}
