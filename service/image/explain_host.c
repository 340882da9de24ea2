/* ExplainHost. */
#include "service/image/convert.h"
#include "service/image/image_service.h"
#include "service/registry/explain.h"

/* ---- what is meant ---------------------------------------------------------- */

/* "HOST", "HOST:PORT" or an address, as far as it can be told from the name of an image. */
static bool looks_like_host(const char *text)
{
	const char *colon = strrchr(text, ':');
	bool port = colon && colon[1] && !colon[1 + strspn(colon + 1, "0123456789")];

	if (strchr(text, '/') || strchr(text, '@'))
		return false;
	return text[0] == '[' || port || strchr(text, '.') || !strcmp(text, "localhost");
}

/* A URL, a host, or a reference; empty for Docker Hub. */
static int domain_of(const char *text, struct reference *ref, const char **ret_domain, struct err *err)
{
	*ret_domain = *text ? text : "docker.io";
	if (!*text || strstr(text, "://") || looks_like_host(text))
		return OK;
	if (reference_parse(text, ref, err) < 0)
		return err->code;
	*ret_domain = ref->domain;
	return OK;
}

/* ---- the answer -------------------------------------------------------------- */

static char **texts_of(struct arena *a, size_t n)
{
	return n ? arena_array(a, n, sizeof(char *)) : NULL;
}

static int add_text(struct arena *a, char **texts, size_t *n, const char *text, struct err *err)
{
	texts[*n] = arena_string(a, text);
	if (!texts[*n])
		return fail_nomem(err);
	utf8_clean(texts[(*n)++]);
	return OK;
}

/* Names only: values of headers are secrets, perhaps. */
static int add_lists(struct arena *a, const struct host_config *c, Imaged__V1__HostEndpoint *m, struct err *err)
{
	m->ca_files = texts_of(a, c->n_ca_files);
	m->client_certificates = texts_of(a, c->n_clients);
	m->header_names = texts_of(a, c->n_headers);
	if ((c->n_ca_files && !m->ca_files) || (c->n_clients && !m->client_certificates) ||
	    (c->n_headers && !m->header_names))
		return fail_nomem(err);
	for (size_t i = 0; i < c->n_ca_files; i++)
		if (add_text(a, m->ca_files, &m->n_ca_files, c->ca_files[i], err) < 0)
			return err->code;
	for (size_t i = 0; i < c->n_clients; i++)
		if (add_text(a, m->client_certificates, &m->n_client_certificates, c->clients[i].cert_file, err) < 0)
			return err->code;
	for (size_t i = 0; i < c->n_headers; i++)
		if (add_text(a, m->header_names, &m->n_header_names, c->headers[i].name, err) < 0)
			return err->code;
	return OK;
}

static bool can(const struct host_config *c, enum host_capability capability)
{
	return c->capabilities & 1U << capability;
}

static int add_endpoint(struct arena *a, const struct explained_host *h, Imaged__V1__ExplainHostResponse *response,
			struct err *err)
{
	Imaged__V1__HostEndpoint *m = arena_alloc(a, sizeof *m);

	if (!m)
		return fail_nomem(err);
	imaged__v1__host_endpoint__init(m);
	m->url = arena_string(a, h->url);
	m->mirror = h->mirror;
	m->pull = can(h->config, HOST_PULL);
	m->resolve = can(h->config, HOST_RESOLVE);
	m->push = can(h->config, HOST_PUSH);
	m->plain_http = arena_string(a, h->plain_http);
	m->skip_verify = h->skip_verify;
	m->credentials = (char *)(h->credentials ? "caller" : "none");
	m->proxy = arena_string(a, h->proxy ? h->proxy : "");
	m->dial_timeout_ms = h->config->dial_timeout_ms;
	m->namespaced = h->mirror;
	if (!m->url || !m->plain_http || !m->proxy)
		return fail_nomem(err);
	response->endpoints[response->n_endpoints++] = m;
	return add_lists(a, h->config, m, err);
}

/* What keeps a host from being asked now. */
static int add_note_of(struct arena *a, const struct explained_host *h, Imaged__V1__ExplainHostResponse *response,
		       struct err *err)
{
	CLEANUP(freep) char *text = NULL;

	if (h->problem)
		return add_text(a, response->notes, &response->n_notes, h->problem, err);
	if (!h->resting)
		return OK;
	text = format("%s failed a moment ago, and is passed over for a while", h->url);
	return text ? add_text(a, response->notes, &response->n_notes, text, err) : fail_nomem(err);
}

static int add_notes(struct arena *a, const struct explanation *e, Imaged__V1__ExplainHostResponse *response,
		     struct err *err)
{
	response->notes = arena_array(a, e->plan.list.n_notes + e->n_hosts + 1, sizeof *response->notes);
	if (!response->notes)
		return fail_nomem(err);
	for (size_t i = 0; i < e->n_hosts; i++)
		if (add_note_of(a, &e->hosts[i], response, err) < 0)
			return err->code;
	for (size_t i = 0; i < e->plan.list.n_notes; i++)
		if (add_text(a, response->notes, &response->n_notes, e->plan.list.notes[i], err) < 0)
			return err->code;
	return OK;
}

static int fill(struct arena *a, const struct explanation *e, Imaged__V1__ExplainHostResponse *response,
		struct err *err)
{
	response->host = arena_string(a, e->plan.namespace);
	response->config_file = arena_string(a, e->plan.file ? e->plan.file : "");
	response->endpoints = arena_array(a, e->n_hosts, sizeof(Imaged__V1__HostEndpoint *));
	if (!response->host || !response->config_file || !response->endpoints)
		return fail_nomem(err);
	for (size_t i = 0; i < e->n_hosts; i++)
		if (add_endpoint(a, &e->hosts[i], response, err) < 0)
			return err->code;
	return add_notes(a, e, response, err);
}

static int explain(struct image_service *service, struct arena *a, const Imaged__V1__ExplainHostRequest *request,
		   Imaged__V1__ExplainHostResponse *response, struct err *err)
{
	struct credentials credentials = credentials_of(request->credentials);
	CLEANUP(explanation_free) struct explanation e = { 0 };
	struct reference ref = { 0 };
	const char *domain;

	if (domain_of(request->host, &ref, &domain, err) < 0 ||
	    registry_explain(service->registry, domain, &credentials, &e, err) < 0)
		return err->code;
	return fill(a, &e, response, err);
}

int explain_host(void *self, struct rpc_call *call, const Imaged__V1__ExplainHostRequest *request,
		 Imaged__V1__ExplainHostResponse *response, struct err *err)
{
	struct arena *a = NULL;
	int r = answer_arena(call, &a, err);

	if (r == OK)
		r = explain(self, a, request, response, err);
	credentials_wipe(request->credentials);
	return r;
}
