/*
 * A worker whose words come from the fuzzer. Its .c stands in for process.c: "the
 * process" is the other end of a socketpair, and of a filter's two pipes, in here.
 */
#ifndef TESTS_FUZZ_HOSTILE_WORKER_H
#define TESTS_FUZZ_HOSTILE_WORKER_H

#include "proto/runtime/mem.h"
#include "service/layer/process.h"

/* The ends that the last process started has; -1: none. */
extern struct hostile {
	int socket, in, out;
	int images;	/* of the last one that writes images */
	bool as_images; /* who speaks in say() */
} hostile;

void hostile_close_one(int *fd);
void hostile_close(void);

/* What the fuzzer gave and is left of it. */
struct input {
	const uint8_t *data;
	size_t len;
};

/* The next bytes, zeros when there are no more. */
void take(struct input *in, void *out, size_t len);
uint8_t take_byte(struct input *in);

void say(const void *packet, size_t len);
void say_raw(struct input *in);

#endif
