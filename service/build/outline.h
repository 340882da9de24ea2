/*
 * What a build takes and what it can make, in BuildKit's forms (--call outline, targets): the
 * target's arguments with their values, its secrets and agents; the stages of the file.
 *
 * Pure; appends. E_LIMIT, E_NO_MEMORY; E_INVALID where the file is no UTF-8 (JSON).
 */
#ifndef SERVICE_BUILD_OUTLINE_H
#define SERVICE_BUILD_OUTLINE_H

#include "service/build/evaluate.h"

struct outline_subject {
	struct bytes text; /* of the Dockerfile */
	const struct plan *plan;
	const struct evaluation *evaluation; /* for outlines */
};

int outline_text(const struct outline_subject *s, struct buf *out, struct err *err);
int outline_json(const struct outline_subject *s, struct buf *out, struct err *err);

int targets_text(const struct outline_subject *s, struct buf *out, struct err *err);
int targets_json(const struct outline_subject *s, struct buf *out, struct err *err);

#endif
