/* ExportTree: what a mount of an image would show, as the bytes of one tar. */
#include "service/image/held_image.h"
#include "service/image/image_service.h"
#include "service/tree/tree_tar.h"

enum { PIECE_BYTES = 256 * 1024 };

static int send_all(struct rpc_call *call, struct tree_tar *archive, struct err *err)
{
	CLEANUP(freep) uint8_t *piece = malloc(PIECE_BYTES);
	Imaged__V1__ExportTreeResponse response = IMAGED__V1__EXPORT_TREE_RESPONSE__INIT;
	int r = OK;

	if (!piece)
		return fail_nomem(err);
	response.data.data = piece;
	do {
		r = tree_tar_read(archive, piece, PIECE_BYTES, &response.data.len, err);
		if (r == OK && response.data.len)
			r = imaged__v1__image_service__export_tree_send(call, &response, err);
	} while (r == OK && response.data.len);
	return r;
}

static int export(struct image_service *service, struct rpc_call *call, const char *name, struct err *err)
{
	CLEANUP(held_image_release) struct held_image h = { .leased = false };
	CLEANUP(tree_tar_freep) struct tree_tar *archive = NULL;
	struct tree *tree;
	int r = held_image_open(service->store, name, "export", &h, err);

	if (r == OK)
		r = held_image_tree(&h, service->layer_files, rpc_call_cancel(call), &tree, err);
	if (r == OK)
		r = tree_tar_new(tree, &archive, err);
	return r == OK ? send_all(call, archive, err) : r;
}

int export_tree(void *self, struct rpc_call *call, const Imaged__V1__ExportTreeRequest *request, struct err *err)
{
	struct image_service *service = self;
	int r;

	if (admission_enter(&service->saves, SAVES_MAX, "images are being saved or exported", err) < 0)
		return err->code;
	r = export(service, call, request->image, err);
	admission_leave(&service->saves);
	return r;
}
