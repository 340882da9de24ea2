/*
 * What the daemon and `imaged-layer tar` say to each other: one block of an archive
 * there, one step of the walk back, as packets of fixed size on the socket of
 * protocol.h, after its READY. (`imaged-layer inflate` speaks protocol.h's own
 * messages; its data goes through pipes.)
 *
 *   daemon → worker   BLOCK    512 bytes, and where in the archive they are: at `next`
 *                              of the last answer, at first 0
 *   worker → daemon   NEED     nothing is known yet (extended headers, a zero block):
 *                              the block at `next`
 *                     ENTRY    a member: its data are `size` bytes from `data_offset`,
 *                              the next header is at `next`
 *                     END      of the archive
 *                     FAILED   a code and a text; the walk is over
 *
 * Each BLOCK is answered once. Every field of an answer can be told to be sound or
 * not from the block's offset, so that the check needs no trust and no history:
 * answers with a field that does not fit are nonsense.
 *
 * Threads: functions keep no state. Failure: E_WORKER, and the codes of
 * layer_message_send() and layer_message_receive().
 */
#ifndef SERVICE_LAYER_ARCHIVE_PROTOCOL_H
#define SERVICE_LAYER_ARCHIVE_PROTOCOL_H

#include "service/layer/protocol.h"

enum {
	WALK_PROTOCOL_VERSION = 1,
	WALK_BLOCK_BYTES = 512,
	WALK_NAME_MAX = 4096,
	WALK_NAME_ROOM = WALK_NAME_MAX + 8, /* with a NUL, and a multiple of 8 */
};

/* How argv[1] names what the worker is for; without one, layers. */
#define WORKER_MODE_INFLATE "inflate"
#define WORKER_MODE_TAR "tar"
#define WORKER_MODE_EROFS "erofs"
#define WORKER_MODE_UNTAR "untar"

enum walk_type {
	WALK_BLOCK = 1,
	WALK_NEED = 64,
	WALK_ENTRY,
	WALK_END,
	WALK_FAILED,
};

/* The last place of a block whose end still fits an int64_t. */
static const uint64_t walk_place_max = INT64_MAX - 1023;

/* What a member is. Data: regular ones and `other` ones only. */
enum tar_entry_kind {
	TAR_ENTRY_REGULAR,
	TAR_ENTRY_DIRECTORY,
	TAR_ENTRY_SYMLINK,
	TAR_ENTRY_HARDLINK,
	TAR_ENTRY_OTHER, /* devices, fifos, and types that are not known here */
};

struct walk_request {
	uint16_t version;
	uint16_t type;	   /* WALK_BLOCK */
	uint32_t reserved; /* 0 */
	uint64_t offset;   /* a multiple of 512, at most walk_place_max */
	uint8_t block[WALK_BLOCK_BYTES];
};

struct walk_answer {
	uint16_t version;
	uint16_t type;
	uint32_t kind;	      /* ENTRY: enum tar_entry_kind; NEED: 1 when the archive may end before `next` */
	uint64_t offset;      /* of the block that this answers */
	uint64_t next;	      /* NEED and END: offset + 512; ENTRY: after data and padding; FAILED: 0 */
	uint64_t data_offset; /* ENTRY: offset + 512; else 0 */
	uint64_t size;	      /* ENTRY; else 0 */
	int32_t code;	      /* FAILED: as LAYER_FAILED's; else 0 */
	uint32_t reserved;    /* 0 */
	/* ENTRY: the member's name and the target of a link, raw bytes, 0 from their end on;
	 * FAILED: the text in `name`, at most LAYER_TEXT_MAX with its NUL. Else 0. */
	char name[WALK_NAME_ROOM], link[WALK_NAME_ROOM];
};

_Static_assert(sizeof(struct walk_request) == 528, "requests have one size");
_Static_assert(sizeof(struct walk_answer) == 48 + 2 * WALK_NAME_ROOM, "answers have one size");

/* A message of this type; everything else is 0. */
void walk_request_init(struct walk_request *r, uint64_t offset, const uint8_t block[WALK_BLOCK_BYTES]);
void walk_answer_init(struct walk_answer *a, enum walk_type type, uint64_t offset);

/* Size, version, type and every field. `offset`: of the block that was sent. */
int walk_request_check(const struct walk_request *r, size_t len, struct err *err);
int walk_answer_check(const struct walk_answer *a, size_t len, uint64_t offset, struct err *err);

/* Send without a descriptor; flags: 0 or MSG_DONTWAIT. */
int walk_request_send(int socket, const struct walk_request *r, int flags, struct err *err);
int walk_answer_send(int socket, const struct walk_answer *a, struct err *err);

/* Receive and check. */
int walk_request_receive(int socket, struct walk_request *ret_request, struct err *err);
int walk_answer_receive(int socket, int flags, uint64_t offset, struct walk_answer *ret_answer, struct err *err);

#endif
