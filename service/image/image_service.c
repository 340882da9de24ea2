#include "service/image/image_service.h"

static const struct imaged__v1__image_service__impl handlers = {
	.list_images = list_images,
	.inspect_image = inspect_image,
	.get_history = get_history,
	.tag_image = tag_image,
	.remove_image = remove_image,
	.prune_images = prune_images,
	.pull = pull,
	.copy = copy_image,
	.list_referrers = list_referrers,
	.push = push,
	.explain_host = explain_host,
	.search = search,
	.list_tags = list_tags,
	.inspect_remote = inspect_remote,
	.save = save,
	.load = load,
	.import = import,
	.mount_image = mount_image,
	.unmount_image = unmount_image,
	.list_mounts = list_mounts,
	.check_auth = check_auth,
	.get_disk_usage = get_disk_usage,
	.check_store = check_store,
	.watch_events = watch_events,
	.watch_transfers = watch_transfers,
	.get_version = get_version,
	.get_info = get_info,
};

struct rpc_binding image_service_binding(struct image_service *service)
{
	return imaged__v1__image_service__bind(&handlers, service);
}

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
