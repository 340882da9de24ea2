/* RemoveImage. */
#include "proto/runtime/clock.h"
#include "service/image/convert.h"
#include "service/image/image_service.h"
#include "service/image/removed.h"

int remove_image(void *self, struct rpc_call *call, const Imaged__V1__RemoveImageRequest *request,
		 Imaged__V1__RemoveImageResponse *response, struct err *err)
{
	struct image_service *service = self;
	struct removed_list list = { .arena = NULL };
	struct removal removal = {
		.force = request->force,
		.dry_run = request->dry_run,
		.now_ns = clock_wall_ns(),
		.visit = removed_list_add,
		.arg = &list,
	};

	/* What somebody unmounted keeps nothing. */
	if (!request->dry_run)
		mounts_tidy(service->mounts, NULL);
	if (answer_arena(call, &list.arena, err) < 0 || image_remove(service->store, request->image, &removal, err) < 0)
		return err->code;
	response->items = list.items;
	response->n_items = list.n;
	response->items_left_out = list.left_out;
	response->freed_bytes = removal.freed;
	return OK;
}
