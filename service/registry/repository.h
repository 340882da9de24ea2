/*
 * What the files of the registry client share: the registry and one repository.
 */
#ifndef SERVICE_REGISTRY_REPOSITORY_H
#define SERVICE_REGISTRY_REPOSITORY_H

#include "service/registry/endpoint.h"
#include "service/registry/heard.h"
#include "service/registry/registry.h"
#include "service/registry/warning.h"

struct registry {
	struct http_client *http;
	struct host_table *hosts;
	struct token_cache *tokens;
	struct lanes *lanes;
	struct host_policy policy;
	char *hosts_dir; /* NULL: none */
	struct rate_memory *rates;
	const struct retry_env *env;
	struct auth_context auth;
	bool allow_foreign_urls;
	char *search_index, *hub_url; /* without a slash at the end */
};

struct repository {
	atomic_uint refs;
	struct registry *registry;
	struct endpoint *endpoints; /* in the order in which they are asked; the registry itself last */
	size_t n_endpoints;
	atomic_size_t served_by;	    /* the endpoint that sent content last */
	char authority[HOST_AUTHORITY_MAX]; /* the registry's own */
	char namespace[HOST_AUTHORITY_MAX]; /* as mirrors are told it: "docker.io" */
	struct heard heard;
	struct warnings warnings;
	char path[REFERENCE_NAME_MAX + 1]; /* "library/busybox"; "" for a login */
	char familiar[REFERENCE_TEXT_MAX]; /* "busybox", for messages */
};

/* The registry itself. */
static inline struct endpoint *repository_registry(const struct repository *r)
{
	return &r->endpoints[r->n_endpoints - 1];
}

/* `name` is what users call it, `path` the part after the host; scope "" for none.
 * Without a path, no mirror is asked: it is about the registry itself. */
int repository_new(struct registry *r, const char *domain, const char *path, const char *familiar, const char *scope,
		   const struct credentials *credentials, struct repository **ret_repository, struct err *err);

#endif
