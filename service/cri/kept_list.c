#include "service/cri/kept_list.h"

#include <pthread.h>
#include <stdlib.h>

enum { LIST_ARENA_MAX = 64 * 1024 * 1024 };

struct cri_kept_list {
	pthread_mutex_t mu;
	struct cri_list *list;
};

struct cri_list *cri_list_new(void)
{
	struct cri_list *l = calloc(1, sizeof *l);

	if (!l)
		return NULL;
	arena_init(&l->arena, LIST_ARENA_MAX);
	atomic_init(&l->refs, 1);
	return l;
}

void cri_list_unref(void *list)
{
	struct cri_list *l = list;

	if (!l || atomic_fetch_sub(&l->refs, 1) != 1)
		return;
	arena_free(&l->arena);
	free(l->images);
	free(l);
}

int cri_kept_list_new(struct cri_kept_list **ret_kept, struct err *err)
{
	struct cri_kept_list *k = calloc(1, sizeof *k);

	if (!k)
		return fail_nomem(err);
	pthread_mutex_init(&k->mu, NULL);
	*ret_kept = k;
	return OK;
}

void cri_kept_list_free(struct cri_kept_list *k)
{
	if (!k)
		return;
	cri_list_unref(k->list);
	pthread_mutex_destroy(&k->mu);
	free(k);
}

struct cri_list *cri_kept_list_get(struct cri_kept_list *k, uint64_t revision)
{
	struct cri_list *list = NULL;

	pthread_mutex_lock(&k->mu);
	if (k->list && k->list->revision == revision) {
		list = k->list;
		atomic_fetch_add(&list->refs, 1);
	}
	pthread_mutex_unlock(&k->mu);
	return list;
}

void cri_kept_list_put(struct cri_kept_list *k, struct cri_list *list)
{
	struct cri_list *old;

	atomic_fetch_add(&list->refs, 1);
	pthread_mutex_lock(&k->mu);
	old = k->list;
	k->list = list;
	pthread_mutex_unlock(&k->mu);
	cri_list_unref(old);
}
