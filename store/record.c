#include "store/record.h"

int record_pack(const ProtobufCMessage *message, struct buf *out, struct err *err)
{
	size_t len = protobuf_c_message_get_packed_size(message);
	uint8_t *room;

	if (len > out->max)
		return fail(err, E_LIMIT, "a record of %zu bytes is larger than the %zu that the metadata takes", len,
			    out->max);
	buf_reset(out);
	room = buf_reserve(out, len);
	if (!room)
		return fail_nomem(err);
	out->len = protobuf_c_message_pack(message, room);
	return OK;
}

int record_put(struct meta_txn *t, const struct key *key, const ProtobufCMessage *message, struct err *err)
{
	CLEANUP(buf_free) struct buf packed = BUF_INIT(RECORD_BYTES_MAX);
	int r = record_pack(message, &packed, err);

	if (r == OK)
		meta_txn_put(t, key_bytes(key), buf_bytes(&packed));
	return r;
}

int record_fail_arena(const struct arena *a, size_t size, struct err *err)
{
	if (size > a->cap - a->used)
		return fail(err, E_LIMIT, "more memory is needed than the %zu bytes that were set aside", a->cap);
	return fail_nomem(err);
}

/* Tells a lack of memory from bytes that are no message. */
struct watched_arena {
	struct arena *arena;
	size_t refused; /* size of the first allocation that failed; 0: none */
};

static void *watched_alloc(void *data, size_t size)
{
	struct watched_arena *w = data;
	void *p = arena_alloc(w->arena, size);

	if (!p && !w->refused)
		w->refused = size;
	return p;
}

static void watched_free(UNUSED void *data, UNUSED void *p)
{
}

int record_unpack(const ProtobufCMessageDescriptor *type, struct bytes wire, struct arena *arena,
		  ProtobufCMessage **ret_message, struct err *err)
{
	struct watched_arena w = { .arena = arena };
	ProtobufCAllocator allocator = { watched_alloc, watched_free, &w };
	ProtobufCMessage *m = protobuf_c_message_unpack(type, &allocator, wire.len, wire.data);

	if (m) {
		*ret_message = m;
		return OK;
	}
	if (w.refused)
		return record_fail_arena(arena, w.refused, err);
	return fail(err, E_CORRUPT, "a damaged %s in the metadata", type->short_name);
}

int record_get(struct meta *m, const struct key *key, const ProtobufCMessageDescriptor *type, struct arena *arena,
	       ProtobufCMessage **ret_message, uint64_t *ret_revision, struct err *err)
{
	CLEANUP(buf_free) struct buf wire = BUF_INIT(META_TXN_BYTES);
	int r = meta_get(m, key_bytes(key), &wire, ret_revision, err);

	return r == OK ? record_unpack(type, buf_bytes(&wire), arena, ret_message, err) : r;
}

int record_revision(struct meta *m, const struct key *key, uint64_t *ret_revision, struct err *err)
{
	int r;

	*ret_revision = 0;
	r = meta_get(m, key_bytes(key), NULL, ret_revision, err);
	return r;
}

bool digest_to_data(const struct digest *d, struct arena *arena, ProtobufCBinaryData *ret_data)
{
	uint8_t *bytes = arena_alloc(arena, DIGEST_KEY_MAX);

	if (!bytes)
		return false;
	*ret_data = (ProtobufCBinaryData){ digest_to_key(d, bytes), bytes };
	return true;
}

int digest_from_data(ProtobufCBinaryData data, struct digest *ret_digest, struct err *err)
{
	if (!digest_from_key((struct bytes){ data.data, data.len }, ret_digest))
		return fail(err, E_CORRUPT, "a damaged digest in the metadata");
	return OK;
}
