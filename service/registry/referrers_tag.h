/*
 * The index of referrers under a tag (OCI distribution-spec 1.1, "Referrers Tag Schema").
 * What the files of referrers.h share.
 */
#ifndef SERVICE_REGISTRY_REFERRERS_TAG_H
#define SERVICE_REGISTRY_REFERRERS_TAG_H

#include "service/registry/request.h"

#define REFERRERS_MEDIA_TYPE "application/vnd.oci.image.index.v1+json"

/* An empty body when there is no such tag. */
int referrers_read_tag(struct repository *r, const struct digest *subject, enum host_capability capability,
		       struct cancel *cancel, struct reply *ret_reply, struct err *err);

#endif
