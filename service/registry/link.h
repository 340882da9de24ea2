/*
 * Link headers (RFC 8288), for the pages of tags/list, _catalog and referrers.
 *
 * A registry tells the next page by `Link: <TARGET>; rel="next"`. Of the target only
 * the query is taken, for another request of ours to the list that we asked for: so a
 * registry can choose the next page, and neither the host nor the path. Pure values.
 */
#ifndef SERVICE_REGISTRY_LINK_H
#define SERVICE_REGISTRY_LINK_H

#include "service/registry/url.h"

enum { LINK_QUERY_MAX = 2048 };

/* The target of the first link with the relation "next" in a header's value, as it is
 * written; it may be empty. False when there is none. */
bool link_next(struct bytes value, struct bytes *ret_target);

/* The query of the target, without its '?'; `at` is the URL whose answer had the link.
 * The caller frees. E_REGISTRY when the target lies on another host, has no query, or
 * is no URL. */
int link_query(const struct url *at, struct bytes target, char **ret_query, struct err *err);

#endif
