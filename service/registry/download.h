/*
 * A file from a URL that a client named, by the registry's HTTP client: no credentials,
 * redirects by redirect.h's rules, and never to link-local addresses, where the metadata
 * services of clouds are; behind a proxy, names are the proxy's to look up. A URL that a client names may be on
 * loopback; one that a server redirects to only when it was there before.
 *
 * Any thread.
 */
#ifndef SERVICE_REGISTRY_DOWNLOAD_H
#define SERVICE_REGISTRY_DOWNLOAD_H

#include "service/registry/registry.h"

/* An exchange whose body is the file (http.h). E_INVALID: no URL of http or https;
 * E_NOT_FOUND, E_DENIED, E_REGISTRY: "failed to GET URL with status 404 Not Found: BODY";
 * any other status E_UNKNOWN; E_REGISTRY and E_TLS as http_open(). */
int download_open(struct registry *r, const char *url, struct cancel *cancel, struct http_exchange **ret_exchange,
		  struct err *err);

#endif
