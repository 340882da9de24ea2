#include <string.h>

#include "client/cli/commands/commands.h"
#include "client/cli/commands/prune.h"
#include "client/cli/prompt.h"
#include "proto/runtime/clock.h"

struct options {
	bool all, dry_run, force, volumes;
	struct strings filters;
};

enum { QUESTION_MAX = 64 * 1024 };

/* ---- filters ------------------------------------------------------------------------- */

static bool is_until(const char *filter)
{
	return !strncmp(filter, "until=", 6);
}

/* docker shows each filter to its containers first, which know no others. */
static int check_filters(const struct strings *filters, struct err *err)
{
	static const char *const keys[] = { "label", "label!", "until" };

	for (size_t i = 0; i < filters->n; i++) {
		size_t len = strcspn(filters->items[i], "="), k = 0;

		while (k < ARRAY_LEN(keys) && (strlen(keys[k]) != len || strncmp(keys[k], filters->items[i], len) != 0))
			k++;
		if (k == ARRAY_LEN(keys))
			return fail(err, E_INVALID_FILTER, "invalid filter '%.*s'", (int)len, filters->items[i]);
	}
	return OK;
}

static int check_volumes(const struct options *o, struct err *err)
{
	for (size_t i = 0; o->volumes && i < o->filters.n; i++)
		if (is_until(o->filters.items[i]))
			return fail(err, E_INVALID, "ERROR: The \"until\" filter is not supported with \"--volumes\"");
	return OK;
}

/* ---- the question -------------------------------------------------------------------- */

/* Numbers within by their value: "label=x2" comes before "label=x10". */
static int by_filter(const void *a, const void *b)
{
	return strverscmp(*(const char *const *)a, *(const char *const *)b);
}

static void put_filters(struct buf *out, const struct strings *filters)
{
	if (!filters->n)
		return;
	qsort(filters->items, filters->n, sizeof *filters->items, by_filter);
	buf_puts(out, "\n  Items to be pruned will be filtered with:\n");
	for (size_t i = 0; i < filters->n; i++)
		buf_printf(out, "  - %s\n", filters->items[i]);
}

/* As docker asks; of containers, networks and volumes only where the user takes us for docker. */
static bool confirm(const struct cli *cli, const struct options *o, const struct strings *filters)
{
	CLEANUP(buf_free) struct buf question = BUF_INIT(QUESTION_MAX);

	buf_puts(&question, "WARNING! This will remove:\n");
	if (cli_is_docker(cli))
		buf_puts(&question, "  - all stopped containers\n"
				    "  - all networks not used by at least one container\n");
	if (cli_is_docker(cli) && o->volumes)
		buf_puts(&question, "  - all anonymous volumes not used by at least one container\n");
	buf_puts(&question, o->all ? "  - all images without at least one container associated to them\n"
				     "  - all build cache\n"
				   : "  - all dangling images\n"
				     "  - unused build cache\n");
	put_filters(&question, filters);
	return prompt_confirm(buf_text(&question));
}

/* ---- the command ---------------------------------------------------------------------- */

static int images(struct cli *cli, const struct options *o, const struct strings *filters, int64_t *reclaimed,
		  struct err *err)
{
	CLEANUP(removed_view_free) struct removed_view view;
	int r = removed_view_init(&view, NULL, o->dry_run, err);

	view.untagged = "untagged";
	view.deleted = "deleted";
	view.write = cli_write;
	if (!r)
		r = prune_images(cli, &(struct prune_images){ o->all, o->dry_run, filters }, &view, err);
	if (!r && view.n)
		cli_print("\n");
	*reclaimed += view.reclaimed;
	return r;
}

/* Labels are not among what the cache is chosen by: docker's engine passes over them, too. */
static int build_cache(struct cli *cli, const struct options *o, const struct strings *filters, int64_t *reclaimed,
		       struct err *err)
{
	Imaged__V1__PruneBuildCacheRequest request = IMAGED__V1__PRUNE_BUILD_CACHE_REQUEST__INIT;
	CLEANUP(imaged__v1__image_service__prune_build_cache_freep)
	Imaged__V1__PruneBuildCacheResponse *response = NULL;

	request.all = o->all;
	request.dry_run = o->dry_run;
	for (size_t i = 0; i < filters->n; i++)
		if (is_until(filters->items[i]) && prune_set_until(filters->items[i], clock_wall_ns(), &request, err))
			return err->code;
	if (prune_build_cache(cli, &request, &response, err))
		return err->code;
	prune_print_build_cache(response, o->dry_run);
	*reclaimed += response->freed;
	return OK;
}

static int prune(struct cli *cli, const struct options *o, const struct strings *filters, struct err *err)
{
	int64_t reclaimed = 0;
	int r = check_filters(filters, err);

	if (!r)
		r = images(cli, o, filters, &reclaimed, err);
	if (!r)
		r = build_cache(cli, o, filters, &reclaimed, err);
	if (!r)
		prune_print_total(reclaimed, o->dry_run);
	return r;
}

static int run(struct cli *cli, const void *options, UNUSED int argc, UNUSED char **argv)
{
	const struct options *o = options;
	struct strings filters = { 0 };
	struct err err = ERR_INIT;
	int status = 0;

	if (check_volumes(o, &err) || prune_filters(cli, &o->filters, &filters, &err))
		return cli_fail(&err);
	if ((o->force || o->dry_run || confirm(cli, o, &filters)) && prune(cli, o, &filters, &err))
		status = cli_fail_call(&err);
	free(filters.items);
	return status;
}

static const struct flag flags[] = {
	{ "all", 'a', FLAG_BOOL, offsetof(struct options, all), "Remove all unused images not just dangling ones",
	  NULL },
	{ "dry-run", 0, FLAG_BOOL | FLAG_OWN, offsetof(struct options, dry_run),
	  "Show what would be removed, and remove nothing", NULL },
	{ "filter", 0, FLAG_FILTERS, offsetof(struct options, filters),
	  "Provide filter values (e.g. \"label=<key>=<value>\")", NULL },
	{ "force", 'f', FLAG_BOOL, offsetof(struct options, force), "Do not prompt for confirmation", NULL },
	{ "volumes", 0, FLAG_BOOL, offsetof(struct options, volumes), "Changes nothing: there are no volumes here",
	  NULL },
};

const struct command_spec spec_system_prune = {
	.usage = "[OPTIONS]",
	.summary = "Remove unused data",
	.flags = flags,
	.n_flags = ARRAY_LEN(flags),
	.options_size = sizeof(struct options),
	.run = run,
};
