/* Paths of files and directories. */
#ifndef CLIENT_CLI_PATH_H
#define CLIENT_CLI_PATH_H

#include "proto/runtime/err.h"

/* For the daemon, whose working directory is another one. free() it; NULL with errno.
 * What is absolute stays as it was typed. */
char *absolute_path(const char *path);
/* The directory of a file, and those above it, for the user alone. */
int make_directories_for(const char *path, struct err *err);

#endif
