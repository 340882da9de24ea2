/*
 * All images as CRI tells them, kept until something changes: kubelet and its like ask for them
 * every few seconds, and a list of a thousand takes milliseconds to read.
 */
#ifndef SERVICE_CRI_KEPT_LIST_H
#define SERVICE_CRI_KEPT_LIST_H

#include <stdatomic.h>

#include "cri/v1/image.pb-c.h"
#include "proto/runtime/arena.h"
#include "proto/runtime/err.h"

/* Does not change once it is kept. */
struct cri_list {
	Runtime__V1__Image **images; /* they are in the arena */
	size_t n, capacity, bytes;
	struct arena arena;
	uint64_t revision; /* of the shared store */
	atomic_uint refs;
};

/* With one reference. */
struct cri_list *cri_list_new(void);
void cri_list_unref(void *list); /* a struct cri_list; NULL is fine */

/* From any thread. */
struct cri_kept_list;

int cri_kept_list_new(struct cri_kept_list **ret_kept, struct err *err);
void cri_kept_list_free(struct cri_kept_list *k); /* NULL is fine */
/* Of that revision, with a reference for the caller; else NULL. */
struct cri_list *cri_kept_list_get(struct cri_kept_list *k, uint64_t revision);
/* In place of the one before; takes a reference of its own. */
void cri_kept_list_put(struct cri_kept_list *k, struct cri_list *list);

#endif
