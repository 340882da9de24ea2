#include "proto/runtime/codec.h"

#include "proto/runtime/utf8.h"
#include "proto/runtime/varint.h"

enum { WIRE_VARINT, WIRE_64BIT, WIRE_BYTES, WIRE_START_GROUP, WIRE_END_GROUP, WIRE_32BIT };
/* A repeated string of ten bytes takes eight times as much: its pointer, its
 * block and protobuf-c's note of it. Honest messages stay below. */
enum { CAP_FACTOR = 8, CAP_BASE = 64 * 1024 };

size_t codec_arena_cap(size_t wire)
{
	return wire > (SIZE_MAX - CAP_BASE) / CAP_FACTOR ? SIZE_MAX : wire * CAP_FACTOR + CAP_BASE;
}

/* ---- UTF-8 ---------------------------------------------------------------------- */

bool utf8_valid(struct bytes text)
{
	while (text.len) {
		uint32_t rune;
		size_t n = utf8_rune(text, &rune);

		if (!n)
			return false;
		text = (struct bytes){ text.data + n, text.len - n };
	}
	return true;
}

/* ---- bytes ---------------------------------------------------------------------- */

static bool take_bytes(struct bytes *in, uint64_t len, struct bytes *ret_part)
{
	if (len > in->len)
		return false;
	*ret_part = (struct bytes){ in->data, (size_t)len };
	in->data += len;
	in->len -= (size_t)len;
	return true;
}

/* The next field; `part` is its content when it is length-delimited. */
static bool take_field(struct bytes *in, uint32_t *ret_number, int *ret_wire, struct bytes *ret_part)
{
	uint64_t tag, value;

	if (!take_varint(in, &tag) || tag > UINT32_MAX || !(tag >> 3))
		return false;
	*ret_number = (uint32_t)(tag >> 3);
	*ret_wire = (int)(tag & 7);
	switch (*ret_wire) {
	case WIRE_VARINT:
		return take_varint(in, &value);
	case WIRE_64BIT:
		return take_bytes(in, 8, ret_part);
	case WIRE_32BIT:
		return take_bytes(in, 4, ret_part);
	case WIRE_BYTES:
		return take_varint(in, &value) && take_bytes(in, value, ret_part);
	default:
		return false; /* groups are not of proto3, and protobuf-c knows none */
	}
}

static int check_string(const ProtobufCMessageDescriptor *type, const ProtobufCFieldDescriptor *field,
			struct bytes text, struct err *err)
{
	if (text.len && memchr(text.data, 0, text.len))
		return fail(err, E_INVALID, "field %s.%s holds a NUL byte", type->name, field->name);
	if (!utf8_valid(text))
		return fail(err, E_INVALID, "field %s.%s is not valid UTF-8", type->name, field->name);
	return OK;
}

static int check_wire(const ProtobufCMessageDescriptor *type, struct bytes in, int depth, struct err *err)
{
	if (depth > CODEC_DEPTH_MAX)
		return fail(err, E_INVALID, "messages nest deeper than %d levels", CODEC_DEPTH_MAX);
	while (in.len) {
		const ProtobufCFieldDescriptor *field;
		struct bytes part;
		uint32_t number;
		int wire, r = OK;

		if (!take_field(&in, &number, &wire, &part))
			return fail(err, E_INVALID, "the bytes are not a message of type %s", type->name);
		field = protobuf_c_message_descriptor_get_field(type, number);
		if (!field || wire != WIRE_BYTES)
			continue; /* a known field of another wire type fails to unpack */
		if (field->type == PROTOBUF_C_TYPE_STRING)
			r = check_string(type, field, part, err);
		else if (field->type == PROTOBUF_C_TYPE_MESSAGE)
			r = check_wire(field->descriptor, part, depth + 1, err);
		if (r < 0)
			return r;
	}
	return OK;
}

int codec_check_wire(const ProtobufCMessageDescriptor *type, struct bytes wire, struct err *err)
{
	return check_wire(type, wire, 1, err);
}

