/*
 * Options that descriptor.proto does not declare: they arrive as unknown fields,
 * by extension number.
 */
#ifndef PROTO_PLUGIN_OPTIONS_H
#define PROTO_PLUGIN_OPTIONS_H

#include "proto/plugin/model.h"

/* Fills is_inline, role (imaged/v1/options.proto) and idempotent. */
int options_read(struct arena *a, struct method *method, struct err *err);

/* The package that protoc-gen-c uses instead of the file's (protobuf-c.proto,
 * c_package), or NULL when the file does not say. */
const char *options_c_package(struct arena *a, const FileProto *file);

#endif
