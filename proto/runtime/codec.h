/*
 * Messages to bytes and back, with the checks that protobuf-c leaves out
 * (grpc-core.md 6): unpacked memory is capped, strings must be UTF-8 without an
 * embedded NUL in both directions, nesting is bounded by refusing recursive
 * types in the generator and, for other types, by CODEC_DEPTH_MAX.
 *
 * Nothing here keeps state, so every function may run on any thread.
 */
#ifndef PROTO_RUNTIME_CODEC_H
#define PROTO_RUNTIME_CODEC_H

#include "proto/runtime/arena.h"

/* Levels of messages in a message. protobuf-c takes about 1 KiB of stack for
 * each, and handlers run on small stacks. */
enum { CODEC_DEPTH_MAX = 64 };

/* How much memory a message of `wire` bytes may take when unpacked. */
size_t codec_arena_cap(size_t wire);

/* Looks at bytes before they are unpacked: E_INVALID, naming the field, when
 * they are no such message, nest too deeply, or a string of theirs is not
 * UTF-8 or holds a NUL. */
int codec_check_wire(const ProtobufCMessageDescriptor *type, struct bytes wire, struct err *err);

/* The message, in the arena. E_INVALID as codec_check_wire() or when the arena
 * is exhausted. */
int codec_unpack(const ProtobufCMessageDescriptor *type, struct bytes wire, struct arena *arena,
		 ProtobufCMessage **ret_message, struct err *err);

/* E_INTERNAL, naming the field, when a message cannot be packed: a string is not
 * UTF-8, an element of a repeated field is NULL, it nests too deeply. */
int codec_check(const ProtobufCMessage *message, struct err *err);

bool utf8_valid(struct bytes text);

#endif
