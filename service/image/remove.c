/* RemoveImage. */
#include "proto/runtime/clock.h"
#include "service/image/convert.h"
#include "service/image/image_service.h"
#include "service/image/removed.h"
#include "store/image/rehearsal.h"

static int check_name(const char *image, struct err *err)
{
	return image[strspn(image, " \t\r\n")] ? OK : fail(err, E_INVALID_REFERENCE, "image name cannot be blank");
}

static int remove_one(struct image_service *service, const Imaged__V1__RemoveImageRequest *request,
		      struct removal *removal, struct err *err)
{
	if (check_name(request->image, err) < 0)
		return err->code;
	if (!request->dry_run) /* what somebody unmounted keeps nothing */
		mounts_tidy(service->mounts, NULL);
	return image_remove(service->store, request->image, removal, err);
}

/* ---- several, as they would go one after the other ------------------------ */

struct refusals {
	struct arena *arena; /* of the answer */
	Imaged__V1__RefusedRemoval **items;
	size_t n;
};

static int refuse(struct refusals *l, const char *image, const struct err *why, struct err *err)
{
	Imaged__V1__RefusedRemoval *m = arena_alloc(l->arena, sizeof *m);

	if (!m)
		return fail_nomem(err);
	imaged__v1__refused_removal__init(m);
	m->image = arena_string(l->arena, image);
	m->code = (int32_t)err_grpc_code(why->code);
	m->reason = arena_string(l->arena, err_reason(why->code));
	m->message = arena_string(l->arena, why->text);
	if (!m->image || !m->reason || !m->message)
		return fail_nomem(err);
	utf8_clean(m->message);
	l->items[l->n++] = m;
	return OK;
}

/* What is wrong with an image; all else is wrong with the call. */
static bool is_refusal(int code)
{
	enum grpc_code grpc = err_grpc_code(code);

	return grpc == GRPC_CODE_NOT_FOUND || grpc == GRPC_CODE_INVALID_ARGUMENT ||
	       grpc == GRPC_CODE_FAILED_PRECONDITION;
}

static int rehearse(struct store *s, const char *image, struct removal *removal, struct refusals *l, struct err *err)
{
	struct err why = ERR_INIT;
	int r = image_remove(s, image, removal, &why);

	if (r == OK)
		return OK;
	if (is_refusal(r))
		return refuse(l, image, &why, err);
	*err = why;
	return r;
}

static int rehearse_all(struct image_service *service, const Imaged__V1__RemoveImageRequest *request,
			struct removal *removal, struct refusals *l, struct cancel *cancel, struct err *err)
{
	CLEANUP(rehearsal_free) struct rehearsal rehearsal = { .store = service->store };
	int r;

	l->items = arena_array(l->arena, request->n_then + 1, sizeof *l->items);
	if (!l->items)
		return fail_nomem(err);
	removal->rehearsal = &rehearsal;
	r = rehearse(service->store, request->image, removal, l, err);
	for (size_t i = 0; r == OK && i < request->n_then; i++) {
		r = cancel_check(cancel, err);
		if (r == OK)
			r = rehearse(service->store, request->then[i], removal, l, err);
	}
	removal->rehearsal = NULL;
	return r == OK ? rehearsal_freed(&rehearsal, cancel, &removal->freed, err) : r;
}

/* ---- the call ------------------------------------------------------------- */

int remove_image(void *self, struct rpc_call *call, const Imaged__V1__RemoveImageRequest *request,
		 Imaged__V1__RemoveImageResponse *response, struct err *err)
{
	struct removed_list list = { .arena = NULL };
	struct removal removal = {
		.force = request->force,
		.keep_parents = request->keep_parents,
		.dry_run = request->dry_run,
		.now_ns = clock_wall_ns(),
		.visit = removed_list_add,
		.arg = &list,
	};
	struct refusals refusals = { .n = 0 };
	int r = answer_arena(call, &list.arena, err);

	refusals.arena = list.arena;
	if (r == OK && request->n_then && !request->dry_run)
		r = fail(err, E_INVALID, "several images are for a dry run only: remove one after the other");
	if (r == OK)
		r = request->n_then ? rehearse_all(self, request, &removal, &refusals, rpc_call_cancel(call), err)
				    : remove_one(self, request, &removal, err);
	if (r < 0)
		return r;
	response->items = list.items;
	response->n_items = list.n;
	response->items_left_out = list.left_out;
	response->refused = refusals.items;
	response->n_refused = refusals.n;
	response->freed_bytes = removal.freed;
	return OK;
}
