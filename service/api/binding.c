#include "service/api/binding.h"

static const struct imaged__v1__image_service__impl handlers = {
	.list_images = list_images,
	.inspect_image = inspect_image,
	.diff_images = diff_images,
	.get_history = get_history,
	.tag_image = tag_image,
	.pin_image = pin_image,
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
	.put_manifest = put_manifest,
	.save = save,
	.load = load,
	.import = import,
	.list_builds = list_builds,
	.get_build_log = get_build_log,
	.remove_builds = remove_builds,
	.list_build_cache = list_build_cache,
	.prune_build_cache = prune_build_cache,
	.export_tree = export_tree,
	.mount_image = mount_image,
	.unmount_image = unmount_image,
	.list_mounts = list_mounts,
	.build = build_image,
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
