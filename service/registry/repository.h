/*
 * What the files of the registry client share: the registry and one repository.
 */
#ifndef SERVICE_REGISTRY_REPOSITORY_H
#define SERVICE_REGISTRY_REPOSITORY_H

#include <stdatomic.h>

#include "service/registry/auth.h"
#include "service/registry/registry.h"

struct registry {
	struct http_client *http;
	struct host_table *hosts;
	struct token_cache *tokens;
	struct lanes *lanes;
	const struct retry_env *env;
	struct auth_context auth;
	bool allow_foreign_urls;
};

struct repository {
	atomic_uint refs;
	struct registry *registry;
	struct host *host;
	struct auth auth;
	char path[REFERENCE_NAME_MAX + 1]; /* "library/busybox"; "" for a login */
	char familiar[REFERENCE_TEXT_MAX]; /* "busybox", for messages */
};

/* `name` is what users call it, `path` the part after the host; scope "" for none. */
int repository_new(struct registry *r, const char *domain, const char *path, const char *familiar, const char *scope,
		   const struct credentials *credentials, struct repository **ret_repository, struct err *err);

#endif
