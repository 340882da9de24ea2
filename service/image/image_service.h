/*
 * imaged.v1.ImageService: one file per RPC, over the store and the registry
 * client. The struct is what all of them share; it outlives the RPC server. Those of builds
 * are in service/build; service/api/binding.h knows all.
 */
#ifndef SERVICE_IMAGE_IMAGE_SERVICE_H
#define SERVICE_IMAGE_IMAGE_SERVICE_H

#include <stdatomic.h>

#include "imaged/v1/image_service.server.h"
#include "service/image/layer_files.h"
#include "service/image/transfer.h"
#include "service/mount/mounts.h"
#include "service/rpc/call.h"
#include "store/image/image.h"

struct admission {
	atomic_int admitted;
};

struct contexts;
struct step_cache;
struct cache_mounts;
struct solver;
struct build_base;
struct used_images;

/* What builds stand on; NULL in a store that is read-only. */
struct build_parts {
	struct contexts *contexts;
	struct step_cache *step_cache;
	struct cache_mounts *cache_mounts;
	struct solver *solver;
	struct build_base *base;
	struct used_images *used_images;	 /* NULL: none are remembered */
	int64_t cache_max_bytes;		 /* for GetInfo; < 0: any */
	const char *cgroup_parent;		 /* of steps; NULL: run.h's */
	bool allow_host_network, allow_insecure; /* what clients may ask for (--allow) */
	struct admission admission;
};

struct image_service {
	struct store *store;
	struct registry *registry;
	struct transfers *transfers;
	struct layer_files *layer_files;
	struct platform platform;   /* of this machine */
	const char *worker_program; /* imaged-layer */
	struct mounts *mounts;
	const char *sandbox; /* how it is confined, for GetInfo */
	const char *const *listeners;
	size_t n_listeners;
	char *const *insecure_registries;
	size_t n_insecure_registries;
	bool no_layers; /* what comes in gets no images of its layers */
	int64_t started_ns;
	struct build_parts build;
	atomic_int running_pulls;
	atomic_flag makes_for_check; /* set while a check makes an image of a layer (check_layer.h) */
	/* Calls that wait for their client or for a foreign server as long as those like. A
	 * limit of their own leaves threads of the server's pools to all the others. */
	struct admission uploads, saves, watches, logins, pushes, copies, questions;
};

enum {
	UPLOADS_MAX = 32,
	SAVES_MAX = 32, /* and exports, and comparisons */
	WATCHES_MAX = 32,
	LOGINS_MAX = 32,
	PUSHES_MAX = 32,
	COPIES_MAX = 8,
	BUILDS_MAX = 16,
	QUESTIONS_MAX = 24,
};

/* E_BUSY when `max` are in. Who was admitted must leave. Logins and questions wait on the
 * 64 threads of one pool. */
int admission_enter(struct admission *a, int max, const char *what, struct err *err);
void admission_leave(struct admission *a);

/* Behind the answer: to end processes takes a millisecond that no client need wait for. */
void release_workers(struct rpc_call *call, struct layer_workers *workers);

/* The handlers, in the order of the .proto. `self` is the struct above. */
int list_images(void *self, struct rpc_call *call, const Imaged__V1__ListImagesRequest *request,
		Imaged__V1__ListImagesResponse *response, struct err *err);
int inspect_image(void *self, struct rpc_call *call, const Imaged__V1__InspectImageRequest *request,
		  Imaged__V1__InspectImageResponse *response, struct err *err);
int diff_images(void *self, struct rpc_call *call, const Imaged__V1__DiffImagesRequest *request, struct err *err);
int get_history(void *self, struct rpc_call *call, const Imaged__V1__GetHistoryRequest *request,
		Imaged__V1__GetHistoryResponse *response, struct err *err);
int tag_image(void *self, struct rpc_call *call, const Imaged__V1__TagImageRequest *request,
	      Imaged__V1__TagImageResponse *response, struct err *err);
int pin_image(void *self, struct rpc_call *call, const Imaged__V1__PinImageRequest *request,
	      Imaged__V1__PinImageResponse *response, struct err *err);
int remove_image(void *self, struct rpc_call *call, const Imaged__V1__RemoveImageRequest *request,
		 Imaged__V1__RemoveImageResponse *response, struct err *err);
int prune_images(void *self, struct rpc_call *call, const Imaged__V1__PruneImagesRequest *request,
		 Imaged__V1__PruneImagesResponse *response, struct err *err);
