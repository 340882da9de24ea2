/*
 * docker-credential-NAME programs: one verb, text on stdin, text on stdout. A
 * helper gets a limited time and may answer a limited amount; it runs with the
 * user's environment, found in PATH. NAME is letters, digits, '_' and '-' only.
 */
#ifndef CLIENT_CLI_CREDENTIAL_HELPER_H
#define CLIENT_CLI_CREDENTIAL_HELPER_H

#include "proto/runtime/buf.h"

enum { HELPER_INPUT_MAX = 64 * 1024, HELPER_OUTPUT_MAX = 64 * 1024, HELPER_TIMEOUT_MS = 120 * 1000 };

/* From the start of a helper to its end; a variable for tests. */
extern int64_t credential_helper_timeout_ms;

/* E_NOT_FOUND when the helper says that it holds no such credentials. `out` holds
 * a secret afterwards: the caller wipes it. */
int credential_helper_run(const char *name, const char *verb, const char *input, struct buf *out, struct err *err);

#endif
