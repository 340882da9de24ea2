#include "client/cli/commands/commands.h"
#include "client/cli/manifest_fetch.h"
#include "client/cli/template/template.h"
#include "imaged/v1/image_service.client.h"

struct options {
	bool insecure, verbose;
};

static int print(int r, const struct buf *out, const struct err *err)
{
	if (r < 0)
		return cli_fail(err);
	cli_write(buf_text(out), out->len);
	return 0;
}

static int show_remote(struct cli *cli, const struct options *o, const struct reference *ref)
{
	CLEANUP(imaged__v1__image_service__inspect_remote_freep) Imaged__V1__InspectRemoteResponse *answer = NULL;
	CLEANUP(buf_free) struct buf out = BUF_INIT(TEMPLATE_OUTPUT_MAX);
	struct err err = ERR_INIT;

	if (manifest_ask(cli, ref, o->insecure, o->verbose, &answer, &err))
		return manifest_report(ref, &err);
	return print(manifest_view_remote(ref, answer, o->verbose, &out, &err), &out, &err);
}

/* One manifest of a list that is here. */
static int show_of_list(const char *root, const struct options *o, const struct reference *list,
			const struct reference *ref)
{
	CLEANUP(buf_free) struct buf out = BUF_INIT(TEMPLATE_OUTPUT_MAX);
	CLEANUP(arena_free) struct arena a;
	Imaged__V1__RemoteManifest *m;
	struct err err = ERR_INIT;
	int r;

	arena_init(&a, MANIFEST_ARENA_MAX);
	r = manifest_store_get(root, list, ref, &a, &m, &err);
	if (r == OK)
		r = manifest_view_one(m, o->verbose, &out, &err);
	return print(r, &out, &err);
}

/* The list, where one of that name is here; a damaged one is not, as to docker. */
static int show(struct cli *cli, const char *root, const struct options *o, const struct reference *ref)
{
	CLEANUP(buf_free) struct buf out = BUF_INIT(TEMPLATE_OUTPUT_MAX);
	CLEANUP(arena_free) struct arena a;
	struct manifest_list list;
	struct err err = ERR_INIT;
	int r;

	arena_init(&a, MANIFEST_ARENA_MAX);
	if (manifest_store_list(root, ref, &a, &list, &err) < 0)
		return show_remote(cli, o, ref);
	r = manifest_list_check(&list, ref, &err);
	if (r < 0)
		err_wrap(&err, "failed to assemble ManifestDescriptor");
	else
		r = manifest_view_list(&list, o->verbose, &out, &err);
	return print(r, &out, &err);
}

static int run(struct cli *cli, const void *options, int argc, char **argv)
{
	const struct options *o = options;
	struct reference list, ref;
	struct err err = ERR_INIT;
	char root[4096];

	cli_config(cli);
	cli_config_dir(cli, root);
	if (manifest_reference(argv[argc - 1], &ref, &err))
		return cli_fail(&err);
	if (argc == 1)
		return show(cli, root, o, &ref);
	if (manifest_reference(argv[0], &list, &err))
		return cli_fail(&err);
	return show_of_list(root, o, &list, &ref);
}

static const struct flag flags[] = {
	{ "insecure", 0, FLAG_BOOL, offsetof(struct options, insecure), "Allow communication with an insecure registry",
	  NULL },
	{ "verbose", 'v', FLAG_BOOL, offsetof(struct options, verbose),
	  "Output additional info including layers and platform", NULL },
};

const struct command_spec spec_manifest_inspect = {
	.usage = "[OPTIONS] [MANIFEST_LIST] MANIFEST",
	.summary = "Display an image manifest, or manifest list",
	.flags = flags,
	.n_flags = ARRAY_LEN(flags),
	.min_args = 1,
	.max_args = 2,
	.options_size = sizeof(struct options),
	.run = run,
};
