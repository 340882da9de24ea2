/*
 * An archive that comes from the daemon as a stream and goes to a file, or to standard
 * output: save, image export.
 */
#ifndef CLIENT_CLI_ARCHIVE_H
#define CLIENT_CLI_ARCHIVE_H

#include <protobuf-c/protobuf-c.h>

#include "client/cli/cli.h"
#include "client/cli/output_file.h"

struct archive {
	struct output_file file; /* standard output when it is not open */
	struct err own;		 /* what this machine fails at */
	bool json;		 /* progress and errors, on standard error */
	int64_t bytes, told;	 /* taken, and of these told */
};

/* Writes what came; a failure is told in a->own. */
int archive_take(struct archive *a, const ProtobufCBinaryData *piece);

/* Calls the daemon with `request` and passes all that comes to archive_take(); returns
 * what either said. */
typedef int archive_receive(struct cli *cli, const void *request, struct archive *a, struct err *err);

/* The command's exit status. `output`: as -o says, NULL or "" for standard output, which is
 * refused when it is a terminal. `failed`: in front of what is wrong with the path. `json`: what
 * happens is told on standard error, see progress_mode.h: {"event":"progress","bytes":N} now and
 * then, {"event":"done","bytes":N} at the end. */
int archive_write(struct cli *cli, const char *output, const char *failed, bool json, archive_receive *receive,
		  const void *request);

#endif
