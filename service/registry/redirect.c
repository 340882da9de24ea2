#include "service/registry/redirect.h"

#include "service/registry/netaddr.h"

bool redirect_is(int status)
{
	return status == 301 || status == 302 || status == 303 || status == 307 || status == 308;
}

int redirect_next(const struct url *at, const char *location, unsigned hops, struct url *ret_to, struct err *err)
{
	CLEANUP(url_free) struct url to = { 0 };
	CLEANUP(freep) char *shown = NULL;
	struct err why = ERR_INIT;
	int r;

	if (hops >= REDIRECTS_MAX)
		return fail(err, E_REGISTRY, "stopped after %d redirects", REDIRECTS_MAX);
	if (!location || !*location)
		return fail(err, E_REGISTRY, "redirect without a Location");
	r = url_resolve(at, location, &to, &why);
	if (r != OK) /* the registry's fault, not the caller's */
		return fail(err, r == E_INVALID ? E_REGISTRY : r, "redirect refused: %s", why.text);
	shown = url_for_display(to.text);
	if (at->https && !to.https)
		return fail(err, E_DENIED, "redirect refused: from https to \"%s\"", shown ? shown : "http");
	*ret_to = TAKE(to);
	return OK;
}

enum http_reach redirect_reach(const struct url *origin, const struct url *to)
{
	if (!strcmp(origin->host, to->host))
		return HTTP_REACH_ANY;
	switch (netaddr_class_of_host(origin->host)) {
	case NETADDR_LOOPBACK:
		return HTTP_REACH_LOOPBACK;
	case NETADDR_LINK_LOCAL:
		return HTTP_REACH_ANY;
	default:
		return HTTP_REACH_PUBLIC;
	}
}
