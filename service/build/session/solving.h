/*
 * From the graphs of a build's platforms to its results: contexts and bases made ready, each
 * platform solved, outputs made. Inside of this folder.
 */
#ifndef SERVICE_BUILD_SESSION_SOLVING_H
#define SERVICE_BUILD_SESSION_SOLVING_H

#include "service/build/session/front_end.h"

/* `a`: for what `done` tells. */
int solve_and_export(struct session *s, const struct definition *d, struct front_end *fronts, size_t n, struct arena *a,
		     Imaged__V1__BuildDone *done, struct err *err);

#endif
