/*
 * What the daemon and imaged-layer say to each other (DESIGN.md 11.6): fixed-size
 * messages on a SOCK_SEQPACKET socketpair, one message per packet, native byte
 * order (both ends are one installation; the version says so). Every field is
 * checked by the reader: the worker handles hostile bytes and must be taken for
 * hostile itself.
 *
 *   daemon → worker   BEGIN     a layer: compression and limits, the content file
 *                               as SCM_RIGHTS (read-only, growing)
 *                     AVAILABLE so many bytes of the file can be read
 *                     END       the file is complete at so many bytes
 *                     CANCEL    drop this layer and wait for the next
 *                     STREAM    before a BEGIN that asks for an image too: a pipe, as
 *                               SCM_RIGHTS, into which the layer's tar is written
 *                     FILTER    `imaged-layer inflate`: the limits of the one stream
 *                               that comes through its pipes, instead of all of the above
 *                     STREAM, IMAGE   `imaged-layer erofs`: a pipe from which a layer's
 *                               tar is read, then the limits, and as SCM_RIGHTS the file
 *                               into which its image is written
 *   worker → daemon   READY     after the sandbox is up, before anything is read
 *                     PROGRESS  compressed bytes read, tar bytes written
 *                     RESULT    diff ID and counts; only counts where BEGIN says so
 *                     IMAGED    the answer to IMAGE: sizes and counts
 *                     FAILED    a code and a text; instead of READY: no sandbox
 *                     CANCELLED answer to CANCEL: nothing of this layer follows
 *
 * One layer at a time; a BEGIN (with its STREAM) follows the answer to the one before, or its CANCEL
 * (whose answer need not be awaited). A layer ends with exactly one of RESULT,
 * FAILED and CANCELLED, except that a CANCEL sent while RESULT or FAILED was on its
 * way is answered too. The worker exits when the socket closes.
 *
 * An IMAGE is answered by one IMAGED or FAILED, after both descriptors were closed; it ends
 * with the pipe, and who wants none of it any more ends the process. What a pipe's reader
 * does not take is dropped by the worker that writes into it.
 *
 * A FILTER is answered by one RESULT, of which only tar_bytes is used, or FAILED, after
 * the last byte was written and before the pipes are closed. `imaged-layer tar` has
 * packets of its own: archive_protocol.h.
 *
 * Threads: functions keep no state. Failure: E_WORKER; a message that fails its
 * check means that the peer is not to be talked to any more.
 */
#ifndef SERVICE_LAYER_PROTOCOL_H
#define SERVICE_LAYER_PROTOCOL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "proto/runtime/err.h"

enum {
	LAYER_PROTOCOL_VERSION = 6,
	LAYER_WORKER_VERSION = 1, /* of what it computes: LayerRecord.worker_version */
	LAYER_TEXT_MAX = 256,
	LAYER_SOCKET_FD = 3, /* where the worker finds its end */
	/* Where descriptors that come over it are, as the lowest free ones: a STREAM's, or
	 * a BEGIN's without one; what follows a STREAM. */
	LAYER_FIRST_FD,
	LAYER_SECOND_FD,
};

/* Bytes of files in one layer: more than any disk holds, and little enough that sums
 * over layers and images mean something. Sparse files claim what they like. */
static const uint64_t layer_files_max = UINT64_C(1) << 53;

enum layer_message_type {
	LAYER_BEGIN = 1,
	LAYER_AVAILABLE,
	LAYER_END,
	LAYER_CANCEL,
	LAYER_FILTER,
	LAYER_STREAM,
	LAYER_IMAGE,
	LAYER_READY = 64,
	LAYER_PROGRESS,
	LAYER_RESULT,
	LAYER_FAILED,
	LAYER_CANCELLED,
	LAYER_IMAGED,
};

/* Each is from 1 to INT64_MAX. */
struct layer_limits {
	uint64_t tar_bytes; /* uncompressed; also of one sparse file */
	uint64_t ratio;	    /* uncompressed / compressed, once past 64 MiB */
	uint64_t entries;
	uint64_t zstd_window; /* bytes */
};

/* Each is from 1 to INT64_MAX, but for drop_trusted. */
struct layer_image_limits {
	uint64_t entries, file_bytes, image_bytes, tree_bytes, xattr_bytes;
	uint64_t drop_trusted; /* 0 or 1 */
};