int codec_unpack(const ProtobufCMessageDescriptor *type, struct bytes wire, struct arena *arena,
		 ProtobufCMessage **ret_message, struct err *err)
{
	static const uint8_t nothing[1];
	ProtobufCMessage *message;
	int r = codec_check_wire(type, wire, err);

	if (r < 0)
		return r;
	message = protobuf_c_message_unpack(type, &arena->allocator, wire.len, wire.len ? wire.data : nothing);
	if (!message)
		return fail(err, E_INVALID, "the bytes are not a message of type %s, or it takes too much memory",
			    type->name);
	*ret_message = message;
	return OK;
}

/* ---- messages ------------------------------------------------------------------- */

static int check_message(const ProtobufCMessage *message, int depth, struct err *err);

static int fail_field(const ProtobufCMessage *message, const ProtobufCFieldDescriptor *field, const char *what,
		      struct err *err)
{
	return fail(err, E_INTERNAL, "cannot send field %s.%s: %s", message->descriptor->name, field->name, what);
}

/* One value; `must` says that protobuf-c would follow a NULL. */
static int check_value(const ProtobufCMessage *message, const ProtobufCFieldDescriptor *field, const void *value,
		       bool must, int depth, struct err *err)
{
	const void *p;

	if (field->type == PROTOBUF_C_TYPE_BYTES) {
		const ProtobufCBinaryData *data = value;

		return data->len && !data->data ? fail_field(message, field, "its bytes are missing", err) : OK;
	}
	p = *(const void *const *)value;
	if (!p)
		return must ? fail_field(message, field, "it is NULL", err) : OK;
	if (field->type == PROTOBUF_C_TYPE_MESSAGE)
		return check_message(p, depth + 1, err);
	return utf8_valid(bytes_of(p)) ? OK : fail_field(message, field, "it is not valid UTF-8", err);
}

static bool holds_pointers(const ProtobufCFieldDescriptor *field)
{
	return field->type == PROTOBUF_C_TYPE_STRING || field->type == PROTOBUF_C_TYPE_BYTES ||
	       field->type == PROTOBUF_C_TYPE_MESSAGE;
}

static int check_repeated(const ProtobufCMessage *message, const ProtobufCFieldDescriptor *field, int depth,
			  struct err *err)
{
	const uint8_t *base = (const uint8_t *)message;
	size_t n = *(const size_t *)(base + field->quantifier_offset);
	const uint8_t *values = *(const uint8_t *const *)(base + field->offset);
	size_t step = field->type == PROTOBUF_C_TYPE_BYTES ? sizeof(ProtobufCBinaryData) : sizeof(void *);

	if (n && !values)
		return fail_field(message, field, "it is NULL", err);
	for (size_t i = 0; holds_pointers(field) && i < n; i++) {
		int r = check_value(message, field, values + i * step, true, depth, err);

		if (r < 0)
			return r;
	}
	return OK;
}

static int check_field(const ProtobufCMessage *message, const ProtobufCFieldDescriptor *field, int depth,
		       struct err *err)
{
	const uint8_t *base = (const uint8_t *)message;
	bool must = field->label == PROTOBUF_C_LABEL_REQUIRED;

	if (field->label == PROTOBUF_C_LABEL_REPEATED)
		return check_repeated(message, field, depth, err);
	if (!holds_pointers(field))
		return OK;
	if ((field->flags & PROTOBUF_C_FIELD_FLAG_ONEOF) &&
	    *(const uint32_t *)(base + field->quantifier_offset) != field->id)
		return OK; /* the union holds another member */
	return check_value(message, field, base + field->offset, must, depth, err);
}

static int check_message(const ProtobufCMessage *message, int depth, struct err *err)
{
	if (depth > CODEC_DEPTH_MAX)
		return fail(err, E_INTERNAL, "messages nest deeper than %d levels", CODEC_DEPTH_MAX);
	for (unsigned i = 0; i < message->descriptor->n_fields; i++) {
		int r = check_field(message, &message->descriptor->fields[i], depth, err);

		if (r < 0)
			return r;
	}
	return OK;
}

int codec_check(const ProtobufCMessage *message, struct err *err)
{
	return check_message(message, 1, err);
}
