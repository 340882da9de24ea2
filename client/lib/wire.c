#include <grpc/byte_buffer.h>
#include <grpc/byte_buffer_reader.h>
#include <grpc/slice.h>

#include "client/lib/internal.h"

int client_wire_pack(const ProtobufCMessage *message, grpc_byte_buffer **ret_buffer, struct err *err)
{
	int r = codec_check(message, err);
	grpc_slice slice;

	if (r < 0)
		return r;
	slice = grpc_slice_malloc(protobuf_c_message_get_packed_size(message));
	protobuf_c_message_pack(message, GRPC_SLICE_START_PTR(slice));
	*ret_buffer = grpc_raw_byte_buffer_create(&slice, 1);
	grpc_slice_unref(slice);
	return OK;
}

int client_wire_read(grpc_byte_buffer *buffer, grpc_slice *ret_slice, struct err *err)
{
	grpc_byte_buffer_reader reader;

	if (!grpc_byte_buffer_reader_init(&reader, buffer))
		return fail(err, E_INTERNAL, "a message cannot be decompressed");
	*ret_slice = grpc_byte_buffer_reader_readall(&reader);
	grpc_byte_buffer_reader_destroy(&reader);
	return OK;
}

struct bytes client_wire_bytes(const grpc_slice *slice)
{
	return (struct bytes){ GRPC_SLICE_START_PTR(*slice), GRPC_SLICE_LENGTH(*slice) };
}
