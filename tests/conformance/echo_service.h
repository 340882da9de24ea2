/*
 * The handlers of echo.v1.EchoService: small, and each there to show one
 * property of the server runtime. For unit tests (in process) and, as
 * echo_server, for clients of other implementations.
 */
#ifndef TESTS_CONFORMANCE_ECHO_SERVICE_H
#define TESTS_CONFORMANCE_ECHO_SERVICE_H

#include <stdatomic.h>

#include "service/rpc/call.h"

struct echo_service {
	atomic_ullong serial;
	atomic_ullong finished, cancelled, expired, drained, half_closed, running;
};

struct rpc_binding echo_service_binding(struct echo_service *s);

#endif
