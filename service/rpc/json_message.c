#include "service/rpc/json_message.h"

#include <google/protobuf/timestamp.pb-c.h>
#include <google/protobuf/wrappers.pb-c.h>
#include <jansson.h>

#include "proto/runtime/base64.h"
#include "store/types/image_config.h"
#include "store/types/json.h"

enum { NAME_MAX_BYTES = 64, BYTES_MAX = 64 * 1024 };

static int read_fields(json_t *object, ProtobufCMessage *m, struct arena *a, struct err *err);

static int mismatch(const ProtobufCFieldDescriptor *f, const char *wanted, struct err *err)
{
	return fail(err, E_BAD_CONTENT, "the value of '%s' is not %s", f->name, wanted);
}

/* ---- single values ---- */

/* 64-bit numbers are strings, others may be. */
static bool number_of(const json_t *value, int64_t *ret_number)
{
	const char *text = json_string_value(value);
	char *end;

	if (!text) {
		*ret_number = json_integer_value(value);
		return json_is_integer(value);
	}
	errno = 0;
	*ret_number = strtoll(text, &end, 10);
	return !errno && !*end && (*text == '-' || (*text >= '0' && *text <= '9'));
}

static int read_int64(const ProtobufCFieldDescriptor *f, const json_t *value, int64_t *slot, struct err *err)
{
	return number_of(value, slot) ? OK : mismatch(f, "a 64-bit number", err);
}

static int read_int32(const ProtobufCFieldDescriptor *f, const json_t *value, int32_t *slot, struct err *err)
{
	int64_t n;

	if (!number_of(value, &n) || n < INT32_MIN || n > INT32_MAX)
		return mismatch(f, "a 32-bit number", err);
	*slot = (int32_t)n;
	return OK;
}

static int read_bool(const ProtobufCFieldDescriptor *f, const json_t *value, protobuf_c_boolean *slot, struct err *err)
{
	if (!json_is_boolean(value))
		return mismatch(f, "true or false", err);
	*slot = json_is_true(value);
	return OK;
}

static int read_enum(const ProtobufCFieldDescriptor *f, const json_t *value, int *slot, struct err *err)
{
	const char *name = json_string_value(value);
	const ProtobufCEnumValue *found = name ? protobuf_c_enum_descriptor_get_value_by_name(f->descriptor, name)
					       : NULL;

	if (!found)
		return mismatch(f, "a name of its enum", err);
	*slot = found->value;
	return OK;
}

static int read_string(const ProtobufCFieldDescriptor *f, const json_t *value, struct arena *a, char **slot,
		       struct err *err)
{
	const char *text = json_string_value(value);

	if (!text)
		return mismatch(f, "a string", err);
	*slot = arena_string(a, text);
	return *slot ? OK : fail_nomem(err);
}

static int read_bytes(const ProtobufCFieldDescriptor *f, const json_t *value, struct arena *a,
		      ProtobufCBinaryData *slot, struct err *err)
{
	CLEANUP(buf_free) struct buf raw = BUF_INIT(BYTES_MAX);
	const char *text = json_string_value(value);

	if (!text || !base64_decode(&raw, text))
		return mismatch(f, "base64 of what fits", err);
	*slot = (ProtobufCBinaryData){ raw.len, (uint8_t *)arena_bytes(a, buf_bytes(&raw)) };
	return slot->data ? OK : fail_nomem(err);
}

/* ---- messages ---- */

static int read_timestamp(const ProtobufCFieldDescriptor *f, const json_t *value, Google__Protobuf__Timestamp *m,
			  struct err *err)
{
	const char *text = json_string_value(value);
	struct timestamp t;

	if (!text || timestamp_parse(text, &t, NULL) < 0)
		return mismatch(f, "a time", err);
	m->seconds = t.seconds;
	m->nanos = t.nanos;
	return OK;
}

static int read_message(const ProtobufCFieldDescriptor *f, json_t *value, struct arena *a, ProtobufCMessage **slot,
			struct err *err)
{
	const ProtobufCMessageDescriptor *type = f->descriptor;
	ProtobufCMessage *m = arena_alloc(a, type->sizeof_message);

