/* Durations as Go reads them: "1m30s", "0.5h", "0". Pure. */
#ifndef SERVICE_BUILD_DURATION_H
#define SERVICE_BUILD_DURATION_H

#include <stdint.h>

#include "proto/runtime/err.h"

/* E_INVALID with Go's words: `time: missing unit in duration "5"`. */
int duration_parse(const char *text, int64_t *ret_ns, struct err *err);

/* As Go prints it: "1m30s", "1.5s", "0s". */
enum { DURATION_TEXT_MAX = 40 };
char *duration_text(int64_t ns, char out[DURATION_TEXT_MAX]);

#endif
