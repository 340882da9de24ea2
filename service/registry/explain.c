#include "service/registry/explain.h"

#include "service/registry/repository.h"

void explanation_free(struct explanation *e)
{
	for (size_t i = 0; i < e->n_hosts; i++) {
		free(e->hosts[i].url);
		free(e->hosts[i].proxy);
		free(e->hosts[i].problem);
	}
	free(e->hosts);
	host_plan_free(&e->plan);
	*e = (struct explanation){ 0 };
}

static bool has_secrets(const struct credentials *c)
{
	const char *const texts[] = { c->username, c->password, c->identity_token, c->registry_token };

	for (size_t i = 0; i < ARRAY_LEN(texts); i++)
		if (texts[i] && *texts[i])
			return true;
	return false;
}

static int set_proxy(struct registry *r, struct explained_host *h, struct err *err)
{
	CLEANUP(url_free) struct url u = { 0 };
	const char *proxy;

	if (url_parse(h->url, &u, err) < 0)
		return err->code;
	proxy = http_client_proxy(r->http, &u);
	h->proxy = proxy ? url_for_display(proxy) : NULL;
	return proxy && !h->proxy ? fail_nomem(err) : OK;
}

static int explain_one(struct registry *r, struct explanation *e, size_t at, const struct credentials *credentials,
		       struct err *err)
{
	struct host_config *c = &e->plan.list.hosts[at];
	struct explained_host *h = &e->hosts[e->n_hosts++];
	struct scheme_rule rule = host_table_rule(r->hosts, c, &h->skip_verify);
	struct err why = ERR_INIT;

	h->config = c;
	h->plain_http = rule.why;
	h->mirror = host_plan_is_mirror(&e->plan, at);
	h->credentials = credentials && has_secrets(credentials) &&
			 endpoint_takes_credentials(credentials->server_address, c->authority, h->mirror);
	h->url = format("http%s://%s%s", rule.https ? "s" : "", c->authority, c->path);
	if (!h->url)
		return fail_nomem(err);
	if (host_config_load(c, &why) < 0)
		h->problem = strdup(why.text);
	else
		h->resting = at + 1 < e->plan.list.n && host_table_is_resting(r->hosts, c, r->env->wall_s(r->env->arg));
	return set_proxy(r, h, err);
}

int registry_explain(struct registry *r, const char *host, const struct credentials *credentials,
		     struct explanation *ret_explanation, struct err *err)
{
	CLEANUP(explanation_free) struct explanation e = { 0 };

	if (host_plan_make(&r->policy, host, &e.plan, err) < 0)
		return err->code;
	e.hosts = calloc(e.plan.list.n, sizeof *e.hosts);
	if (!e.hosts)
		return fail_nomem(err);
	for (size_t i = 0; i < e.plan.list.n; i++)
		if (explain_one(r, &e, i, credentials, err) < 0)
			return err->code;
	*ret_explanation = TAKE(e);
	return OK;
}
