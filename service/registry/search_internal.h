/* The sources of registry_search(), one file each. Private to service/registry. */
#ifndef SERVICE_REGISTRY_SEARCH_INTERNAL_H
#define SERVICE_REGISTRY_SEARCH_INTERNAL_H

#include "service/registry/request.h"
#include "service/registry/search_parse.h"

/* "/v1/search?q=WORD&n=LIMIT" behind `base`; NULL: no memory. */
char *search_index_url(const char *base, const char *word, unsigned limit);
/* Reads a 200 of an index; for other statuses E_REGISTRY, E_RATE_LIMITED, E_UNKNOWN "Unexpected
 * status code N". */
int search_take_index(const struct reply *reply, unsigned limit, struct search_results *out, struct err *err);
int search_unexpected(const struct reply *reply, struct err *err);

/* search_contact.c: a better message for a failure to reach a host that may be asked
 * over http; `code` and err are the failure. */
int search_explain(struct registry *r, const char *host, struct cancel *cancel, int code, struct err *err);

/* hub_search.c: Docker Hub. */
int hub_search(struct registry *r, const struct search_query *q, const char *word, struct cancel *cancel,
	       struct search_results *out, struct err *err);

#endif
