#include <grpc/slice.h>
#include <grpc/support/time.h>

#include "client/lib/internal.h"

/* Under the token's lock: wakes the plucking thread, and runs nothing of ours. */
static void cancel_call(void *arg)
{
	struct call *k = arg;

	grpc_call_cancel(k->call, NULL);
}

static gpr_timespec deadline_of(int64_t timeout_ms)
{
	if (timeout_ms <= 0)
		return gpr_inf_future(GPR_CLOCK_MONOTONIC);
	return gpr_time_add(gpr_now(GPR_CLOCK_MONOTONIC), gpr_time_from_millis(timeout_ms, GPR_TIMESPAN));
}

int client_call_start(struct call *k, struct rpc_channel *c, const struct rpc_method *method,
		      const struct rpc_call_options *options, struct err *err)
{
	int r = options ? cancel_check(options->cancel, err) : OK;

	if (r < 0)
		return r;
	*k = (struct call){ .channel = c, .queue = client_queue_borrow(c), .status_text = grpc_empty_slice() };
	if (!k->queue)
		return fail_nomem(err);
	if (options) {
		k->cancel = options->cancel;
		k->timeout_ms = options->timeout_ms;
	}
	k->call = grpc_channel_create_call(c->channel, NULL, GRPC_PROPAGATE_DEFAULTS, k->queue->cq,
					   grpc_slice_from_static_string(method->path), NULL,
					   deadline_of(k->timeout_ms), NULL);
	grpc_metadata_array_init(&k->initial);
	grpc_metadata_array_init(&k->trailing);
	k->hook = (struct cancel_hook){ .fn = cancel_call, .arg = k };
	if (k->cancel)
		cancel_hook(k->cancel, &k->hook);
	return OK;
}

void client_call_end(struct call *k)
{
	/* Before the call goes: after this the hook does not run. */
	if (k->cancel)
		cancel_unhook(k->cancel, &k->hook);
	grpc_call_unref(k->call);
	grpc_metadata_array_destroy(&k->initial);
	grpc_metadata_array_destroy(&k->trailing);
	grpc_slice_unref(k->status_text);
	client_queue_return(k->channel, k->queue);
}

int client_call_batch(struct call *k, const grpc_op *ops, size_t n, void *tag, struct err *err)
{
	grpc_call_error e = grpc_call_start_batch(k->call, ops, n, tag, NULL);

	if (e != GRPC_CALL_OK)
		return fail(err, E_INTERNAL, "gRPC refused an operation: %s", grpc_call_error_to_string(e));
	return OK;
}

bool client_call_pluck(struct call *k, void *tag)
{
	grpc_event event = grpc_completion_queue_pluck(k->queue->cq, tag, gpr_inf_future(GPR_CLOCK_MONOTONIC), NULL);

	return event.type == GRPC_OP_COMPLETE && event.success;
}

int client_call_result(struct call *k, struct err *err)
{
	struct err reason = ERR_INIT;
	int r;

	if (k->status == GRPC_STATUS_OK)
		return OK;
	if (k->status == GRPC_STATUS_CANCELLED && cancel_fired(k->cancel))
		return cancel_check(k->cancel, err);
	r = client_status_to_err(k->status, client_wire_bytes(&k->status_text), &k->trailing, k->reason, &reason);
	if (!k->trailing.count)
		r = client_explain_connection(k->channel, &reason); /* not the words of a server */
	if (r == E_DEADLINE && k->timeout_ms > 0 && !strcmp(reason.text, "Deadline Exceeded"))
		r = fail(&reason, E_DEADLINE, "the call did not end within %.3g seconds", (double)k->timeout_ms / 1000);
	if (err)
		*err = reason;
	return r;
}
