/*
 * The load of unary.c by a client of gRPC's C core, as C programs have it: one
 * channel, OUTSTANDING calls at a time, one thread.
 *
 *   bench_unary_core SOCKET METHOD OUTSTANDING SECONDS
 *
 * The client costs more than the servers and shares the cores with them, so the
 * figure tells what such a program gets, and unary.c's what a server can give.
 */
#include <grpc/byte_buffer.h>
#include <grpc/grpc.h>
#include <grpc/grpc_security.h>
#include <grpc/support/time.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum { OUTSTANDING_MAX = 1024 };

/* Field 1: a string of 23 bytes. */
static const char message[] = "\x0a\x17"
			      "twenty-three characters";

struct one {
	grpc_call *call;
	grpc_metadata_array initial, trailing;
	grpc_byte_buffer *answer;
	grpc_status_code status;
	grpc_slice details;
};

static grpc_channel *channel;
static grpc_completion_queue *queue;
static grpc_slice method;
static grpc_byte_buffer *request;

static double now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static void start(struct one *c)
{
	grpc_op ops[6];

	*c = (struct one){ .call = grpc_channel_create_call(channel, NULL, GRPC_PROPAGATE_DEFAULTS, queue, method, NULL,
							    gpr_inf_future(GPR_CLOCK_MONOTONIC), NULL) };
	memset(ops, 0, sizeof ops);
	ops[0].op = GRPC_OP_SEND_INITIAL_METADATA;
	ops[1].op = GRPC_OP_SEND_MESSAGE;
	ops[1].data.send_message.send_message = request;
	ops[2].op = GRPC_OP_SEND_CLOSE_FROM_CLIENT;
	ops[3].op = GRPC_OP_RECV_INITIAL_METADATA;
	ops[3].data.recv_initial_metadata.recv_initial_metadata = &c->initial;
	ops[4].op = GRPC_OP_RECV_MESSAGE;
	ops[4].data.recv_message.recv_message = &c->answer;
	ops[5].op = GRPC_OP_RECV_STATUS_ON_CLIENT;
	ops[5].data.recv_status_on_client.trailing_metadata = &c->trailing;
	ops[5].data.recv_status_on_client.status = &c->status;
	ops[5].data.recv_status_on_client.status_details = &c->details;
	if (grpc_call_start_batch(c->call, ops, 6, c, NULL) != GRPC_CALL_OK)
		abort();
}

static void end(struct one *c)
{
	if (c->status != GRPC_STATUS_OK || !c->answer) {
		fprintf(stderr, "a call failed with status %d\n", (int)c->status);
		exit(1);
	}
	grpc_byte_buffer_destroy(c->answer);
	grpc_metadata_array_destroy(&c->initial);
	grpc_metadata_array_destroy(&c->trailing);
	grpc_slice_unref(c->details);
	grpc_call_unref(c->call);
}

/* Calls per second; those that are on their way at the end count as well. */
static double run(unsigned outstanding, double seconds)
{
	static struct one calls[OUTSTANDING_MAX];
	double begin = now(), until = begin + seconds;
	unsigned running = outstanding;
	unsigned long n = 0;

	for (unsigned i = 0; i < outstanding; i++)
		start(&calls[i]);
	while (running) {
		struct one *c = grpc_completion_queue_next(queue, gpr_inf_future(GPR_CLOCK_MONOTONIC), NULL).tag;

		end(c);
		n++;
		if (now() < until)
			start(c);
		else
			running--;
	}
	return (double)n / (now() - begin);
}

int main(int argc, char **argv)
{
	grpc_channel_credentials *insecure;
	grpc_slice body;
	char target[256];
	unsigned outstanding;

	if (argc != 5) {
		fprintf(stderr, "usage: bench_unary_core SOCKET METHOD OUTSTANDING SECONDS\n");
		return 2;
	}
	outstanding = (unsigned)strtoul(argv[3], NULL, 10);
	if (!outstanding || outstanding > OUTSTANDING_MAX)
		return 2;
	grpc_init();
	snprintf(target, sizeof target, "unix:%s", argv[1]);
	insecure = grpc_insecure_credentials_create();
	channel = grpc_channel_create(target, insecure, NULL);
	grpc_channel_credentials_release(insecure);
	queue = grpc_completion_queue_create_for_next(NULL);
	method = grpc_slice_from_copied_string(argv[2]);
	body = grpc_slice_from_static_buffer(message, sizeof message - 1);
	request = grpc_raw_byte_buffer_create(&body, 1);
	run(outstanding, 0.5); /* warm */
	printf("%.0f calls/s\n", run(outstanding, strtod(argv[4], NULL)));
	return 0;
}
