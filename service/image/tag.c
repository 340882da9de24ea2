/* TagImage. */
#include "proto/runtime/clock.h"
#include "service/image/convert.h"
#include "service/image/image_service.h"

static int parse_target(const char *text, struct reference *ret_target, struct err *err)
{
	char name[REFERENCE_TEXT_MAX];

	if (reference_parse(text, ret_target, err) < 0)
		return err_wrap(err, "\"%s\" is not a valid repository/tag", text);
	if (digest_is_set(&ret_target->digest))
		return fail(err, E_INVALID_REFERENCE, "refusing to create a tag with a digest reference");
	if (!strcmp(reference_familiar_name(ret_target, name), "sha256"))
		return fail(err, E_INVALID_REFERENCE,
			    "refusing to create an ambiguous tag using digest algorithm as name");
	reference_default_tag(ret_target);
	return OK;
}

int tag_image(void *self, struct rpc_call *call, const Imaged__V1__TagImageRequest *request,
	      Imaged__V1__TagImageResponse *response, struct err *err)
{
	struct image_service *service = self;
	char name[REFERENCE_TEXT_MAX];
	struct reference target;
	struct arena *a = NULL;
	struct digest config;
	struct image image;
	bool by_id;

	if (parse_target(request->target, &target, err) < 0 || answer_arena(call, &a, err) < 0 ||
	    image_resolve(service->store, request->source, a, &image, &by_id, err) < 0 ||
	    digest_of_record(&image.record->config, &config, err) < 0 ||
	    image_tag(service->store, &image, &target, clock_wall_ns(), err) < 0)
		return err->code;
	response->name = arena_string(a, reference_text(&target, name));
	response->image_id = digest_message(a, &config);
	return response->name && response->image_id ? OK : fail_nomem(err);
}