struct layer_message {
	uint16_t version;
	uint16_t type;
	uint32_t layer; /* counts BEGINs from 1, 0 before the first: answers to an older layer are dropped */
	union {
		struct {
			uint32_t compression; /* enum compression: a hint, the bytes decide */
			uint32_t counts_only; /* 1: a plain tar, whose digest the daemon knows */
			struct layer_limits limits;
		} begin;
		struct {
			struct layer_limits limits;
		} filter;
		struct {
			struct layer_image_limits limits;
		} image;
		struct {
			uint64_t bytes;
		} available; /* also END */
		struct {
			uint64_t read, written;
		} progress;
		struct {
			uint8_t diff_id[32]; /* sha256 of every byte of the tar stream; counts_only: 0 */
			uint64_t tar_bytes, files_bytes, entries;
			uint64_t end_mark; /* 1: the tar says itself where it ends */
		} result;
		struct {
			uint64_t image_bytes, tar_bytes, entries, inodes;
			uint64_t root_is_opaque; /* 0 or 1 */
		} imaged;
		struct {
			int32_t code;		   /* what layer_code_allowed() allows */
			uint32_t at_end;	   /* 1: of an image, found when its stream had ended */
			char text[LAYER_TEXT_MAX]; /* NUL-terminated */
		} failed;
		struct {
			uint32_t sandbox;	   /* enum layer_sandbox bits */
			char note[LAYER_TEXT_MAX]; /* NUL-terminated: why an optional part is not in force */
		} ready;
		uint8_t bytes[264]; /* those past the type's own fields are 0 */
	} u;
};

_Static_assert(sizeof(struct layer_message) == 272, "messages have one size");

/* What READY says is in force. */
enum layer_sandbox {
	SANDBOX_USERNS = 1,
	SANDBOX_UID = 2, /* setresuid to nobody instead of a user namespace */
	SANDBOX_SECCOMP = 4,
	SANDBOX_RLIMITS = 8,
	SANDBOX_NO_NEW_PRIVS = 16,
	SANDBOX_NO_CAPABILITIES = 32,
	SANDBOX_LANDLOCK = 64,	  /* no path can be opened, below seccomp's refusal */
	SANDBOX_NAMESPACES = 128, /* own, empty network and ipc namespaces */
	SANDBOX_ALL = 255,
	/* Without these no layer is given to a worker. */
	SANDBOX_REQUIRED = SANDBOX_SECCOMP | SANDBOX_RLIMITS | SANDBOX_NO_NEW_PRIVS | SANDBOX_NO_CAPABILITIES,
};

/* "uid,seccomp,rlimits": the names of the bits, in out, which is returned. */
char *layer_sandbox_text(uint32_t sandbox, char *out, size_t size);

/* A message of this type; everything else is 0. */
struct layer_message layer_message_of(enum layer_message_type type, uint32_t layer);

enum layer_sender { LAYER_FROM_DAEMON, LAYER_FROM_WORKER };

/* Size, version, type, and every field that can be checked without its context. */
int layer_message_check(const struct layer_message *m, size_t len, enum layer_sender sender, struct err *err);

/* Sends one message, with a descriptor unless fd is -1; flags: 0 or MSG_DONTWAIT.
 * E_BUSY: the socket's queue is full; E_UNAVAILABLE: the peer has closed. */
int layer_message_send(int socket, const struct layer_message *m, int fd, int flags, struct err *err);

/* Receives and checks one message. E_BUSY: there is none (MSG_DONTWAIT);
 * E_UNAVAILABLE: the peer has closed; E_WORKER: nonsense. A descriptor is accepted
 * with BEGIN, STREAM and IMAGE only, and goes to *ret_fd, which is the caller's; with ret_fd NULL
 * every descriptor that is sent along is dropped by the kernel. */
int layer_message_receive(int socket, int flags, enum layer_sender sender, struct layer_message *ret_message,
			  int *ret_fd, struct err *err);

/* One packet of any kind, without a descriptor (one that is sent along is dropped by
 * the kernel). Codes as above; *ret_len is the packet's length, also of one that was
 * cut to fit. */
int layer_packet_send(int socket, const void *data, size_t len, int flags, struct err *err);
int layer_packet_receive(int socket, void *data, size_t size, int flags, size_t *ret_len, struct err *err);

/* Whether a worker may fail with this code. */
bool layer_code_allowed(int32_t code);

/* Bytes as a text that can be sent and logged: printable ASCII, the rest
 * as '?', ended at the first NUL. */
void layer_text_clean(const char *text, size_t len, char *out, size_t size);

#endif
