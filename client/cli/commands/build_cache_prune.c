#include "client/cli/commands/commands.h"
#include "client/cli/commands/prune.h"
#include "client/cli/filter.h"
#include "client/cli/format/units.h"
#include "client/cli/object_view.h"
#include "client/cli/prompt.h"
#include "proto/runtime/clock.h"

struct options {
	bool all, force, dry_run;
	const char *format;
	int64_t keep;
	struct strings filters;
};

static const int64_t ns_per_s = 1000000000;

/* ---- filters ------------------------------------------------------------------------- */

static bool value_of(const char *filter, const char *key, const char **ret_value)
{
	size_t len = strlen(key);

	if (strncmp(filter, key, len) != 0 || filter[len] != '=')
		return false;
	*ret_value = filter + len + 1;
	return true;
}

int prune_set_until(const char *filter, int64_t now_ns, Imaged__V1__PruneBuildCacheRequest *request, struct err *err)
{
	const struct strings one = { &filter, 1 };
	CLEANUP(image_filter_free) struct image_filter f;
	int r = image_filter_parse(&one, FILTER_PRUNE, now_ns, &f, err);
	int64_t seconds;

	if (r || !f.message.until)
		return r;
	seconds = now_ns / ns_per_s - f.message.until->seconds;
	/* Of what is used from then on nothing has been used yet. */
	request->unused_seconds = seconds > 0 ? seconds : 0;
	return OK;
}

static int set_filter(const char *filter, int64_t now_ns, bool *until_given,
		      Imaged__V1__PruneBuildCacheRequest *request, struct err *err)
{
	const char *value;

	if (value_of(filter, "type", &value)) {
		request->kinds[request->n_kinds++] = (char *)value;
		return OK;
	}
	if (!value_of(filter, "until", &value))
		return fail(err, E_INVALID_FILTER, "invalid filter '%.*s'", (int)strcspn(filter, "="), filter);
	if (*until_given)
		return fail(err, E_INVALID_FILTER, "filters expect only one value");
	*until_given = true;
	return prune_set_until(filter, now_ns, request, err);
}

/* A label that config.json asks for chooses among images only. The kinds are the caller's to free. */
static int set_filters(struct cli *cli, const struct strings *given, Imaged__V1__PruneBuildCacheRequest *request,
		       struct err *err)
{
	int64_t now_ns = clock_wall_ns();
	bool until_given = false;
	struct strings all;
	const char *value;
	int r = prune_filters(cli, given, &all, err);

	if (r)
		return r;
	request->kinds = calloc(all.n + 1, sizeof *request->kinds);
	if (!request->kinds)
		r = fail_nomem(err);
	for (size_t i = 0; !r && i < all.n; i++)
		if (i < given->n || value_of(all.items[i], "type", &value) || value_of(all.items[i], "until", &value))
			r = set_filter(all.items[i], now_ns, &until_given, request, err);
	free(all.items);
	return r;
}

/* ---- what went ------------------------------------------------------------------------ */

void prune_print_build_cache(const Imaged__V1__PruneBuildCacheResponse *m, bool dry_run)
{
	if (!m->n_removed)
		return;
	cli_print(dry_run ? "Build cache objects that would be deleted:\n" : "Deleted build cache objects:\n");
	for (size_t i = 0; i < m->n_removed; i++)
		cli_print("%s\n", m->removed[i]->id);
	if (m->count > (int64_t)m->n_removed)
		cli_print("... and %lld more\n", (long long)(m->count - (int64_t)m->n_removed));
	cli_print("\n");
}

void prune_print_total(int64_t bytes, bool dry_run)
{
	char size[SIZE_TEXT_MAX];

	cli_print("%s: %s\n", dry_run ? "Total space that would be reclaimed" : "Total reclaimed space",
		  size_text((double)bytes, 4, size));
}

