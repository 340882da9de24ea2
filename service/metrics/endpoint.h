/*
 * GET /metrics over HTTP/1.1, for Prometheus, by libmicrohttpd on one thread of its own. The
 * address is apart from those of the API: who reaches it may read the metrics and do nothing
 * else.
 *
 * Bounds: METRICS_CONNECTIONS clients at once (more wait in the kernel's queue), 16 KiB each
 * for what they send, a body is never taken, and who is silent for METRICS_IDLE_S is closed.
 */
#ifndef SERVICE_METRICS_ENDPOINT_H
#define SERVICE_METRICS_ENDPOINT_H

#include "service/metrics/collect.h"

enum { METRICS_CONNECTIONS = 16, METRICS_IDLE_S = 10 };

struct metrics_endpoint;

/* HOST:PORT, tcp://HOST:PORT or unix:///PATH (mode 0660; see socket_file.h). The sources
 * outlive it. Of a host with several addresses it is the first. */
int metrics_endpoint_start(const char *address, const struct metrics_sources *sources,
			   struct metrics_endpoint **ret_endpoint, struct err *err);
void metrics_endpoint_stop(struct metrics_endpoint *e); /* NULL is fine */

/* Where it listens: "http://127.0.0.1:9415/metrics", the port filled in. */
const char *metrics_endpoint_url(const struct metrics_endpoint *e);

#endif
