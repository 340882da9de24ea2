#include "service/image/image_service.h"

int admission_enter(struct admission *a, int max, const char *what, struct err *err)
{
	if (atomic_fetch_add(&a->admitted, 1) < max)
		return OK;
	admission_leave(a);
	return fail(err, E_BUSY, "%d %s already: try again when one of them is done", max, what);
}

void admission_leave(struct admission *a)
{
	atomic_fetch_sub(&a->admitted, 1);
}

static void unref_workers(void *workers)
{
	layer_workers_unref(workers);
}

void release_workers(struct rpc_call *call, struct layer_workers *workers)
{
	if (workers)
		rpc_call_defer(call, unref_workers, workers, NULL);
}
