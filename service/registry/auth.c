#include "service/registry/auth.h"

#include <assert.h>
#include <openssl/sha.h>
#include <stdio.h>
#include <strings.h>

#include "service/registry/registry.h"

/* ---- the caller ------------------------------------------------------------ */

/* A user named "<token>" is docker's way to say that the password is a refresh token. */
static bool take_credentials(struct auth *a, const struct credentials *c)
{
	bool token_user = c->username && !strcmp(c->username, "<token>");
	const char *identity = token_user ? c->password : c->identity_token;

	return secret_set(&a->username, token_user ? NULL : c->username) &&
	       secret_set(&a->password, token_user ? NULL : c->password) && secret_set(&a->identity_token, identity) &&
	       secret_set(&a->registry_token, c->registry_token);
}

static bool set_identity(struct auth *a)
{
	const struct secret *all[] = { &a->username, &a->password, &a->identity_token };
	CLEANUP(buf_wipe) struct buf b = BUF_INIT(1024 * 1024);
	uint8_t hash[SHA256_DIGEST_LENGTH];
	bool any = false;

	buf_append(&b, a->context->salt, sizeof a->context->salt);
	for (size_t i = 0; i < ARRAY_LEN(all); i++) {
		any |= secret_is_set(all[i]);
		buf_puts(&b, all[i]->text ? all[i]->text : "");
		buf_putc(&b, 0);
	}
	if (!buf_ok(&b))
		return false;
	SHA256(b.data, b.len, hash);
	for (size_t i = 0; any && i < sizeof hash; i++)
		snprintf(a->identity + 2 * i, 3, "%02x", hash[i]);
	return true;
}

int auth_init(struct auth *a, const struct auth_context *context, const struct credentials *credentials,
	      const char *scope, struct err *err)
{
	*a = (struct auth){ .context = context };
	pthread_mutex_init(&a->mu, NULL);
	if (!scopes_add(&a->wanted, scope))
		return fail(err, E_LIMIT, "the scope \"%s\" is too long", scope);
	a->or_anonymous = credentials && credentials->or_anonymous;
	if (credentials && !take_credentials(a, credentials))
		return fail_nomem(err);
	return set_identity(a) ? OK : fail_nomem(err);
}

void auth_destroy(struct auth *a)
{
	secret_wipe(&a->username);
	secret_wipe(&a->password);
	secret_wipe(&a->identity_token);
	secret_wipe(&a->registry_token);
	secret_wipe(&a->refresh);
	pthread_mutex_destroy(&a->mu);
}

/* ---- scopes ---------------------------------------------------------------- */

int auth_want(struct auth *a, const char *scope, struct err *err)
{
	bool ok;

	pthread_mutex_lock(&a->mu);
	ok = scopes_add(&a->wanted, scope);
	pthread_mutex_unlock(&a->mu);
	return ok ? OK : fail(err, E_LIMIT, "too much is asked for with one token: \"%s\"", scope);
}

/* What was just refused comes first: some servers read only the first. */
static void collect_scopes(struct scopes *s, struct auth *a, const struct challenge *c)
{
	s->n = 0;
	scopes_add_list(s, c->scope);
	pthread_mutex_lock(&a->mu);
	for (size_t i = 0; i < a->wanted.n; i++)
		scopes_add(s, a->wanted.items[i]);
	pthread_mutex_unlock(&a->mu);
}

static int compare_text(const void *a, const void *b)
{
	return strcmp(*(const char *const *)a, *(const char *const *)b);
}

/* Parts are parted by a byte that none of them can hold. What came from somebody whose
 * certificate nobody looked at serves only those who do not look either. */
static char *cache_key(const struct token_request *q)
{
	const struct scopes *s = q->scopes;
	CLEANUP(buf_free) struct buf b = BUF_INIT(16 * 1024);
	const char *sorted[SCOPES_MAX] = { 0 };

	for (size_t i = 0; i < s->n; i++)
		sorted[i] = s->items[i];
	qsort(sorted, s->n, sizeof *sorted, compare_text);
	buf_printf(&b, "%s\n%s\n%s\n%s\n%s", q->host->origin.text, q->host->insecure ? "insecure" : "", q->realm,
		   q->service, q->anonymous ? "" : q->auth->identity);
	for (size_t i = 0; i < s->n; i++)
		buf_printf(&b, "\n%s", sorted[i]);
	return buf_take(&b);
}

/* ---- tokens ---------------------------------------------------------------- */

