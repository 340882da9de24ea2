/*
 * An error as it goes out: gRPC code, text, and grpc-status-details-bin, a packed
 * google.rpc.Status with an ErrorInfo (reason, domain "imaged.dev", needed_bytes
 * and free_bytes) and a RetryInfo where waiting helps.
 *
 * Clients take 8 KiB of metadata by default and drop the status when there is
 * more, so texts are cut at ERR_TEXT_MAX, and the details stay below 4 KiB.
 */
#ifndef SERVICE_RPC_STATUS_H
#define SERVICE_RPC_STATUS_H

#include <grpc/grpc.h>

#include "proto/runtime/mem.h"

struct wire_status {
	grpc_status_code code;
	grpc_slice text;
	grpc_metadata details;
	size_t n_details; /* 0 or 1 */
};

/* err may be NULL: OK. Without memory for the details the status goes without.
 * The slices live until wire_status_free(). */
void wire_status_init(struct wire_status *s, const struct err *err);
void wire_status_free(struct wire_status *s);

/* Replaces what is not UTF-8, and control characters, by '?', in place. */
void utf8_scrub(char *text);

#endif
