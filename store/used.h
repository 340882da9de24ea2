/*
 * How many bytes and files content and the images of layers are, without looking: a sum that
 * is kept while they come and go. For the store's own folders; usage.h tells it.
 */
#ifndef STORE_USED_H
#define STORE_USED_H

#include <sys/stat.h>

#include "store/internal.h"

/* Something was put into place, or (negative) taken away: content, or an image of a layer. */
void used_add(struct store *s, int64_t bytes, int64_t files);
void used_add_layer(struct store *s, int64_t bytes, int64_t files);

/* unlinkat() of an image of a layer that counts. *ret_st (or NULL) is what it was. */
int used_unlink_layer(struct store *s, int dir_fd, const char *path, struct stat *ret_st);

/* What was found by looking takes the place of the sum, unless something has come or gone
 * since `changes`. */
uint64_t used_changes(struct store *s);
bool used_set(struct store *s, uint64_t changes, const struct store_used *all, const struct store_used *layers);

#endif
