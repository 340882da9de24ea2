/*
 * Questions to a web site that is no registry: Docker Hub's index and its API.
 *
 * No credentials, no first contact, no other scheme than the URL's. Redirects are
 * followed by the rules for registries (redirect.h), failures are tried again as for
 * any question (retry.h).
 */
#ifndef SERVICE_REGISTRY_SITE_H
#define SERVICE_REGISTRY_SITE_H

#include "service/registry/request.h"

struct site_question {
	const char *url;
	const struct http_header *header; /* one besides Accept; NULL: none */
	size_t max_body;
	bool show_query; /* as in http_request */
};

/* Any status is an answer; E_REGISTRY, E_TLS, E_LIMIT as request_reply(). */
int site_get(struct registry *r, const struct site_question *q, struct cancel *cancel, struct reply *ret_reply,
	     struct err *err);

#endif
