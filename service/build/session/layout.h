/*
 * An OCI layout that the client has (oci-layout://NAME[:TAG][@DIGEST], where NAME is a context that
 * brings the directory): what it holds becomes an image of the store, without a name, by the
 * same code as Load. Inside of this folder.
 */
#ifndef SERVICE_BUILD_SESSION_LAYOUT_H
#define SERVICE_BUILD_SESSION_LAYOUT_H

#include "service/build/session/session.h"

/* E_NOT_FOUND: no such tag or digest, or nothing for the platform. */
int layout_load(struct session *s, const struct session_context *c, const struct platform *platform,
		struct digest *ret_manifest, struct err *err);

#endif
