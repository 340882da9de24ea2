/*
 * The token server's protocol (distribution, "token authentication"; OAuth2 POST for
 * refresh tokens), and the rules for realms: what a registry names is not trusted
 * more than the registry. Only https unless the registry itself is http, no user in
 * the URL, no redirects, no way to loopback or link-local addresses (redirect.h),
 * at most TOKEN_BODY_MAX bytes.
 */
#include <jansson.h>
#include <stdio.h>

#include "service/registry/auth.h"
#include "service/registry/error_body.h"
#include "service/registry/redirect.h"
#include "store/types/json.h"

enum { TOKEN_BODY_MAX = 64 * 1024, TOKEN_TEXT_MAX = 32 * 1024, REQUEST_MAX = 128 * 1024 };

static const char client_id[] = "imaged";

/* ---- the request ----------------------------------------------------------- */

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

static bool add_scopes(struct buf *url, const struct token_request *q)
{
	bool ok = true;

	for (size_t i = 0; i < q->scopes->n; i++)
		ok = ok && url_add_query(url, "scope", q->scopes->items[i]);
	return ok;
}

static int get_url(const struct token_request *q, const struct url *realm, struct buf *url, struct err *err)
{
	const struct auth *a = q->auth;
	bool ok = buf_puts(url, realm->text);

	if (*q->service)
		ok = ok && url_add_query(url, "service", q->service);
	ok = ok && add_scopes(url, q);
	if (secret_is_set(&a->username))
		ok = ok && url_add_query(url, "account", a->username.text);
	if (a->login)
		ok = ok && url_add_query(url, "client_id", client_id) && url_add_query(url, "offline_token", "true");
	return ok ? OK : fail_nomem(err);
}

static bool add_field(struct buf *form, const char *name, const char *value)
{
	return (!form->len || buf_putc(form, '&')) && buf_puts(form, name) && buf_putc(form, '=') &&
	       url_encode(form, value);
}

static int post_form(const struct token_request *q, struct buf *form, struct err *err)
{
	CLEANUP(buf_free) struct buf scopes = BUF_INIT(REQUEST_MAX);
	bool ok = add_field(form, "grant_type", "refresh_token") &&
		  (!*q->service || add_field(form, "service", q->service)) && add_field(form, "client_id", client_id) &&
		  add_field(form, "refresh_token", q->auth->identity_token.text);

	for (size_t i = 0; i < q->scopes->n; i++)
		ok = ok && buf_printf(&scopes, "%s%s", i ? " " : "", q->scopes->items[i]);
	if (q->scopes->n)
		ok = ok && add_field(form, "scope", buf_text(&scopes));
	return ok ? OK : fail_nomem(err);
}

/* ---- the answer ------------------------------------------------------------ */

/* A token goes into a header: visible ASCII only. */
static bool is_token_text(struct bytes b)
{
	for (size_t i = 0; i < b.len; i++)
		if (b.data[i] <= 0x20 || b.data[i] >= 0x7f)
			return false;
	return b.len && b.len <= TOKEN_TEXT_MAX;
}

/* jansson has no way to hand a string over or to wipe it; it is ours alone here. */
static bool take_string(const json_t *root, const char *key, struct secret *out)
{
	const json_t *value = json_object_get(root, key);
	struct bytes text = { (const uint8_t *)json_string_value(value), json_string_length(value) };
	bool ok = text.data && is_token_text(text) && secret_set_bytes(out, text);

	if (text.data)
		wipe((void *)(uintptr_t)text.data, text.len);
	return ok;
}

static int read_answer(struct bytes body, int64_t asked_at, struct token *ret_token, struct secret *ret_refresh,
		       struct err *err)
{
	json_t *root = json_is_light(body) ? json_loadb((const char *)body.data, body.len, JSON_REJECT_DUPLICATES, NULL)
					   : NULL;
	CLEANUP(secret_wipe) struct secret token = { 0 }, other = { 0 };
	const json_t *life = json_object_get(root, "expires_in");
	int64_t expires_in = json_is_integer(life) ? json_integer_value(life) : 0;

