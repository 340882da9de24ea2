#include "service/registry/registry.h"

#include <stdio.h>
#include <sys/random.h>

#include "service/registry/lanes.h"
#include "service/registry/repository.h"

/* ---- the registry ---------------------------------------------------------- */

static int make_policy(struct registry *r, const struct registry_options *o, struct err *err)
{
	r->hosts_dir = o->hosts_dir ? strdup(o->hosts_dir) : NULL;
	if (o->hosts_dir && !r->hosts_dir)
		return fail_nomem(err);
	return host_policy_init(&r->policy, r->hosts_dir, o->mirrors, o->n_mirrors, err);
}

static int make_parts(struct registry *r, const struct registry_options *o, struct err *err)
{
	struct http_options http = o->http;
	int code;

	if (o->ca_file)
		http.extra_ca_file = o->ca_file;
	code = http_client_new(&http, &r->http, err);
	if (code == OK)
		code = host_table_new(r->http, o->insecure, o->n_insecure, &r->hosts, err);
	if (code == OK)
		code = make_policy(r, o, err);
	if (code != OK)
		return code;
	r->tokens = token_cache_new();
	r->lanes = lanes_new();
	r->rates = rate_memory_new();
	return r->tokens && r->lanes && r->rates ? OK : fail_nomem(err);
}

/* A URL that paths are put behind. */
static int base_url(const char *url, const char *what, char **ret_url, struct err *err)
{
	CLEANUP(url_free) struct url u = { 0 };
	size_t len;

	if (url_parse(url, &u, err) != OK)
		return err_wrap(err, "%s", what);
	if (strchr(u.text, '?'))
		return fail(err, E_INVALID, "%s: a URL without a query was expected", what);
	len = strlen(u.text);
	while (len && u.text[len - 1] == '/')
		u.text[--len] = 0;
	*ret_url = TAKE(u.text);
	return OK;
}

static int set_hub(struct registry *r, const struct registry_options *o, struct err *err)
{
	const char *index = o->search_index ? o->search_index : "https://index.docker.io";
	const char *hub = o->hub_url ? o->hub_url : "https://hub.docker.com";
	int code = base_url(index, "search-index", &r->search_index, err);

	return code == OK ? base_url(hub, "hub-url", &r->hub_url, err) : code;
}

int registry_new(const struct registry_options *options, struct registry **ret_registry, struct err *err)
{
	CLEANUP(registry_freep) struct registry *r = calloc(1, sizeof *r);
	int code;

	if (!r)
		return fail_nomem(err);
	r->env = options->env ? options->env : retry_env_real();
	r->allow_foreign_urls = options->allow_foreign_urls;
	code = make_parts(r, options, err);
	if (code == OK)
		code = set_hub(r, options, err);
	if (code != OK)
		return code;
	r->auth = (struct auth_context){ .http = r->http, .hosts = r->hosts, .tokens = r->tokens, .env = r->env };
	if (getrandom(r->auth.salt, sizeof r->auth.salt, 0) != sizeof r->auth.salt)
		return fail_errno(err, "getrandom");
	*ret_registry = TAKE(r);
	return OK;
}

void registry_free(struct registry *r)
{
	if (!r)
		return;
	token_cache_free(r->tokens);
	lanes_free(r->lanes);
	host_policy_free(&r->policy);
	free(r->hosts_dir);
	rate_memory_free(r->rates);
	host_table_free(r->hosts);
	http_client_free(r->http);
	wipe(r->auth.salt, sizeof r->auth.salt);
	free(r->search_index);
	free(r->hub_url);
	free(r);
}

void registry_freep(struct registry **r)
{
	registry_free(*r);
}

/* ---- repositories ---------------------------------------------------------- */

/* Of the registry alone, without its mirrors. */
static void drop_mirrors(struct host_plan *plan)
{
	struct host_list *l = &plan->list;

	for (size_t i = 0; i + 1 < l->n; i++)
		host_config_free(&l->hosts[i]);
	l->hosts[0] = l->hosts[l->n - 1];
	l->hosts[0].capabilities = HOST_CAN_ALL;
	l->n = 1;
}

static int open_planned(struct registry *r, struct host_plan *plan, const char *path, const char *familiar,
			const char *scope, const struct credentials *credentials, struct repository **ret_repository,
			struct err *err)
{
	CLEANUP(repository_unrefp) struct repository *p = calloc(1, sizeof *p);
	int code;

