/*
 * Manifests of registries for the `manifest` commands. docker's client asks registries
 * itself; the daemon does it here, and the errors are worded as the client's.
 */
#ifndef CLIENT_CLI_MANIFEST_FETCH_H
#define CLIENT_CLI_MANIFEST_FETCH_H

#include "client/cli/cli.h"
#include "client/cli/manifest_view.h"

/* A reference as all `manifest` commands take it: "latest" where nothing else is said. */
int manifest_reference(const char *text, struct reference *ret_ref, struct err *err);

/* The caller frees the answer. `verbose` adds the manifests of an index, and configurations. */
int manifest_ask(struct cli *cli, const struct reference *ref, bool insecure, bool verbose,
		 Imaged__V1__InspectRemoteResponse **ret_answer, struct err *err);
/* Tells why that failed; the exit status. */
int manifest_report(const struct reference *ref, const struct err *err);

#endif
