/*
 * The handlers of CRI, in the order of the .proto files. `self` is the service.
 */
#ifndef SERVICE_CRI_HANDLERS_H
#define SERVICE_CRI_HANDLERS_H

#include "cri/v1/image_service.server.h"
#include "cri/v1/runtime_service.server.h"
#include "service/cri/cri.h"

int cri_list_images(void *self, struct rpc_call *call, const Runtime__V1__ListImagesRequest *request,
		    Runtime__V1__ListImagesResponse *response, struct err *err);
int cri_stream_images(void *self, struct rpc_call *call, const Runtime__V1__StreamImagesRequest *request,
		      struct err *err);
int cri_image_status(void *self, struct rpc_call *call, const Runtime__V1__ImageStatusRequest *request,
		     Runtime__V1__ImageStatusResponse *response, struct err *err);
int cri_pull_image(void *self, struct rpc_call *call, const Runtime__V1__PullImageRequest *request,
		   Runtime__V1__PullImageResponse *response, struct err *err);
int cri_remove_image(void *self, struct rpc_call *call, const Runtime__V1__RemoveImageRequest *request,
		     Runtime__V1__RemoveImageResponse *response, struct err *err);
int cri_image_fs_info(void *self, struct rpc_call *call, const Runtime__V1__ImageFsInfoRequest *request,
		      Runtime__V1__ImageFsInfoResponse *response, struct err *err);

int cri_version(void *self, struct rpc_call *call, const Runtime__V1__VersionRequest *request,
		Runtime__V1__VersionResponse *response, struct err *err);
int cri_status(void *self, struct rpc_call *call, const Runtime__V1__StatusRequest *request,
	       Runtime__V1__StatusResponse *response, struct err *err);
int cri_list_containers(void *self, struct rpc_call *call, const Runtime__V1__ListContainersRequest *request,
			Runtime__V1__ListContainersResponse *response, struct err *err);
int cri_list_pod_sandbox(void *self, struct rpc_call *call, const Runtime__V1__ListPodSandboxRequest *request,
			 Runtime__V1__ListPodSandboxResponse *response, struct err *err);
int cri_runtime_config(void *self, struct rpc_call *call, const Runtime__V1__RuntimeConfigRequest *request,
		       Runtime__V1__RuntimeConfigResponse *response, struct err *err);

#endif
