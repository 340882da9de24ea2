#include "client/cli/commands/commands.h"
#include "client/cli/manifest_fetch.h"
#include "imaged/v1/image_service.client.h"

struct options {
	bool amend, insecure;
};

static bool list_is_here(const char *root, const struct reference *list, int *ret_code, struct err *err)
{
	CLEANUP(arena_free) struct arena a;
	struct manifest_list found;

	arena_init(&a, MANIFEST_ARENA_MAX);
	*ret_code = manifest_store_list(root, list, &a, &found, err);
	return *ret_code == OK;
}

static int check_list(const char *root, const struct options *o, const struct reference *list, struct err *err)
{
	int r;

	if (list_is_here(root, list, &r, err) && !o->amend)
		return fail(err, E_EXISTS, "refusing to amend an existing manifest list with no --amend flag");
	return r == E_NOT_FOUND ? OK : r;
}

/* As the list has it already, else as the registry does. */
static int find(struct cli *cli, const char *root, const struct options *o, const struct reference *list,
		const struct reference *ref, struct arena *a, Imaged__V1__RemoteManifest **ret_manifest)
{
	CLEANUP(imaged__v1__image_service__inspect_remote_freep) Imaged__V1__InspectRemoteResponse *answer = NULL;
	char name[REFERENCE_TEXT_MAX];
	struct err err = ERR_INIT;

	if (manifest_store_get(root, list, ref, a, ret_manifest, NULL) == OK)
		return manifest_store_put(root, list, ref, *ret_manifest, &err) < 0 ? cli_fail(&err) : 0;
	if (manifest_ask(cli, ref, o->insecure, true, &answer, &err))
		return manifest_report(ref, &err);
	if (manifest_of_remote(ref, answer, a, ret_manifest, &err) < 0)
		return cli_fail(&err);
	if (!*ret_manifest) {
		cli_warn("%s is a manifest list\n", reference_text(ref, name));
		return 1;
	}
	return manifest_store_put(root, list, ref, *ret_manifest, &err) < 0 ? cli_fail(&err) : 0;
}

static int add(struct cli *cli, const char *root, const struct options *o, const struct reference *list,
	       const char *text)
{
	CLEANUP(arena_free) struct arena a;
	Imaged__V1__RemoteManifest *m;
	struct reference ref;
	struct err err = ERR_INIT;

	arena_init(&a, MANIFEST_ARENA_MAX);
	if (manifest_reference(text, &ref, &err))
		return cli_fail(&err);
	return find(cli, root, o, list, &ref, &a, &m);
}

static int run(struct cli *cli, const void *options, int argc, char **argv)
{
	const struct options *o = options;
	char root[4096], name[REFERENCE_TEXT_MAX];
	struct reference list;
	struct err err = ERR_INIT;

	cli_config(cli);
	cli_config_dir(cli, root);
	if (manifest_reference(argv[0], &list, &err)) {
		err_wrap(&err, "error parsing name for manifest list %s", argv[0]);
		return cli_fail(&err);
	}
	if (check_list(root, o, &list, &err) < 0)
		return cli_fail(&err);
	for (int i = 1; i < argc; i++) {
		int status = add(cli, root, o, &list, argv[i]);

		if (status)
			return status;
	}
	cli_print("Created manifest list %s\n", reference_text(&list, name));
	return 0;
}

static const struct flag flags[] = {
	{ "amend", 'a', FLAG_BOOL, offsetof(struct options, amend), "Amend an existing manifest list", NULL },
	{ "insecure", 0, FLAG_BOOL, offsetof(struct options, insecure), "Allow communication with an insecure registry",
	  NULL },
};

const struct command_spec spec_manifest_create = {
	.usage = "MANIFEST_LIST MANIFEST [MANIFEST...]",
	.summary = "Create a local manifest list for annotating and pushing to a registry",
	.flags = flags,
	.n_flags = ARRAY_LEN(flags),
	.min_args = 2,
	.max_args = -1,
	.options_size = sizeof(struct options),
	.run = run,
};
