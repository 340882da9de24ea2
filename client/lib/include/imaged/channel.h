/*
 * Channels, errors, options: what all calls of libimaged-client have in common.
 * Programs include <imaged/client.h>; the manual page is imaged-client(3).
 *
 * Results: a function that returns int gives 0, or a negative number (the negative
 * enum imaged_code) with `error` filled in. What a function gives back through a ret_…
 * argument is written on success only, and belongs to the caller, who frees it with
 * the function that is named for it. All of those accept NULL. Arguments are only
 * read, and need not outlive the call. `options` and `error` may be NULL.
 *
 * Threads: a channel may be used by any number of threads at once. A stream is used by
 * one thread at a time, except that one thread may receive while another one sends, and
 * that its cancel function may be called from anywhere until it is freed. A token
 * (struct imaged_cancel) may be used from anywhere. Calls block the thread that makes
 * them.
 *
 * Process: the first channel starts a few threads of gRPC, the last one to be closed
 * ends them; they inherit the signal mask. A child of fork() must not use a channel of
 * its parent; fork() with exec() is fine. gRPC's own log is switched off, unless
 * GRPC_VERBOSITY is set.
 */
#ifndef IMAGED_CHANNEL_H
#define IMAGED_CHANNEL_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/* ---- errors ------------------------------------------------------------------- */

/* The status codes of gRPC. */
enum imaged_code {
	IMAGED_OK = 0,
	IMAGED_CANCELLED = 1,
	IMAGED_UNKNOWN = 2,
	IMAGED_INVALID_ARGUMENT = 3,
	IMAGED_DEADLINE_EXCEEDED = 4,
	IMAGED_NOT_FOUND = 5,
	IMAGED_ALREADY_EXISTS = 6,
	IMAGED_PERMISSION_DENIED = 7,
	IMAGED_RESOURCE_EXHAUSTED = 8,
	IMAGED_FAILED_PRECONDITION = 9,
	IMAGED_ABORTED = 10,
	IMAGED_OUT_OF_RANGE = 11,
	IMAGED_UNIMPLEMENTED = 12,
	IMAGED_INTERNAL = 13,
	IMAGED_UNAVAILABLE = 14,
	IMAGED_DATA_LOSS = 15,
	IMAGED_UNAUTHENTICATED = 16
};

/* Why a call failed. Filled by failing functions, left alone by others; needs no
 * freeing. `reason` is for programs and stable ("NO_SUCH_IMAGE", "DISK_FULL"; of the
 * library itself "DAEMON_UNREACHABLE", "DEADLINE_EXCEEDED", "CANCELLED", "USAGE");
 * never empty after a failure. `message` is for people: UTF-8, no final newline. */
struct imaged_error {
	enum imaged_code code;
	int64_t retry_after_ms; /* how long waiting helps; 0 when that is not known */
	int64_t needed_bytes;	/* DISK_FULL: what the operation wanted; else 0 */
	int64_t free_bytes;	/* DISK_FULL: what there was */
	int64_t reserved[4];
	char reason[64];
	char message[1024];
};

/* clang-format off */
#define IMAGED_ERROR_INIT { IMAGED_OK, 0, 0, 0, { 0, 0, 0, 0 }, "", "" }
/* clang-format on */

/* ---- channels ----------------------------------------------------------------- */

/* A connection to imaged. One for each process is enough: it connects with the first
 * call, and again whenever it was lost. */
struct imaged_channel;

/* Set by the INIT macro first, so that programs and libraries of different versions
 * go together. */
struct imaged_channel_options {
	size_t size; /* of this struct, as the program knows it */
	/* "unix:///PATH" or "tcp://HOST:PORT". NULL: the environment's IMAGED_HOST, else
	 * the socket of the user's own daemon if there is one, else the machine's. */
	const char *address;
	/* PEM files. With ca_file the connection is TLS; cert_file and key_file, which go
	 * together, are what the client shows of itself. */
	const char *ca_file;
	const char *cert_file;
	const char *key_file;
	const char *server_name; /* the name in the server's certificate, if it is not HOST */
	size_t message_bytes;	 /* the largest message that is accepted; 0: 16 MiB */
};

/* clang-format off */
#define IMAGED_CHANNEL_OPTIONS_INIT { sizeof(struct imaged_channel_options), NULL, NULL, NULL, NULL, NULL, 0 }
/* clang-format on */

/* Connects nothing yet. USAGE: the address or the options make no sense;
 * DAEMON_UNREACHABLE: the TLS files cannot be used. */
int imaged_channel_open(const struct imaged_channel_options *options, struct imaged_channel **ret_channel,
			struct imaged_error *error);

/* Connects now, and waits at most that long (0: ten seconds). For programs that want
 * to know before their first call. */
int imaged_channel_connect(struct imaged_channel *channel, int64_t timeout_ms, struct imaged_error *error);

/* All calls on it must have returned, and all of its streams been freed. */
void imaged_channel_close(struct imaged_channel *channel);

/* ---- calls -------------------------------------------------------------------- */

/* Ends calls from another thread. One token may serve any number of calls, at the
 * same time and later: once fired, it fails them all with CANCELLED. */
struct imaged_cancel;

struct imaged_cancel *imaged_cancel_new(void);	       /* NULL when memory is short */
void imaged_cancel_fire(struct imaged_cancel *cancel); /* not in a signal handler */
/* No call and no stream uses it any more. */
void imaged_cancel_free(struct imaged_cancel *cancel);

struct imaged_call_options {
	size_t size;	    /* of this struct, as the program knows it */
	int64_t timeout_ms; /* for the whole call, or the life of a stream; 0: none */
	struct imaged_cancel *cancel;
};

/* clang-format off */
#define IMAGED_CALL_OPTIONS_INIT { sizeof(struct imaged_call_options), 0, NULL }
/* clang-format on */

/* ---- library ------------------------------------------------------------------ */

/* Of the library that is loaded, "0.1.0". */
const char *imaged_client_version(void);

#ifdef __cplusplus
}
#endif

#endif
