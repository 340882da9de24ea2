#include "client/cli/build/request.h"

#include <arpa/inet.h>

#include "store/types/platform.h"
#include "store/types/reference.h"

enum { REQUEST_BYTES_MAX = 256 * 1024 * 1024 };

/* ---- KEY=VALUE ------------------------------------------------------------------------------------ */

static int check_pair(const char *text, struct err *err)
{
	return *text && *text != '=' ? OK : fail(err, E_INVALID, "invalid key-value pair \"%.256s\": empty key", text);
}

static int check_pairs(const struct strings *list, struct err *err)
{
	for (size_t i = 0; i < list->n; i++)
		if (check_pair(list->items[i], err) < 0)
			return err->code;
	return OK;
}

/* The key of "KEY=VALUE", in the arena; ret_value NULL: there is no "=". */
static char *take_key(struct build_request *q, const char *text, const char **ret_value)
{
	const char *equals = strchr(text, '=');
	size_t len = equals ? (size_t)(equals - text) : strlen(text);

	*ret_value = equals ? equals + 1 : NULL;
	return arena_bytes(&q->arena, (struct bytes){ (const uint8_t *)text, len });
}

/* A variable that is named only is that of the environment; one that is not set is not given. */
static int add_argument(struct build_request *q, const char *text, struct err *err)
{
	const char *value;
	char *name = take_key(q, text, &value);
	Imaged__V1__BuildArgument *m = arena_alloc(&q->arena, sizeof *m);

	if (!name || !m)
		return fail_nomem(err);
	if (!value)
		value = getenv(name);
	if (!value)
		return OK;
	imaged__v1__build_argument__init(m);
	m->name = name;
	m->value = (char *)value;
	q->start.arguments[q->start.n_arguments++] = m;
	return OK;
}

static int add_label(struct build_request *q, const char *text, struct err *err)
{
	const char *value;
	char *name = take_key(q, text, &value);
	Imaged__V1__BuildStart__LabelsEntry *m = arena_alloc(&q->arena, sizeof *m);

	if (!name || !m)
		return fail_nomem(err);
	imaged__v1__build_start__labels_entry__init(m);
	m->key = name;
	m->value = (char *)(value ? value : "");
	q->start.labels[q->start.n_labels++] = m;
	return OK;
}

/* ---- hosts, limits -------------------------------------------------------------------------------- */

static bool is_address(const char *text)
{
	uint8_t bytes[sizeof(struct in6_addr)];

	return inet_pton(AF_INET, text, bytes) == 1 || inet_pton(AF_INET6, text, bytes) == 1;
}

/* NAME:ADDRESS or NAME=ADDRESS; an IPv6 address may be in brackets. */
static int add_host(struct build_request *q, const char *text, struct err *err)
{
	const char *separator = strchr(text, '='), *value;
	Imaged__V1__ExtraHost *m = arena_alloc(&q->arena, sizeof *m);
	size_t len;

	if (!separator)
		separator = strchr(text, ':');
	if (!separator || separator == text || !separator[1])
		return fail(err, E_INVALID, "bad format for add-host: \"%.256s\"", text);
	value = separator + 1;
	len = strlen(value);
	if (!m)
		return fail_nomem(err);
	imaged__v1__extra_host__init(m);
	if (*value == '[' && value[len - 1] == ']') {
		value++;
		len -= 2;
	}
	m->name = arena_bytes(&q->arena, (struct bytes){ (const uint8_t *)text, (size_t)(separator - text) });
	m->address = arena_bytes(&q->arena, (struct bytes){ (const uint8_t *)value, len });
	if (!m->name || !m->address)
		return fail_nomem(err);
	if (strcmp(m->address, "host-gateway") != 0 && !is_address(m->address))
		return fail(err, E_INVALID, "invalid IP address in add-host: \"%.128s\"", m->address);
	q->start.extra_hosts[q->start.n_extra_hosts++] = m;
	return OK;
}

static bool is_limit(const char *text, size_t len)
{
	if (len == 2 && !memcmp(text, "-1", 2))
		return true;
	return len && strspn(text, "0123456789") >= len;
}

/* NAME=SOFT[:HARD] */
static int check_ulimit(const char *text, struct err *err)
{
	static const char *const types[] = { "as",	"core",	    "cpu",	  "data",   "fsize", "locks",
					     "memlock", "msgqueue", "nice",	  "nofile", "nproc", "rss",
					     "rtprio",	"rttime",   "sigpending", "stack" };
	const char *equals = strchr(text, '='), *colon = equals ? strchr(equals, ':') : NULL;
	bool known = false;

	if (!equals)
		return fail(err, E_INVALID, "invalid ulimit argument: %.128s", text);
	for (size_t i = 0; i < ARRAY_LEN(types); i++)
		known |= strlen(types[i]) == (size_t)(equals - text) && !strncmp(types[i], text, strlen(types[i]));
	if (!known)
		return fail(err, E_INVALID, "invalid ulimit type: %.*s", (int)(equals - text), text);
	if (!is_limit(equals + 1, colon ? (size_t)(colon - equals - 1) : strlen(equals + 1)) ||
	    (colon && !is_limit(colon + 1, strlen(colon + 1))))
		return fail(err, E_INVALID, "invalid ulimit argument: %.128s", text);
	return OK;
}

