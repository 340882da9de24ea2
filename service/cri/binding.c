#include "service/cri/handlers.h"

static const struct runtime__v1__image_service__impl image_handlers = {
	.list_images = cri_list_images,
	.stream_images = cri_stream_images,
	.image_status = cri_image_status,
	.pull_image = cri_pull_image,
	.remove_image = cri_remove_image,
	.image_fs_info = cri_image_fs_info,
};

static const struct runtime__v1__runtime_service__impl runtime_handlers = {
	.version = cri_version,
	.status = cri_status,
	.list_containers = cri_list_containers,
	.list_pod_sandbox = cri_list_pod_sandbox,
	.runtime_config = cri_runtime_config,
};

struct rpc_binding cri_image_binding(struct cri_service *service)
{
	return runtime__v1__image_service__bind(&image_handlers, service);
}

struct rpc_binding cri_runtime_binding(struct cri_service *service)
{
	return runtime__v1__runtime_service__bind(&runtime_handlers, service);
}
