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

/* What the source is a name for: perhaps an index, which the new name leads to as well, so
 * that a push takes all of it. */
static struct digest root_of(struct image_service *service, const char *source, const struct image *image,
			     struct arena *a)
{
	Imaged__Store__V1__NameRecord *record;
	char text[REFERENCE_TEXT_MAX];
	struct digest root, manifest;
	struct reference ref;

	if (reference_parse(source, &ref, NULL) < 0)
		return image->manifest;
	reference_default_tag(&ref);
	if (digest_is_set(&ref.digest))
		ref.tag[0] = 0;
	if (name_get(service->store, reference_text(&ref, text), a, &record, NULL) < 0 ||
	    digest_of_record(&record->root, &root, NULL) < 0 ||
	    digest_of_record(&record->manifest, &manifest, NULL) < 0 || !digest_eq(&manifest, &image->manifest))
		return image->manifest;
	return root;
}

int tag_image(void *self, struct rpc_call *call, const Imaged__V1__TagImageRequest *request,
	      Imaged__V1__TagImageResponse *response, struct err *err)
{
	struct image_service *service = self;
	char name[REFERENCE_TEXT_MAX];
	struct reference target;
	struct arena *a = NULL;
	struct digest config, root;
	struct image image;
	bool by_id;

	if (parse_target(request->target, &target, err) < 0 || answer_arena(call, &a, err) < 0 ||
	    image_resolve(service->store, request->source, a, &image, &by_id, err) < 0 ||
	    digest_of_record(&image.record->config, &config, err) < 0)
		return err->code;
	root = by_id ? image.manifest : root_of(service, request->source, &image, a);
	if (image_tag_root(service->store, &image, &root, &target, clock_wall_ns(), err) < 0)
		return err->code;
	response->name = arena_string(a, reference_text(&target, name));
	response->image_id = digest_message(a, &config);
	return response->name && response->image_id ? OK : fail_nomem(err);
}
