#include "client/cli/message_json.h"

#include <ctype.h>

#include "client/cli/format/gotime.h"
#include "client/cli/value/json.h"
#include "google/protobuf/timestamp.pb-c.h"

static const void *at(const ProtobufCMessage *m, unsigned offset)
{
	return (const uint8_t *)m + offset;
}

static bool is_oneof(const ProtobufCFieldDescriptor *f)
{
	return (f->flags & PROTOBUF_C_FIELD_FLAG_ONEOF) != 0;
}

static bool is_set(const ProtobufCMessage *m, const ProtobufCFieldDescriptor *f)
{
	return !is_oneof(f) || *(const uint32_t *)at(m, f->quantifier_offset) == f->id;
}

/* ---- values --------------------------------------------------------------- */

/* "State" and "MountWay" begin their values with "STATE_" and "MOUNT_WAY_". */
static size_t prefix_len(const char *type_name)
{
	size_t len = 1;

	for (size_t i = 0; type_name[i]; i++)
		len += 1 + (i && isupper((unsigned char)type_name[i]));
	return len;
}

static void put_enum(struct buf *out, const ProtobufCEnumDescriptor *type, int value)
{
	const ProtobufCEnumValue *v = protobuf_c_enum_descriptor_get_value(type, value);
	size_t skip = prefix_len(type->short_name);

	if (!v || strlen(v->name) <= skip) {
		buf_printf(out, "%d", value);
		return;
	}
	buf_putc(out, '"');
	for (const char *c = v->name + skip; *c; c++)
		buf_putc(out, (char)tolower((unsigned char)*c));
	buf_putc(out, '"');
}

static void put_string(struct buf *out, const char *text)
{
	json_put_string(out, text_of(text ? text : ""), false);
}

static void put_bytes(struct buf *out, const ProtobufCBinaryData *b)
{
	json_put_string(out, (struct text){ b->len ? (const char *)b->data : "", b->len }, false);
}

static void put_time(struct buf *out, const Google__Protobuf__Timestamp *t)
{
	buf_putc(out, '"');
	time_text_utc(out, t->seconds, t->nanos);
	buf_putc(out, '"');
}

static void put_message(struct buf *out, const ProtobufCMessage *m)
{
	if (m->descriptor == &google__protobuf__timestamp__descriptor)
		put_time(out, (const Google__Protobuf__Timestamp *)m);
	else
		message_json(m, out);
}

static void put_value(struct buf *out, const ProtobufCFieldDescriptor *f, const void *p)
{
	switch (f->type) {
	case PROTOBUF_C_TYPE_INT32:
	case PROTOBUF_C_TYPE_SINT32:
	case PROTOBUF_C_TYPE_SFIXED32:
		buf_printf(out, "%d", *(const int32_t *)p);
		return;
	case PROTOBUF_C_TYPE_UINT32:
	case PROTOBUF_C_TYPE_FIXED32:
		buf_printf(out, "%u", *(const uint32_t *)p);
		return;
	case PROTOBUF_C_TYPE_INT64:
	case PROTOBUF_C_TYPE_SINT64:
	case PROTOBUF_C_TYPE_SFIXED64:
		buf_printf(out, "%lld", (long long)*(const int64_t *)p);
		return;
	case PROTOBUF_C_TYPE_UINT64:
	case PROTOBUF_C_TYPE_FIXED64:
		buf_printf(out, "%llu", (unsigned long long)*(const uint64_t *)p);
		return;
	case PROTOBUF_C_TYPE_FLOAT:
		buf_printf(out, "%.9g", (double)*(const float *)p);
		return;
	case PROTOBUF_C_TYPE_DOUBLE:
		buf_printf(out, "%.17g", *(const double *)p);
		return;
	case PROTOBUF_C_TYPE_BOOL:
		buf_puts(out, *(const protobuf_c_boolean *)p ? "true" : "false");
		return;
	case PROTOBUF_C_TYPE_ENUM:
		put_enum(out, f->descriptor, *(const int *)p);
		return;
	case PROTOBUF_C_TYPE_STRING:
		put_string(out, *(const char *const *)p);
		return;
	case PROTOBUF_C_TYPE_BYTES:
		put_bytes(out, p);
		return;
	case PROTOBUF_C_TYPE_MESSAGE:
		put_message(out, *(const ProtobufCMessage *const *)p);
		return;
	}
}

/* ---- lists ---------------------------------------------------------------- */

