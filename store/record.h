/*
 * Values of the metadata: store/records.proto packed and unpacked. A value that
 * does not unpack is E_CORRUPT and names its key space.
 */
#ifndef STORE_RECORD_H
#define STORE_RECORD_H

#include "proto/runtime/arena.h"
#include "store/meta/keys.h"
#include "store/records.pb-c.h"

enum {
	RECORD_BYTES_MAX = META_TXN_BYTES / 2, /* the largest record that fits a transaction with the rest */
	RECORD_ARENA_MAX = 64 * 1024,	       /* enough for every record but an image's */
};

int record_pack(const ProtobufCMessage *message, struct buf *out, struct err *err);

/* Puts the packed message; E_LIMIT when it is too large. */
int record_put(struct meta_txn *t, const struct key *key, const ProtobufCMessage *message, struct err *err);

/* In the arena. E_NOT_FOUND; E_LIMIT when the arena is too small. ret_revision may be NULL. */
int record_get(struct meta *m, const struct key *key, const ProtobufCMessageDescriptor *type, struct arena *arena,
	       ProtobufCMessage **ret_message, uint64_t *ret_revision, struct err *err);
int record_unpack(const ProtobufCMessageDescriptor *type, struct bytes wire, struct arena *arena,
		  ProtobufCMessage **ret_message, struct err *err);

/* Why arena_alloc() gave nothing: E_LIMIT past its cap, else E_NO_MEMORY. */
int record_fail_arena(const struct arena *a, size_t size, struct err *err);

/* OK, or E_NOT_FOUND for a key that is not there; *ret_revision is 0 then. */
int record_revision(struct meta *m, const struct key *key, uint64_t *ret_revision, struct err *err);

/* A digest as a bytes field: in the arena, or E_CORRUPT the other way. */
bool digest_to_data(const struct digest *d, struct arena *arena, ProtobufCBinaryData *ret_data);
int digest_from_data(ProtobufCBinaryData data, struct digest *ret_digest, struct err *err);

#endif
