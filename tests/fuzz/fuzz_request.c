/* The first byte chooses the request of a method, the others are its wire: what
 * unpacks under the cap must pass the check for sending, and come back the same
 * when it is packed and unpacked again. */
#include "grpc/health/v1/health.rpc.h"
#include "grpc/reflection/v1/reflection.rpc.h"
#include "grpc/reflection/v1alpha/reflection.rpc.h"
#include "imaged/v1/image_service.rpc.h"
#include "proto/runtime/buf.h"
#include "proto/runtime/codec.h"

/* Not assert(): it must hold in release builds, too. */
#define demand(condition)         \
	do {                      \
		if (!(condition)) \
			abort();  \
	} while (0)

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const ProtobufCMessageDescriptor *choose(uint8_t number)
{
	static const struct rpc_service *const services[] = {
		&imaged__v1__image_service__rpc,
		&grpc__health__v1__health__rpc,
		&grpc__reflection__v1__server_reflection__rpc,
		&grpc__reflection__v1alpha__server_reflection__rpc,
	};
	size_t total = 0, n;

	for (size_t i = 0; i < ARRAY_LEN(services); i++)
		total += services[i]->n_methods;
	n = number % total;
	for (size_t i = 0; i < ARRAY_LEN(services); n -= services[i++]->n_methods)
		if (n < services[i]->n_methods)
			return services[i]->methods[n].input;
	return NULL;
}

static void pack(const ProtobufCMessage *m, struct buf *out)
{
	size_t n = protobuf_c_message_get_packed_size(m);
	uint8_t *room = buf_reserve(out, n);

	demand(room);
	demand(protobuf_c_message_pack(m, room) == n);
	out->len += n;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	enum { OUTPUT_MAX = 16 * 1024 * 1024 };
	CLEANUP(buf_free) struct buf first = BUF_INIT(OUTPUT_MAX);
	CLEANUP(buf_free) struct buf second = BUF_INIT(OUTPUT_MAX);
	CLEANUP(arena_free) struct arena a;
	CLEANUP(arena_free) struct arena b;
	const ProtobufCMessageDescriptor *type;
	struct err err = ERR_INIT;
	ProtobufCMessage *m;

	arena_init(&a, codec_arena_cap(size));
	arena_init(&b, SIZE_MAX);
	if (!size)
		return 0;
	type = choose(data[0]);
	if (codec_unpack(type, (struct bytes){ data + 1, size - 1 }, &a, &m, &err) < 0) {
		demand(err.code == E_INVALID && err.text[0]);
		return 0;
	}
	demand(a.used <= a.cap);
	demand(codec_check(m, NULL) == OK);
	pack(m, &first);
	demand(codec_unpack(type, buf_bytes(&first), &b, &m, NULL) == OK);
	pack(m, &second);
	demand(first.len == second.len && (!first.len || !memcmp(first.data, second.data, first.len)));
	return 0;
}
