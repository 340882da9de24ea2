/* From argv to a command: dispatch, usage errors and help, in docker's layout. */
#include "client/cli/cli.h"

enum { HELP_COLUMNS = 80, NAME_COLUMN = 11 };

static const char root_usage[] = "[OPTIONS] COMMAND [ARG...]";

static const struct flag global_flags[] = {
	{ "config", 0, FLAG_STRING, offsetof(struct global_options, config_dir),
	  "Location of client config files (default is DOCKER_CONFIG, or ~/.docker)", NULL },
	{ "host", 'H', FLAG_STRING_ONCE, offsetof(struct global_options, host),
	  "Address of the daemon, unix:///PATH or tcp://HOST:PORT (default is IMAGED_HOST, or its local socket)",
	  NULL },
	{ "tls", 0, FLAG_BOOL, offsetof(struct global_options, tls), "Use TLS; implied by --tlsverify", NULL },
	{ "tlscacert", 0, FLAG_STRING, offsetof(struct global_options, tlscacert), "Trust certs signed only by this CA",
	  NULL },
	{ "tlscert", 0, FLAG_STRING, offsetof(struct global_options, tlscert), "Path to TLS certificate file", NULL },
	{ "tlskey", 0, FLAG_STRING, offsetof(struct global_options, tlskey), "Path to TLS key file", NULL },
	{ "tlsverify", 0, FLAG_BOOL, offsetof(struct global_options, tlsverify), "Use TLS and verify the remote",
	  NULL },
	{ "version", 'v', FLAG_BOOL, offsetof(struct global_options, version), "Print version information and quit",
	  NULL },
};

static const struct command *find(const struct command *table, const char *name)
{
	for (; table && table->name; table++)
		if (!strcmp(table->name, name) || (table->alias && !strcmp(table->alias, name)))
			return table;
	return NULL;
}

/* ---- help ----------------------------------------------------------------- */

static int help_columns(void)
{
	int columns = terminal_width(STDIN_FILENO);

	return columns > 0 ? columns : HELP_COLUMNS;
}

static bool is_listed(const struct cli *cli, const struct command *command, bool groups)
{
	if (command->spec && command->spec->own && cli_is_docker(cli))
		return false;
	return (command->spec == NULL) == groups;
}

/* At least docker's column, and as wide as the longest name needs. */
static int name_width(const struct cli *cli, const struct command *table, bool groups)
{
	int width = NAME_COLUMN;

	for (; table->name; table++)
		if (is_listed(cli, table, groups) && (int)strlen(table->name) > width)
			width = (int)strlen(table->name);
	return width;
}

static void put_commands(const struct cli *cli, struct buf *out, const char *title, const struct command *table,
			 bool groups)
{
	int width = name_width(cli, table, groups);

	buf_printf(out, "\n%s:\n", title);
	for (; table->name; table++)
		if (is_listed(cli, table, groups))
			buf_printf(out, "  %-*s %s\n", width, table->name,
				   groups ? table->summary : table->spec->summary);
}

static void put_options(const struct cli *cli, struct buf *out, const char *title, const struct flag *flags, size_t n)
{
	CLEANUP(buf_free) struct buf lines = BUF_INIT(32 * 1024);

	flags_print(&lines, flags, n, cli_is_docker(cli) ? FLAG_OWN : 0, help_columns() - 1);
	if (lines.len)
		buf_printf(out, "\n%s:\n%s", title, buf_text(&lines));
}

/* "docker image ls, docker image list, docker images" */
static void put_aliases(struct cli *cli, struct buf *out, const char *aliases)
{
	const char *separator = "  ";

	if (!aliases)
		return;
	buf_puts(out, "\nAliases:\n");
	while (*aliases) {
		size_t len = strcspn(aliases, ",");

		buf_printf(out, "%s%s %.*s", separator, cli->program, (int)len, aliases);
		aliases += len;
		aliases += strspn(aliases, ", ");
		separator = ", ";
	}
	buf_putc(out, '\n');
}

static void put_command_help(struct cli *cli, struct buf *out, const struct command_spec *spec)
{
	buf_printf(out, "Usage:  %s %s\n\n%s\n", cli->path, spec->usage, spec->help ? spec->help : spec->summary);
	put_aliases(cli, out, spec->aliases);
	put_options(cli, out, "Options", spec->flags, spec->n_flags);
}

/* Docker's help does not tell of them. */
static void put_groups(const struct cli *cli, struct buf *out, const struct command *command)
{
	for (const struct command *sub = command->subcommands; sub && sub->name && !cli_is_docker(cli); sub++)
		if (!sub->spec) {
			put_commands(cli, out, "Management Commands", command->subcommands, true);
			return;
		}
}

