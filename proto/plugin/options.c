#include "proto/plugin/options.h"

#include "proto/plugin/names.h"

enum {
	OPTION_INLINE = 51001, /* imaged/v1/options.proto */
	OPTION_ROLE = 51002,
	OPTION_PB_C_FILE = 1019, /* protobuf-c/protobuf-c.proto */
	PB_C_FILE_C_PACKAGE = 6,
};
enum { WIRE_VARINT = 0, WIRE_BYTES = 2, VARINT_MAX = 10 };

/* The last field of that number and kind, as the protocol says; or NULL. */
static const ProtobufCMessageUnknownField *find(const ProtobufCMessage *message, uint32_t number, int wire)
{
	for (unsigned i = message->n_unknown_fields; i > 0; i--) {
		const ProtobufCMessageUnknownField *f = &message->unknown_fields[i - 1];

		if (f->tag == number && (int)f->wire_type == wire)
			return f;
	}
	return NULL;
}

static bool read_varint(const uint8_t *data, size_t len, uint64_t *ret_value, size_t *ret_used)
{
	uint64_t value = 0;

	for (size_t i = 0; i < len && i < VARINT_MAX; i++) {
		value |= (uint64_t)(data[i] & 0x7f) << (7 * i);
		if (!(data[i] & 0x80)) {
			*ret_value = value;
			*ret_used = i + 1;
			return true;
		}
	}
	return false;
}

/* The content of a length-delimited field: protobuf-c keeps the length prefix. */
static bool content_of(const uint8_t *data, size_t len, struct bytes *ret_content)
{
	uint64_t n;
	size_t used;

	if (!read_varint(data, len, &n, &used) || n > len - used)
		return false;
	*ret_content = (struct bytes){ data + used, (size_t)n };
	return true;
}

static bool is_word(struct bytes text)
{
	for (size_t i = 0; i < text.len; i++) {
		char one[2] = { (char)text.data[i] };

		if (!name_is_identifier(one) && !strchr("0123456789.-", one[0]))
			return false;
	}
	return text.len == 0 || !memchr(text.data, 0, text.len);
}

static int read_role(struct arena *a, struct method *method, const ProtobufCMessage *options, struct err *err)
{
	const ProtobufCMessageUnknownField *f = find(options, OPTION_ROLE, WIRE_BYTES);
	struct bytes role = { 0 };

	if (f && (!content_of(f->data, f->len, &role) || !is_word(role)))
		return fail_at(err, &method->place, "the role of method %s must be a word of [A-Za-z0-9_.-]",
			       method->name);
	method->role = arena_bytes(a, role);
	return method->role ? OK : fail_nomem(err);
}

int options_read(struct arena *a, struct method *method, struct err *err)
{
	const Google__Protobuf__MethodOptions *options = method->proto->options;
	const ProtobufCMessageUnknownField *f;
	uint64_t value = 0;
	size_t used;

	method->role = "";
	if (!options)
		return OK;
	f = find(&options->base, OPTION_INLINE, WIRE_VARINT);
	method->is_inline = f && read_varint(f->data, f->len, &value, &used) && value;
	if (method->is_inline && (method->client_streaming || method->server_streaming))
		return fail_at(err, &method->place,
			       "method %s is a stream and cannot be inline: its handler would block a polling thread",
			       method->name);
	method->idempotent =
		options->has_idempotency_level &&
		(options->idempotency_level == GOOGLE__PROTOBUF__METHOD_OPTIONS__IDEMPOTENCY_LEVEL__NO_SIDE_EFFECTS ||
		 options->idempotency_level == GOOGLE__PROTOBUF__METHOD_OPTIONS__IDEMPOTENCY_LEVEL__IDEMPOTENT);
	return read_role(a, method, &options->base, err);
}

/* The string `number` of a message in wire form. */
static bool find_string(struct bytes in, uint32_t number, struct bytes *ret_text)
{
	bool found = false;

	while (in.len) {
		uint64_t tag, value;
		struct bytes content = { 0 };
		size_t used;

		if (!read_varint(in.data, in.len, &tag, &used))
			return false;
		in = (struct bytes){ in.data + used, in.len - used };
		if ((tag & 7) == WIRE_BYTES) {
			if (!content_of(in.data, in.len, &content))
				return false;
			used = (size_t)(content.data - in.data) + content.len;
		} else if ((tag & 7) != WIRE_VARINT || !read_varint(in.data, in.len, &value, &used)) {
			return false;
		}
		in = (struct bytes){ in.data + used, in.len - used };
		if (tag == ((uint64_t)number << 3 | WIRE_BYTES)) {
			*ret_text = content;
			found = true;
		}
	}
	return found;
}

const char *options_c_package(struct arena *a, const FileProto *file)
{
	const ProtobufCMessageUnknownField *f;
	struct bytes content, text;

	f = file->options ? find(&file->options->base, OPTION_PB_C_FILE, WIRE_BYTES) : NULL;
	if (!f || !content_of(f->data, f->len, &content) || !find_string(content, PB_C_FILE_C_PACKAGE, &text))
		return NULL;
	return arena_bytes(a, text);
}
