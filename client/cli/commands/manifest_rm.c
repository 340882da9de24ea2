#include "client/cli/commands/commands.h"
#include "client/cli/manifest_fetch.h"

static int remove_list(const char *root, const char *text, struct err *err)
{
	CLEANUP(arena_free) struct arena a;
	struct manifest_list found;
	struct reference list;

	arena_init(&a, MANIFEST_ARENA_MAX);
	if (manifest_reference(text, &list, err) < 0)
		return err->code;
	if (manifest_store_list(root, &list, &a, &found, err) == E_NOT_FOUND)
		return err->code;
	return manifest_store_remove(root, &list, err); /* a damaged one, too */
}

static int run(struct cli *cli, UNUSED const void *options, int argc, char **argv)
{
	CLEANUP(buf_free) struct buf errors = BUF_INIT(1024 * 1024);
	char root[4096];

	cli_config(cli);
	cli_config_dir(cli, root);
	for (int i = 0; i < argc; i++) {
		struct err err = ERR_INIT;

		if (remove_list(root, argv[i], &err) < 0)
			buf_printf(&errors, "%s\n", err.text);
	}
	cli_warn("%s", buf_text(&errors));
	return errors.len ? 1 : 0;
}

const struct command_spec spec_manifest_rm = {
	.usage = "MANIFEST_LIST [MANIFEST_LIST...]",
	.summary = "Delete one or more manifest lists from local storage",
	.min_args = 1,
	.max_args = -1,
	.run = run,
};
