/*
 * imagectl: what the commands share. One struct cli lives from main() to the end;
 * everything in it belongs to the main thread.
 *
 * A command is an entry of a table (commands.c): its flags, its number of
 * arguments, and a function that does the work and returns the exit status. It
 * prints through cli_print() and reports errors through cli_fail…(), so that
 * streams, prefixes and exit codes are decided here (docker-cli.md 1.1).
 */
#ifndef CLIENT_CLI_CLI_H
#define CLIENT_CLI_CLI_H

#include "client/cli/flags.h"
#include "client/lib/channel.h"

struct docker_config;

struct global_options {
	const char *config_dir, *context, *host, *log_level;
	const char *tlscacert, *tlscert, *tlskey;
	bool debug, tls, tlsverify, version;
};

struct cli {
	const char *program; /* cli_program() */
	char path[128];	     /* of the command: "imagectl image ls" */
	struct global_options global;
	struct rpc_channel *channel; /* NULL until a command needs it */
	char *address;		     /* of the channel */
	struct docker_config *config;
	bool help;	/* was asked for in front of the command */
	bool top_level; /* the short form of a command: "imagectl images" */
};

struct command_spec {
	const char *usage;   /* behind the path: "[OPTIONS] [REPOSITORY[:TAG]]" */
	const char *summary; /* one line, for lists */
	const char *help;    /* NULL: as summary */
	const char *plugin;  /* what docker calls it in its messages: "buildx build"; NULL: its path */
	const char *aliases; /* full forms without the program, ", " between; NULL: none */
	const struct flag *flags;
	size_t n_flags;
	int min_args, max_args; /* max_args < 0: any number */
	bool stop_at_argument;	/* flags only before the arguments */
	bool own;		/* docker has none of that name: as FLAG_OWN */
	size_t options_size;
	const void *defaults; /* of options_size bytes; NULL: zeros */
	int (*run)(struct cli *cli, const void *options, int argc, char **argv);
};

struct command {
	const char *name;
	const char *alias;		   /* NULL: none */
	const struct command_spec *spec;   /* a command, */
	const struct command *subcommands; /* or a group: ends with a NULL name. Of a command: groups that
					    * are meant when a word of theirs follows */
	const char *summary;		   /* of a group */
};

extern const struct command root_commands[];

/* ---- the program's name --------------------------------------------------- */

/* The last part of argv[0], as it is printed everywhere. */
const char *cli_program(const char *argv0);
/* A link of that name was called: texts are docker's, and help tells only of what docker
 * has. Commands and flags of ours work all the same. */
bool cli_is_docker(const struct cli *cli);

/* ---- output --------------------------------------------------------------- */

/* To stdout at once. Nobody reads any more: the process ends as by SIGPIPE. An
 * error is remembered, and makes the exit status 1. */
void cli_print(const char *fmt, ...) __attribute__((format(printf, 1, 2)));
void cli_write(const void *data, size_t len);
void cli_warn(const char *fmt, ...) __attribute__((format(printf, 1, 2))); /* stderr, as it is */
bool cli_output_failed(void);

/* An error of our own, or one that came within a stream: without prefix. */
int cli_fail(const struct err *err);
/* One that a call returned. "Error response from daemon: " in front, unless the
 * table of errors says otherwise. Returns the exit status. */
int cli_fail_call(const struct err *err);
/* The same text into a buffer, for commands that report at the end. */
void cli_call_error(struct buf *out, const struct err *err);

/* Columns of the terminal on fd; 0 when it is none. */
int terminal_width(int fd);
/* The same of its lines. */
int terminal_height(int fd);
/* Columns of standard output now, for progress: 200 where none are known, as docker has it. */
int cli_output_width(void);
/* Progress on standard output. */
struct progress;
void cli_progress(struct progress *p);

/* ---- connection (connect.c) ----------------------------------------------- */

/* The channel, opened at the first use. */
int cli_channel(struct cli *cli, struct rpc_channel **ret_channel, struct err *err);
/* Puts the error of a call into docker's words when the daemon is unreachable. */
void cli_explain(const struct cli *cli, struct err *err);
/* What a call takes: no deadline, ended by signals. */
const struct rpc_call_options *cli_call_options(void);

/* ---- configuration -------------------------------------------------------- */

/* The user's config.json, read at the first use; never NULL. */
struct docker_config *cli_config(struct cli *cli);
const char *cli_config_dir(struct cli *cli, char out[4096]);

/* ---- command line (usage.c) ----------------------------------------------- */

int usage_run(struct cli *cli, int argc, char **argv);

/* ---- signals (signals.c) -------------------------------------------------- */

/* SIGINT and SIGTERM end the process with 128 + signal; the daemon sees the
 * connection go and cancels the call. Terminal settings are put back. */
void signals_install(void);
/* Settings to put back on a signal; NULL when they are back. */
struct termios;
void signals_restore_terminal(const struct termios *settings);
/* What a signal that ends the process prints on stderr. */
void signals_say(const char *text);
/* A file to remove on a signal; NULL when there is none any more. */
void signals_remove_file(const char *path);
/* The first signal from now on is told to this eventfd instead, the second ends the process;
 * -1: no more. */
void signals_tell(int eventfd);
int signals_told(void); /* which; 0: none */

#endif
