/*
 * Where a server may send a request (registry-cri.md 1.2, 5.2). Pure decisions.
 *
 * - At most REDIRECTS_MAX hops; only http and https; https never becomes http.
 * - Credentials stay with the scheme, host and port that they were made for.
 * - A registry does not lead to loopback or link-local addresses, unless it is
 *   there itself: http.h checks the address that a name resolves to.
 */
#ifndef SERVICE_REGISTRY_REDIRECT_H
#define SERVICE_REGISTRY_REDIRECT_H

#include "service/registry/http.h"
#include "service/registry/url.h"

enum { REDIRECTS_MAX = 10 };

bool redirect_is(int status); /* 301, 302, 303, 307, 308 */

/* The next stop from `at`. E_REGISTRY when it leads nowhere (no Location, too many
 * hops), E_DENIED when the rules forbid it. */
int redirect_next(const struct url *at, const char *location, unsigned hops, struct url *ret_to, struct err *err);

/* How far a URL that the registry at `origin` named may lead. */
enum http_reach redirect_reach(const struct url *origin, const struct url *to);

#endif
