/*
 * A tar or a Dockerfile from an http(s) URL that the client named: by the registry's client
 * (download.h: no credentials, redirects by rule, nothing link-local), then as
 * context_archive.h.
 */
#ifndef SERVICE_BUILD_CONTEXT_CONTEXT_URL_H
#define SERVICE_BUILD_CONTEXT_CONTEXT_URL_H

#include "service/build/context/context_archive.h"
#include "service/registry/registry.h"

int context_url_read(struct registry *r, const char *url, const struct context_archive *a, struct buf *dockerfile,
		     struct build_context **ret_context, struct err *err);

#endif
