/*
 * The metrics of the daemon as a text in Prometheus' format 0.0.4: what was counted
 * (counters.h), and what the server, the pools, the store and the kernel say at this moment.
 * No folder is walked, and no disk is waited for. How long the text can be is known from the
 * number of methods.
 *
 * Threads: any, also while everything runs.
 */
#ifndef SERVICE_METRICS_COLLECT_H
#define SERVICE_METRICS_COLLECT_H

#include "proto/runtime/buf.h"
#include "service/image/image_service.h"
#include "service/rpc/server.h"

enum { METRICS_TEXT_MAX = 1024 * 1024 };

struct metrics_sources {
	const struct rpc_server *server; /* started */
	const struct image_service *images;
};

/* Appends. What does not fit fails the buffer. */
void metrics_collect(const struct metrics_sources *sources, struct buf *out);

/* collect_calls.c, collect_process.c: parts of it. */
void metrics_collect_calls(const struct rpc_server *server, struct buf *out);
void metrics_collect_process(int64_t started_ns, struct buf *out);

/* The two comment lines of a family. */
void metrics_family(struct buf *out, const char *name, const char *type, const char *help);
/* A family of one number. */
void metrics_gauge(struct buf *out, const char *name, const char *help, double value);

#endif
