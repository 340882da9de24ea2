/*
 * Manifests in the JSON of docker's client (docker-cli.md 15): what its store of local
 * manifest lists holds, what `manifest inspect -v` shows, and the lists themselves.
 *
 * A manifest is the API's message of one in a registry, with its platform in the descriptor:
 * that of its configuration, or what the index says, or what a user has annotated. What is
 * read lives in the arena. Pure values, no I/O.
 */
#ifndef CLIENT_CLI_MANIFEST_JSON_H
#define CLIENT_CLI_MANIFEST_JSON_H

#include <jansson.h>

#include "imaged/v1/transfer.pb-c.h"
#include "proto/runtime/arena.h"
#include "proto/runtime/buf.h"

enum { MANIFEST_ARENA_MAX = 64 * 1024 * 1024, MANIFEST_JSON_MAX = 64 * 1024 * 1024 };

/* One manifest, compact. */
void manifest_json_put(struct buf *out, const Imaged__V1__RemoteManifest *m);
/* The same back, out of a file. E_INVALID when it is none, or its bytes have another digest. */
int manifest_json_read(const json_t *file, struct arena *a, Imaged__V1__RemoteManifest **ret_manifest, struct err *err);

/* The list of manifests, as it is pushed: an OCI index when the first of them is OCI. */
void manifest_json_put_list(struct buf *out, Imaged__V1__Descriptor *const *entries, size_t n);
/* What an index or a list names. */
int manifest_json_entries(struct bytes index, struct arena *a, Imaged__V1__Descriptor ***ret_entries, size_t *ret_n,
			  struct err *err);

/* The platform that an image configuration says; empty without one. */
int manifest_json_platform(struct bytes config, struct arena *a, Imaged__V1__Platform **ret_platform, struct err *err);

#endif
