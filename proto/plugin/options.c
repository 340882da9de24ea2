#include "proto/plugin/options.h"

#include "proto/runtime/varint.h"

enum {
	OPTION_INLINE = 51001, /* imaged/v1/options.proto */
	OPTION_ROLE = 51002,
	OPTION_TARGET = 51003,
	OPTION_TRANSFER = 51004,
	OPTION_PB_C_FILE = 1019, /* protobuf-c/protobuf-c.proto */
	PB_C_FILE_C_PACKAGE = 6,
};
enum { WIRE_VARINT = 0, WIRE_BYTES = 2 };

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

/* The content of a length-delimited field: protobuf-c keeps the length prefix. */
static bool take_content(struct bytes *in, struct bytes *ret_content)
{
	uint64_t n;

	if (!take_varint(in, &n) || n > in->len)
		return false;
	*ret_content = (struct bytes){ in->data, (size_t)n };
	*in = (struct bytes){ in->data + n, in->len - (size_t)n };
	return true;
}

static struct bytes bytes_of_field(const ProtobufCMessageUnknownField *f)
{
	return f ? (struct bytes){ f->data, f->len } : (struct bytes){ 0 };
}

bool options_is_role(const char *word)
{
	static const char *const roles[] = { "none", "read", "write", "admin" };

	for (size_t i = 0; i < ARRAY_LEN(roles); i++)
		if (!strcmp(word, roles[i]))
			return true;
	return false;
}

/* Leaves *text as it is when the option is not there. */
static int read_text(struct arena *a, const ProtobufCMessage *options, uint32_t number, const char **text,
		     struct err *err)
{
	struct bytes in = bytes_of_field(find(options, number, WIRE_BYTES)), content;

	if (!take_content(&in, &content))
		return OK;
	*text = arena_bytes(a, content);
	return *text ? OK : fail_nomem(err);
}

static bool read_switch(const ProtobufCMessage *options, uint32_t number)
{
	struct bytes in = bytes_of_field(find(options, number, WIRE_VARINT));
	uint64_t value;

	return take_varint(&in, &value) && value;
}

int options_read(struct arena *a, struct method *method, struct err *err)
{
	const Google__Protobuf__MethodOptions *options = method->proto->options;

	method->target = "";
	if (!options)
		return OK;
	method->is_inline = read_switch(&options->base, OPTION_INLINE);
	method->is_transfer = read_switch(&options->base, OPTION_TRANSFER);
	if (method->is_inline && (method->client_streaming || method->server_streaming))
		return fail_at(err, &method->place,
			       "method %s is a stream and cannot be inline: its handler would block a polling thread",
			       method->name);
	method->idempotent =
		options->has_idempotency_level &&
		(options->idempotency_level == GOOGLE__PROTOBUF__METHOD_OPTIONS__IDEMPOTENCY_LEVEL__NO_SIDE_EFFECTS ||
		 options->idempotency_level == GOOGLE__PROTOBUF__METHOD_OPTIONS__IDEMPOTENCY_LEVEL__IDEMPOTENT);
	if (read_text(a, &options->base, OPTION_ROLE, &method->role, err) < 0)
		return err->code;
	return read_text(a, &options->base, OPTION_TARGET, &method->target, err);
}

/* The string `number` of a message in wire form. */
static bool find_string(struct bytes in, uint32_t number, struct bytes *ret_text)
{
	bool found = false;

	while (in.len) {
		uint64_t tag, value;
		struct bytes content = { 0 };
		bool is_content;

		if (!take_varint(&in, &tag))
			return false;
		is_content = (tag & 7) == WIRE_BYTES;
		if (!is_content && (tag & 7) != WIRE_VARINT)
			return false;
		if (!(is_content ? take_content(&in, &content) : take_varint(&in, &value)))
			return false;
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
	struct bytes in, content, text;

	f = file->options ? find(&file->options->base, OPTION_PB_C_FILE, WIRE_BYTES) : NULL;
	in = bytes_of_field(f);
	if (!take_content(&in, &content) || !find_string(content, PB_C_FILE_C_PACKAGE, &text))
		return NULL;
	return arena_bytes(a, text);
}
