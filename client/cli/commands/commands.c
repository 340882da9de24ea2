#include "client/cli/commands/commands.h"

/* clang-format off */
static const struct command build_cache_commands[] = {
	{ "ls", "list", &spec_build_cache_ls, NULL, NULL },
	{ "prune", NULL, &spec_builder_prune, NULL, NULL },
	{ 0 },
};

static const struct command build_history_commands[] = {
	{ "inspect", NULL, &spec_build_history_inspect, NULL, NULL },
	{ "logs", NULL, &spec_build_history_logs, NULL, NULL },
	{ "ls", "list", &spec_build_history_ls, NULL, NULL },
	{ "rm", "remove", &spec_build_history_rm, NULL, NULL },
	{ 0 },
};

static const struct command build_commands[] = {
	{ "cache", NULL, NULL, build_cache_commands, "Look after what builds keep" },
	{ "history", NULL, NULL, build_history_commands, "Commands to work on build records" },
	{ 0 },
};

static const struct command builder_commands[] = {
	{ "build", "b", &spec_build, NULL, NULL },
	{ "history", NULL, NULL, build_history_commands, "Commands to work on build records" },
	{ "prune", NULL, &spec_builder_prune, NULL, NULL },
	{ 0 },
};

static const struct command image_commands[] = {
	{ "build", NULL, &spec_build, NULL, NULL },
	{ "diff", NULL, &spec_image_diff, NULL, NULL },
	{ "du", NULL, &spec_image_du, NULL, NULL },
	{ "export", NULL, &spec_export, NULL, NULL },
	{ "history", NULL, &spec_history, NULL, NULL },
	{ "import", NULL, &spec_import, NULL, NULL },
	{ "inspect", NULL, &spec_image_inspect, NULL, NULL },
	{ "load", NULL, &spec_load, NULL, NULL },
	{ "ls", "list", &spec_images, NULL, NULL },
	{ "mount", NULL, &spec_image_mount, NULL, NULL },
	{ "mounts", NULL, &spec_image_mounts, NULL, NULL },
	{ "pin", NULL, &spec_image_pin, NULL, NULL },
	{ "prune", NULL, &spec_prune, NULL, NULL },
	{ "pull", NULL, &spec_pull, NULL, NULL },
	{ "push", NULL, &spec_push, NULL, NULL },
	{ "referrers", NULL, &spec_referrers, NULL, NULL },
	{ "rm", "remove", &spec_rmi, NULL, NULL },
	{ "save", NULL, &spec_save, NULL, NULL },
	{ "tag", NULL, &spec_tag, NULL, NULL },
	{ "tags", NULL, &spec_tags, NULL, NULL },
	{ "unmount", NULL, &spec_image_unmount, NULL, NULL },
	{ "unpin", NULL, &spec_image_unpin, NULL, NULL },
	{ 0 },
};

static const struct command manifest_commands[] = {
	{ "annotate", NULL, &spec_manifest_annotate, NULL, NULL },
	{ "create", NULL, &spec_manifest_create, NULL, NULL },
	{ "inspect", NULL, &spec_manifest_inspect, NULL, NULL },
	{ "push", NULL, &spec_manifest_push, NULL, NULL },
	{ "rm", NULL, &spec_manifest_rm, NULL, NULL },
	{ 0 },
};

static const struct command system_commands[] = {
	{ "check", NULL, &spec_system_check, NULL, NULL },
	{ "df", NULL, &spec_system_df, NULL, NULL },
	{ "events", NULL, &spec_events, NULL, NULL },
	{ "explain-host", NULL, &spec_explain_host, NULL, NULL },
	{ "info", NULL, &spec_info, NULL, NULL },
	{ "prune", NULL, &spec_system_prune, NULL, NULL },
	{ "transfers", NULL, &spec_system_transfers, NULL, NULL },
	{ 0 },
};

const struct command root_commands[] = {
	{ "build", NULL, &spec_build, build_commands, NULL },
	{ "builder", "buildx", NULL, builder_commands, "Manage builds" },
	{ "copy", NULL, &spec_copy, NULL, NULL },
	{ "events", NULL, &spec_events, NULL, NULL },
	{ "history", NULL, &spec_history, NULL, NULL },
	{ "image", NULL, NULL, image_commands, "Manage images" },
	{ "images", NULL, &spec_images, NULL, NULL },
	{ "import", NULL, &spec_import, NULL, NULL },
	{ "info", NULL, &spec_info, NULL, NULL },
	{ "inspect", NULL, &spec_inspect, NULL, NULL },
	{ "load", NULL, &spec_load, NULL, NULL },
	{ "login", NULL, &spec_login, NULL, NULL },
	{ "logout", NULL, &spec_logout, NULL, NULL },
	{ "manifest", NULL, NULL, manifest_commands, "Manage Docker image manifests and manifest lists" },
	{ "pull", NULL, &spec_pull, NULL, NULL },
	{ "push", NULL, &spec_push, NULL, NULL },
	{ "rmi", NULL, &spec_rmi, NULL, NULL },
	{ "save", NULL, &spec_save, NULL, NULL },
	{ "search", NULL, &spec_search, NULL, NULL },
	{ "system", NULL, NULL, system_commands, "Manage the daemon and its store" },
	{ "tag", NULL, &spec_tag, NULL, NULL },
	{ "version", NULL, &spec_version, NULL, NULL },
	{ 0 },
};
/* clang-format on */
