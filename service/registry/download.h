/*
 * A file from a URL that a client or a manifest named, by the registry's HTTP client: no
 * credentials, redirects by redirect.h's rules, and never to link-local addresses, where
 * the metadata services of clouds are; behind a proxy, names are the proxy's to look up.
 * A URL that a client names may be on loopback; one that a server names or redirects to
 * only when that server is there itself.
 *
 * Any thread.
 */
#ifndef SERVICE_REGISTRY_DOWNLOAD_H
#define SERVICE_REGISTRY_DOWNLOAD_H

#include "service/registry/registry.h"

struct download {
	const char *url;
	const struct url *named_by; /* the registry whose manifest says so; NULL: the client does */
	const char *range;	    /* NULL: the whole */
	/* What was fetched before, NULL: nothing. If that is still it, the answer has status 304 and no body. */
	const char *etag, *last_modified;
	bool brief; /* of a refusal tell only "invalid response status 404", as BuildKit does */
};

/* An exchange whose body is the file (http.h). E_INVALID: no URL of http or https;
 * E_NOT_FOUND, E_DENIED, E_REGISTRY: "failed to GET URL with status 404 Not Found: BODY";
 * any other status E_UNKNOWN; E_REGISTRY and E_TLS as http_open(). */
int download_open(struct registry *r, const struct download *d, struct cancel *cancel,
		  struct http_exchange **ret_exchange, struct err *err);

#endif