	if (!m)
		return fail_nomem(err);
	protobuf_c_message_init(type, m);
	*slot = m;
	if (type == &google__protobuf__timestamp__descriptor)
		return read_timestamp(f, value, (Google__Protobuf__Timestamp *)m, err);
	if (type == &google__protobuf__int64_value__descriptor)
		return read_int64(f, value, &((Google__Protobuf__Int64Value *)m)->value, err);
	return json_is_object(value) ? read_fields(value, m, a, err) : mismatch(f, "an object", err);
}

static int read_list(const ProtobufCFieldDescriptor *f, json_t *value, struct arena *a, size_t *ret_n,
		     ProtobufCMessage ***slot, struct err *err)
{
	size_t n = json_array_size(value);

	if (!json_is_array(value) || f->type != PROTOBUF_C_TYPE_MESSAGE)
		return mismatch(f, "a list of messages", err);
	*slot = arena_array(a, n, sizeof **slot);
	if (!*slot)
		return fail_nomem(err);
	for (; *ret_n < n; ++*ret_n) {
		int r = read_message(f, json_array_get(value, *ret_n), a, &(*slot)[*ret_n], err);

		if (r < 0)
			return r;
	}
	return OK;
}

static int read_value(const ProtobufCFieldDescriptor *f, json_t *value, struct arena *a, void *slot, struct err *err)
{
	switch (f->type) {
	case PROTOBUF_C_TYPE_INT64:
		return read_int64(f, value, slot, err);
	case PROTOBUF_C_TYPE_INT32:
		return read_int32(f, value, slot, err);
	case PROTOBUF_C_TYPE_BOOL:
		return read_bool(f, value, slot, err);
	case PROTOBUF_C_TYPE_ENUM:
		return read_enum(f, value, slot, err);
	case PROTOBUF_C_TYPE_STRING:
		return read_string(f, value, a, slot, err);
	case PROTOBUF_C_TYPE_BYTES:
		return read_bytes(f, value, a, slot, err);
	case PROTOBUF_C_TYPE_MESSAGE:
		return read_message(f, value, a, slot, err);
	default:
		return mismatch(f, "of a type that is read from JSON", err);
	}
}

/* ---- fields ---- */

/* "ip_address" is "ipAddress". */
static void camel_case(const char *name, char out[NAME_MAX_BYTES])
{
	size_t n = 0;

	for (; *name && n < NAME_MAX_BYTES - 1; name++) {
		bool up = *name == '_' && name[1] >= 'a' && name[1] <= 'z';

		name += up;
		out[n++] = up ? (char)(*name - 'a' + 'A') : *name;
	}
	out[n] = 0;
}

/* NULL for one that is absent or null. */
static json_t *member_of(const json_t *object, const ProtobufCFieldDescriptor *f)
{
	char name[NAME_MAX_BYTES];
	json_t *value;

	camel_case(f->name, name);
	value = json_object_get(object, name);
	if (!value)
		value = json_object_get(object, f->name);
	return json_is_null(value) ? NULL : value;
}

static int read_field(const ProtobufCFieldDescriptor *f, json_t *value, ProtobufCMessage *m, struct arena *a,
		      struct err *err)
{
	void *slot = (char *)m + f->offset, *quantifier = (char *)m + f->quantifier_offset;

	if (f->label == PROTOBUF_C_LABEL_REPEATED)
		return read_list(f, value, a, quantifier, slot, err);
	if (f->flags & PROTOBUF_C_FIELD_FLAG_ONEOF) {
		if (*(uint32_t *)quantifier)
			return mismatch(f, "alone in its oneof", err);
		*(uint32_t *)quantifier = f->id;
	}
	return read_value(f, value, a, slot, err);
}

static int read_fields(json_t *object, ProtobufCMessage *m, struct arena *a, struct err *err)
{
	for (unsigned i = 0; i < m->descriptor->n_fields; i++) {
		const ProtobufCFieldDescriptor *f = &m->descriptor->fields[i];
		json_t *value = member_of(object, f);
		int r = value ? read_field(f, value, m, a, err) : OK;

		if (r < 0)
			return r;
	}
	return OK;
}

int json_message_read(const char *json, ProtobufCMessage *message, struct arena *arena, struct err *err)
{
	json_error_t why;
	json_t *root;
	int r = json_read_light(bytes_of(json), JSON_REJECT_DUPLICATES, &root, &why, err);

	if (r < 0)
		return r;
	r = json_is_object(root) ? read_fields(root, message, arena, err)
				 : fail(err, E_BAD_CONTENT, "the document is no object");
	json_decref(root);
	return r;
}
