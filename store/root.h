/*
 * The root directory: whose it is, which format, and the one daemon that may use
 * it. Opens the directories of a struct store.
 */
#ifndef STORE_ROOT_H
#define STORE_ROOT_H

#include "store/internal.h"

/* Fills in root_fd, lock_fd, read_only and the directories. */
int root_open(struct store *s, struct err *err);
void root_close(struct store *s);

/* A directory in the root, made durably when it is missing. */
int root_open_dir(struct store *s, const char *name, int *ret_fd, struct err *err);

#endif
