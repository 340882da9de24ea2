/*
 * The token server's protocol (distribution, "token authentication" and "OAuth2 token
 * authentication"), and the rules for realms: what a registry names is not trusted
 * more than the registry. Only https unless the registry itself is http, no user in
 * the URL, no redirects, no way to loopback or link-local addresses (redirect.h),
 * at most TOKEN_BODY_MAX bytes.
 *
 * A password is shown by GET and a refresh token by POST. Servers that know but one of
 * the two say so with a status, and are asked the other way.
 */
#include <stdio.h>

#include "service/registry/auth.h"
#include "service/registry/error_body.h"
#include "service/registry/redirect.h"
#include "service/registry/token_answer.h"

enum { REQUEST_MAX = 128 * 1024 };

static const char client_id[] = "imaged";

/* ---- the request ----------------------------------------------------------- */

enum way { WAY_GET, WAY_POST_REFRESH, WAY_POST_PASSWORD };

/* One question to a token server; the secrets are those of its caller or, when it is
 * asked for anybody's token, none. */
struct question {
	const struct token_request *of;
	struct url realm;
	const char *username, *password; /* NULL: none */
	struct secret refresh;
	enum way way;
};

static void question_free(struct question *q)
{
	url_free(&q->realm);
	secret_wipe(&q->refresh);
}

static int resolve_realm(const struct token_request *q, struct url *ret_realm, struct err *err)
{
	const struct url *origin = &q->host->origin;
	bool relative = q->realm[0] == '/' && q->realm[1] != '/';
	struct err why = ERR_INIT;
	int r = relative ? url_resolve(origin, q->realm, ret_realm, &why) : url_parse(q->realm, ret_realm, &why);

	if (r != OK) /* the registry's fault, not the caller's */
		return fail(err, r == E_INVALID ? E_REGISTRY : r,
			    "the registry %s names a token server that cannot be used: %s", origin->host, why.text);
	if (origin->https && !ret_realm->https) {
		CLEANUP(freep) char *shown = url_for_display(ret_realm->text);

		return fail(err, E_DENIED,
			    "the registry %s wants credentials sent to \"%s\": refused, as it is not https",
			    origin->host, shown ? shown : "");
	}
	return OK;
}

static int take_secrets(struct question *q, struct err *err)
{
	struct auth *a = q->of->auth;
	bool ok;

	if (q->of->anonymous)
		return OK;
	q->username = a->username.text;
	q->password = a->password.text;
	pthread_mutex_lock(&a->mu);
	ok = secret_copy(&q->refresh, &a->identity_token);
	pthread_mutex_unlock(&a->mu);
	q->way = secret_is_set(&q->refresh) ? WAY_POST_REFRESH : WAY_GET;
	return ok ? OK : fail_nomem(err);
}

static bool has_secrets(const struct question *q)
{
	return q->username || secret_is_set(&q->refresh);
}

static bool add_scopes(struct buf *url, const struct scopes *s)
{
	bool ok = true;

	for (size_t i = 0; i < s->n; i++)
		ok = ok && url_add_query(url, "scope", s->items[i]);
	return ok;
}

static bool write_query(const struct question *q, struct buf *url)
{
	bool ok = buf_puts(url, q->realm.text);

	if (*q->of->service)
		ok = ok && url_add_query(url, "service", q->of->service);
	ok = ok && add_scopes(url, q->of->scopes);
	if (q->username)
		ok = ok && url_add_query(url, "account", q->username);
	if (q->of->auth->login)
		ok = ok && url_add_query(url, "client_id", client_id) && url_add_query(url, "offline_token", "true");
	return ok;
}

static bool add_field(struct buf *form, const char *name, const char *value)
{
	return (!form->len || buf_putc(form, '&')) && buf_puts(form, name) && buf_putc(form, '=') &&
	       url_encode(form, value);
}

static bool add_grant(const struct question *q, struct buf *form)
{
	if (q->way == WAY_POST_REFRESH)
		return add_field(form, "refresh_token", q->refresh.text);
	return add_field(form, "username", q->username) &&
	       add_field(form, "password", q->password ? q->password : "") &&
	       (!q->of->auth->login || add_field(form, "access_type", "offline"));
}

