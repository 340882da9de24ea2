#include "client/cli/help.h"

#include <sys/ioctl.h>

#include "client/cli/docker_words.h"
#include "client/cli/global_flags.h"

enum { COLUMNS = 80, NAME_COLUMN = 11 };

/* Those that the program's help lists first, in this order. */
static const char *const common[] = {
	"build", "pull", "push", "images", "login", "logout", "search", "version", "info"
};

enum section { COMMON, GROUPS, COMMANDS };

static const char *path_of(const struct cli *cli)
{
	const char *space = strchr(cli->path, ' ');

	return space ? space + 1 : "";
}

static int columns(void)
{
	struct winsize size;

	return ioctl(STDIN_FILENO, TIOCGWINSZ, &size) == 0 ? size.ws_col : COLUMNS;
}

/* ---- lists of commands ---------------------------------------------------- */

static bool is_common(const struct command *table, const struct command *command)
{
	for (size_t i = 0; table == root_commands && i < ARRAY_LEN(common); i++)
		if (!strcmp(common[i], command->name))
			return true;
	return false;
}

static bool is_listed(const struct cli *cli, const struct command *table, const struct command *command,
		      enum section section)
{
	if (command->spec && command->spec->own && cli_is_docker(cli))
		return false;
	if (!command->spec)
		return section == GROUPS;
	return section == (is_common(table, command) ? COMMON : COMMANDS);
}

/* At least docker's column, and as wide as the longest name needs. */
static int name_width(const struct cli *cli, const struct command *table)
{
	int width = NAME_COLUMN;

	for (; table->name; table++)
		if (!(table->spec && table->spec->own && cli_is_docker(cli)) && (int)strlen(table->name) > width)
			width = (int)strlen(table->name);
	return width;
}

static const char *summary_of(const struct cli *cli, const struct command *command)
{
	char path[128];
	const struct docker_words *words;
	const char *group = path_of(cli);

	snprintf(path, sizeof path, "%s%s%s", group, *group ? " " : "", command->name);
	words = docker_words(cli, path);
	if (words && words->summary)
		return words->summary;
	return command->spec ? command->spec->summary : command->summary;
}

static void put_command(const struct cli *cli, struct buf *out, const struct command *table,
			const struct command *command)
{
	buf_printf(out, "  %-*s %s\n", name_width(cli, table), command->name, summary_of(cli, command));
}

static void put_commands(const struct cli *cli, struct buf *out, const char *title, const struct command *table,
			 enum section section)
{
	CLEANUP(buf_free) struct buf lines = BUF_INIT(32 * 1024);

	for (const struct command *c = table; c->name; c++)
		if (is_listed(cli, table, c, section))
			put_command(cli, &lines, table, c);
	if (lines.len)
		buf_printf(out, "\n%s:\n%s", title, buf_text(&lines));
}

static void put_common_commands(const struct cli *cli, struct buf *out)
{
	buf_puts(out, "\nCommon Commands:\n");
	for (size_t i = 0; i < ARRAY_LEN(common); i++)
		for (const struct command *c = root_commands; c->name; c++)
			if (!strcmp(c->name, common[i]))
				put_command(cli, out, root_commands, c);
}

/* ---- flags ---------------------------------------------------------------- */

static void put_options(const struct cli *cli, struct buf *out, const char *title, const struct flag *flags, size_t n)
{
	CLEANUP(buf_free) struct buf lines = BUF_INIT(32 * 1024);
	CLEANUP(freep) struct flag *shown = calloc(n + 1, sizeof *shown);

	for (size_t i = 0; shown && i < n; i++) {
		const char *usage = docker_flag(cli, flags[i].name);

		shown[i] = flags[i];
		shown[i].usage = usage ? usage : flags[i].usage;
	}
	flags_print(&lines, shown ? shown : flags, n, cli_is_docker(cli) ? FLAG_OWN : 0, columns() - 1);
	if (lines.len)
		buf_printf(out, "\n%s:\n%s", title, buf_text(&lines));
}

static void put_default(struct flag *flag, const char *directory, const char *file, char out[4200])
{
	snprintf(out, 4200, "\"%s%s\"", directory, file);
	flag->default_text = out;
}

