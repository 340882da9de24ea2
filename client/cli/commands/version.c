#include "client/cli/commands/commands.h"
#include "client/cli/convert.h"
#include "client/cli/object_view.h"
#include "imaged/v1/image_service.client.h"
#include "store/types/platform.h"

struct options {
	const char *format;
};

static int fetch(struct cli *cli, Imaged__V1__GetVersionResponse **ret, struct err *err)
{
	Imaged__V1__GetVersionRequest request = IMAGED__V1__GET_VERSION_REQUEST__INIT;
	struct rpc_channel *channel;
	int r = cli_channel(cli, &channel, err);

	if (!r)
		r = imaged__v1__image_service__call_get_version(channel, cli_call_options(), &request, ret, err);
	cli_explain(cli, err);
	return r;
}

static void fill_client(struct object *o)
{
	static char platform[PLATFORM_TEXT_MAX];
	struct platform host = platform_host();

	o->type_name = "version.clientVersion";
	object_add(o, "Version", value_string(IMAGED_VERSION));
	object_add(o, "ApiVersion", value_string("v1"));
	host.variant[0] = 0;
	object_add(o, "Platform", value_string(platform_text(&host, platform)));
	object_add(o, "Os", value_string("linux"));
}

static void fill_server(struct object *o, struct arena *a, const Imaged__V1__GetVersionResponse *m)
{
	struct value_pair *pairs = arena_array(a, m->n_components, sizeof *pairs);
	char platform[256];

	for (size_t i = 0; pairs && i < m->n_components; i++)
		pairs[i] = (struct value_pair){ text_of(m->components[i]->key), value_string(m->components[i]->value) };
	o->type_name = "version.serverVersion";
	object_add(o, "Version", value_string(m->version));
	object_add(o, "ApiVersion", value_string(m->api_version));
	object_add(o, "GitCommit", value_string(m->git_commit));
	object_add(o, "Platform", value_copy(a, text_of(platform_of(m->platform, platform))));
	object_add(o, "KernelVersion", value_string(m->kernel));
	object_add(o, "Components", value_map(&type_string_map, pairs, m->n_components));
}

static const struct value_type type_no_server = { .name = "version.serverVersion", .kind = VALUE_STRUCT };

static int render(const struct options *o, const Imaged__V1__GetVersionResponse *server, struct buf *out,
		  struct err *err)
{
	struct object client_part = { 0 }, server_part = { 0 }, all = { .type_name = "version.versionInfo" };
	CLEANUP(arena_free) struct arena a;

	arena_init(&a, TEMPLATE_MEMORY_MAX);
	fill_client(&client_part);
	object_add(&all, "Client", object_value(&client_part));
	if (server) {
		fill_server(&server_part, &a, server);
		object_add(&all, "Server", value_pointer_to(object_value(&server_part)));
	} else {
		object_add(&all, "Server", value_nil_pointer(&type_no_server));
	}
	return object_render(o->format, object_value(&all), out, err);
}

static void print_line(const char *indent, const char *name, const char *value)
{
	if (*value)
		cli_print("%s%-*s%s\n", indent, 19 - (int)strlen(indent) + 1, name, value);
}

static void print_text(const Imaged__V1__GetVersionResponse *m)
{
	char platform[PLATFORM_TEXT_MAX], server[256];
	struct platform host = platform_host();

	host.variant[0] = 0;
	cli_print("Client:\n");
	print_line(" ", "Version:", IMAGED_VERSION);
	print_line(" ", "API version:", "v1");
	print_line(" ", "OS/Arch:", platform_text(&host, platform));
	if (!m)
		return;
	cli_print("\nServer:\n Engine:\n");
	print_line("  ", "Version:", m->version);
	print_line("  ", "API version:", m->api_version);
	print_line("  ", "Git commit:", m->git_commit);
	print_line("  ", "OS/Arch:", platform_of(m->platform, server));
	print_line("  ", "Kernel:", m->kernel);
	for (size_t i = 0; i < m->n_components; i++) {
		cli_print(" %s:\n", m->components[i]->key);
		print_line("  ", "Version:", m->components[i]->value);
	}
}

static int run(struct cli *cli, const void *options, UNUSED int argc, UNUSED char **argv)
{
	const struct options *o = options;
	CLEANUP(imaged__v1__image_service__get_version_freep) Imaged__V1__GetVersionResponse *response = NULL;
	CLEANUP(buf_free) struct buf out = BUF_INIT(TEMPLATE_OUTPUT_MAX);
	struct err err = ERR_INIT, why = ERR_INIT;
	int r = fetch(cli, &response, &why);

	if (!o->format || !*o->format) {
		print_text(r ? NULL : response);
	} else if (render(o, r ? NULL : response, &out, &err)) {
		cli_fail(&err);
		return err.code == E_TEMPLATE && strstr(err.text, "executing") ? 1 : 64;
	}
	cli_write(buf_text(&out), out.len);
	return r ? cli_fail_call(&why) : 0;
}

static const struct flag flags[] = {
	{ "format", 'f', FLAG_STRING, offsetof(struct options, format), FORMAT_HELP_JSON, NULL },
};

const struct command_spec spec_version = {
	.usage = "[OPTIONS]",
	.summary = "Show the version information of client and daemon",
	.flags = flags,
	.n_flags = ARRAY_LEN(flags),
	.options_size = sizeof(struct options),
	.run = run,
};
