/* Build: a Dockerfile and its contexts in, an image or files out. */
#ifndef SERVICE_BUILD_SESSION_BUILD_H
#define SERVICE_BUILD_SESSION_BUILD_H

#include "service/image/image_service.h"

/* The handler; `self` is the image service. */
int build(void *self, struct rpc_call *call, struct err *err);

#endif
