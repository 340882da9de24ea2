/*
 * The commands as a list, from the tables that imagectl runs by. A row of the tables is one
 * entry with all the paths that lead to it: names and aliases of it and of the groups above.
 * The entry's strings belong to the catalog; the rest is of the tables.
 */
#ifndef CLIENT_CLI_DOCS_CATALOG_H
#define CLIENT_CLI_DOCS_CATALOG_H

#include "client/cli/cli.h"

struct catalog_entry {
	const struct command *command; /* NULL: the program */
	struct strings paths;	       /* without the program; "" is the program */
	struct strings others;	       /* paths of other rows that run the same; of the main row only */
	bool is_repeated;	       /* another row, the main one, runs the same */
};

struct catalog {
	struct catalog_entry *entries; /* in the order of the tables, groups before what is in them */
	size_t n;
};

int catalog_make(struct catalog *ret_catalog, struct err *err);
void catalog_free(struct catalog *c);

/* What may follow. */
const struct command *catalog_subcommands(const struct catalog_entry *e);
const struct flag *catalog_flags(const struct catalog_entry *e, size_t *ret_n);

#endif
