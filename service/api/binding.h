/*
 * Which handler serves which RPC of ImageService: above all folders that have some.
 */
#ifndef SERVICE_API_BINDING_H
#define SERVICE_API_BINDING_H

#include "service/image/image_service.h"

/* The service outlives the RPC server. */
struct rpc_binding image_service_binding(struct image_service *service);

#endif