int pull(void *self, struct rpc_call *call, const Imaged__V1__PullRequest *request, struct err *err);
int copy_image(void *self, struct rpc_call *call, const Imaged__V1__CopyRequest *request, struct err *err);
int list_referrers(void *self, struct rpc_call *call, const Imaged__V1__ListReferrersRequest *request,
		   Imaged__V1__ListReferrersResponse *response, struct err *err);
int push(void *self, struct rpc_call *call, const Imaged__V1__PushRequest *request, struct err *err);
int explain_host(void *self, struct rpc_call *call, const Imaged__V1__ExplainHostRequest *request,
		 Imaged__V1__ExplainHostResponse *response, struct err *err);
int search(void *self, struct rpc_call *call, const Imaged__V1__SearchRequest *request,
	   Imaged__V1__SearchResponse *response, struct err *err);
int list_tags(void *self, struct rpc_call *call, const Imaged__V1__ListTagsRequest *request,
	      Imaged__V1__ListTagsResponse *response, struct err *err);
int inspect_remote(void *self, struct rpc_call *call, const Imaged__V1__InspectRemoteRequest *request,
		   Imaged__V1__InspectRemoteResponse *response, struct err *err);
int put_manifest(void *self, struct rpc_call *call, const Imaged__V1__PutManifestRequest *request,
		 Imaged__V1__PutManifestResponse *response, struct err *err);
int save(void *self, struct rpc_call *call, const Imaged__V1__SaveRequest *request, struct err *err);
int load(void *self, struct rpc_call *call, struct err *err);
int import(void *self, struct rpc_call *call, struct err *err);
int list_builds(void *self, struct rpc_call *call, const Imaged__V1__ListBuildsRequest *request,
		Imaged__V1__ListBuildsResponse *response, struct err *err);
int get_build_log(void *self, struct rpc_call *call, const Imaged__V1__GetBuildLogRequest *request, struct err *err);
int remove_builds(void *self, struct rpc_call *call, const Imaged__V1__RemoveBuildsRequest *request,
		  Imaged__V1__RemoveBuildsResponse *response, struct err *err);
int list_build_cache(void *self, struct rpc_call *call, const Imaged__V1__ListBuildCacheRequest *request,
		     Imaged__V1__ListBuildCacheResponse *response, struct err *err);
int prune_build_cache(void *self, struct rpc_call *call, const Imaged__V1__PruneBuildCacheRequest *request,
		      Imaged__V1__PruneBuildCacheResponse *response, struct err *err);
int export_tree(void *self, struct rpc_call *call, const Imaged__V1__ExportTreeRequest *request, struct err *err);
int mount_image(void *self, struct rpc_call *call, const Imaged__V1__MountImageRequest *request,
		Imaged__V1__MountImageResponse *response, struct err *err);
int unmount_image(void *self, struct rpc_call *call, const Imaged__V1__UnmountImageRequest *request,
		  Imaged__V1__UnmountImageResponse *response, struct err *err);
int list_mounts(void *self, struct rpc_call *call, const Imaged__V1__ListMountsRequest *request,
		Imaged__V1__ListMountsResponse *response, struct err *err);
/* In service/build/session. */
int build_image(void *self, struct rpc_call *call, struct err *err);
int check_auth(void *self, struct rpc_call *call, const Imaged__V1__CheckAuthRequest *request,
	       Imaged__V1__CheckAuthResponse *response, struct err *err);
int get_disk_usage(void *self, struct rpc_call *call, const Imaged__V1__GetDiskUsageRequest *request,
		   Imaged__V1__GetDiskUsageResponse *response, struct err *err);
int check_store(void *self, struct rpc_call *call, const Imaged__V1__CheckStoreRequest *request, struct err *err);
int watch_events(void *self, struct rpc_call *call, const Imaged__V1__WatchEventsRequest *request, struct err *err);
int watch_transfers(void *self, struct rpc_call *call, const Imaged__V1__WatchTransfersRequest *request,
		    struct err *err);
int get_version(void *self, struct rpc_call *call, const Imaged__V1__GetVersionRequest *request,
		Imaged__V1__GetVersionResponse *response, struct err *err);
int get_info(void *self, struct rpc_call *call, const Imaged__V1__GetInfoRequest *request,
	     Imaged__V1__GetInfoResponse *response, struct err *err);

#endif
