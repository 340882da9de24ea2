/*
 * The system calls of a step: docker's default set (build.md 3.1).
 *
 * What is on the list is allowed; what is known and refused gets EPERM, as programs of the
 * time expect; anything else is newer than the list and gets ENOSYS, so that libraries fall back
 * to what they did before it.
 *
 * Two forms of it: an OCI profile, for any runtime (worker/seccomp.h), and a compiled filter (seccomp_filter.h),
 * which saves crun the 15 ms that compiling costs.
 */
#ifndef SERVICE_BUILD_RUN_SECCOMP_RULES_H
#define SERVICE_BUILD_RUN_SECCOMP_RULES_H

#include <stddef.h>
#include <stdint.h>

/* NULL-terminated. */
extern const char *const seccomp_allowed[];
extern const char *const seccomp_refused[];

/* Allowed only when the first argument is so. */
enum seccomp_test { SECCOMP_EQUAL, SECCOMP_NOT_EQUAL, SECCOMP_NO_BITS_OF };

struct seccomp_rule {
	const char *name;
	enum seccomp_test test;
	uint64_t value;
};

extern const struct seccomp_rule seccomp_conditional[];
extern const size_t seccomp_conditional_n;

/* Its flags are in memory, where no filter sees them: ENOSYS, and libraries call clone. */
#define SECCOMP_UNSEEN "clone3"

#endif
