/* What completions offer behind flags and commands, beyond what the tables say themselves. */
#ifndef CLIENT_CLI_DOCS_VALUES_H
#define CLIENT_CLI_DOCS_VALUES_H

#include "client/cli/docs/catalog.h"

/* Of a flag with a value: "file", "directory", or the words that its text lists as ("one", "two"), with
 * "," between; "": nothing is known. */
void flag_values_put(struct buf *out, const struct flag *flag);
/* Of a command's arguments, by its usage line: "images", "files", "directories", "". */
const char *argument_values(const struct command_spec *spec);

#endif
