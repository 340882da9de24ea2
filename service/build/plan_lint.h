/* Warnings about FROM, once its variables have values. Private to plan.c. */
#ifndef SERVICE_BUILD_PLAN_LINT_H
#define SERVICE_BUILD_PLAN_LINT_H

#include "service/build/plan.h"

/* Names in FROM that no ARG declares. */
void warn_unset(const struct plan *p, const struct instruction *from, const struct word_list *unset);

/* --platform that says what is so anyway, or is the same whatever is built. */
void warn_platform(const struct plan *p, const struct instruction *from, const char *value, const struct word_list *set,
		   const struct word_list *unset);

/* Bases that are none unless a --build-arg gives them a name. E_NO_MEMORY, E_LIMIT. */
int warn_default_bases(const struct plan *p, struct err *err);

/* " (did you mean X?)" for a name, or "". In the arena. */
const char *suggest_global(const struct plan *p, struct bytes name);

#endif
