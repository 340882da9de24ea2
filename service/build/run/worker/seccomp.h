/*
 * The system calls of a step: docker's default set (build.md 3.1), as an OCI profile.
 *
 * What is on the list is allowed; what is known and refused gets EPERM, as programs of the
 * time expect; anything else is newer than the list and gets ENOSYS, so that libraries fall back
 * to what they did before it.
 */
#ifndef SERVICE_BUILD_RUN_WORKER_SECCOMP_H
#define SERVICE_BUILD_RUN_WORKER_SECCOMP_H

#include <jansson.h>

/* linux.seccomp of config.json; NULL when memory is short. The caller's. */
json_t *seccomp_profile(void);

/* The tables, NULL-terminated. */
extern const char *const seccomp_allowed[];
extern const char *const seccomp_refused[];

#endif
