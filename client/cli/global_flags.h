/* The flags in front of the command, and what they mean together. */
#ifndef CLIENT_CLI_GLOBAL_FLAGS_H
#define CLIENT_CLI_GLOBAL_FLAGS_H

#include "client/cli/cli.h"

enum { N_GLOBAL_FLAGS = 11 };
extern const struct flag global_flags[N_GLOBAL_FLAGS];

/* The levels and the pairs of flags that docker refuses, in its words. E_UNKNOWN. */
int global_flags_check(const struct global_options *o, struct err *err);

#endif
