/*
 * Places in .proto files: line numbers for messages to people, comments for the
 * generated headers. Both come from FileDescriptorProto.source_code_info.
 */
#ifndef PROTO_PLUGIN_SOURCE_H
#define PROTO_PLUGIN_SOURCE_H

#include "google/protobuf/compiler/plugin.pb-c.h"
#include "proto/runtime/arena.h"

typedef Google__Protobuf__Compiler__CodeGeneratorRequest GenRequest;
typedef Google__Protobuf__FileDescriptorProto FileProto;
typedef Google__Protobuf__DescriptorProto MessageProto;
typedef Google__Protobuf__FieldDescriptorProto FieldProto;
typedef Google__Protobuf__EnumDescriptorProto EnumProto;
typedef Google__Protobuf__ServiceDescriptorProto ServiceProto;
typedef Google__Protobuf__MethodDescriptorProto MethodProto;

/* An element of a file, by the path of field numbers and indexes that leads to
 * it (descriptor.proto, SourceCodeInfo.Location.path). */
struct place {
	const FileProto *file;
	const int32_t *path;
	size_t n_path;
};

/* The element `index` of the repeated field `number` under a place. The path is
 * memory of the arena; without memory the place is the one above. */
struct place place_of(struct arena *a, const struct place *above, int32_t number, size_t index);

int source_line(const struct place *place); /* from 1; 0 when it is not known */
const char *source_comment(const struct place *place);

/* fail() with "FILE:LINE: " in front. */
int fail_at(struct err *err, const struct place *place, const char *fmt, ...) __attribute__((format(printf, 3, 4)));

/* An optional string of a descriptor. */
static inline const char *text_of(const char *text)
{
	return text ? text : "";
}

#endif
