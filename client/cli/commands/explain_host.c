#include "client/cli/commands/commands.h"
#include "client/cli/docker_config.h"
#include "client/cli/object_view.h"
#include "imaged/v1/image_service.client.h"

enum { SOURCE_MAX = 4096 };

struct options {
	const char *format;
};

/* ---- asking ----------------------------------------------------------------- */

static int ask(struct cli *cli, const char *host, Imaged__V1__Credentials *credentials,
	       Imaged__V1__ExplainHostResponse **ret, struct err *err)
{
	Imaged__V1__ExplainHostRequest request = IMAGED__V1__EXPLAIN_HOST_REQUEST__INIT;
	struct rpc_channel *channel;
	int r = cli_channel(cli, &channel, err);

	request.host = (char *)host;
	request.credentials = credentials;
	if (!r)
		r = imaged__v1__image_service__call_explain_host(channel, cli_call_options(), &request, ret, err);
	cli_explain(cli, err);
	return r;
}

/* Where the user's credentials for the host are; "" when there are none. */
static void find_source(struct cli *cli, const char *host, char source[SOURCE_MAX])
{
	struct docker_config *config = cli_config(cli);
	const char *key = docker_config_key(host), *helper = docker_config_helper(config, key);
	CLEANUP(login_wipe) struct login l = { 0 };
	struct err err = ERR_INIT;

	source[0] = 0;
	if (docker_config_get(config, key, &l, &err)) {
		cli_warn("WARNING: no credentials for %s: %s\n", host, err.text);
		return;
	}
	if (!login_is_set(&l))
		return;
	if (helper)
		snprintf(source, SOURCE_MAX, "docker-credential-%s", helper);
	else
		snprintf(source, SOURCE_MAX, "%s", docker_config_path(config));
}

/* Twice where there are credentials: the daemon says first which host is meant. They
 * stay here; that there are some is enough. */
static int explain(struct cli *cli, const char *host, Imaged__V1__ExplainHostResponse **ret, char source[SOURCE_MAX],
		   struct err *err)
{
	CLEANUP(imaged__v1__image_service__explain_host_freep) Imaged__V1__ExplainHostResponse *first = NULL;
	Imaged__V1__Credentials credentials = IMAGED__V1__CREDENTIALS__INIT;
	int r = ask(cli, host, NULL, &first, err);

	if (r)
		return r;
	find_source(cli, first->host, source);
	if (!*source) {
		*ret = TAKE(first);
		return OK;
	}
	credentials.server_address = first->host;
	credentials.username = (char *)"user";
	return ask(cli, host, &credentials, ret, err);
}

static const char *source_of(const Imaged__V1__HostEndpoint *e, const char *source)
{
	return strcmp(e->credentials, "caller") ? e->credentials : source;
}

/* ---- --format --------------------------------------------------------------- */

static struct value duration_value(int64_t ms)
{
	return value_duration(ms * 1000000);
}

static void fill_endpoint(struct object *o, struct arena *a, const Imaged__V1__HostEndpoint *e, const char *source)
{
	o->type_name = "system.endpoint";
	object_add(o, "URL", value_string(e->url));
	object_add(o, "Mirror", value_bool(e->mirror));
	object_add(o, "Pull", value_bool(e->pull));
	object_add(o, "Resolve", value_bool(e->resolve));
	object_add(o, "Push", value_bool(e->push));
	object_add(o, "PlainHTTP", value_string(e->plain_http));
	object_add(o, "SkipVerify", value_bool(e->skip_verify));
	object_add(o, "CAFiles", value_strings(a, e->ca_files, e->n_ca_files));
	object_add(o, "ClientCertificates", value_strings(a, e->client_certificates, e->n_client_certificates));
	object_add(o, "Headers", value_strings(a, e->header_names, e->n_header_names));
	object_add(o, "Credentials", value_string(source_of(e, source)));
	object_add(o, "Proxy", value_string(e->proxy));
	object_add(o, "DialTimeout", duration_value(e->dial_timeout_ms));
	object_add(o, "Namespaced", value_bool(e->namespaced));
}

static struct value endpoints_value(struct arena *a, const Imaged__V1__ExplainHostResponse *m, const char *source)
{
	static struct value_type type_list = { .name = "[]system.endpoint", .kind = VALUE_LIST };
	struct object *objects = arena_array(a, m->n_endpoints, sizeof *objects);
	struct value *items = arena_array(a, m->n_endpoints, sizeof *items);

	if (!objects || !items)
		return value_nil_list(&type_list);
	for (size_t i = 0; i < m->n_endpoints; i++) {
		objects[i] = (struct object){ 0 };
		fill_endpoint(&objects[i], a, m->endpoints[i], source);
		items[i] = object_value(&objects[i]);
	}
	if (m->n_endpoints)
		type_list.elem = items[0].type;
	return value_list(&type_list, items, m->n_endpoints);
}

