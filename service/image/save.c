/* Save: images as the bytes of one archive. */
#include "store/archive/save.h"
#include "service/image/image_service.h"

enum { PIECE_BYTES = 256 * 1024 };

static int send_all(struct rpc_call *call, struct save *archive, struct err *err)
{
	CLEANUP(freep) uint8_t *piece = malloc(PIECE_BYTES);
	Imaged__V1__SaveResponse response = IMAGED__V1__SAVE_RESPONSE__INIT;
	int r = OK;

	if (!piece)
		return fail_nomem(err);
	response.data.data = piece;
	do {
		r = save_read(archive, piece, PIECE_BYTES, &response.data.len, err);
		if (r == OK && response.data.len)
			r = imaged__v1__image_service__save_send(call, &response, err);
	} while (r == OK && response.data.len);
	return r;
}

int save(void *self, struct rpc_call *call, const Imaged__V1__SaveRequest *request, struct err *err)
{
	struct image_service *service = self;
	CLEANUP(save_closep) struct save *archive = NULL;
	struct platform platform;
	bool chosen = *request->platform != 0;
	int r;

	if (!request->n_images)
		return fail(err, E_INVALID, "no image is named");
	if (chosen && platform_parse(request->platform, &platform, err) < 0)
		return err->code;
	if (admission_enter(&service->saves, SAVES_MAX, "images are being saved or exported", err) < 0)
		return err->code;
	r = save_open(service->store, request->images, request->n_images, chosen ? &platform : NULL, &archive, err);
	if (r == OK)
		r = send_all(call, archive, err);
	admission_leave(&service->saves);
	return r;
}
