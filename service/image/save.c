/* Save: images as the bytes of one archive. */
#include "service/image/image_service.h"
#include "service/image/save_inflate.h"

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

static int layout_of(const Imaged__V1__SaveRequest *request, enum save_layout *ret_layout, struct err *err)
{
	switch (request->layout) {
	case IMAGED__V1__ARCHIVE_LAYOUT__ARCHIVE_LAYOUT_UNSPECIFIED:
	case IMAGED__V1__ARCHIVE_LAYOUT__ARCHIVE_LAYOUT_OCI:
		*ret_layout = SAVE_OCI_AND_DOCKER;
		return OK;
	case IMAGED__V1__ARCHIVE_LAYOUT__ARCHIVE_LAYOUT_DOCKER:
		*ret_layout = SAVE_DOCKER;
		return OK;
	default:
		return fail(err, E_INVALID, "layout %d of an archive is not known here", (int)request->layout);
	}
}

static int select_images(struct image_service *service, const Imaged__V1__SaveRequest *request,
			 struct selection *ret_selection, struct err *err)
{
	struct platform platform;
	bool chosen = *request->platform != 0;
	char text[PLATFORM_TEXT_MAX];
	int r;

	if (chosen && platform_parse(request->platform, &platform, err) < 0)
		return err->code;
	r = selection_make(service->store, request->images, request->n_images, chosen ? &platform : NULL, ret_selection,
			   err);
	if (r == E_NO_PLATFORM) /* in docker's words */
		return fail(err, E_NO_PLATFORM, "no suitable export target found for platform %s",
			    platform_text(&platform, text));
	return r;
}

static int save_images(struct image_service *service, struct rpc_call *call, const Imaged__V1__SaveRequest *request,
		       struct err *err)
{
	CLEANUP(selection_free) struct selection x = { .n_images = 0 };
	CLEANUP(save_closep) struct save *archive = NULL;
	struct save_workers workers = { service->worker_program, rpc_call_cancel(call) };
	struct save_inflater inflater = save_inflater_of(&workers);
	enum save_layout layout = SAVE_OCI_AND_DOCKER;
	int r = layout_of(request, &layout, err);

	if (r == OK)
		r = select_images(service, request, &x, err);
	if (r == OK)
		r = save_open(service->store, &x, layout, &inflater, &archive, err);
	selection_free(&x); /* it may be large, and the sending last long */
	return r == OK ? send_all(call, archive, err) : r;
}

int save(void *self, struct rpc_call *call, const Imaged__V1__SaveRequest *request, struct err *err)
{
	struct image_service *service = self;
	int r;

	if (!request->n_images)
		return fail(err, E_INVALID, "no image is named");
	if (admission_enter(&service->saves, SAVES_MAX, "images are being saved or exported", err) < 0)
		return err->code;
	r = save_images(service, call, request, err);
	admission_leave(&service->saves);
	return r;
}
