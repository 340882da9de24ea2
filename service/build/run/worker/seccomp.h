/*
 * The rules of seccomp_rules.h as an OCI profile.
 */
#ifndef SERVICE_BUILD_RUN_WORKER_SECCOMP_H
#define SERVICE_BUILD_RUN_WORKER_SECCOMP_H

#include <jansson.h>

/* linux.seccomp of config.json; NULL when memory is short. The caller's. */
json_t *seccomp_profile(void);

#endif
