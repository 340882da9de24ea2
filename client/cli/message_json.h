/*
 * Messages of the API as JSON, by their descriptors, so that what the .proto says of a field
 * is also its documentation here.
 *
 *	strings, booleans, numbers   as such; 64-bit numbers, too
 *	bytes                        as text; what is not UTF-8 becomes U+FFFD
 *	enums                        in lower case without the prefix of their type: "downloading"
 *	google.protobuf.Timestamp    RFC 3339
 *	messages, maps               objects; a message that is absent is left out
 *	repeated                     arrays
 *
 * Under the names of the .proto. Of a oneof only the member that is set is there. No message
 * of the API is recursive.
 */
#ifndef CLIENT_CLI_MESSAGE_JSON_H
#define CLIENT_CLI_MESSAGE_JSON_H

#include <protobuf-c/protobuf-c.h>

#include "proto/runtime/buf.h"

/* An object. A failed append shows in `out`. */
void message_json(const ProtobufCMessage *m, struct buf *out);

/* A message that is one oneof of events: {"event":"layer",…the fields of that…} and a
 * newline. Nothing for an event that this program does not know. */
void event_json(const ProtobufCMessage *event, struct buf *out);

#endif
