/*
 * Changes of a file's mode as COPY --chmod takes them: an octal number, or chmod's symbols
 * ("u+x,g-w", "a=rX", "g=u").
 *
 * Pure. E_INVALID: "invalid chmod parameter: 'x'. it should be octal string and between 0
 * and 07777".
 */
#ifndef SERVICE_BUILD_FILE_MODE_H
#define SERVICE_BUILD_FILE_MODE_H

#include <stdbool.h>
#include <stdint.h>

#include "proto/runtime/err.h"

int file_mode_check(const char *text, struct err *err);

/* The text was checked. `mode`: the 12 bits that the file has. */
uint32_t file_mode_apply(const char *text, uint32_t mode, bool is_directory);

#endif
