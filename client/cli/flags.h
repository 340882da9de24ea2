/*
 * Flags with the grammar of pflag, which docker uses (docker-cli.md 1.2): --name
 * VALUE, --name=VALUE, -n VALUE, -nVALUE, -n=VALUE, grouped -qa; booleans take a
 * value only after '='; "--" ends flags; a repeated scalar: the last wins.
 *
 * A command declares one table; parsing, messages and help come from it. Values
 * are written into the command's own options struct at the flag's offset, and
 * point into argv (whose commas FLAG_STRINGS overwrites). Lists grow on the heap:
 * flags_free() frees them.
 */
#ifndef CLIENT_CLI_FLAGS_H
#define CLIENT_CLI_FLAGS_H

#include <stddef.h>

#include "proto/runtime/buf.h"

enum flag_kind {
	FLAG_BOOL,	  /* bool */
	FLAG_STRING,	  /* const char *; NULL until given */
	FLAG_STRING_ONCE, /* const char *; a second one is an error */
	FLAG_INT,	  /* int64_t */
	FLAG_FILTERS,	  /* struct strings of "name=value" */
	FLAG_STRINGS,	  /* struct strings; a value may hold several, "," between */
	FLAG_LIST,	  /* struct strings; each value is one, whatever is in it */
	FLAG_ARRAY,	  /* the same, called stringArray */
	FLAG_ULIMIT,	  /* the same, called ulimit */
	FLAG_BYTES,	  /* int64_t: "64m" */
};

/* Added to the kind. */
enum flag_mark {
	FLAG_OWN = 0x100,    /* of ours: docker's help leaves it out */
	FLAG_HIDDEN = 0x200, /* every help leaves it out */
};

struct strings {
	const char **items;
	size_t n;
};

struct flag {
	const char *name;
	char shorthand;		  /* 0: none */
	unsigned kind;		  /* enum flag_kind, and marks */
	size_t offset;		  /* in the options */
	const char *usage;	  /* help text; may hold newlines */
	const char *default_text; /* shown as "(default …)"; NULL: none */
};

struct flags {
	const struct flag *table;
	size_t n;
	void *options;
	bool stop_at_argument; /* the first argument that is no flag ends the flags */
	/* Results. */
	bool help;
	int n_help_shorthands; /* how often -h was given, which docker calls deprecated */
	int n_arguments;       /* moved to the front of argv */
};

/* Reads argv[0..argc). Every table knows --help and -h. E_USAGE with pflag's
 * message. */
int flags_parse(struct flags *f, int argc, char **argv, struct err *err);
void flags_free(const struct flags *f);

/* What the help calls its value, "string"; "" of a FLAG_BOOL. */
const char *flag_value_name(const struct flag *flag);
/* The block of lines under "Options:", wrapped at `columns`, without flags that have one of
 * these marks. */
void flags_print(struct buf *out, const struct flag *table, size_t n, unsigned without, int columns);

#endif
