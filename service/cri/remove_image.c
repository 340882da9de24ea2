/* RemoveImage. What is pinned goes too: there that is a hint for kubelet's collection. */
#include "proto/runtime/clock.h"
#include "service/cri/find.h"
#include "service/cri/handlers.h"
#include "service/image/convert.h"

enum { TRIES = 8 };

static int ignore(UNUSED void *arg, UNUSED enum removed_kind kind, UNUSED const char *value, UNUSED int64_t size)
{
	return OK;
}

/* Others may remove it, or name it, at the same time: then it is looked at again. */
static int remove_once(struct store *s, const Runtime__V1__ImageSpec *spec, bool *ret_gone, struct err *err)
{
	CLEANUP(arena_free) struct arena a;
	struct removal removal = { .force = true, .now_ns = clock_wall_ns(), .visit = ignore };
	struct image image;
	bool found;
	int r;

	arena_init(&a, ANSWER_BYTES_MAX);
	r = cri_find(s, spec, &a, &image, &found, err);
	*ret_gone = r == OK && !found;
	if (r != OK || !found)
		return r;
	r = image_delete(s, &image, &removal, err);
	*ret_gone = r == OK || r == E_NO_SUCH_IMAGE || r == E_NOT_FOUND;
	return *ret_gone || r == E_CONFLICT || r == E_ABORTED ? OK : r;
}

int cri_remove_image(void *self, UNUSED struct rpc_call *call, const Runtime__V1__RemoveImageRequest *request,
		     UNUSED Runtime__V1__RemoveImageResponse *response, struct err *err)
{
	struct cri_service *service = self;
	struct err why = ERR_INIT;
	bool gone = false;

	if (cri_require_name(request->image, err) < 0)
		return err->code;
	mounts_tidy(service->images->mounts, NULL); /* what somebody unmounted keeps nothing */
	for (int i = 0; i < TRIES && !gone; i++)
		if (remove_once(service->images->store, request->image, &gone, &why) < 0)
			break;
	if (gone)
		return OK;
	*err = why;
	return err->code;
}