static bool write_form(const struct question *q, struct buf *form)
{
	CLEANUP(buf_free) struct buf scopes = BUF_INIT(REQUEST_MAX);
	bool ok = add_field(form, "grant_type", q->way == WAY_POST_REFRESH ? "refresh_token" : "password") &&
		  (!*q->of->service || add_field(form, "service", q->of->service)) &&
		  add_field(form, "client_id", client_id) && add_grant(q, form);

	for (size_t i = 0; i < q->of->scopes->n; i++)
		ok = ok && buf_printf(&scopes, "%s%s", i ? " " : "", q->of->scopes->items[i]);
	if (q->of->scopes->n)
		ok = ok && add_field(form, "scope", buf_text(&scopes));
	return ok;
}

/* A refresh token that a server does not take by POST goes where a password would. */
static bool write_basic(const struct question *q, struct secret *basic)
{
	const char *secret = q->password ? q->password : q->refresh.text;

	return secret_basic(basic, q->username ? q->username : "", secret ? secret : "");
}

/* ---- the answer ------------------------------------------------------------ */

static int refused(int status, struct bytes body, struct err *err)
{
	struct error_body e;

	error_body_parse(body, &e);
	if (status == 401)
		return fail(err, E_UNAUTHENTICATED, "unauthorized: %s", e.text[0] ? e.text : "authentication required");
	if (status == 403)
		return fail(err, E_DENIED, "denied: %s", e.text[0] ? e.text : "the token server refused");
	if (status == 429)
		return fail(err, E_RATE_LIMITED, "toomanyrequests: %s", e.text[0] ? e.text : "429 Too Many Requests");
	if (redirect_is(status))
		return fail(err, E_REGISTRY, "it redirects, which is not followed");
	return fail(err, E_REGISTRY, "it answered with status %d%s%s", status, e.text[0] ? ": " : "", e.text);
}

/* ---- one exchange ---------------------------------------------------------- */

struct attempt {
	struct http_request http;
	struct http_header headers[3];
	enum http_failure failed;
	int status;
	int64_t retry_after;
};

static int exchange(const struct question *q, struct attempt *t, struct buf *body, struct cancel *cancel,
		    struct err *err)
{
	CLEANUP(http_closep) struct http_exchange *x = NULL;
	const struct retry_env *env = q->of->auth->context->env;
	int r;

	t->http.ret_failure = &t->failed;
	t->status = 0;
	t->retry_after = 0;
	r = http_open(q->of->auth->context->http, &t->http, cancel, &x, err);
	if (r != OK)
		return r;
	t->status = http_response_of(x)->status;
	t->retry_after = retry_after_ms(http_header_of(x, "Retry-After"), env->wall_s(env->arg));
	t->failed = HTTP_FAILED_BROKEN;
	buf_wipe(body);
	buf_reserve(body, TOKEN_BODY_MAX); /* at once: growing would leave copies behind */
	return http_body(x, body, cancel, err);
}

static enum retry_class class_of(const struct attempt *t, int r)
{
	if (r == E_REGISTRY)
		return retry_class_of_failure(t->failed);
	return r == OK ? retry_class_of_status(t->status) : RETRY_NEVER;
}

static int with_retries(const struct question *q, struct attempt *t, struct buf *body, struct cancel *cancel,
			struct err *err)
{
	const struct retry_env *env = q->of->auth->context->env;
	struct retry retry = { .purpose = RETRY_QUESTION };

	for (;;) {
		int r = exchange(q, t, body, cancel, err);
		enum retry_class class = class_of(t, r);
		int64_t pause = class == RETRY_NEVER ? -1 : retry_pause(&retry, class, t->retry_after, env);

		if (pause < 0)
			return r;
		if (!env->sleep(env->arg, cancel, pause))
			return cancel_check(cancel, err);
	}
}

