#include "service/rpc/wire.h"

#include <grpc/byte_buffer_reader.h>

int wire_pack(const ProtobufCMessage *message, grpc_byte_buffer **ret_buffer, struct err *err)
{
	grpc_slice slice;
	size_t size;
	int r;

	r = codec_check(message, err);
	if (r < 0)
		return r;
	size = protobuf_c_message_get_packed_size(message);
	if (size > WIRE_MESSAGE_MAX)
		return fail(err, E_LIMIT, "a %s of %zu bytes is too large to send", message->descriptor->name, size);
	slice = grpc_slice_malloc(size);
	protobuf_c_message_pack(message, GRPC_SLICE_START_PTR(slice));
	*ret_buffer = grpc_raw_byte_buffer_create(&slice, 1);
	grpc_slice_unref(slice);
	return OK;
}

static int unpack(struct bytes wire, const ProtobufCMessageDescriptor *type, struct arena *arena,
		  ProtobufCMessage **ret_message, struct err *err)
{
	size_t room = codec_arena_cap(wire.len);

	arena->cap = room > SIZE_MAX - arena->used ? SIZE_MAX : arena->used + room;
	return codec_unpack(type, wire, arena, ret_message, err);
}

int wire_unpack(grpc_byte_buffer *buffer, const ProtobufCMessageDescriptor *type, struct arena *arena,
		ProtobufCMessage **ret_message, struct err *err)
{
	static const uint8_t nothing;
	grpc_byte_buffer_reader reader;
	grpc_slice slice, *only;
	struct bytes wire;
	int r;

	if (!grpc_byte_buffer_length(buffer))
		return unpack((struct bytes){ &nothing, 0 }, type, arena, ret_message, err);
	if (!grpc_byte_buffer_reader_init(&reader, buffer))
		return fail(err, E_INVALID, "the message cannot be decompressed");
	/* The usual message arrives in one slice: no copy. */
	if (grpc_byte_buffer_reader_peek(&reader, &only) &&
	    GRPC_SLICE_LENGTH(*only) == grpc_byte_buffer_length(buffer)) {
		wire = slice_bytes(only);
		r = unpack(wire, type, arena, ret_message, err);
	} else {
		grpc_byte_buffer_reader_destroy(&reader);
		if (!grpc_byte_buffer_reader_init(&reader, buffer))
			return fail(err, E_INVALID, "the message cannot be decompressed");
		slice = grpc_byte_buffer_reader_readall(&reader);
		wire = slice_bytes(&slice);
		r = unpack(wire, type, arena, ret_message, err);
		grpc_slice_unref(slice);
	}
	grpc_byte_buffer_reader_destroy(&reader);
	return r;
}