static void set_limits(struct build_request *q, const struct build_options *o)
{
	Imaged__V1__StepLimits *l = &q->limits;

	imaged__v1__step_limits__init(l);
	l->memory_bytes = o->memory;
	l->memory_swap_bytes = o->memory_swap;
	l->cpu_shares = o->cpu_shares;
	l->cpu_period_us = o->cpu_period;
	l->cpu_quota_us = o->cpu_quota;
	l->cpuset_cpus = (char *)(o->cpuset_cpus ? o->cpuset_cpus : "");
	l->cpuset_mems = (char *)(o->cpuset_mems ? o->cpuset_mems : "");
	l->shm_bytes = o->shm_size;
	l->ulimits = (char **)o->ulimit.items;
	l->n_ulimits = o->ulimit.n;
	l->cgroup_parent = (char *)(o->cgroup_parent ? o->cgroup_parent : "");
	q->start.limits = l;
}

/* ---- names ----------------------------------------------------------------------------------------- */

static int check_tags(const struct build_options *o, struct err *err)
{
	for (size_t i = 0; i < o->tag.n; i++) {
		struct reference ref;
		struct err why = ERR_INIT;

		if (!reference_parse(o->tag.items[i], &ref, &why))
			continue;
		return fail(err, E_INVALID_REFERENCE, "invalid tag \"%.256s\": %s", o->tag.items[i],
			    strstr(why.text, "must be lowercase") ? "repository name must be lowercase" : why.text);
	}
	return OK;
}

/* Several may be in one value. */
static int add_platforms(struct build_request *q, const char *text, struct err *err)
{
	char *rest = arena_string(&q->arena, text), *one;

	if (!rest)
		return fail_nomem(err);
	while ((one = strsep(&rest, ","))) {
		struct platform p;

		if (platform_parse(one, &p, err) < 0)
			return err->code;
		q->start.platforms[q->start.n_platforms++] = one;
	}
	return OK;
}

static int set_platforms(struct build_request *q, const struct build_options *o, struct err *err)
{
	size_t most = 0;

	for (size_t i = 0; i < o->platform.n; i++)
		most += strlen(o->platform.items[i]) + 1;
	q->start.platforms = arena_array(&q->arena, most, sizeof(char *));
	if (!q->start.platforms)
		return fail_nomem(err);
	for (size_t i = 0; i < o->platform.n; i++)
		if (add_platforms(q, o->platform.items[i], err) < 0)
			return err->code;
	return OK;
}

static int check_words(const struct build_options *o, struct err *err)
{
	static const char *const networks[] = { "default", "none", "host" };
	const char *network = o->network && *o->network ? o->network : "default";
	bool known = false;

	for (size_t i = 0; i < ARRAY_LEN(networks); i++)
		known |= !strcmp(networks[i], network);
	if (!known)
		return fail(err, E_INVALID, "network mode \"%.128s\" not supported by buildkit", network);
	for (size_t i = 0; i < o->allow.n; i++)
		if (strcmp(o->allow.items[i], "network.host") != 0 &&
		    strcmp(o->allow.items[i], "security.insecure") != 0)
			return fail(err, E_INVALID, "invalid entitlement: %.128s", o->allow.items[i]);
	return OK;
}

/* ---- proxies ----------------------------------------------------------------------------------------- */

/* Of the user's configuration, as docker has it; an argument of the same name counts more. */
static int set_proxies(struct build_request *q, struct cli *cli, struct err *err)
{
	static const struct {
		const char *key, *name;
	} proxies[] = {
		{ "httpProxy", "HTTP_PROXY" }, { "httpsProxy", "HTTPS_PROXY" }, { "ftpProxy", "FTP_PROXY" },
		{ "noProxy", "NO_PROXY" },     { "allProxy", "ALL_PROXY" },
	};

	q->start.proxies = arena_array(&q->arena, ARRAY_LEN(proxies), sizeof *q->start.proxies);
	if (!q->start.proxies)
		return fail_nomem(err);
	for (size_t i = 0; i < ARRAY_LEN(proxies); i++) {
		const char *value = docker_config_proxy(cli_config(cli), cli->address, proxies[i].key);
		Imaged__V1__BuildStart__ProxiesEntry *m = value ? arena_alloc(&q->arena, sizeof *m) : NULL;

		if (!value)
			continue;
		if (!m)
			return fail_nomem(err);
		imaged__v1__build_start__proxies_entry__init(m);
		m->key = (char *)proxies[i].name;
		m->value = (char *)value;
		q->start.proxies[q->start.n_proxies++] = m;
	}
	return OK;
}

