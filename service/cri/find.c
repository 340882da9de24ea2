#include "service/cri/find.h"

const char *cri_image_name(const Runtime__V1__ImageSpec *spec)
{
	if (!spec)
		return "";
	return *spec->image ? spec->image : spec->image_ref;
}

int cri_require_name(const Runtime__V1__ImageSpec *spec, struct err *err)
{
	return *cri_image_name(spec) ? OK : fail(err, E_INVALID, "the request names no image (image.image is empty)");
}

int cri_find(struct store *s, const Runtime__V1__ImageSpec *spec, struct arena *a, struct image *ret_image,
	     bool *ret_found, struct err *err)
{
	struct err why = ERR_INIT;
	bool by_id;
	int r = image_resolve(s, cri_image_name(spec), a, ret_image, &by_id, &why);

	*ret_found = r == OK;
	if (r == OK || r == E_NO_SUCH_IMAGE || r == E_INVALID_REFERENCE)
		return OK;
	if (err)
		*err = why;
	return r;
}
