/*
 * Kubernetes' CRI v1 on the sockets of imaged: ImageService whole, and of RuntimeService what
 * clients of an image service ask for. An adapter: the store, the pulls and their sharing are
 * those of imaged.v1.ImageService.
 *
 * What the protocol leaves open is decided by what kubelet, crictl and critest expect
 * (registry-cri.md 2): an image that is missing is no error for ImageStatus, ListImages and
 * RemoveImage; the reference that PullImage returns is the image's id; RemoveImage takes all
 * names of the image.
 */
#ifndef SERVICE_CRI_CRI_H
#define SERVICE_CRI_CRI_H

#include "service/cri/kept_list.h"
#include "service/image/image_service.h"

struct cri_service {
	struct image_service *images;
	char *const *handlers; /* NAME or NAME=PLATFORM: what pods may name */
	size_t n_handlers;
	bool network_ready; /* what Status says of a network that others care for */
	struct cri_kept_list *kept;
};

/* The service outlives the RPC server. */
struct rpc_binding cri_image_binding(struct cri_service *service);
struct rpc_binding cri_runtime_binding(struct cri_service *service);

#endif