struct source_arg {
	struct auth *auth;
	struct token_request request;
};

static int keep_refresh(const struct source_arg *s, const struct secret *refresh, struct err *err)
{
	struct auth *a = s->auth;
	bool ok = true;

	if (s->request.anonymous)
		return OK;
	pthread_mutex_lock(&a->mu);
	if (secret_is_set(&a->identity_token))
		ok = secret_copy(&a->identity_token, refresh);
	if (a->login)
		ok = ok && secret_copy(&a->refresh, refresh);
	pthread_mutex_unlock(&a->mu);
	return ok ? OK : fail_nomem(err);
}

static int fetch(void *arg, struct token *ret_token, struct cancel *cancel, struct err *err)
{
	struct source_arg *s = arg;
	CLEANUP(secret_wipe) struct secret refresh = { 0 };
	int r = token_fetch(&s->request, ret_token, &refresh, cancel, err);

	if (r == OK && secret_is_set(&refresh))
		r = keep_refresh(s, &refresh, err);
	if (r != OK)
		secret_wipe(&ret_token->text);
	return r;
}

/* A login asks anew each time: what it wants to know is whether the secrets are good. */
static int get_token(struct source_arg *s, struct cancel *cancel, struct secret *ret_token, struct err *err)
{
	const struct auth_context *context = s->auth->context;
	struct token_source source = { fetch, s, context->env->wall_s(context->env->arg) };
	CLEANUP(freep) char *key = NULL;

	if (s->auth->login) {
		struct token token = { 0 };
		int r = fetch(s, &token, cancel, err);

		if (r == OK)
			*ret_token = token.text;
		return r;
	}
	key = cache_key(&s->request);
	if (!key)
		return fail_nomem(err);
	return token_cache_get(context->tokens, key, &source, ret_token, cancel, err);
}

static bool secrets_were_refused(struct auth *a)
{
	bool refused;

	pthread_mutex_lock(&a->mu);
	refused = a->secrets_refused;
	pthread_mutex_unlock(&a->mu);
	return refused;
}

/* After a refusal: what anybody may have, where that was asked for. */
static int get_anonymous(struct source_arg *s, int code, struct cancel *cancel, struct secret *ret_token)
{
	struct auth *a = s->auth;
	bool refused = code == E_UNAUTHENTICATED || code == E_DENIED;

	if (!refused || !a->or_anonymous || a->login || !a->identity[0] || s->request.anonymous)
		return code;
	s->request.anonymous = true;
	if (get_token(s, cancel, ret_token, NULL) != OK)
		return code;
	pthread_mutex_lock(&a->mu);
	a->secrets_refused = true;
	pthread_mutex_unlock(&a->mu);
	return OK;
}

static int token_of(struct auth *a, const struct host_view *host, const struct challenge *c, struct cancel *cancel,
		    struct secret *ret_token, struct err *err)
{
	struct scopes s;
	struct source_arg arg = { a, { .auth = a, .host = host, c->realm, c->service, .scopes = &s } };
	int r;

	collect_scopes(&s, a, c);
	arg.request.anonymous = secrets_were_refused(a);
	r = get_token(&arg, cancel, ret_token, err);
	return r == OK ? OK : get_anonymous(&arg, r, cancel, ret_token);
}

static bool bearer(struct secret *out, const struct secret *token)
{
	struct buf b = BUF_INIT(128 * 1024);

	assert(token->text);
	buf_reserve(&b, strlen(token->text) + 16); /* at once: growing would leave copies behind */
	buf_printf(&b, "Bearer %s", token->text);
	return secret_take_buf(out, &b);
}

/* ---- the header ------------------------------------------------------------ */

/* What the registry asked of us, else (*ret_asked false) what it asked of others. */
static struct challenge current_challenge(struct auth *a, const struct host_view *host, bool *ret_asked)
{
	struct challenge c;

	pthread_mutex_lock(&a->mu);
	*ret_asked = a->asked.scheme != AUTH_NONE;
	c = *ret_asked ? a->asked : host->challenge;
	if (!*ret_asked && a->patient)
		c.scheme = AUTH_NONE;
	pthread_mutex_unlock(&a->mu);
	return c;
}

static int basic_header(const struct auth *a, struct secret *ret_header, struct err *err)
{
	if (!secret_is_set(&a->username))
		return OK;
	if (!secret_basic(ret_header, a->username.text, a->password.text ? a->password.text : ""))
		return fail_nomem(err);
	return OK;
}

