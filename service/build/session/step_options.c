#include "service/build/session/step_options.h"

#include <stdio.h>

#include "service/build/number.h"

/* ---- limits ------------------------------------------------------------------------------- */

static bool take_number(struct bytes text, uint64_t *ret_number)
{
	char digits[32];
	int64_t n;

	if (!text.len || text.len >= sizeof digits)
		return false;
	memcpy(digits, text.data, text.len);
	digits[text.len] = 0;
	if (!int64_parse(digits, &n) || n < -1)
		return false;
	*ret_number = n < 0 ? UINT64_MAX : (uint64_t)n; /* -1: unlimited */
	return true;
}

/* "NAME=SOFT[:HARD]" */
static int parse_ulimit(struct arena *a, const char *text, struct run_ulimit *u, struct err *err)
{
	struct bytes all = bytes_of(text);
	size_t equals = bytes_find(all, '='), colon;
	struct bytes values = bytes_from(all, equals + (equals < all.len));

	colon = bytes_find(values, ':');
	u->name = arena_bytes(a, bytes_first(all, equals));
	if (!u->name)
		return fail_nomem(err);
	if (!*u->name || !take_number(bytes_first(values, colon), &u->soft))
		return fail(err, E_INVALID, "invalid ulimit argument: %.128s", text);
	u->hard = u->soft;
	if (colon < values.len && !take_number(bytes_from(values, colon + 1), &u->hard))
		return fail(err, E_INVALID, "invalid ulimit argument: %.128s", text);
	if (u->soft > u->hard)
		return fail(err, E_INVALID, "ulimit soft limit must be less than or equal to hard limit: %.128s", text);
	return OK;
}

static int take_ulimits(struct session *s, const Imaged__V1__StepLimits *m, struct run_limits *l, struct err *err)
{
	struct run_ulimit *ulimits = arena_array(&s->arena, m->n_ulimits + 1, sizeof *ulimits);

	if (!ulimits)
		return fail_nomem(err);
	for (size_t i = 0; i < m->n_ulimits; i++)
		if (parse_ulimit(&s->arena, m->ulimits[i], &ulimits[i], err) < 0)
			return err->code;
	l->ulimits = ulimits;
	l->n_ulimits = m->n_ulimits;
	return OK;
}

static int take_limits(struct session *s, struct run_limits *l, struct err *err)
{
	const Imaged__V1__StepLimits *m = s->start->limits;

	*l = (struct run_limits){ .memory = 0 };
	if (!m)
		return OK;
	if (m->memory_bytes < 0 || m->memory_swap_bytes < -1 || m->cpu_shares < 0 || m->cpu_period_us < 0 ||
	    m->cpu_quota_us < -1 || m->shm_bytes < 0)
		return fail(err, E_INVALID, "a limit of the build's steps is negative");
	*l = (struct run_limits){
		.memory = m->memory_bytes,
		.memory_swap = m->memory_swap_bytes,
		.cpu_quota = m->cpu_quota_us > 0 ? m->cpu_quota_us : 0,
		.cpu_period = m->cpu_period_us,
		.cpu_shares = m->cpu_shares,
		.cpuset_cpus = *m->cpuset_cpus ? m->cpuset_cpus : NULL,
		.cpuset_mems = *m->cpuset_mems ? m->cpuset_mems : NULL,
		.shm_size = (uint64_t)m->shm_bytes,
	};
	return take_ulimits(s, m, l, err);
}

/* ---- the rest ------------------------------------------------------------------------------ */

/* Steps share the machine's network: its gateway to this machine is the machine itself. */
static const char *address_of(const Imaged__V1__ExtraHost *h)
{
	return strcmp(h->address, "host-gateway") ? h->address : "127.0.0.1";
}

static int take_hosts(struct session *s, const char *const **ret_hosts, struct err *err)
{
	const Imaged__V1__BuildStart *start = s->start;
	const char **hosts = arena_array(&s->arena, start->n_extra_hosts + 1, sizeof *hosts);

	if (!hosts)
		return fail_nomem(err);
	for (size_t i = 0; i < start->n_extra_hosts; i++) {
		const Imaged__V1__ExtraHost *h = start->extra_hosts[i];

		hosts[i] = arena_printf(&s->arena, "%s:%s", h->name, address_of(h));
		if (!hosts[i])
			return fail_nomem(err);
	}
	*ret_hosts = start->n_extra_hosts ? hosts : NULL;
	return OK;
}

static int take_stages(struct session *s, const char *const **ret_stages, struct err *err)
{
	const Imaged__V1__BuildStart *start = s->start;
	const char **stages = arena_array(&s->arena, start->n_no_cache_stages + 1, sizeof *stages);

	if (!stages)
		return fail_nomem(err);
	for (size_t i = 0; i < start->n_no_cache_stages; i++)
		stages[i] = start->no_cache_stages[i];
	*ret_stages = start->n_no_cache_stages ? stages : NULL;
	return OK;
}

static int take_secrets(struct session *s, struct solve_secret **ret_secrets, struct err *err)
{
	const Imaged__V1__BuildStart *start = s->start;
	struct solve_secret *secrets = arena_array(&s->arena, start->n_secrets + 1, sizeof *secrets);

	if (!secrets)
		return fail_nomem(err);
	for (size_t i = 0; i < start->n_secrets; i++) {
		const Imaged__V1__BuildSecret *m = start->secrets[i];

		secrets[i] = (struct solve_secret){ m->id, { m->value.data, m->value.len } };
	}
	*ret_secrets = secrets;
	return OK;
}

static bool is_asked_for(const struct session *s, const char *entitlement)
{
	for (size_t i = 0; i < s->start->n_allow; i++)
		if (!strcmp(s->start->allow[i], entitlement))
			return true;
	return false;
}

static int refuse(const char *entitlement, struct err *err)
{
	return fail(err, E_DENIED, "granting entitlement %s is not allowed by build daemon configuration", entitlement);
}

/* The network of the machine as that of all steps is asked for like the entitlement. */
static int take_entitlements(struct session *s, struct step_options *o, struct err *err)
{
	const struct build_parts *allowed = &s->service->build;

	o->allow_host_network = is_asked_for(s, "network.host") || !strcmp(s->start->network, "host");
	o->allow_insecure = is_asked_for(s, "security.insecure");
	if (o->allow_host_network && !allowed->allow_host_network)
		return refuse("network.host", err);
	return o->allow_insecure && !allowed->allow_insecure ? refuse("security.insecure", err) : OK;
}

int step_options_make(struct session *s, struct step_options *ret_options, struct err *err)
{
	struct step_options o = { .secrets = NULL };

	if (take_entitlements(s, &o, err) < 0 || take_limits(s, &o.limits, err) < 0 ||
	    take_hosts(s, &o.extra_hosts, err) < 0 || take_stages(s, &o.no_cache_stages, err) < 0 ||
	    take_secrets(s, &o.secrets, err) < 0)
		return err->code;
	*ret_options = o;
	return OK;
}
