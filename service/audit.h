/*
 * The audit log: one line of the log for each call that may change something, also one that
 * was refused, with who called, what, about what, and what came of it. Requests hold secrets;
 * only the fields that a method names as its target are shown.
 */
#ifndef SERVICE_AUDIT_H
#define SERVICE_AUDIT_H

#include "service/rpc/server.h"

/* At the end of a call; calls that only look are passed over. */
void audit_call(const struct rpc_event *event);

#endif
