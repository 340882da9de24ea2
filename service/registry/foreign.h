/*
 * Foreign (nondistributable) layers: a registry need not have them, and their descriptors
 * say where else they are (OCI image-spec, layer.md; registry-cri.md 1.5).
 *
 * The registry is asked first. Where it has none, the URLs are, one after the other, and
 * only if the daemon's owner allows it (registry_options.allow_foreign_urls): a manifest is
 * somebody else's, and says which hosts this machine talks to (CVE-2020-15157). They are
 * of http or https, never get credentials, and lead to loopback or link-local addresses
 * no more than a redirect of the registry may (redirect.h). Size and digest decide, so
 * http will do.
 */
#ifndef SERVICE_REGISTRY_FOREIGN_H
#define SERVICE_REGISTRY_FOREIGN_H

#include "service/registry/registry.h"

/* As registry_fetch(); for a descriptor without URLs it is nothing else. E_UNSUPPORTED
 * when only the URLs could help and they are not allowed. */
int registry_fetch_layer(struct repository *r, const struct descriptor *d, struct ingest *ingest,
			 const struct fetch_observer *observer, struct cancel *cancel, struct err *err);

#endif
