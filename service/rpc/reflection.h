/*
 * Server reflection, without a descriptor library: the generated tables hold each
 * file's serialized FileDescriptorProto and the names that it defines.
 *
 * The index answers questions in neutral form; two thin services, of one source,
 * put them into the messages of grpc.reflection.v1 and v1alpha.
 */
#ifndef SERVICE_RPC_REFLECTION_H
#define SERVICE_RPC_REFLECTION_H

#include "service/rpc/call.h"

struct reflection;

int reflection_new(struct reflection **ret_reflection, struct err *err);
void reflection_free(struct reflection *r);

/* Before the start: the service, its file and all that the file imports. */
int reflection_add_service(struct reflection *r, const struct rpc_service *service, struct err *err);

struct rpc_binding reflection_v1_binding(struct reflection *r);
struct rpc_binding reflection_v1alpha_binding(struct reflection *r);

enum reflection_topic {
	REFLECT_FILE,	   /* name: import path */
	REFLECT_SYMBOL,	   /* name: full name of anything */
	REFLECT_EXTENSION, /* name: the extended type; number */
	REFLECT_NUMBERS,   /* name: the extended type */
	REFLECT_SERVICES,
};

/* What was asked for: files with all that they import, names of services, or
 * numbers of extensions. The arrays live in the arena. */
struct reflection_answer {
	const struct rpc_file **files;
	size_t n_files;
	const char **services;
	size_t n_services;
	int32_t *numbers;
	size_t n_numbers;
};

/* E_NOT_FOUND, which goes into the response and does not end the call. */
int reflection_ask(const struct reflection *r, enum reflection_topic topic, const char *name, int32_t number,
		   struct arena *arena, struct reflection_answer *ret_answer, struct err *err);

#endif
