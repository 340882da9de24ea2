/*
 * What `manifest inspect` prints (docker-cli.md 15): a manifest with tabs, a list with three
 * blanks, as docker's own marshaller writes them; with -v an object for each manifest, or an
 * array of them for a list.
 */
#ifndef CLIENT_CLI_MANIFEST_VIEW_H
#define CLIENT_CLI_MANIFEST_VIEW_H

#include "client/cli/manifest_store.h"

int manifest_view_one(const Imaged__V1__RemoteManifest *m, bool verbose, struct buf *out, struct err *err);
int manifest_view_list(const struct manifest_list *l, bool verbose, struct buf *out, struct err *err);

/* The list as it is pushed. */
int manifest_list_document(const struct manifest_list *l, struct buf *out, struct err *err);
/* Whether all manifests are of the registry that the list is for. */
int manifest_list_check(const struct manifest_list *l, const struct reference *list, struct err *err);

/* What a registry answered for the reference. */
int manifest_view_remote(const struct reference *ref, const Imaged__V1__InspectRemoteResponse *m, bool verbose,
			 struct buf *out, struct err *err);

/* The one manifest of an answer that was asked for with `verbose`, as docker's client has it: under the name
 * that was asked for, with the platform of its configuration. NULL: it is a list. */
int manifest_of_remote(const struct reference *ref, const Imaged__V1__InspectRemoteResponse *m, struct arena *a,
		       Imaged__V1__RemoteManifest **ret_manifest, struct err *err);

#endif
