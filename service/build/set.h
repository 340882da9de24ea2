/*
 * Changes to the strings, lists and maps of a configuration (store/types/image_config.h),
 * which are on the heap. Lists of unique keys stay sorted, as they are read.
 *
 * OK, E_NO_MEMORY, or E_LIMIT past IMAGE_CONFIG_LIST_MAX entries.
 */
#ifndef SERVICE_BUILD_SET_H
#define SERVICE_BUILD_SET_H

#include "store/types/image_config.h"

int text_set(char **text, const char *value, struct err *err);

void list_clear(struct string_list *l); /* absent afterwards */
int list_append(struct string_list *l, const char *value, struct err *err);
/* A copy of the items, present also when there are none. */
int list_assign(struct string_list *l, const struct string_list *items, struct err *err);
/* Into a sorted list, unless it is there. */
int list_insert(struct string_list *l, const char *value, struct err *err);

int map_put(struct string_map *m, const char *key, const char *value, struct err *err);

#endif
