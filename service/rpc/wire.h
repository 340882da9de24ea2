/*
 * Messages and gRPC's byte buffers.
 */
#ifndef SERVICE_RPC_WIRE_H
#define SERVICE_RPC_WIRE_H

#include <grpc/byte_buffer.h>
#include <grpc/slice.h>

#include "proto/runtime/codec.h"

/* No message that goes out is larger; E_LIMIT. */
enum { WIRE_MESSAGE_MAX = 64 * 1024 * 1024 };

/* The caller destroys the buffer. E_INTERNAL when the message cannot be packed. */
int wire_pack(const ProtobufCMessage *message, grpc_byte_buffer **ret_buffer, struct err *err);

/* The message, in the arena, which grows by no more than codec_arena_cap() allows
 * for its size. Leaves the buffer to the caller. E_INVALID for bad bytes. */
int wire_unpack(grpc_byte_buffer *buffer, const ProtobufCMessageDescriptor *type, struct arena *arena,
		ProtobufCMessage **ret_message, struct err *err);

static inline struct bytes slice_bytes(const grpc_slice *slice)
{
	return (struct bytes){ GRPC_SLICE_START_PTR(*slice), GRPC_SLICE_LENGTH(*slice) };
}

#endif
