/*
 * The rules of seccomp_rules.h as a program for the kernel, compiled once in a process.
 */
#ifndef SERVICE_BUILD_RUN_SECCOMP_FILTER_H
#define SERVICE_BUILD_RUN_SECCOMP_FILTER_H

#include "proto/runtime/mem.h"

/* In base64, as crun takes it; never freed. NULL: it could not be compiled, and the runtime
 * has to. Any thread. */
const char *seccomp_filter(void);

#endif
