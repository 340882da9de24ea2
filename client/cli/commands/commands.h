/* The commands, one file each; the tables that name them are in commands.c. */
#ifndef CLIENT_CLI_COMMANDS_COMMANDS_H
#define CLIENT_CLI_COMMANDS_COMMANDS_H

#include "client/cli/cli.h"

extern const struct command_spec spec_build, spec_build_cache_ls, spec_build_history_inspect, spec_build_history_logs,
	spec_build_history_ls, spec_build_history_rm, spec_builder_prune, spec_copy, spec_events, spec_explain_host,
	spec_export, spec_history, spec_image_diff, spec_image_du, spec_image_inspect, spec_image_mount,
	spec_image_mounts, spec_image_pin, spec_image_unmount, spec_image_unpin, spec_images, spec_import, spec_info,
	spec_inspect, spec_load, spec_login, spec_logout, spec_manifest_annotate, spec_manifest_create,
	spec_manifest_inspect, spec_manifest_push, spec_manifest_rm, spec_prune, spec_pull, spec_push, spec_referrers,
	spec_rmi, spec_save, spec_search, spec_system_check, spec_system_df, spec_system_prune, spec_system_transfers,
	spec_tag, spec_tags, spec_version;

/* Help texts of --format, as docker words them. */
#define FORMAT_HELP_JSON                                                  \
	"Format output using a custom template:\n"                        \
	"'json':             Print in JSON format\n"                      \
	"'TEMPLATE':         Print output using the given Go template.\n" \
	"Refer to https://docs.docker.com/go/formatting/ for more information about formatting output with templates"
#define FORMAT_HELP_TABLE                                                                  \
	"Format output using a custom template:\n"                                         \
	"'table':            Print output in table format with column headers (default)\n" \
	"'table TEMPLATE':   Print output in table format using the given Go template\n"   \
	"'json':             Print in JSON format\n"                                       \
	"'TEMPLATE':         Print output using the given Go template.\n"                  \
	"Refer to https://docs.docker.com/go/formatting/ for more information about formatting output with templates"
/* The same where the default is one word per line. */
#define FORMAT_HELP_LIST                                                                 \
	"Format output using a custom template:\n"                                       \
	"'table':            Print output in table format with column headers\n"         \
	"'table TEMPLATE':   Print output in table format using the given Go template\n" \
	"'json':             Print in JSON format\n"                                     \
	"'TEMPLATE':         Print output using the given Go template.\n"                \
	"Refer to https://docs.docker.com/go/formatting/ for more information about formatting output with templates"

#endif
