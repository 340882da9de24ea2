/*
 * What was made, to a registry: as an image, or as a cache. Private to service/build/result.
 */
#ifndef SERVICE_BUILD_RESULT_PUSHING_H
#define SERVICE_BUILD_RESULT_PUSHING_H

#include "service/build/result/made.h"

/* Its root becomes what `ref` leads to. After made_commit(). */
int push_made(const struct made *m, const struct reference *ref, struct vertex *vertex, struct err *err);
/* Instead of collecting it: see lease_abandon(). */
int keep_made(struct made *m, struct err *err);

#endif