/* With the defaults that follow from the environment. */
static void put_global_options(const struct cli *cli, struct buf *out)
{
	static const struct {
		const char *flag, *file;
	} files[] = {
		{ "config", "" }, { "tlscacert", "/ca.pem" }, { "tlscert", "/cert.pem" }, { "tlskey", "/key.pem" }
	};
	struct cli environment = { .program = cli->program };
	struct flag shown[N_GLOBAL_FLAGS];
	char defaults[ARRAY_LEN(files)][4200], directory[4096];

	memcpy(shown, global_flags, sizeof shown);
	cli_config_dir(&environment, directory);
	for (size_t k = 0; k < N_GLOBAL_FLAGS; k++) {
		for (size_t i = 0; i < ARRAY_LEN(files); i++)
			if (!strcmp(shown[k].name, files[i].flag))
				put_default(&shown[k], directory, files[i].file, defaults[i]);
	}
	put_options(cli, out, "Global Options", shown, N_GLOBAL_FLAGS);
}

/* ---- parts ---------------------------------------------------------------- */

/* "docker image ls, docker image list, docker images" */
static void put_aliases(const struct cli *cli, struct buf *out, const char *aliases)
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

static void put_description(const struct cli *cli, struct buf *out, const char *summary, const char *help)
{
	const struct docker_words *words = docker_words(cli, path_of(cli));

	if (words && words->summary) {
		summary = words->summary;
		help = words->help;
	}
	buf_printf(out, "\n\n%s\n", help ? help : summary);
	if (docker_is_experiment(cli, path_of(cli)))
		buf_printf(out,
			   "\nEXPERIMENTAL:\n"
			   "  %s is an experimental feature.\n"
			   "  Experimental features provide early access to product functionality. These\n"
			   "  features may change between releases without warning, or can be removed from a\n"
			   "  future release. Learn more about experimental features in our documentation:\n"
			   "  https://docs.docker.com/go/experimental/\n",
			   cli->path);
}

static void put_more(const struct cli *cli, struct buf *out)
{
	buf_printf(out, "\nRun '%s COMMAND --help' for more information on a command.\n", cli->path);
}

/* ---- the help ------------------------------------------------------------- */

void help_put_usage(const struct cli *cli, struct buf *out, const struct command *command)
{
	const char *usage = !command ? "[OPTIONS] COMMAND [ARG...]" : command->spec ? command->spec->usage : NULL;
	const struct docker_words *words = docker_words(cli, path_of(cli));

	if (words && words->usage)
		usage = words->usage;
	buf_printf(out, "%s%s%s", cli->path, usage && *usage ? " " : "", usage ? usage : "");
}

static void put_command_help(const struct cli *cli, struct buf *out, const struct command *command)
{
	const struct command_spec *spec = command->spec;

	buf_puts(out, "Usage:  ");
	help_put_usage(cli, out, command);
	put_description(cli, out, spec->summary, spec->help);
	put_aliases(cli, out, spec->aliases);
	put_options(cli, out, "Options", spec->flags, spec->n_flags);
	if (command->subcommands && !cli_is_docker(cli))
		put_commands(cli, out, "Management Commands", command->subcommands, GROUPS);
}

static void put_group_help(const struct cli *cli, struct buf *out, const struct command *group)
{
	buf_printf(out, "Usage:  %s COMMAND", cli->path);
	put_description(cli, out, group->summary, NULL);
	if (!cli_is_docker(cli))
		put_commands(cli, out, "Management Commands", group->subcommands, GROUPS);
	put_commands(cli, out, "Commands", group->subcommands, COMMANDS);
	put_more(cli, out);
}

static void put_guides(struct buf *out)
{
	bool bold = isatty(STDOUT_FILENO);

	buf_printf(out, "\n%sFor more help on how to use Docker, head to https://docs.docker.com/go/guides/%s\n",
		   bold ? "\033[1m" : "", bold ? "\033[0m" : "");
}

static void put_root_help(const struct cli *cli, struct buf *out)
{
	buf_printf(out, "Usage:  %s [OPTIONS] COMMAND", cli->program);
	put_description(
		cli, out,
		"Container images of one machine, and of registries: search, pull, push, copy, list, inspect, tag, "
		"remove",
		NULL);
	put_common_commands(cli, out);
	put_commands(cli, out, "Management Commands", root_commands, GROUPS);
	put_commands(cli, out, "Commands", root_commands, COMMANDS);
	put_global_options(cli, out);
	put_more(cli, out);
	if (cli_is_docker(cli))
		put_guides(out);
}

void help_put(const struct cli *cli, struct buf *out, const struct command *command)
{
	if (!command)
		put_root_help(cli, out);
	else if (command->spec)
		put_command_help(cli, out, command);
	else
		put_group_help(cli, out, command);
}
