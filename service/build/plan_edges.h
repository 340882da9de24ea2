/* What stages need of each other. Private to plan.c. */
#ifndef SERVICE_BUILD_PLAN_EDGES_H
#define SERVICE_BUILD_PLAN_EDGES_H

#include "service/build/plan.h"

/* E_INVALID "circular dependency detected on stage: x". */
int plan_check_circles(const struct plan *p, struct place *ret_place, struct err *err);

/* All that the target needs, or everything if that is asked for. */
int plan_mark_reachable(struct plan *p, struct err *err);

#endif