static void put_group_help(struct cli *cli, struct buf *out, const struct command *group)
{
	buf_printf(out, "Usage:  %s COMMAND\n\n%s\n", cli->path, group->summary);
	put_commands(cli, out, "Commands", group->subcommands, false);
	put_groups(cli, out, group);
	buf_printf(out, "\nRun '%s COMMAND --help' for more information on a command.\n", cli->path);
}

static void put_root_help(struct cli *cli, struct buf *out)
{
	buf_printf(out,
		   "Usage:  %s [OPTIONS] COMMAND\n\nContainer images of one machine, and of registries: search, pull, "
		   "push, copy, list, inspect, tag, remove\n",
		   cli->program);
	put_commands(cli, out, "Management Commands", root_commands, true);
	put_commands(cli, out, "Commands", root_commands, false);
	put_options(cli, out, "Global Options", global_flags, ARRAY_LEN(global_flags));
	buf_printf(out, "\nRun '%s COMMAND --help' for more information on a command.\n", cli->program);
}

static void put_help(struct cli *cli, struct buf *out, const struct command *command)
{
	if (!command)
		put_root_help(cli, out);
	else if (command->spec) {
		put_command_help(cli, out, command->spec);
		put_groups(cli, out, command);
	} else
		put_group_help(cli, out, command);
}

static int show_help(struct cli *cli, const struct command *command, bool to_stderr)
{
	CLEANUP(buf_free) struct buf text = BUF_INIT(64 * 1024);

	put_help(cli, &text, command);
	if (to_stderr)
		cli_warn("%s", buf_text(&text));
	else
		cli_write(buf_text(&text), text.len);
	return 0;
}

/* ---- usage errors --------------------------------------------------------- */

static void put_usage_line(struct cli *cli, struct buf *out, const struct command *command)
{
	const char *usage = !command ? root_usage : command->spec ? command->spec->usage : NULL;

	buf_printf(out, "\n\nUsage:  %s%s%s\n\n", cli->path, usage ? " " : "", usage ? usage : "");
}

static int fail_flags(struct cli *cli, const struct command *command, const struct err *err)
{
	CLEANUP(buf_free) struct buf text = BUF_INIT(8192);

	buf_puts(&text, err->text);
	put_usage_line(cli, &text, command);
	cli_warn("%sRun '%s --help' for more information\n", buf_text(&text), cli->path);
	return err_exit_code(err->code);
}

/* The three wordings of the last line are docker's, slips included. */
static int check_arguments(struct cli *cli, const struct command *command, int n)
{
	const struct command_spec *spec = command->spec;
	CLEANUP(buf_free) struct buf text = BUF_INIT(8192);
	const char *last = "Run";
	int wanted = spec->min_args;

	if (n >= spec->min_args && (spec->max_args < 0 || n <= spec->max_args))
		return 0;
	buf_printf(&text, "%s%s: '%s' ", spec->plugin ? "ERROR: " : "", cli->program, cli->path);
	if (spec->max_args == 0) {
		buf_puts(&text, "accepts no arguments");
	} else if (spec->min_args == spec->max_args) {
		buf_printf(&text, "requires %d argument%s", wanted, wanted == 1 ? "" : "s");
	} else if (spec->max_args < 0) {
		buf_printf(&text, "requires at least %d argument%s", wanted, wanted == 1 ? "" : "s");
		last = "See";
	} else {
		buf_printf(&text, "requires at most %d argument%s", spec->max_args, spec->max_args == 1 ? "" : "s");
		last = "SRun";
	}
	put_usage_line(cli, &text, command);
	cli_warn("%s%s '%s --help' for more information\n", buf_text(&text), last, cli->path);
	return 1;
}

static int unknown_command(struct cli *cli, const struct command *group, const char *name)
{
	if (!group)
		cli_warn("%s: unknown command: %s %s\n\n", cli->program, cli->path, name);
	else
		cli_warn("%s: unknown command: %s %s\n\nUsage:  %s\n\n", cli->program, cli->path, name, cli->path);
	cli_warn("Run '%s --help' for more information\n", cli->path);
	return 1;
}

/* ---- dispatch ------------------------------------------------------------- */

static void enter_path(struct cli *cli, const char *name)
{
	size_t used = strlen(cli->path);

	snprintf(cli->path + used, sizeof cli->path - used, " %s", name);
}

