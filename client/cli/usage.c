/* From argv to a command: dispatch and usage errors, as docker words them. */
#include "client/cli/docker_words.h"
#include "client/cli/global_flags.h"
#include "client/cli/help.h"

static const char deprecated[] = "Flag shorthand -h has been deprecated, use --help\n";

static const struct command *find(const struct command *table, const char *name)
{
	for (; table && table->name; table++)
		if (!strcmp(table->name, name) || (table->alias && !strcmp(table->alias, name)))
			return table;
	return NULL;
}

static void enter_path(struct cli *cli, const char *name)
{
	size_t used = strlen(cli->path);

	snprintf(cli->path + used, sizeof cli->path - used, " %s", name);
}

/* ---- help ----------------------------------------------------------------- */

static int show_help(struct cli *cli, const struct command *command, bool to_stderr)
{
	CLEANUP(buf_free) struct buf text = BUF_INIT(64 * 1024);

	if (to_stderr && command && docker_is_experiment(cli, command->name))
		buf_putc(&text, '\n'); /* docker does */
	help_put(cli, &text, command);
	if (to_stderr)
		cli_warn("%s", buf_text(&text));
	else
		cli_write(buf_text(&text), text.len);
	return 0;
}

static int asked_for_help(struct cli *cli, const struct command *command, const struct flags *f)
{
	for (int i = 0; i < f->n_help_shorthands; i++)
		cli_print("%s", deprecated);
	return show_help(cli, command, false);
}

/* "docker help image ls" */
static int run_help(struct cli *cli, UNUSED const void *options, int argc, char **argv)
{
	const struct command *command = NULL, *table = root_commands;

	snprintf(cli->path, sizeof cli->path, "%s", cli->program);
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

static const struct command_spec spec_help = {
	.usage = "[command]",
	.summary = "Help about the command",
	.max_args = -1,
	.run = run_help,
};
static const struct command help_command = { "help", NULL, &spec_help, NULL, NULL };

/* ---- usage errors --------------------------------------------------------- */

static void put_usage_line(const struct cli *cli, struct buf *out, const struct command *command)
{
	buf_puts(out, "\n\nUsage:  ");
	help_put_usage(cli, out, command);
	buf_puts(out, "\n\n");
}

static int fail_flags(const struct cli *cli, const struct command *command, const struct err *err)
{
	CLEANUP(buf_free) struct buf text = BUF_INIT(8192);

	buf_puts(&text, err->text);
	put_usage_line(cli, &text, command);
	cli_warn("%sRun '%s --help' for more information\n", buf_text(&text), cli->path);
	return err_exit_code(err->code);
}

/* How many it takes, in docker's words; the word that begins the last line comes back, whose
 * three spellings are docker's, slips included. */
static const char *put_wanted(const struct command_spec *spec, struct buf *out)
{
	int min = spec->min_args, max = spec->max_args;

	if (max == 0) {
		buf_puts(out, "accepts no arguments");
	} else if (min == max) {
		buf_printf(out, "requires %d argument%s", min, min == 1 ? "" : "s");
	} else if (max < 0) {
		buf_printf(out, "requires at least %d argument%s", min, min == 1 ? "" : "s");
		return "See";
	} else if (min > 0) {
		buf_printf(out, "requires at least %d and at most %d argument%s", min, max, max == 1 ? "" : "s");
	} else {
		buf_printf(out, "requires at most %d argument%s", max, max == 1 ? "" : "s");
		return "SRun";
	}
	return "Run";
}

static int check_arguments(const struct cli *cli, const struct command *command, int n)
{
	const struct command_spec *spec = command->spec;
	CLEANUP(buf_free) struct buf text = BUF_INIT(8192);
	const char *last;

	if (n >= spec->min_args && (spec->max_args < 0 || n <= spec->max_args))
		return 0;
	buf_printf(&text, "%s%s: '%s' ", spec->plugin ? "ERROR: " : "", cli->program, cli->path);
	last = put_wanted(spec, &text);
	put_usage_line(cli, &text, command);
	cli_warn("%s%s '%s --help' for more information\n", buf_text(&text), last, cli->path);
	return 1;
}

/* Flags that follow it are of the group: --help is answered, others are unknown. */
static int unknown_command(struct cli *cli, const struct command *group, struct flags *f, char **argv)
{
	const char *name = argv[0];
	struct err err = ERR_INIT;

	f->stop_at_argument = false;
	if (flags_parse(f, f->n_arguments - 1, argv + 1, &err))
		return fail_flags(cli, group, &err);
	if (f->help || cli->help)
		return asked_for_help(cli, group, f);
	cli_warn("%s: unknown command: %s %s\n\n", cli->program, cli->path, name);
	if (group) {
		CLEANUP(buf_free) struct buf usage = BUF_INIT(8192);

		help_put_usage(cli, &usage, group);
		cli_warn("Usage:  %s\n\n", buf_text(&usage));
	}
	cli_warn("Run '%s --help' for more information\n", cli->path);
	return 1;
}

/* ---- dispatch ------------------------------------------------------------- */

static int run_parsed(struct cli *cli, const struct command *command, const struct flags *f, char **argv)
{
	int r;

	if (f->help || cli->help)
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
	if (!f.n_arguments && (f.help || cli->help))
		return asked_for_help(cli, group, &f);
	if (!f.n_arguments)
		return show_help(cli, group, true);
	cli->help |= f.help;
	command = find(group->subcommands, argv[0]);
	if (!command)
		return unknown_command(cli, group, &f, argv);
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

static int run_root(struct cli *cli, struct flags *f, char **argv)
{
	const struct command *command = strcmp(argv[0], "help") != 0 ? find(root_commands, argv[0]) : &help_command;

	if (!command)
		return unknown_command(cli, NULL, f, argv);
	enter_path(cli, command->name);
	if (!command->spec || means_group(command, f->n_arguments - 1, argv + 1))
		return run_group(cli, command, f->n_arguments - 1, argv + 1);
	cli->top_level = true;
	return run_command(cli, command, f->n_arguments - 1, argv + 1);
}

static int print_version(const struct cli *cli)
{
	cli_print("%s version %s\n", cli_is_docker(cli) ? "imaged" : cli->program, IMAGED_VERSION);
	return 0;
}

int usage_run(struct cli *cli, int argc, char **argv)
{
	struct flags f = {
		.table = global_flags,
		.n = N_GLOBAL_FLAGS,
		.options = &cli->global,
		.stop_at_argument = true,
	};
	struct err err = ERR_INIT;

	snprintf(cli->path, sizeof cli->path, "%s", cli->program);
	if (flags_parse(&f, argc, argv, &err))
		return fail_flags(cli, NULL, &err);
	if (global_flags_check(&cli->global, &err))
		return cli_fail(&err);
	cli->help = f.help;
	for (int i = 0; i < f.n_help_shorthands; i++)
		cli_warn("%s", deprecated);
	if (f.n_arguments)
		return run_root(cli, &f, argv);
	if (cli->help)
		return show_help(cli, NULL, false);
	return cli->global.version ? print_version(cli) : show_help(cli, NULL, true);
}
