/*
 * Manifest lists that are put together before they are pushed: one directory for each list
 * below manifests/ of the configuration directory, one file for each manifest, named as
 * docker's client names and reads them (docker-cli.md 15).
 *
 * `root` is the configuration directory. What is read lives in the arena. Files are
 * replaced as a whole; two clients that change one list at once end with what was last.
 */
#ifndef CLIENT_CLI_MANIFEST_STORE_H
#define CLIENT_CLI_MANIFEST_STORE_H

#include "client/cli/manifest_json.h"
#include "store/types/reference.h"

enum { MANIFEST_LIST_MAX = 1000 };

struct manifest_list {
	Imaged__V1__RemoteManifest **items; /* in the order of their files' names */
	size_t n;
};

/* E_NOT_FOUND: "No such manifest: LIST". */
int manifest_store_list(const char *root, const struct reference *list, struct arena *a, struct manifest_list *ret_list,
			struct err *err);
/* E_NOT_FOUND: "No such manifest: MANIFEST". */
int manifest_store_get(const char *root, const struct reference *list, const struct reference *manifest,
		       struct arena *a, Imaged__V1__RemoteManifest **ret_manifest, struct err *err);
int manifest_store_put(const char *root, const struct reference *list, const struct reference *manifest,
		       const Imaged__V1__RemoteManifest *m, struct err *err);
/* No error when there is none. */
int manifest_store_remove(const char *root, const struct reference *list, struct err *err);

#endif
