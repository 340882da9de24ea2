/*
 * SOURCE_DATE_EPOCH: the time that what is built gets, so that it is the same whenever it
 * is built (build.md 1.4). From --build-arg or an ARG before the first FROM.
 *
 * Pure.
 */
#ifndef SERVICE_BUILD_EPOCH_H
#define SERVICE_BUILD_EPOCH_H

#include "service/build/plan.h"

enum epoch_kind {
	EPOCH_NONE,    /* the time of the build */
	EPOCH_SECONDS, /* since 1970 */
	EPOCH_CONTEXT, /* that of the commit which the context is */
	EPOCH_SOURCE,  /* that of a named context, or of the one source of a stage */
};

struct epoch {
	enum epoch_kind kind;
	int64_t seconds;
	const char *source; /* of EPOCH_SOURCE: its name */
};

/* E_INVALID "invalid SOURCE_DATE_EPOCH: x". */
int epoch_of(const struct plan *p, struct epoch *ret_epoch, struct err *err);

#endif
