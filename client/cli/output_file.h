/*
 * A file that appears under its name only when it is complete: written beside it
 * under another name, mode 0600, and at the end synced and renamed. What was there
 * under the name stays until then, and a failure leaves nothing behind.
 *
 * One at a time: a signal that ends the process removes the unfinished file.
 */
#ifndef CLIENT_CLI_OUTPUT_FILE_H
#define CLIENT_CLI_OUTPUT_FILE_H

#include "proto/runtime/mem.h"

struct output_file {
	int fd;
	const char *shown; /* the path as it was given; the caller's */
	char *path, *temporary;
};

/* What is wrong with the path, before anything is asked for (docker-cli.md 9):
 * "invalid output path: …", "cannot write to a directory". */
int output_file_check(const char *path, struct err *err);
int output_file_open(const char *path, struct output_file *ret_file, struct err *err);
int output_file_write(struct output_file *f, const void *data, size_t len, struct err *err);
/* Durable when it succeeds. A failure leaves the old file, unless only the directory
 * could not be synced. */
int output_file_finish(struct output_file *f, struct err *err);
/* Removes what was not finished. Also the cleanup function; fine after finish. */
void output_file_drop(struct output_file *f);

#define OUTPUT_FILE_INIT \
	{                \
		.fd = -1 \
	}

#endif
