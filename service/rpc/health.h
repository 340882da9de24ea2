/*
 * grpc.health.v1: Check and Watch for "" and every service.
 *
 * A watch holds no thread. It is a small state machine that moves on pollers
 * and on the thread that changes the state: send what differs from what was sent
 * last, never two sends at once, and end when the client goes or the server
 * drains. The lock guards the states; gRPC is called without it.
 */
#ifndef SERVICE_RPC_HEALTH_H
#define SERVICE_RPC_HEALTH_H

#include "service/rpc/methods.h"

struct health;

int health_new(struct health **ret_health, struct err *err); /* NOT_SERVING */
void health_free(struct health *h);

/* Before the start; the name must live as long. */
int health_add_service(struct health *h, const char *name, struct err *err);
struct rpc_binding health_binding(struct health *h);

/* Makes Check inline and Watch event-driven. */
void health_take_methods(struct health *h, const struct methods *m);

/* SERVING, all services at once. It means that calls are taken: what a call finds to
 * be wrong with the store or the network, the call tells. */
void health_start(struct health *h);

/* From any thread: NOT_SERVING for good; watches are told so and end with UNAVAILABLE. */
void health_end(struct health *h);

#endif
