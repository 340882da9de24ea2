/*
 * Messages to bytes and back, with the checks that protobuf-c leaves out
 * (grpc-core.md 6): unpacked memory is capped, strings must be UTF-8 without an
 * embedded NUL in both directions, nesting is bounded by refusing recursive
 * types in the generator.
 */
#ifndef PROTO_RUNTIME_CODEC_H
#define PROTO_RUNTIME_CODEC_H

#include "proto/runtime/arena.h"

/* How much memory a message of `wire` bytes may take when unpacked. */
size_t codec_arena_cap(size_t wire);

/* The message, in the arena. E_INVALID when the bytes are no such message, a
 * string is not UTF-8 or holds a NUL, or the arena is exhausted. */
int codec_unpack(const ProtobufCMessageDescriptor *type, struct bytes wire, struct arena *arena,
		 ProtobufCMessage **ret_message, struct err *err);

/* E_INTERNAL, naming the field, when a string of an outgoing message is not
 * UTF-8 (a NUL pointer in a repeated string counts). */
int codec_check(const ProtobufCMessage *message, struct err *err);

bool utf8_valid(struct bytes text);

#endif
