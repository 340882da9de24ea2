/*
 * What a call is known by in logs: its id, from the metadata x-request-id or made up, and
 * the ids of a W3C traceparent (https://www.w3.org/TR/trace-context/). Both come from
 * clients, so they say what clients like; they are of a form that can stand in any log.
 */
#ifndef SERVICE_RPC_TRACE_H
#define SERVICE_RPC_TRACE_H

#include <grpc/grpc.h>

#include "proto/runtime/mem.h"
#include "service/log.h"

void trace_of_call(const grpc_metadata_array *metadata, struct log_context *ret_context);

/* An id of a client that is taken over: 1 to LOG_REQUEST_ID_MAX letters, digits and -._:/+=@ */
bool request_id_valid(struct bytes text);

/* False, and nothing is written, when the header is none. Of a version that we do not know
 * the part that will not change is read. */
bool traceparent_parse(struct bytes header, struct log_context *ret_context);

#endif
