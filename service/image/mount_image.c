/* MountImage. */
#include "service/image/image_service.h"
#include "service/image/mount_message.h"
#include "store/record.h"

enum { CONFIG_AND_MANIFEST = 2 };

static int open_layer(void *arg, const struct digest *diff_id, struct cancel *cancel, int *ret_fd,
		      struct layer_image_facts *ret_facts, struct err *err)
{
	struct image_service *service = arg;

	return layer_files_open(service->layer_files, diff_id, cancel, ret_fd, ret_facts, err);
}

/* Which layers it has, and all of its content. */
static int name_content(struct arena *a, const struct image *image, struct mount_request *q, struct err *err)
{
	const Imaged__Store__V1__ImageRecord *record = image->record;
	struct digest *blobs = arena_array(a, record->n_layers + CONFIG_AND_MANIFEST, sizeof *blobs);
	struct digest *diff_ids = arena_array(a, record->n_layers + 1, sizeof *diff_ids);

	if (!blobs || !diff_ids)
		return fail_nomem(err);
	if (digest_of_record(&record->config, &q->config, err) < 0)
		return err->code;
	q->manifest = image->manifest;
	for (size_t i = 0; i < record->n_layers; i++)
		if (digest_of_record(&record->layers[i]->digest, &blobs[i], err) < 0 ||
		    digest_of_record(&record->layers[i]->diff_id, &diff_ids[i], err) < 0)
			return err->code;
	blobs[record->n_layers] = q->config;
	blobs[record->n_layers + 1] = q->manifest;
	q->blobs = blobs;
	q->n_blobs = record->n_layers + CONFIG_AND_MANIFEST;
	q->diff_ids = diff_ids;
	q->n_layers = record->n_layers;
	return OK;
}

int mount_image(void *self, struct rpc_call *call, const Imaged__V1__MountImageRequest *request,
		Imaged__V1__MountImageResponse *response, struct err *err)
{
	struct image_service *service = self;
	struct mount_request q = {
		.image = request->image,
		.target = { request->target.data, request->target.len },
		.read_write = request->read_write,
		.allow_devices = request->allow_devices,
		.allow_setuid = request->allow_setuid,
		.way = request->way,
		.open_layer = open_layer,
		.arg = service,
	};
	struct arena *a = NULL;
	struct mount_entry entry;
	struct image image;
	bool by_id;

	if (require_unix_socket(call, err) < 0 || answer_arena(call, &a, err) < 0 ||
	    image_resolve(service->store, request->image, a, &image, &by_id, err) < 0 ||
	    name_content(a, &image, &q, err) < 0 ||
	    mounts_mount(service->mounts, &q, rpc_call_cancel(call), a, &entry, err) < 0)
		return err->code;
	response->mount = mount_message(a, &entry);
	return response->mount ? OK : fail_nomem(err);
}
