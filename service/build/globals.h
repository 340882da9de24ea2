/* What FROM sees: the platforms' arguments and the ARGs before the first FROM. Pure. */
#ifndef SERVICE_BUILD_GLOBALS_H
#define SERVICE_BUILD_GLOBALS_H

#include "service/build/plan.h"

/* TARGETPLATFORM and its kin, as --build-arg overrides them. */
int globals_of_platforms(const struct plan_options *o, const char *target, struct scope *to, struct err *err);

/* `build_args` may be NULL: the defaults alone. *ret_place is of the ARG that is wrong. */
int globals_of_file(const struct dockerfile *f, const struct scope *build_args, struct scope *to,
		    struct place *ret_place, struct err *err);

/* The value of a text of FROM; names that have none go into `unset`, those that have one
 * into `set`. In the scope's arena. */
int globals_expand(const struct scope *globals, char escape, const char *text, const char **ret_value,
		   struct word_list *set, struct word_list *unset, struct err *err);

#endif
