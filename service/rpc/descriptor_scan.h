/*
 * Finds the extensions that a serialized FileDescriptorProto defines, by walking
 * its wire format: reflection needs nothing else of it.
 */
#ifndef SERVICE_RPC_DESCRIPTOR_SCAN_H
#define SERVICE_RPC_DESCRIPTOR_SCAN_H

#include "proto/runtime/mem.h"

struct extension_found {
	struct bytes extendee; /* ".google.protobuf.MethodOptions" */
	int32_t number;
};

/* Calls fn for each extension until it returns false. */
void descriptor_scan_extensions(struct bytes file, bool (*fn)(void *arg, const struct extension_found *extension),
				void *arg);

#endif
