/*
 * What imaged-run reports, as the callers of run.h get it.
 */
#ifndef SERVICE_BUILD_RUN_RESULT_H
#define SERVICE_BUILD_RUN_RESULT_H

#include "service/build/run/protocol.h"
#include "service/build/run/run.h"

struct run_result result_of_report(const struct run_report *r);

#endif