	if (!p)
		return fail_nomem(err);
	atomic_init(&p->refs, 1);
	heard_init(&p->heard);
	warnings_init(&p->warnings);
	p->registry = r;
	snprintf(p->path, sizeof p->path, "%s", path);
	snprintf(p->familiar, sizeof p->familiar, "%s", familiar);
	memcpy(p->authority, plan->authority, sizeof p->authority);
	memcpy(p->namespace, plan->namespace, sizeof p->namespace);
	if (!*path)
		drop_mirrors(plan);
	code = endpoints_open(p, plan, scope, credentials, err);
	if (code != OK)
		return code;
	atomic_store(&p->served_by, p->n_endpoints - 1);
	*ret_repository = TAKE(p);
	return OK;
}

int repository_new(struct registry *r, const char *domain, const char *path, const char *familiar, const char *scope,
		   const struct credentials *credentials, struct repository **ret_repository, struct err *err)
{
	CLEANUP(host_plan_free) struct host_plan plan = { 0 };
	int code = host_plan_make(&r->policy, domain, &plan, err);

	return code == OK ? open_planned(r, &plan, path, familiar, scope, credentials, ret_repository, err) : code;
}

/* `insecure`: a caller's, for this call. */
static int open_scoped(struct registry *r, const struct reference *ref, const char *actions, bool insecure,
		       const struct credentials *credentials, struct repository **ret_repository, struct err *err)
{
	CLEANUP(host_plan_free) struct host_plan plan = { 0 };
	char familiar[REFERENCE_TEXT_MAX], scope[SCOPE_MAX];
	int code = host_plan_make(&r->policy, ref->domain, &plan, err);

	if (code != OK)
		return code;
	for (size_t i = 0; insecure && i < plan.list.n; i++)
		plan.list.hosts[i].asked_insecure = true;
	snprintf(scope, sizeof scope, "repository:%s:%s", ref->path, actions);
	return open_planned(r, &plan, ref->path, reference_familiar_name(ref, familiar), scope, credentials,
			    ret_repository, err);
}

int repository_open(struct registry *r, const struct reference *ref, const struct credentials *credentials,
		    struct repository **ret_repository, struct err *err)
{
	return open_scoped(r, ref, "pull", false, credentials, ret_repository, err);
}

int repository_open_insecure(struct registry *r, const struct reference *ref, const struct credentials *credentials,
			     struct repository **ret_repository, struct err *err)
{
	return open_scoped(r, ref, "pull", true, credentials, ret_repository, err);
}

static int open_push(struct registry *r, const struct reference *ref, const char *from, bool insecure,
		     const struct credentials *credentials, struct repository **ret_repository, struct err *err)
{
	CLEANUP(repository_unrefp) struct repository *p = NULL;
	char scope[SCOPE_MAX];
	int code = open_scoped(r, ref, "pull,push", insecure, credentials, &p, err);

	if (code == OK && from) {
		snprintf(scope, sizeof scope, "repository:%s:pull", from);
		code = repository_want(p, scope, err);
	}
	if (code == OK)
		*ret_repository = TAKE(p);
	return code;
}

int repository_open_push(struct registry *r, const struct reference *ref, const char *from,
			 const struct credentials *credentials, struct repository **ret_repository, struct err *err)
{
	return open_push(r, ref, from, false, credentials, ret_repository, err);
}

int repository_open_push_insecure(struct registry *r, const struct reference *ref, const char *from,
				  const struct credentials *credentials, struct repository **ret_repository,
				  struct err *err)
{
	return open_push(r, ref, from, true, credentials, ret_repository, err);
}

struct repository *repository_ref(struct repository *r)
{
	if (r)
		atomic_fetch_add(&r->refs, 1);
	return r;
}

void repository_unref(struct repository *r)
{
	if (!r || atomic_fetch_sub(&r->refs, 1) != 1)
		return;
	endpoints_close(r);
	heard_destroy(&r->heard);
	warnings_destroy(&r->warnings);
	free(r);
}

void repository_unrefp(struct repository **r)
{
	repository_unref(*r);
}

const struct host *repository_host(const struct repository *r)
{
	return repository_registry(r)->host;
}

const char *repository_served_by(const struct repository *r)
{
	return host_name(r->endpoints[atomic_load(&r->served_by)].host);
}

int repository_contact(struct repository *r, struct cancel *cancel, struct err *err)
{
	CLEANUP(host_view_free) struct host_view host = { 0 };
	struct endpoint *e = endpoint_next(r, HOST_PUSH, NULL);

	if (!e)
		return OK; /* the first request will say so */
	return host_contact(e->host, cancel, &host, NULL, err);
}

char *repository_warnings(struct repository *r, char *out, size_t size)
{
	return warnings_text(&r->warnings, out, size);
}
