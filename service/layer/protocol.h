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
 *   worker → daemon   READY     after the sandbox is up, before anything is read
 *                     PROGRESS  compressed bytes read, tar bytes written
 *                     RESULT    diff ID and counts
 *                     FAILED    a code and a text
 *                     CANCELLED answer to CANCEL: nothing of this layer follows
 *
 * One layer at a time; the worker exits when the socket closes.
 */
#ifndef SERVICE_LAYER_PROTOCOL_H
#define SERVICE_LAYER_PROTOCOL_H

#include <stdint.h>

enum {
	LAYER_PROTOCOL_VERSION = 1,
	LAYER_WORKER_VERSION = 1, /* of what it computes: LayerRecord.worker_version */
	LAYER_TEXT_MAX = 256,
};

enum layer_message_type {
	LAYER_BEGIN = 1,
	LAYER_AVAILABLE,
	LAYER_END,
	LAYER_CANCEL,
	LAYER_READY = 64,
	LAYER_PROGRESS,
	LAYER_RESULT,
	LAYER_FAILED,
	LAYER_CANCELLED,
};

struct layer_limits {
	uint64_t tar_bytes; /* uncompressed */
	uint64_t ratio;	    /* uncompressed / compressed, once past 64 MiB */
	uint64_t entries;
	uint64_t zstd_window; /* bytes */
};

struct layer_message {
	uint16_t version;
	uint16_t type;
	uint32_t layer; /* counts BEGINs: answers to an older layer are dropped */
	union {
		struct {
			uint32_t compression; /* enum compression */
			uint32_t reserved;
			struct layer_limits limits;
		} begin;
		struct {
			uint64_t bytes;
		} available; /* also END */
		struct {
			uint64_t read, written;
		} progress;
		struct {
			uint8_t diff_id[32];
			uint64_t tar_bytes, files_bytes, entries;
		} result;
		struct {
			int32_t code;
			char text[LAYER_TEXT_MAX]; /* NUL-terminated */
		} failed;
		struct {
			uint32_t sandbox; /* enum layer_sandbox bits */
		} ready;
	} u;
};

/* What READY says is in force. */
enum layer_sandbox {
	SANDBOX_USERNS = 1,
	SANDBOX_UID = 2, /* setresuid to nobody instead of a user namespace */
	SANDBOX_SECCOMP = 4,
	SANDBOX_RLIMITS = 8,
	SANDBOX_NO_NEW_PRIVS = 16,
};

#endif
