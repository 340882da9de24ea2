/* Numbers and switches as Go reads them. Pure; false when the text is none. */
#ifndef SERVICE_BUILD_NUMBER_H
#define SERVICE_BUILD_NUMBER_H

#include <stdbool.h>
#include <stdint.h>

/* 1 t T TRUE true True, 0 f F FALSE false False */
bool bool_parse(const char *text, bool *ret_on);

/* Only digits. */
bool uint32_parse(const char *text, unsigned base, uint32_t *ret_number);

/* Digits, perhaps with a sign. */
bool int64_parse(const char *text, int64_t *ret_number);

/* Bytes: "64", "64k", "1.5GiB", "1 mb"; factors of 1024. */
bool size_parse(const char *text, int64_t *ret_bytes);

#endif
