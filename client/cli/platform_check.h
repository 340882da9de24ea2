/* --platform of commands that read an image which is already here. */
#ifndef CLIENT_CLI_PLATFORM_CHECK_H
#define CLIENT_CLI_PLATFORM_CHECK_H

#include "imaged/v1/image.pb-c.h"
#include "proto/runtime/err.h"

/* OK when `wanted` (NULL: any) names the platform of the image; docker's words
 * otherwise. */
int platform_check(const char *reference, const Imaged__V1__Platform *actual, const char *wanted, struct err *err);

/* That it can be read (NULL: it can): before anything is asked for, as docker's client does. */
int platform_check_text(const char *wanted, struct err *err);

#endif
