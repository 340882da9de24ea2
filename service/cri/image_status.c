/* ImageStatus. */
#include "service/cri/find.h"
#include "service/cri/handlers.h"
#include "service/cri/image_info.h"
#include "service/cri/image_message.h"
#include "service/image/convert.h"

int cri_image_status(void *self, struct rpc_call *call, const Runtime__V1__ImageStatusRequest *request,
		     Runtime__V1__ImageStatusResponse *response, struct err *err)
{
	struct cri_service *service = self;
	struct store *s = service->images->store;
	struct arena *a = NULL;
	struct image image;
	bool found;

	if (cri_require_name(request->image, err) < 0 || answer_arena(call, &a, err) < 0 ||
	    cri_find(s, request->image, a, &image, &found, err) < 0)
		return err->code;
	if (!found)
		return OK;
	if (cri_image_message(s, a, &image, &response->image, err) < 0)
		return err->code;
	return request->verbose ? cri_image_info(s, a, &image, response, err) : OK;
}
