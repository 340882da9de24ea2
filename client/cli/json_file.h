/* A JSON file of the user's: read whole, written atomically with tabs, as docker. */
#ifndef CLIENT_CLI_JSON_FILE_H
#define CLIENT_CLI_JSON_FILE_H

#include <jansson.h>

#include "proto/runtime/buf.h"

enum { JSON_FILE_MAX = 16 * 1024 * 1024 };

/* ret_json is NULL when there is no file or nothing in it. E_INVALID when it is
 * damaged; the message does not name the file. */
int json_file_read(const char *path, json_t **ret_json, struct err *err);
/* Mode 0600, directory 0700 when it must be made; a link is followed. On failure
 * the old file is untouched. */
int json_file_write(const char *path, const json_t *json, struct err *err);

#endif
