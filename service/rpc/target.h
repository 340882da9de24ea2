/*
 * What a call is about, in words of its request: the fields that its method names with the
 * option `target`. For the audit log.
 */
#ifndef SERVICE_RPC_TARGET_H
#define SERVICE_RPC_TARGET_H

#include "proto/runtime/arena.h"
#include "proto/runtime/rpc.h"

enum { TARGET_MAX = 512 };

/* The values, separated by commas and cut at TARGET_MAX bytes, in memory of the arena; "" when
 * the request has none, or without memory. */
const char *target_of(const struct rpc_method *method, const ProtobufCMessage *request, struct arena *arena);

#endif
