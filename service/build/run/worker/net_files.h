/*
 * resolv.conf and hosts of a step, as texts (build.md 3.1). Pure functions.
 */
#ifndef SERVICE_BUILD_RUN_WORKER_NET_FILES_H
#define SERVICE_BUILD_RUN_WORKER_NET_FILES_H

#include "proto/runtime/buf.h"

/* The host's resolv.conf; without resolvers on a loopback address, unless the step has the
 * host's network, where they answer. */
bool net_files_resolv(struct bytes host, bool host_network, struct buf *out);

/* localhost and the step's own name, then the lines of --add-host as "NAME:IP". E_INVALID. */
int net_files_hosts(const char *hostname, const struct bytes *extra, size_t n, struct buf *out, struct err *err);

#endif
