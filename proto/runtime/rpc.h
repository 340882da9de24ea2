/*
 * What protoc-gen-imaged-c says about a service: tables of constants that the
 * server (service/rpc) and the client (client/lib) interpret. No gRPC here.
 */
#ifndef PROTO_RUNTIME_RPC_H
#define PROTO_RUNTIME_RPC_H

#include <protobuf-c/protobuf-c.h>

#include "proto/runtime/mem.h"

/* One .proto file, for reflection: the serialized FileDescriptorProto without
 * source info, the files that it imports, and the full names it defines. */
struct rpc_file {
	const char *name; /* import path, "imaged/v1/image.proto" */
	struct bytes descriptor;
	const struct rpc_file *const *imports;
	size_t n_imports;
	const char *const *symbols; /* messages, enums, services, methods, fields,
				     * extensions: full names, without leading dot */
	size_t n_symbols;
};

/* What a caller must be to call a method, each including those before it: imaged/v1/options.proto
 * says what each is for. */
enum rpc_role { RPC_ROLE_NONE, RPC_ROLE_READ, RPC_ROLE_WRITE, RPC_ROLE_ADMIN };

struct rpc_method {
	const char *name; /* "ListImages" */
	const char *path; /* "/imaged.v1.ImageService/ListImages" */
	const ProtobufCMessageDescriptor *input;
	const ProtobufCMessageDescriptor *output;
	enum rpc_role role;
	/* The fields of the request that say what the call is about, as "image,start.tags"; "": none. */
	const char *target;
	bool client_streaming;
	bool server_streaming;
	bool is_inline;	  /* the handler runs on the polling thread */
	bool is_transfer; /* counts in the client's limit of transfers */
	bool idempotent;  /* may be retried */
};

struct rpc_service {
	const char *name; /* "imaged.v1.ImageService" */
	const struct rpc_method *methods;
	size_t n_methods;
	const struct rpc_file *file;
	/* gRPC service config (JSON) that retries the idempotent methods on
	 * UNAVAILABLE; "{}" when there is none. */
	const char *service_config;
};

#endif
