#include "client/cli/commands/commands.h"
#include "client/cli/convert.h"
#include "client/cli/format/units.h"
#include "client/cli/object_view.h"
#include "imaged/v1/image_service.client.h"

struct options {
	const char *format;
};

static int fetch(struct cli *cli, Imaged__V1__GetInfoResponse **ret, struct err *err)
{
	Imaged__V1__GetInfoRequest request = IMAGED__V1__GET_INFO_REQUEST__INIT;
	struct rpc_channel *channel;
	int r = cli_channel(cli, &channel, err);

	if (!r)
		r = imaged__v1__image_service__call_get_info(channel, cli_call_options(), &request, ret, err);
	cli_explain(cli, err);
	return r;
}

enum { WAYS_MAX = 4 };

/* How many. */
static size_t way_names(const Imaged__V1__GetInfoResponse *m, char *names[WAYS_MAX])
{
	static const char *const known[] = { NULL, "file", "loop", "fuse" };
	size_t n = 0;

	for (size_t i = 0; i < m->n_mount_ways && n < WAYS_MAX; i++)
		if ((size_t)m->mount_ways[i] < ARRAY_LEN(known) && known[m->mount_ways[i]])
			names[n++] = (char *)known[m->mount_ways[i]];
	return n;
}

static void fill(struct object *o, struct arena *a, const Imaged__V1__GetInfoResponse *m)
{
	char platform[256], *ways[WAYS_MAX];

	o->type_name = "system.info";
	object_add(o, "Root", value_string(m->root));
	object_add(o, "Listeners", value_strings(a, m->listeners, m->n_listeners));
	object_add(o, "Platform", value_copy(a, text_of(platform_of(m->platform, platform))));
	object_add(o, "Images", value_int64(m->images));
	object_add(o, "Names", value_int64(m->names));
	object_add(o, "RunningPulls", value_int64(m->running_pulls));
	object_add(o, "RunningBuilds", value_int64(m->running_builds));
	object_add(o, "BuildCache", value_int64(m->build_cache_count));
	object_add(o, "BuildCacheMax", value_int64(m->build_cache_max_bytes));
	object_add(o, "DiskTotal", value_int64(m->disk_total_bytes));
	object_add(o, "DiskFree", value_int64(m->disk_free_bytes));
	object_add(o, "StoreFormat", value_int(m->store_format));
	object_add(o, "InsecureRegistries", value_strings(a, m->insecure_registries, m->n_insecure_registries));
	object_add(o, "Started", time_utc(a, m->started));
	object_add(o, "Sandbox", value_string(m->sandbox));
	object_add(o, "NoLayers", value_bool(m->no_layers));
	object_add(o, "NCPU", value_int64(m->cpus));
	object_add(o, "MountWays", value_strings(a, ways, way_names(m, ways)));
	object_add(o, "MountProblem", value_string(m->mount_problem));
	object_add(o, "Mounts", value_int64(m->mounts));
}

static int render(const char *format_text, const Imaged__V1__GetInfoResponse *m, struct err *err)
{
	CLEANUP(buf_free) struct buf out = BUF_INIT(TEMPLATE_OUTPUT_MAX);
	CLEANUP(arena_free) struct arena a;
	struct object o = { 0 };
	int r;

	arena_init(&a, TEMPLATE_MEMORY_MAX);
	fill(&o, &a, m);
	r = object_render(format_text, object_value(&o), &out, err);
	if (!r)
		cli_write(buf_text(&out), out.len);
	return r;
}

static void print_list(const char *title, char *const *items, size_t n)
{
	if (n)
		cli_print(" %s:\n", title);
	for (size_t i = 0; i < n; i++)
		cli_print("  %s\n", items[i]);
}

static void print_mounts(const Imaged__V1__GetInfoResponse *m)
{
	char *ways[WAYS_MAX];
	size_t n = way_names(m, ways);

	cli_print(" Mounts: %lld\n Mount Ways:", (long long)m->mounts);
	for (size_t i = 0; i < n; i++)
		cli_print(" %s", ways[i]);
	if (n)
		cli_print("\n");
	else
		cli_print(" none: %s\n", m->mount_problem);
}

static void print_builds(const Imaged__V1__GetInfoResponse *m)
{
	char max[SIZE_TEXT_MAX];

	cli_print(" Running Builds: %lld\n Build Cache: %lld results of steps, %s%s\n", (long long)m->running_builds,
		  (long long)m->build_cache_count, m->build_cache_max_bytes ? "at most " : "without a limit",
		  m->build_cache_max_bytes ? size_text((double)m->build_cache_max_bytes, 4, max) : "");
}

static void print_server(const Imaged__V1__GetInfoResponse *m)
{
	char total[SIZE_TEXT_MAX], free_text[SIZE_TEXT_MAX], platform[256];
	CLEANUP(arena_free) struct arena a;

	arena_init(&a, 4096);
	cli_print("Server:\n Images: %lld\n Names: %lld\n Running Pulls: %lld\n", (long long)m->images,
		  (long long)m->names, (long long)m->running_pulls);
	print_builds(m);
	cli_print(" Root Dir: %s\n Store Format: %d\n", m->root, m->store_format);
	cli_print(" Disk: %s free of %s\n", size_text((double)m->disk_free_bytes, 4, free_text),
		  size_text((double)m->disk_total_bytes, 4, total));
	cli_print(" OS/Arch: %s\n CPUs: %lld\n", platform_of(m->platform, platform), (long long)m->cpus);
	cli_print(" Layer Sandbox: %s\n", *m->sandbox ? m->sandbox : "none");
	if (m->no_layers)
		cli_print(" Images of Layers: made by the first mount only\n");
	print_mounts(m);
	if (m->started)
		cli_print(" Started: %s\n", time_local(&a, m->started->seconds).string.data);
	print_list("Listeners", m->listeners, m->n_listeners);
	print_list("Insecure Registries", m->insecure_registries, m->n_insecure_registries);
}

static int run(struct cli *cli, const void *options, UNUSED int argc, UNUSED char **argv)
{
	const struct options *o = options;
	CLEANUP(imaged__v1__image_service__get_info_freep) Imaged__V1__GetInfoResponse *response = NULL;
	struct err err = ERR_INIT;
	int r = fetch(cli, &response, &err);

	if (!o->format || !*o->format) {
		cli_print("Client:\n Version: %s\n\n", IMAGED_VERSION);
		if (!r)
			print_server(response);
		return r ? cli_fail_call(&err) : 0;
	}
	if (r)
		return cli_fail_call(&err);
	if (!render(o->format, response, &err))
		return 0;
	cli_fail(&err);
	return 1;
}

static const struct flag flags[] = {
	{ "format", 'f', FLAG_STRING, offsetof(struct options, format), FORMAT_HELP_JSON, NULL },
};

const struct command_spec spec_info = {
	.usage = "[OPTIONS]",
	.summary = "Display system-wide information",
	.aliases = "system info, info",
	.flags = flags,
	.n_flags = ARRAY_LEN(flags),
	.options_size = sizeof(struct options),
	.run = run,
};
