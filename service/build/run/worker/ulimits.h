/*
 * Limits of a step's processes (--ulimit), where only what this process has can be given.
 */
#ifndef SERVICE_BUILD_RUN_WORKER_ULIMITS_H
#define SERVICE_BUILD_RUN_WORKER_ULIMITS_H

#include "proto/runtime/err.h"
#include "service/build/run/plan.pb-c.h"

/* Whether a process without privileges can set them. E_UNSUPPORTED. `limits` may be NULL. */
int ulimits_check(const Imaged__Run__RunLimits *limits, struct err *err);

#endif
