#include "service/registry/endpoint.h"

#include "service/registry/repository.h"

static int64_t now_of(const struct repository *r)
{
	return r->registry->env->wall_s(r->registry->env->arg);
}

/* The port that https has anyway makes no other registry. */
static bool same_authority(const char *a, const char *b)
{
	static const char port[] = ":443";
	size_t n = strlen(a), m = strlen(b), p = sizeof port - 1;

	n -= n > p && !strcmp(a + n - p, port) ? p : 0;
	m -= m > p && !strcmp(b + m - p, port) ? p : 0;
	return n == m && !strncmp(a, b, n);
}

bool endpoint_takes_credentials(const char *server_address, const char *authority, bool is_mirror)
{
	char server[HOST_AUTHORITY_MAX];

	if (!server_address || !*server_address)
		return !is_mirror;
	return host_authority(server_address, server) && same_authority(server, authority);
}

/* ---- life ------------------------------------------------------------------ */

/* Where the path is not the registry's, its names are not either: what to ask the
 * token server for is left to the mirror's challenge. */
static const char *scope_for(const struct host_config *c, const char *scope)
{
	size_t len = strlen(c->path);

	return len >= 3 && !strcmp(c->path + len - 3, "/v2") ? scope : "";
}

static int open_one(struct repository *r, struct host_config *c, const char *scope,
		    const struct credentials *credentials, struct err *err)
{
	struct endpoint *e = &r->endpoints[r->n_endpoints];
	const char *own_scope = scope_for(c, scope);
	bool given;
	int code;

	e->is_mirror = strcmp(c->authority, r->authority) != 0;
	e->capabilities = c->capabilities;
	given = credentials && endpoint_takes_credentials(credentials->server_address, c->authority, e->is_mirror);
	code = host_config_load(c, err);
	if (code == OK)
		code = host_get(r->registry->hosts, c, &e->host, err);
	if (code != OK)
		return code;
	r->n_endpoints++;
	return auth_init(&e->auth, &r->registry->auth, given ? credentials : NULL, own_scope, err);
}

int endpoints_open(struct repository *r, struct host_plan *plan, const char *scope,
		   const struct credentials *credentials, struct err *err)
{
	r->endpoints = calloc(plan->list.n, sizeof *r->endpoints);
	if (!r->endpoints)
		return fail_nomem(err);
	for (size_t i = 0; i < plan->list.n; i++) {
		int code = open_one(r, &plan->list.hosts[i], scope, credentials, err);

		if (code != OK)
			return code;
	}
	return OK;
}

int repository_want(struct repository *r, const char *scope, struct err *err)
{
	for (size_t i = 0; i < r->n_endpoints; i++) {
		int code = auth_want(&r->endpoints[i].auth, scope, err);

		if (code != OK)
			return code;
	}
	return OK;
}

void endpoints_close(struct repository *r)
{
	for (size_t i = 0; i < r->n_endpoints; i++) {
		auth_destroy(&r->endpoints[i].auth);
		host_put(r->registry->hosts, r->endpoints[i].host);
	}
	free(r->endpoints);
}

/* ---- choosing -------------------------------------------------------------- */

static bool can(const struct endpoint *e, enum host_capability capability)
{
	return e->capabilities & 1U << capability;
}

/* What is pushed must lie in one place: with the first. */
static struct endpoint *endpoint_to_push_to(struct repository *r)
{
	for (size_t i = 0; i < r->n_endpoints; i++)
		if (can(&r->endpoints[i], HOST_PUSH))
			return &r->endpoints[i];
	return NULL;
}

struct endpoint *endpoint_next(struct repository *r, enum host_capability capability, const struct endpoint *after)
{
	struct endpoint *last = NULL;

	if (capability == HOST_PUSH)
		return after ? NULL : endpoint_to_push_to(r);
	for (size_t i = after ? (size_t)(after - r->endpoints) + 1 : 0; i < r->n_endpoints; i++) {
		struct endpoint *e = &r->endpoints[i];

		if (!can(e, capability))
			continue;
		last = e;
		if (!atomic_load(&e->refused) && !host_is_resting(e->host, now_of(r)))
			return e;
	}
	return last;
}

void endpoint_rest(struct repository *r, struct endpoint *e)
{
	host_rest(e->host, now_of(r));
}
