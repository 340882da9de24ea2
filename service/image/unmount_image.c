/* UnmountImage. */
#include "service/image/image_service.h"
#include "service/image/mount_message.h"

int unmount_image(void *self, struct rpc_call *call, const Imaged__V1__UnmountImageRequest *request,
		  Imaged__V1__UnmountImageResponse *response, struct err *err)
{
	struct image_service *service = self;
	struct bytes which = { request->mount.data, request->mount.len };
	struct arena *a = NULL;
	struct mount_entry entry;

	if (require_unix_socket(call, err) < 0 || answer_arena(call, &a, err) < 0 ||
	    mounts_unmount(service->mounts, which, request->lazy, a, &entry, &response->freed_bytes, err) < 0)
		return err->code;
	response->mount = mount_message(a, &entry);
	return response->mount ? OK : fail_nomem(err);
}
