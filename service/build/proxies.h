/*
 * Arguments that every RUN sees without an ARG for them: the proxies'. They are no part of
 * the image, its history, or what makes one step another one.
 *
 * Pure; in the arena.
 */
#ifndef SERVICE_BUILD_PROXIES_H
#define SERVICE_BUILD_PROXIES_H

#include "service/build/scope.h"
#include "store/types/image_config.h"

/* NAME=value, in upper and in lower case, of those that are given; `args` may be NULL. Of
 * two that differ in case the one in lower case counts. */
int proxies_of(const struct scope *args, struct arena *a, struct string_list *ret_env, struct err *err);

#endif