static size_t size_of(const ProtobufCFieldDescriptor *f)
{
	switch (f->type) {
	case PROTOBUF_C_TYPE_INT64:
	case PROTOBUF_C_TYPE_SINT64:
	case PROTOBUF_C_TYPE_SFIXED64:
	case PROTOBUF_C_TYPE_UINT64:
	case PROTOBUF_C_TYPE_FIXED64:
	case PROTOBUF_C_TYPE_DOUBLE:
		return sizeof(uint64_t);
	case PROTOBUF_C_TYPE_BOOL:
		return sizeof(protobuf_c_boolean);
	case PROTOBUF_C_TYPE_BYTES:
		return sizeof(ProtobufCBinaryData);
	case PROTOBUF_C_TYPE_STRING:
	case PROTOBUF_C_TYPE_MESSAGE:
		return sizeof(void *);
	default:
		return sizeof(uint32_t);
	}
}

/* protobuf-c makes a message of each entry of a map. */
static bool is_map(const ProtobufCFieldDescriptor *f)
{
	const ProtobufCMessageDescriptor *entry = f->descriptor;
	size_t len;

	if (f->type != PROTOBUF_C_TYPE_MESSAGE || entry->n_fields != 2 || strcmp(entry->fields[0].name, "key") != 0 ||
	    strcmp(entry->fields[1].name, "value") != 0)
		return false;
	len = strlen(entry->short_name);
	return len > 5 && !strcmp(entry->short_name + len - 5, "Entry");
}

static void put_entry(struct buf *out, const ProtobufCMessage *entry)
{
	const ProtobufCFieldDescriptor *key = &entry->descriptor->fields[0], *value = &entry->descriptor->fields[1];

	if (key->type == PROTOBUF_C_TYPE_STRING) {
		put_value(out, key, at(entry, key->offset));
	} else {
		buf_putc(out, '"');
		put_value(out, key, at(entry, key->offset));
		buf_putc(out, '"');
	}
	buf_putc(out, ':');
	put_value(out, value, at(entry, value->offset));
}

static void put_repeated(struct buf *out, const ProtobufCMessage *m, const ProtobufCFieldDescriptor *f)
{
	size_t n = *(const size_t *)at(m, f->quantifier_offset);
	const uint8_t *items = *(const uint8_t *const *)at(m, f->offset);
	bool map = is_map(f);

	buf_putc(out, map ? '{' : '[');
	for (size_t i = 0; i < n; i++) {
		const void *item = items + i * size_of(f);

		if (i)
			buf_putc(out, ',');
		if (map)
			put_entry(out, *(const ProtobufCMessage *const *)item);
		else
			put_value(out, f, item);
	}
	buf_putc(out, map ? '}' : ']');
}

/* ---- objects -------------------------------------------------------------- */

static bool is_present(const ProtobufCMessage *m, const ProtobufCFieldDescriptor *f)
{
	if (!is_set(m, f))
		return false;
	return f->label == PROTOBUF_C_LABEL_REPEATED || f->type != PROTOBUF_C_TYPE_MESSAGE ||
	       *(const void *const *)at(m, f->offset) != NULL;
}

static void put_fields(struct buf *out, const ProtobufCMessage *m, bool first)
{
	for (unsigned i = 0; i < m->descriptor->n_fields; i++) {
		const ProtobufCFieldDescriptor *f = &m->descriptor->fields[i];

		if (!is_present(m, f))
			continue;
		buf_printf(out, "%s\"%s\":", first ? "" : ",", f->name);
		if (f->label == PROTOBUF_C_LABEL_REPEATED)
			put_repeated(out, m, f);
		else
			put_value(out, f, at(m, f->offset));
		first = false;
	}
}

void message_json(const ProtobufCMessage *m, struct buf *out)
{
	buf_putc(out, '{');
	put_fields(out, m, true);
	buf_putc(out, '}');
}

void event_json(const ProtobufCMessage *event, struct buf *out)
{
	for (unsigned i = 0; i < event->descriptor->n_fields; i++) {
		const ProtobufCFieldDescriptor *f = &event->descriptor->fields[i];

		if (!is_oneof(f) || f->type != PROTOBUF_C_TYPE_MESSAGE || !is_present(event, f))
			continue;
		buf_printf(out, "{\"event\":\"%s\"", f->name);
		put_fields(out, *(const ProtobufCMessage *const *)at(event, f->offset), false);
		buf_puts(out, "}\n");
		return;
	}
}
