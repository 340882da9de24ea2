/* What goes wrong with the user's own files, worded as Go does. */
#ifndef CLIENT_CLI_FILE_ERROR_H
#define CLIENT_CLI_FILE_ERROR_H

#include "proto/runtime/err.h"

/* "VERB PATH: no such file or directory", of errno. Always E_IO: nobody but the user
 * is told. */
int fail_file(struct err *err, const char *verb, const char *path);

#endif
