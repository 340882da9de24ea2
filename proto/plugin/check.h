/*
 * What the generator refuses, each with the file and line to change: input that
 * protoc-gen-c cannot make or that would be unsafe to decode (grpc-core.md 6:
 * protobuf-c unpacks a recursive message without a limit), names that would
 * become one name in C, and methods that do not say who may call them.
 */
#ifndef PROTO_PLUGIN_CHECK_H
#define PROTO_PLUGIN_CHECK_H

#include "proto/plugin/model.h"

int check_unit(struct model *m, const struct unit *u, struct err *err);

#endif