static int render(const char *format_text, const Imaged__V1__ExplainHostResponse *m, const char *source,
		  struct err *err)
{
	CLEANUP(buf_free) struct buf out = BUF_INIT(TEMPLATE_OUTPUT_MAX);
	CLEANUP(arena_free) struct arena a;
	struct object o = { .type_name = "system.hostExplanation" };
	int r;

	arena_init(&a, TEMPLATE_MEMORY_MAX);
	object_add(&o, "Host", value_string(m->host));
	object_add(&o, "ConfigFile", value_string(m->config_file));
	object_add(&o, "Endpoints", endpoints_value(&a, m, source));
	object_add(&o, "Notes", value_strings(&a, m->notes, m->n_notes));
	r = object_render(format_text, object_value(&o), &out, err);
	if (!r)
		cli_write(buf_text(&out), out.len);
	return r;
}

/* ---- text ------------------------------------------------------------------- */

static void print_list(const char *title, char *const *items, size_t n)
{
	for (size_t i = 0; i < n; i++)
		cli_print("%s%s", i ? ", " : title, items[i]);
	if (n)
		cli_print("\n");
}

static void print_trust(const Imaged__V1__HostEndpoint *e)
{
	if (!strncmp(e->url, "http:", 5))
		cli_print("  TLS: none: %s\n", e->plain_http);
	else if (e->skip_verify)
		cli_print("  TLS: the certificate is not verified\n");
	else
		cli_print("  TLS: verified\n");
	if (*e->plain_http && !strncmp(e->url, "https:", 6))
		cli_print("  Plain HTTP: when nobody speaks TLS there: %s\n", e->plain_http);
	print_list("  Authorities: the system's, ", e->ca_files, e->n_ca_files);
	print_list("  Client Certificates: ", e->client_certificates, e->n_client_certificates);
}

static void print_uses(const Imaged__V1__HostEndpoint *e)
{
	char *words[3];
	size_t n = 0;

	if (e->pull)
		words[n++] = (char *)"pull";
	if (e->resolve)
		words[n++] = (char *)"resolve";
	if (e->push)
		words[n++] = (char *)"push";
	print_list("  Asked To: ", words, n);
}

static void print_endpoint(const Imaged__V1__HostEndpoint *e, size_t number, const char *source)
{
	cli_print(" %zu. %s%s\n", number, e->url, e->mirror ? " (not the registry itself)" : "");
	print_uses(e);
	print_trust(e);
	cli_print("  Credentials: %s\n", source_of(e, source));
	print_list("  Headers: ", e->header_names, e->n_header_names);
	if (*e->proxy)
		cli_print("  Proxy: %s\n", e->proxy);
	if (e->dial_timeout_ms)
		cli_print("  Dial Timeout: %lld ms\n", (long long)e->dial_timeout_ms);
}

static void print_text(const Imaged__V1__ExplainHostResponse *m, const char *source)
{
	cli_print("Host: %s\nConfiguration: %s\nAsked in this order:\n", m->host,
		  *m->config_file ? m->config_file : "none");
	for (size_t i = 0; i < m->n_endpoints; i++)
		print_endpoint(m->endpoints[i], i + 1, source);
	if (m->n_notes)
		cli_print("Notes:\n");
	for (size_t i = 0; i < m->n_notes; i++)
		cli_print(" %s\n", m->notes[i]);
}

static int run(struct cli *cli, const void *options, int argc, char **argv)
{
	const struct options *o = options;
	CLEANUP(imaged__v1__image_service__explain_host_freep) Imaged__V1__ExplainHostResponse *response = NULL;
	char source[SOURCE_MAX];
	struct err err = ERR_INIT;

	if (explain(cli, argc ? argv[0] : "", &response, source, &err))
		return cli_fail_call(&err);
	if (!o->format || !*o->format) {
		print_text(response, source);
		return 0;
	}
	if (!render(o->format, response, source, &err))
		return 0;
	cli_fail(&err);
	return 1;
}

static const struct flag flags[] = {
	{ "format", 'f', FLAG_STRING, offsetof(struct options, format), FORMAT_HELP_JSON, NULL },
};

const struct command_spec spec_explain_host = {
	.usage = "[OPTIONS] [HOST[:PORT]|NAME]",
	.summary = "Show how a registry would be asked",
	.help = "Show how a registry would be asked: which hosts in which order, over TLS or not, with\n"
		"whose credentials. Nothing is sent to it. Without a host it is Docker Hub.",
	.flags = flags,
	.n_flags = ARRAY_LEN(flags),
	.max_args = 1,
	.own = true,
	.options_size = sizeof(struct options),
	.run = run,
};
