/* References that must be the name of a repository and no more. */
#ifndef SERVICE_IMAGE_REMOTE_NAME_H
#define SERVICE_IMAGE_REMOTE_NAME_H

#include "store/types/reference.h"

/* E_INVALID_REFERENCE, also with a tag or a digest. */
static inline int remote_name(const char *text, struct reference *ret_ref, struct err *err)
{
	int r = reference_parse(text, ret_ref, err);

	if (r == OK && (*ret_ref->tag || digest_is_set(&ret_ref->digest)))
		return fail(err, E_INVALID_REFERENCE,
			    "\"%s\": the name of a repository was expected, without tag and digest", text);
	return r;
}

#endif
