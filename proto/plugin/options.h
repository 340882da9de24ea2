/*
 * Options that descriptor.proto does not declare: they arrive as unknown fields,
 * by extension number.
 */
#ifndef PROTO_PLUGIN_OPTIONS_H
#define PROTO_PLUGIN_OPTIONS_H

#include "proto/plugin/model.h"

/* Fills is_inline, is_transfer, role, target (imaged/v1/options.proto) and idempotent; a role that is not
 * said stays as it is. */
int options_read(struct arena *a, struct method *method, struct err *err);

/* Of those that options.proto explains. */
bool options_is_role(const char *word);

/* The package that protoc-gen-c uses instead of the file's (protobuf-c.proto,
 * c_package), or NULL when the file does not say. */
const char *options_c_package(struct arena *a, const FileProto *file);

#endif
