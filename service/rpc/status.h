/*
 * How a call ends, as it goes out: gRPC code, text, the trailing metadata request-id, and
 * of an error grpc-status-details-bin, a packed google.rpc.Status with an ErrorInfo (reason,
 * domain "imaged.dev", needed_bytes and free_bytes, request-id) and a RetryInfo where
 * waiting helps.
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
	grpc_metadata trailing[2]; /* keys are static */
	size_t n_trailing;
};

/* err may be NULL: OK; the id may be "". Without memory for the details the status goes without.
 * The slices live until wire_status_free(). */
void wire_status_init(struct wire_status *s, const struct err *err, const char *request_id);
void wire_status_free(struct wire_status *s);

/* Replaces what is not UTF-8, and control characters, by '?', in place. */
void utf8_scrub(char *text);

#endif