	take_string(root, "token", &token);
	take_string(root, "access_token", &other);
	take_string(root, "refresh_token", ret_refresh);
	json_decref(root);
	if (!secret_is_set(&token) && !secret_is_set(&other))
		return fail(err, E_REGISTRY, "the answer holds no token");
	ret_token->text = secret_is_set(&token) ? TAKE(token) : TAKE(other);
	ret_token->expires_at = token_expiry(asked_at, expires_in);
	return OK;
}

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

static int exchange(const struct token_request *q, struct attempt *t, struct buf *body, struct cancel *cancel,
		    struct err *err)
{
	CLEANUP(http_closep) struct http_exchange *x = NULL;
	const struct retry_env *env = q->auth->context->env;
	int r;

	t->http.ret_failure = &t->failed;
	t->status = 0;
	t->retry_after = 0;
	r = http_open(q->auth->context->http, &t->http, cancel, &x, err);
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

static int with_retries(const struct token_request *q, struct attempt *t, struct buf *body, struct cancel *cancel,
			struct err *err)
{
	const struct retry_env *env = q->auth->context->env;
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

static int prepare(const struct token_request *q, const struct url *realm, struct attempt *t, struct buf *text,
		   struct secret *basic, struct err *err)
{
	const struct auth *a = q->auth;
	bool post = secret_is_set(&a->identity_token);
	char authority[HOST_AUTHORITY_MAX];
	int r = post ? post_form(q, text, err) : get_url(q, realm, text, err);

	if (r != OK)
		return r;
	snprintf(authority, sizeof authority, "%s:%u", realm->host, realm->port);
	t->http.method = post ? "POST" : "GET";
	t->http.url = post ? realm->text : buf_text(text);
	t->http.body = post ? buf_bytes(text) : (struct bytes){ 0 };
	t->http.reach = redirect_reach(&q->host->origin, realm);
	t->http.insecure = (q->host->insecure && !strcmp(realm->host, q->host->origin.host)) ||
			   host_table_is_insecure(a->context->hosts, authority);
	t->headers[t->http.n_headers++] = (struct http_header){ "Accept", "application/json" };
	if (post)
		t->headers[t->http.n_headers++] = (struct http_header){ "Content-Type",
									"application/x-www-form-urlencoded" };
	if (!post && secret_is_set(&a->username)) {
		if (!secret_basic(basic, a->username.text, a->password.text ? a->password.text : ""))
			return fail_nomem(err);
		t->headers[t->http.n_headers++] = (struct http_header){ "Authorization", basic->text };
	}
	t->http.headers = t->headers;
	return OK;
}

int token_fetch(const struct token_request *q, struct token *ret_token, struct secret *ret_refresh,
		struct cancel *cancel, struct err *err)
{
	CLEANUP(url_free) struct url realm = { 0 };
	CLEANUP(secret_wipe) struct secret basic = { 0 };
	CLEANUP(buf_wipe) struct buf text = BUF_INIT(REQUEST_MAX), body = BUF_INIT(TOKEN_BODY_MAX);
	const struct retry_env *env = q->auth->context->env;
	int64_t asked_at = env->wall_s(env->arg);
	struct attempt t = { 0 };
	int r = resolve_realm(q, &realm, err);

	if (r == OK)
		r = prepare(q, &realm, &t, &text, &basic, err);
	if (r == OK)
		r = with_retries(q, &t, &body, cancel, err);
	if (r != OK)
		return r;
	if (t.status == 200)
		r = read_answer(buf_bytes(&body), asked_at, ret_token, ret_refresh, err);
	else
		r = refused(t.status, buf_bytes(&body), err);
	if (r == E_REGISTRY)
		err_wrap(err, "token server %s", realm.host);
	if (r != OK && err)
		err->retry_after_ms = t.retry_after;
	return r;
}