static int asked_for_help(struct cli *cli, const struct command *command, const struct flags *f)
{
	if (f->help_shorthand)
		cli_print("Flag shorthand -h has been deprecated, use --help\n");
	return show_help(cli, command, false);
}

static int run_parsed(struct cli *cli, const struct command *command, const struct flags *f, char **argv)
{
	int r;

	if (f->help)
		return asked_for_help(cli, command, f);
	r = check_arguments(cli, command, f->n_arguments);
	return r ? r : command->spec->run(cli, f->options, f->n_arguments, argv);
}

static int run_command(struct cli *cli, const struct command *command, int argc, char **argv)
{
	const struct command_spec *spec = command->spec;
	struct flags f = { .table = spec->flags, .n = spec->n_flags, .stop_at_argument = spec->stop_at_argument };
	struct err err = ERR_INIT;
	int r;

	if (spec->plugin && cli_is_docker(cli))
		snprintf(cli->path, sizeof cli->path, "%s %s", cli->program, spec->plugin);
	f.options = calloc(1, spec->options_size ? spec->options_size : 1);
	if (!f.options) {
		fail_nomem(&err);
		return cli_fail(&err);
	}
	if (spec->defaults)
		memcpy(f.options, spec->defaults, spec->options_size);
	if (flags_parse(&f, argc, argv, &err))
		r = fail_flags(cli, command, &err);
	else
		r = run_parsed(cli, command, &f, argv);
	flags_free(&f);
	free(f.options);
	return r;
}

/* Flags in front of the name of a subcommand: only --help. */
static int run_group(struct cli *cli, const struct command *group, int argc, char **argv)
{
	struct flags f = { .stop_at_argument = true };
	const struct command *command;
	struct err err = ERR_INIT;

	if (flags_parse(&f, argc, argv, &err))
		return fail_flags(cli, group, &err);
	if (f.help)
		return asked_for_help(cli, group, &f);
	if (!f.n_arguments)
		return show_help(cli, group, true);
	command = find(group->subcommands, argv[0]);
	if (!command)
		return unknown_command(cli, group, argv[0]);
	enter_path(cli, command->name);
	if (!command->spec)
		return run_group(cli, command, f.n_arguments - 1, argv + 1);
	return run_command(cli, command, f.n_arguments - 1, argv + 1);
}

/* "build history ls" is of the group; "build history" builds a directory of that name. */
static bool means_group(const struct command *command, int argc, char **argv)
{
	const struct command *group = argc > 1 ? find(command->subcommands, argv[0]) : NULL;

	return group && (find(group->subcommands, argv[1]) || !strcmp(argv[1], "--help"));
}

/* "docker help image ls" */
static int run_help(struct cli *cli, int argc, char **argv)
{
	const struct command *command = NULL, *table = root_commands;

	for (int i = 0; i < argc; i++) {
		command = find(table, argv[i]);
		if (!command) {
			cli_warn("unknown help topic:");
			for (; i < argc; i++)
				cli_warn(" %s", argv[i]);
			cli_warn("\n");
			return 1;
		}
		enter_path(cli, command->name);
		table = command->subcommands;
	}
	return show_help(cli, command, false);
}

static int run_root(struct cli *cli, int argc, char **argv)
{
	const struct command *command = find(root_commands, argv[0]);

	if (!command && !strcmp(argv[0], "help"))
		return run_help(cli, argc - 1, argv + 1);
	if (!command)
		return unknown_command(cli, NULL, argv[0]);
	enter_path(cli, command->name);
	if (!command->spec || means_group(command, argc - 1, argv + 1))
		return run_group(cli, command, argc - 1, argv + 1);
	cli->top_level = true;
	return run_command(cli, command, argc - 1, argv + 1);
}

int usage_run(struct cli *cli, int argc, char **argv)
{
	struct flags f = {
		.table = global_flags,
		.n = ARRAY_LEN(global_flags),
		.options = &cli->global,
		.stop_at_argument = true,
	};
	struct err err = ERR_INIT;

	snprintf(cli->path, sizeof cli->path, "%s", cli->program);
	if (flags_parse(&f, argc, argv, &err))
		return fail_flags(cli, NULL, &err);
	if (f.help)
		return asked_for_help(cli, NULL, &f);
	if (cli->global.version) {
		cli_print("%s version %s\n", cli_is_docker(cli) ? "imaged" : cli->program, IMAGED_VERSION);
		return 0;
	}
	if (!f.n_arguments)
		return show_help(cli, NULL, true);
	return run_root(cli, f.n_arguments, argv);
}