static enum http_reach reach_of(const struct question *q)
{
	enum http_reach reach = redirect_reach(&q->of->host->origin, &q->realm);

	return reach > q->of->reach ? reach : q->of->reach;
}

static bool is_insecure(const struct question *q)
{
	const struct host_view *host = q->of->host;
	char authority[HOST_AUTHORITY_MAX];

	snprintf(authority, sizeof authority, "%s:%u", q->realm.host, q->realm.port);
	return strcmp(q->realm.host, host->origin.host) ? host_table_is_insecure(q->of->auth->context->hosts, authority)
							: host->insecure;
}

static void add_header(struct attempt *t, const char *name, const char *value)
{
	t->headers[t->http.n_headers++] = (struct http_header){ name, value };
}

static int prepare(const struct question *q, struct attempt *t, struct buf *text, struct secret *basic, struct err *err)
{
	bool get = q->way == WAY_GET;

	*t = (struct attempt){ .http = { .reach = reach_of(q), .insecure = is_insecure(q) } };
	if (get ? !write_query(q, text) : !write_form(q, text))
		return fail_nomem(err);
	t->http.method = get ? "GET" : "POST";
	t->http.url = get ? buf_text(text) : q->realm.text;
	host_view_prepare(q->of->host, &q->realm, &t->http);
	add_header(t, "Accept", "application/json");
	if (!get) {
		t->http.body = buf_bytes(text);
		add_header(t, "Content-Type", "application/x-www-form-urlencoded");
	}
	if (get && has_secrets(q)) {
		if (!write_basic(q, basic))
			return fail_nomem(err);
		add_header(t, "Authorization", basic->text);
	}
	t->http.headers = t->headers;
	return OK;
}

static int ask(const struct question *q, struct attempt *t, struct buf *body, struct cancel *cancel, struct err *err)
{
	CLEANUP(secret_wipe) struct secret basic = { 0 };
	CLEANUP(buf_wipe) struct buf text = BUF_INIT(REQUEST_MAX);
	int r = prepare(q, t, &text, &basic, err);

	return r == OK ? with_retries(q, t, body, cancel, err) : r;
}

/* True when the answer says that this way is not served; q->way is then the other. To
 * POST, servers without it say 404 or 405, one known product 401 and another 400. */
static bool turn(struct question *q, int status)
{
	bool not_served = status == 404 || status == 405;

	if (q->way == WAY_POST_REFRESH && (not_served || status == 400 || status == 401))
		q->way = WAY_GET;
	else if (q->way == WAY_GET && not_served && q->username && !secret_is_set(&q->refresh))
		q->way = WAY_POST_PASSWORD;
	else
		return false;
	return true;
}

static int take_answer(const struct attempt *t, struct bytes body, int64_t asked_at, struct token *ret_token,
		       struct secret *ret_refresh, struct err *err)
{
	if (t->status == 200)
		return token_answer_parse(body, asked_at, ret_token, ret_refresh, err);
	return refused(t->status, body, err);
}

int token_fetch(const struct token_request *request, struct token *ret_token, struct secret *ret_refresh,
		struct cancel *cancel, struct err *err)
{
	CLEANUP(question_free) struct question q = { .of = request };
	CLEANUP(buf_wipe) struct buf body = BUF_INIT(TOKEN_BODY_MAX);
	const struct retry_env *env = request->auth->context->env;
	int64_t asked_at = env->wall_s(env->arg);
	struct attempt t = { 0 };
	int r = resolve_realm(request, &q.realm, err);

	if (r == OK)
		r = take_secrets(&q, err);
	if (r == OK)
		r = ask(&q, &t, &body, cancel, err);
	if (r == OK && turn(&q, t.status))
		r = ask(&q, &t, &body, cancel, err);
	if (r != OK)
		return r;
	r = take_answer(&t, buf_bytes(&body), asked_at, ret_token, ret_refresh, err);
	if (r == E_REGISTRY)
		err_wrap(err, "token server %s", q.realm.host);
	if (r != OK && err)
		err->retry_after_ms = t.retry_after;
	return r;
}
