/*
 * The proxies that the environment names: http_proxy, https_proxy (HTTPS_PROXY),
 * all_proxy (ALL_PROXY) and no_proxy (NO_PROXY).
 *
 * We choose, and tell libcurl, which would choose by itself: whether a connection
 * goes to a proxy decides whether its address is checked (http.h, reach), and two who
 * read no_proxy differently would leave a hole.
 *
 * no_proxy: "*", or names and what lies under them (a leading dot changes nothing),
 * addresses, networks in CIDR form; each with ":PORT" for that port alone.
 */
#ifndef SERVICE_REGISTRY_PROXY_H
#define SERVICE_REGISTRY_PROXY_H

#include "service/registry/url.h"

struct proxies {
	char *http, *https; /* NULL: none */
	char *none;
};

int proxies_read(struct proxies *p, struct err *err);
void proxies_free(struct proxies *p);

/* The proxy for a request, borrowed; NULL: straight to the host. */
const char *proxies_for(const struct proxies *p, const struct url *u);

#endif
