/*
 * The file or the standard input that a command sends, read in pieces.
 *
 * One thread.
 */
#ifndef CLIENT_CLI_INPUT_H
#define CLIENT_CLI_INPUT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "proto/runtime/err.h"

enum { INPUT_PIECE_BYTES = 256 * 1024 };

struct input {
	int fd;
	const char *name; /* in messages; the caller's */
	bool regular;
	int64_t size;	/* of a regular file */
	uint8_t *piece; /* what was read last */
	size_t kept;	/* bytes at the front of `piece` that were only looked at */
};

#define INPUT_INIT       \
	{                \
		.fd = -1 \
	}

/* path NULL: standard input. */
int input_open(const char *path, struct input *ret_input, struct err *err);
void input_close(struct input *in); /* also the cleanup function */

/* Up to `size` bytes into `piece`, and no more than it holds; 0: there are no more.
 * offset < 0: in order. */
int input_read(struct input *in, int64_t offset, int64_t size, size_t *ret_len, struct err *err);

/* Looks at the first `size` bytes, or as many as there are, of what is read in order: they stay
 * to be read. Before the first read; waits for them. */
int input_peek(struct input *in, size_t size, size_t *ret_len, struct err *err);

#endif
