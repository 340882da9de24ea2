/*
 * Which handler serves a path. Filled before the server starts, then read-only,
 * so that pollers look up without a lock.
 */
#ifndef SERVICE_RPC_METHODS_H
#define SERVICE_RPC_METHODS_H

#include "service/rpc/call.h"

struct method_entry {
	const struct rpc_method *method;
	rpc_handler *handler;
	const void *impl;
	void *self;
	bool is_inline;
	size_t number; /* below methods.len */
	/* Set: the call runs without a thread. Called on a poller with the request;
	 * must see to it that call_finish() comes. `self` is the handler's. */
	void (*start)(void *self, struct rpc_call *call, const ProtobufCMessage *request);
};

struct methods {
	struct method_entry *slots; /* open addressing; a free slot has no method */
	size_t cap, len;	    /* cap is 0 or a power of two above 4/3 len */
};

void methods_free(struct methods *m);

/* E_EXISTS when a path is there already. */
int methods_add(struct methods *m, const struct rpc_binding *binding, struct err *err);

/* NULL when there is none. Valid until the next methods_add(). */
struct method_entry *methods_find(const struct methods *m, struct bytes path);

#endif
