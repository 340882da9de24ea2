/*
 * What `manifest inspect` prints (docker-cli.md 15): a manifest with tabs, an index with
 * three blanks, as docker's own marshaller writes them; with -v an object for each
 * manifest, or an array of them for an index.
 */
#ifndef CLIENT_CLI_MANIFEST_VIEW_H
#define CLIENT_CLI_MANIFEST_VIEW_H

#include "imaged/v1/transfer.pb-c.h"
#include "proto/runtime/buf.h"

int manifest_view(const Imaged__V1__InspectRemoteResponse *m, bool verbose, struct buf *out, struct err *err);

#endif