int auth_header(struct auth *a, const struct host_view *host, struct cancel *cancel, struct secret *ret_header,
		struct err *err)
{
	CLEANUP(secret_wipe) struct secret token = { 0 };
	bool asked;
	struct challenge c = current_challenge(a, host, &asked);
	int r;

	if (c.scheme == AUTH_NONE)
		return OK;
	if (secret_is_set(&a->registry_token))
		return bearer(ret_header, &a->registry_token) ? OK : fail_nomem(err);
	if (c.scheme == AUTH_BASIC)
		return basic_header(a, ret_header, err);
	r = token_of(a, host, &c, cancel, &token, err);
	/* A token server that was wrong or has moved: without a token the registry says
	 * where it is now. */
	if (!asked && (r == E_REGISTRY || r == E_TLS))
		return OK;
	if (r != OK)
		return r;
	return bearer(ret_header, &token) ? OK : fail_nomem(err);
}

/* ---- after a 401 ----------------------------------------------------------- */

bool auth_is_challenge(const struct http_exchange *x)
{
	struct challenge c;
	int status = http_response_of(x)->status;

	return status == 401 ||
	       (status == 403 && host_challenge_of(x, &c) && !strcasecmp(c.error, "insufficient_scope"));
}

static void drop_refused(struct auth *a, const struct host_view *view, const struct challenge *c,
			 const struct secret *sent)
{
	static const char scheme[] = "Bearer ";
	CLEANUP(secret_wipe) struct secret token = { 0 };
	struct scopes s;
	struct token_request q = { .auth = a, .host = view, c->realm, c->service, .scopes = &s };

	if (!secret_is_set(sent) || strncmp(sent->text, scheme, sizeof scheme - 1) != 0)
		return;
	collect_scopes(&s, a, c);
	if (!secret_set(&token, sent->text + sizeof scheme - 1))
		return;
	for (unsigned as = 0; as < 2; as++) { /* it may be one that anybody may have */
		CLEANUP(freep) char *key = NULL;

		q.anonymous = as == 1;
		key = cache_key(&q);
		if (key)
			token_cache_drop(a->context->tokens, key, &token);
	}
}

int auth_refused(struct auth *a, struct host *host, const struct host_view *view, const struct http_exchange *x,
		 const struct secret *sent, bool *ret_again, struct err *err)
{
	bool asked;
	struct challenge before = current_challenge(a, view, &asked), c;
	bool answered_basic = secret_is_set(sent) && !strncmp(sent->text, "Basic ", 6);

	*ret_again = false;
	if (!host_challenge_of(x, &c))
		return OK;
	drop_refused(a, view, &before, sent);
	pthread_mutex_lock(&a->mu);
	a->asked = c;
	pthread_mutex_unlock(&a->mu);
	host_learn(host, &c);
	if (secret_is_set(&a->registry_token))
		*ret_again = !secret_is_set(sent);
	else if (c.scheme == AUTH_BASIC && !secret_is_set(&a->username))
		return fail(err, E_UNAUTHENTICATED, "no basic auth credentials");
	else
		*ret_again = c.scheme == AUTH_BEARER || !answered_basic;
	return OK;
}

/* ---- hosts that a redirect led to ------------------------------------------ */

static int view_of(const struct url *at, bool insecure, struct host_view *v, struct err *err)
{
	CLEANUP(freep) char *url = format("http%s://%s:%u/", at->https ? "s" : "", at->host, at->port);

	v->insecure = insecure;
	return url ? url_parse(url, &v->origin, err) : fail_nomem(err);
}

int auth_guest_header(struct auth *a, const struct url *at, bool insecure, enum http_reach reach,
		      const struct http_exchange *x, struct cancel *cancel, struct secret *ret_header, struct err *err)
{
	CLEANUP(host_view_free) struct host_view v = { 0 };
	CLEANUP(secret_wipe) struct secret token = { 0 };
	struct scopes s = { 0 };
	struct challenge c;
	struct source_arg arg = { a, { .auth = a, .host = &v, c.realm, c.service, &s, .anonymous = true, reach } };
	int r;

	if (!host_challenge_of(x, &c) || c.scheme != AUTH_BEARER)
		return OK;
	r = view_of(at, insecure, &v, err);
	if (r != OK)
		return r;
	scopes_add_list(&s, c.scope);
	r = get_token(&arg, cancel, &token, err);
	if (r != OK)
		return r;
	return bearer(ret_header, &token) ? OK : fail_nomem(err);
}
