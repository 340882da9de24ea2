#include "service/audit.h"

#include "service/log.h"
#include "service/rpc/grants.h"
#include "service/rpc/stats.h"

enum { NS_PER_US = 1000, NS_PER_MS = 1000 * 1000 };

void audit_call(const struct rpc_event *e)
{
	const char *target = e->target && *e->target ? e->target : "-";
	const char *reason = e->err ? err_reason(e->err->code) : "OK";
	const struct log_field fields[] = {
		{ .name = "method", .text = e->method },
		{ .name = "peer", .text = e->peer },
		{ .name = "role", .text = grants_role_name(e->role) },
		{ .name = "target", .text = target },
		{ .name = "code", .text = rpc_status_name(err_grpc_code(e->err ? e->err->code : OK)) },
		{ .name = "duration_us", .number = e->ns / NS_PER_US },
		{ .name = "reason", .text = reason },
	};

	if (e->role < RPC_ROLE_WRITE)
		return;
	log_event(LOG_INFO, fields, e->err ? ARRAY_LEN(fields) : ARRAY_LEN(fields) - 1,
		  "audit: %s by %s, target %s, %s after %lld ms", e->method, e->peer, target, reason,
		  (long long)(e->ns / NS_PER_MS));
}
