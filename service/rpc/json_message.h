/*
 * A message from its proto3 JSON, by its descriptor: what gRPC tells of itself (channelz.c)
 * comes in no other form. Members go by their lowerCamelCase name or by the one of the
 * .proto; one that is not known is passed over, as a later gRPC may say more. Read are
 * 32- and 64-bit signed numbers, booleans, enums by name, strings, bytes, messages and lists of
 * messages, google.protobuf.Timestamp and Int64Value; no presence of scalars (`optional`).
 *
 * Strict about all it reads: depth and number of values are bounded (store/types/json.h), a
 * value must fit its field, and of a oneof one member may be there. Without state.
 */
#ifndef SERVICE_RPC_JSON_MESSAGE_H
#define SERVICE_RPC_JSON_MESSAGE_H

#include "proto/runtime/arena.h"

/* Fills a message that is initialised; what it points at lives in the arena. E_BAD_CONTENT, naming the
 * field, E_NO_MEMORY; the message must not be used then. */
int json_message_read(const char *json, ProtobufCMessage *message, struct arena *arena, struct err *err);

#endif
