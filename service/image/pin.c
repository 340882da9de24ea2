/* PinImage. */
#include "service/image/convert.h"
#include "service/image/image_service.h"

int pin_image(void *self, struct rpc_call *call, const Imaged__V1__PinImageRequest *request,
	      Imaged__V1__PinImageResponse *response, struct err *err)
{
	struct image_service *service = self;
	struct store *s = service->store;
	struct arena *a = NULL;
	struct image image;
	struct digest id;
	bool by_id;

	if (answer_arena(call, &a, err) < 0 || image_resolve(s, request->image, a, &image, &by_id, err) < 0 ||
	    image_pin(s, &image, !request->unpin, err) < 0 || image_get(s, &image.manifest, a, &image, err) < 0 ||
	    digest_of_record(&image.record->config, &id, err) < 0)
		return err->code;
	response->image_id = digest_message(a, &id);
	response->pinned_by = arena_string(a, image.pinned_by ? image.pinned_by : "");
	return response->image_id && response->pinned_by ? OK : fail_nomem(err);
}
