#include "service/registry/host_plan.h"

#include <stdio.h>

#include "service/registry/url.h"

static const char hub[] = "docker.io";

/* ---- policy ---------------------------------------------------------------- */

/* "docker.io" for every name of the Hub, else the authority. */
static bool namespace_of(const char *domain, char authority[HOST_AUTHORITY_MAX], char out[HOST_AUTHORITY_MAX])
{
	char of_hub[HOST_AUTHORITY_MAX];

	if (!host_authority(domain, authority) || !host_authority(hub, of_hub))
		return false;
	snprintf(out, HOST_AUTHORITY_MAX, "%s", strcmp(authority, of_hub) ? authority : hub);
	return true;
}

static bool is_host(const char *text)
{
	CLEANUP(url_free) struct url u = { 0 };
	CLEANUP(freep) char *url = format("https://%s/", text);

	return url && !strpbrk(text, "/@?#") && url_parse(url, &u, NULL) == OK;
}

static int add_mirror(struct host_policy *p, const char *text, struct err *err)
{
	struct host_mirror *m = &p->mirrors[p->n_mirrors];
	const char *scheme = strstr(text, "://"), *equals = strchr(text, '=');
	bool is_named = equals && (!scheme || equals < scheme);
	const char *url = is_named ? equals + 1 : text;
	CLEANUP(freep) char *host = is_named ? strndup(text, (size_t)(equals - text)) : strdup(hub);
	struct err why = ERR_INIT;

	if (!host)
		return fail_nomem(err);
	if (!is_host(host) || !host_authority(host, m->host))
		return fail(err, E_INVALID, "registry mirror \"%s\": not a valid host", host);
	if (!strstr(url, "://"))
		return fail(err, E_INVALID, "registry mirror \"%.128s\": URL or HOST=URL was expected", url);
	host_config_default("", &m->config);
	m->config.capabilities = 1 << HOST_PULL | 1 << HOST_RESOLVE;
	p->n_mirrors++;
	if (host_config_set_url(&m->config, url, false, &why) == OK)
		return OK;
	return fail(err, E_INVALID, "registry mirror: %s", why.text);
}

int host_policy_init(struct host_policy *p, const char *hosts_dir, const char *const *mirrors, size_t n_mirrors,
		     struct err *err)
{
	if (n_mirrors >= HOSTS_MAX)
		return fail(err, E_INVALID, "registry mirrors: at most %d", HOSTS_MAX - 1);
	p->hosts_dir = hosts_dir;
	p->mirrors = calloc(n_mirrors + 1, sizeof *p->mirrors);
	if (!p->mirrors)
		return fail_nomem(err);
	for (size_t i = 0; i < n_mirrors; i++)
		if (add_mirror(p, mirrors[i], err) < 0)
			return err ? err->code : E_INVALID;
	return OK;
}

void host_policy_free(struct host_policy *p)
{
	for (size_t i = 0; i < p->n_mirrors; i++)
		host_config_free(&p->mirrors[i].config);
	free(p->mirrors);
	*p = (struct host_policy){ 0 };
}

/* ---- plan ------------------------------------------------------------------ */

void host_plan_free(struct host_plan *p)
{
	host_list_free(&p->list);
	free(p->file);
	*p = (struct host_plan){ 0 };
}

static bool has_mirror(const struct host_policy *policy, const char *authority)
{
	for (size_t i = 0; i < policy->n_mirrors; i++)
		if (!strcmp(policy->mirrors[i].host, authority))
			return true;
	return false;
}

/* What a certificate folder of its own says about a mirror. */
static int add_own_certificates(const struct host_policy *policy, struct host_config *c, struct err *err)
{
	CLEANUP(hosts_found_free) struct hosts_found f = { 0 };
	struct host_config *found;

	if (!policy->hosts_dir)
		return OK;
	if (hosts_dir_read(policy->hosts_dir, c->authority, false, &f, err) < 0)
		return err->code;
	if (!f.file || f.is_toml)
		return OK;
	found = &f.list.hosts[0];
	c->ca_files = TAKE(found->ca_files);
	c->n_ca_files = TAKE(found->n_ca_files);
	c->clients = TAKE(found->clients);
	c->n_clients = TAKE(found->n_clients);
	return OK;
}

static int add_mirrors(const struct host_policy *policy, struct host_plan *p, struct err *err)
{
	for (size_t i = 0; i < policy->n_mirrors; i++) {
		const struct host_config *from = &policy->mirrors[i].config;
		struct host_config *c;

		if (strcmp(policy->mirrors[i].host, p->authority) != 0)
			continue;
		c = host_list_add(&p->list);
		if (!c)
			return fail_nomem(err);
		snprintf(c->authority, sizeof c->authority, "%s", from->authority);
		snprintf(c->path, sizeof c->path, "%s", from->path);
		c->said = from->said;
		c->capabilities = from->capabilities;
		if (add_own_certificates(policy, c, err) < 0)
			return err->code;
	}
	return OK;
}

/* The registry itself comes last, from its certificate folder or by default. */
static int add_registry(struct host_plan *p, struct host_list *found, struct err *err)
{
	struct host_config *c = host_list_add(&p->list);

	if (!c)
		return fail_nomem(err);
	if (found->n) {
		*c = found->hosts[0];
		found->n = 0;
	}
	return OK;
}

static int combine(const struct host_policy *policy, struct host_plan *p, struct hosts_found *f, struct err *err)
{
	p->file = TAKE(f->file);
	if (!f->is_toml)
		return add_mirrors(policy, p, err) < 0 || add_registry(p, &f->list, err) < 0 ? err->code : OK;
	p->list = TAKE(f->list);
	if (has_mirror(policy, p->authority))
		host_list_note(&p->list, "registry-mirror is not used: %s says who is asked for %s", p->file,
			       p->namespace);
	return OK;
}

int host_plan_make(const struct host_policy *policy, const char *domain, struct host_plan *ret_plan, struct err *err)
{
	CLEANUP(host_plan_free) struct host_plan p = { 0 };
	CLEANUP(hosts_found_free) struct hosts_found f = { 0 };
	struct host_config *self;
	struct err why = ERR_INIT;

	if (!namespace_of(domain, p.authority, p.namespace))
		return fail(err, E_INVALID_REFERENCE, "invalid registry host \"%.256s\"", domain);
	/* A mirror that was named for the host says more than the default of all. */
	if (policy->hosts_dir &&
	    hosts_dir_read(policy->hosts_dir, p.namespace, !has_mirror(policy, p.authority), &f, &why) < 0)
		return fail(err, why.code, "%s", why.text);
	if (combine(policy, &p, &f, &why) < 0)
		return fail(err, why.code, "%s", why.text);
	self = &p.list.hosts[p.list.n - 1];
	if (!*self->authority)
		snprintf(self->authority, sizeof self->authority, "%s", p.authority);
	*ret_plan = TAKE(p);
	return OK;
}
