/*
 * The generator as a function: bytes of a CodeGeneratorRequest in, bytes of a
 * CodeGeneratorResponse out (google/protobuf/compiler/plugin.proto).
 *
 * What is wrong with a .proto file goes into the response, as protoc wants it;
 * the function itself fails only where no response can be made (the bytes are no
 * request, or memory is short). For each file to generate that has services it
 * writes X.rpc.{h,c}, X.server.{h,c} and X.client.{h,c}; with the parameter
 * public=PREFIX instead X.{h,c}, the calls as an installed library offers them (which
 * stand on X.rpc and client/lib/public.h).
 */
#ifndef PROTO_PLUGIN_PLUGIN_H
#define PROTO_PLUGIN_PLUGIN_H

#include "proto/runtime/buf.h"

/* What one request may take, and one generated file or response. */
enum { PLUGIN_REQUEST_MAX = 64 * 1024 * 1024, PLUGIN_OUTPUT_MAX = 256 * 1024 * 1024 };

int plugin_run(struct bytes request, struct buf *response, struct err *err);

#endif