/* ---- all ------------------------------------------------------------------------------------------------ */

int build_request_flags(struct build_request *q, const struct build_options *o, struct err *err)
{
	imaged__v1__build_start__init(&q->start);
	arena_init(&q->arena, REQUEST_BYTES_MAX);
	if (check_pairs(&o->build_arg, err) < 0 || check_pairs(&o->label, err) < 0)
		return err->code;
	for (size_t i = 0; i < o->ulimit.n; i++)
		if (check_ulimit(o->ulimit.items[i], err) < 0)
			return err->code;
	return o->push && o->load ? fail(err, E_INVALID, "push and load may not be set together at the moment") : OK;
}

static int set_lists(struct build_request *q, const struct build_options *o, struct err *err)
{
	Imaged__V1__BuildStart *s = &q->start;

	s->arguments = arena_array(&q->arena, o->build_arg.n, sizeof *s->arguments);
	s->labels = arena_array(&q->arena, o->label.n, sizeof *s->labels);
	s->extra_hosts = arena_array(&q->arena, o->add_host.n, sizeof *s->extra_hosts);
	if (!s->arguments || !s->labels || !s->extra_hosts)
		return fail_nomem(err);
	for (size_t i = 0; i < o->build_arg.n; i++)
		if (add_argument(q, o->build_arg.items[i], err) < 0)
			return err->code;
	for (size_t i = 0; i < o->label.n; i++)
		if (add_label(q, o->label.items[i], err) < 0)
			return err->code;
	for (size_t i = 0; i < o->add_host.n; i++)
		if (add_host(q, o->add_host.items[i], err) < 0)
			return err->code;
	return OK;
}

static void set_scalars(struct build_request *q, const struct build_options *o)
{
	Imaged__V1__BuildStart *s = &q->start;

	s->tags = (char **)o->tag.items;
	s->n_tags = o->tag.n;
	s->annotations = (char **)o->annotation.items;
	s->n_annotations = o->annotation.n;
	s->no_cache_stages = (char **)o->no_cache_filter.items;
	s->n_no_cache_stages = o->no_cache_filter.n;
	s->allow = (char **)o->allow.items;
	s->n_allow = o->allow.n;
	s->target = (char *)(o->target ? o->target : "");
	s->network = (char *)(o->network ? o->network : "");
	s->no_cache = o->no_cache;
	s->pull = o->pull;
	s->explain = o->explain;
	s->debug_shell = o->debug_shell;
	s->quiet = o->quiet;
	set_limits(q, o);
}

static void set_sources(struct build_request *q)
{
	Imaged__V1__BuildStart *s = &q->start;
	struct build_sources *from = &q->sources;

	s->context = &from->context;
	s->named_contexts = from->named;
	s->n_named_contexts = from->n_named;
	s->dockerfile = (ProtobufCBinaryData){ from->dockerfile.len, (uint8_t *)from->dockerfile.data };
	s->dockerfile_name = (char *)from->dockerfile_name;
	s->dockerfile_in_context = from->dockerfile_in_context;
	s->outputs = q->outputs.messages;
	s->n_outputs = q->outputs.n;
}

int build_request_make(struct build_request *q, struct cli *cli, const struct build_options *o, const char *context,
		       struct err *err)
{
	if (set_platforms(q, o, err) < 0 || check_tags(o, err) < 0 || check_words(o, err) < 0 ||
	    set_lists(q, o, err) < 0 || request_secrets(q, o, err) < 0 || request_agents(q, o, err) < 0)
		return err->code;
	if (build_outputs_parse(&q->outputs, o, &q->arena, err) < 0 || build_outputs_check(&q->outputs, err) < 0)
		return err->code;
	if (build_sources_open(&q->sources, &q->arena, o, context, err) < 0 || request_caches(q, o, err) < 0)
		return err->code;
	set_scalars(q, o);
	set_sources(q);
	return set_proxies(q, cli, err) < 0 || request_logins(q, cli, err) < 0 ? err->code : OK;
}

void build_request_wipe(struct build_request *q)
{
	for (size_t i = 0; i < q->start.n_secrets; i++)
		wipe(q->start.secrets[i]->value.data, q->start.secrets[i]->value.len);
	for (size_t i = 0; i < q->n_logins; i++)
		credentials_free(&q->logins[i]);
	build_sources_close(&q->sources);
	build_outputs_free(&q->outputs);
	arena_free(&q->arena);
}