/* {Removed, LeftOut, Freed, DryRun}: ids, and bytes. */
static int render_removed(const Imaged__V1__PruneBuildCacheResponse *m, const struct options *options, struct err *err)
{
	CLEANUP(buf_free) struct buf out = BUF_INIT(TEMPLATE_OUTPUT_MAX);
	CLEANUP(arena_free) struct arena a;
	struct object o = { .type_name = "build.Removal" };
	char **ids;

	arena_init(&a, TEMPLATE_OUTPUT_MAX);
	ids = arena_array(&a, m->n_removed + 1, sizeof *ids);
	if (!ids)
		return fail_nomem(err);
	for (size_t i = 0; i < m->n_removed; i++)
		ids[i] = m->removed[i]->id;
	object_add(&o, "Removed", value_strings(&a, ids, m->n_removed));
	object_add(&o, "LeftOut", value_int64(m->count - (int64_t)m->n_removed));
	object_add(&o, "Freed", value_int64(m->freed));
	object_add(&o, "DryRun", value_bool(options->dry_run));
	if (object_render(options->format, object_value(&o), &out, err))
		return err->code;
	cli_write(buf_text(&out), out.len);
	return OK;
}

int prune_build_cache(struct cli *cli, const Imaged__V1__PruneBuildCacheRequest *request,
		      Imaged__V1__PruneBuildCacheResponse **ret_response, struct err *err)
{
	struct rpc_channel *channel;
	int r = cli_channel(cli, &channel, err);

	if (!r)
		r = imaged__v1__image_service__call_prune_build_cache(channel, cli_call_options(), request,
								      ret_response, err);
	cli_explain(cli, err);
	return r;
}

static int prune(struct cli *cli, const struct options *o, const Imaged__V1__PruneBuildCacheRequest *request,
		 struct err *err)
{
	CLEANUP(imaged__v1__image_service__prune_build_cache_freep)
	Imaged__V1__PruneBuildCacheResponse *response = NULL;

	if (prune_build_cache(cli, request, &response, err))
		return err->code;
	if (o->format && *o->format)
		return render_removed(response, o, err);
	prune_print_build_cache(response, o->dry_run);
	prune_print_total(response->freed, o->dry_run);
	return OK;
}

static int ask_and_prune(struct cli *cli, const struct options *o, Imaged__V1__PruneBuildCacheRequest *request,
			 struct err *err)
{
	int r = set_filters(cli, &o->filters, request, err);

	if (r)
		return r;
	if (!o->force && !o->dry_run &&
	    !prompt_confirm(o->all ? "WARNING! This will remove all build cache."
				   : "WARNING! This will remove all dangling build cache."))
		return OK;
	return prune(cli, o, request, err);
}

static int run(struct cli *cli, const void *options, UNUSED int argc, UNUSED char **argv)
{
	const struct options *o = options;
	Imaged__V1__PruneBuildCacheRequest request = IMAGED__V1__PRUNE_BUILD_CACHE_REQUEST__INIT;
	struct err err = ERR_INIT;
	int r;

	request.all = o->all;
	request.dry_run = o->dry_run;
	request.keep_bytes = o->keep;
	if (o->format && *o->format && object_check_format(o->format, &err))
		return cli_fail(&err);
	r = ask_and_prune(cli, o, &request, &err);
	free(request.kinds);
	return r ? cli_fail_call(&err) : 0;
}

static const struct flag flags[] = {
	{ "all", 'a', FLAG_BOOL, offsetof(struct options, all), "Remove all unused build cache, not just dangling ones",
	  NULL },
	{ "dry-run", 0, FLAG_BOOL | FLAG_OWN, offsetof(struct options, dry_run),
	  "Show what would be removed, and remove nothing", NULL },
	{ "filter", 0, FLAG_FILTERS, offsetof(struct options, filters), "Provide filter values (e.g. \"until=24h\")",
	  NULL },
	{ "force", 'f', FLAG_BOOL, offsetof(struct options, force), "Do not prompt for confirmation", NULL },
	{ "format", 0, FLAG_STRING | FLAG_OWN, offsetof(struct options, format), FORMAT_HELP_JSON, NULL },
	{ "keep-storage", 0, FLAG_BYTES, offsetof(struct options, keep), "Amount of disk space to keep for cache",
	  NULL },
};

const struct command_spec spec_builder_prune = {
	.usage = "[OPTIONS]",
	.summary = "Remove build cache",
	.flags = flags,
	.n_flags = ARRAY_LEN(flags),
	.options_size = sizeof(struct options),
	.run = run,
};
