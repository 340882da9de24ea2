#include "service/rpc/target.h"

#include <stdio.h>

#include "proto/runtime/buf.h"

static void put(struct buf *out, const void *data, size_t len)
{
	if (!len)
		return;
	if (out->len && out->len < TARGET_MAX)
		buf_putc(out, ',');
	buf_append(out, data, min_size(len, TARGET_MAX - out->len));
}

static bool is_set(const ProtobufCMessage *m, const ProtobufCFieldDescriptor *f)
{
	const void *quantifier = (const char *)m + f->quantifier_offset;

	return !(f->flags & PROTOBUF_C_FIELD_FLAG_ONEOF) || *(const uint32_t *)quantifier == f->id;
}

/* A string, several, or bytes. */
static void put_value(struct buf *out, const ProtobufCMessage *m, const ProtobufCFieldDescriptor *f)
{
	const void *member = (const char *)m + f->offset;

	if (f->label == PROTOBUF_C_LABEL_REPEATED && f->type == PROTOBUF_C_TYPE_STRING) {
		size_t n = *(const size_t *)(const void *)((const char *)m + f->quantifier_offset);

		for (size_t i = 0; i < n; i++)
			put(out, (*(char *const *const *)member)[i], strlen((*(char *const *const *)member)[i]));
	} else if (f->type == PROTOBUF_C_TYPE_STRING) {
		const char *text = *(const char *const *)member;

		put(out, text, text ? strlen(text) : 0);
	} else if (f->type == PROTOBUF_C_TYPE_BYTES && f->label != PROTOBUF_C_LABEL_REPEATED) {
		const ProtobufCBinaryData *bytes = member;

		put(out, bytes->data, bytes->len);
	}
}

/* One dotted path, which ends at a comma or at the end; the generator has checked it. */
static void put_path(struct buf *out, const ProtobufCMessage *m, const char *path)
{
	while (m) {
		char name[64];
		size_t len = strcspn(path, ".,");
		const ProtobufCFieldDescriptor *f;

		snprintf(name, sizeof name, "%.*s", (int)len, path);
		f = protobuf_c_message_descriptor_get_field_by_name(m->descriptor, name);
		if (!f || !is_set(m, f))
			return;
		if (path[len] != '.') {
			put_value(out, m, f);
			return;
		}
		m = *(const ProtobufCMessage *const *)(const void *)((const char *)m + f->offset);
		path += len + 1;
	}
}

const char *target_of(const struct rpc_method *method, const ProtobufCMessage *request, struct arena *arena)
{
	CLEANUP(buf_free) struct buf out = BUF_INIT(TARGET_MAX + 1);
	const char *path = method->target;
	const char *text = NULL;

	while (*path) {
		size_t len = strcspn(path, ",");

		put_path(&out, request, path);
		path += len + (path[len] == ',');
	}
	if (out.len)
		text = arena_bytes(arena, buf_bytes(&out));
	return text ? text : "";
}
