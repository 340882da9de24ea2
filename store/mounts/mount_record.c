#include "store/mounts/mount_record.h"

#include <sys/random.h>

#include "store/gc/gc.h"
#include "store/gc/lease.h"
#include "store/internal.h"
#include "store/meta/scan.h"
#include "store/record.h"
#include "store/types/digest.h"

enum { HELD_MAX = 1024 }; /* an image's layers, its configuration and its manifest */

typedef Imaged__Store__V1__MountRecord mount_record;

/* ---- IDs ---------------------------------------------------------------------- */

char *mount_id_text(const struct mount_id *id, char out[MOUNT_ID_TEXT_MAX])
{
	for (size_t i = 0; i < MOUNT_ID_LEN; i++)
		snprintf(out + 2 * i, 3, "%02x", id->bytes[i]);
	return out;
}

static int hex_digit(uint8_t c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

bool mount_id_parse(struct bytes text, struct mount_id *ret_id)
{
	struct mount_id id;

	if (text.len != MOUNT_ID_TEXT_MAX - 1)
		return false;
	for (size_t i = 0; i < MOUNT_ID_LEN; i++) {
		int high = hex_digit(text.data[2 * i]), low = hex_digit(text.data[2 * i + 1]);

		if (high < 0 || low < 0)
			return false;
		id.bytes[i] = (uint8_t)(high << 4 | low);
	}
	*ret_id = id;
	return true;
}

bool mount_id_eq(const struct mount_id *a, const struct mount_id *b)
{
	return !memcmp(a->bytes, b->bytes, MOUNT_ID_LEN);
}

/* ---- one record --------------------------------------------------------------- */

static int read_one(struct store *s, const struct mount_id *id, struct arena *arena, mount_record **ret_record,
		    uint64_t *ret_revision, struct err *err)
{
	struct key k = key_mount(id);
	ProtobufCMessage *m;
	int r = record_get(s->local, &k, &imaged__store__v1__mount_record__descriptor, arena, &m, ret_revision, err);

	if (r == OK)
		*ret_record = (mount_record *)m;
	return r;
}

static int write_one(struct store *s, const struct mount_id *id, const mount_record *record, uint64_t old_revision,
		     struct err *err)
{
	CLEANUP(meta_txn_freep) struct meta_txn *t = meta_txn_new();
	struct key k = key_mount(id);
	int r;

	if (!t)
		return fail_nomem(err);
	meta_txn_compare(t, key_bytes(&k), old_revision);
	r = record_put(t, &k, &record->base, err);
	return r == OK ? meta_txn_commit(s->local, t, NULL, err) : r;
}

static int delete_one(struct store *s, const struct mount_id *id, struct err *err)
{
	CLEANUP(meta_txn_freep) struct meta_txn *t = meta_txn_new();
	struct key k = key_mount(id);

	if (!t)
		return fail_nomem(err);
	meta_txn_use_reserve(t);
	meta_txn_delete(t, key_bytes(&k));
	return meta_txn_commit(s->local, t, NULL, err);
}

static int lease_of(const mount_record *record, struct lease_id *ret_id, struct err *err)
{
	if (record->lease.len != sizeof ret_id->bytes)
		return fail(err, E_CORRUPT, "the record of a mount names no lease");
	memcpy(ret_id->bytes, record->lease.data, sizeof ret_id->bytes);
	return OK;
}

/* ---- begin, commit, end ---------------------------------------------------------- */

/* The record first: the lease is live by it. */
int mount_record_begin(struct store *s, mount_record *record, const struct digest *blobs, size_t n,
		       struct mount_id *ret_id, struct err *err)
{
	struct lease_id lease;
	struct mount_id id;
	int r = store_writable(s, err);

	if (r == OK)
		r = lease_id_new(&lease, err);
	if (r != OK)
		return r;
	if (getrandom(id.bytes, sizeof id.bytes, 0) != sizeof id.bytes)
		return fail_errno(err, "random number for a mount");
	record->lease = (ProtobufCBinaryData){ sizeof lease.bytes, lease.bytes };
	record->committed = false;
	r = write_one(s, &id, record, 0, err);
	if (r == OK) {
		r = lease_create_for_mount(s, &id, &lease, blobs, n, err);
		if (r != OK)
			delete_one(s, &id, NULL);
	}
	record->lease = (ProtobufCBinaryData){ 0 };
	if (r == OK)
		*ret_id = id;
	return r;
}

int mount_record_commit(struct store *s, const struct mount_id *id, struct err *err)
{
	CLEANUP(arena_free) struct arena arena;
	mount_record *record;
	uint64_t revision;
	int r;

	arena_init(&arena, RECORD_ARENA_MAX);
	r = read_one(s, id, &arena, &record, &revision, err);
	if (r != OK)
		return r;
	record->committed = true;
	return write_one(s, id, record, revision, err);
}

/* What the lease holds, at most `max`: the rest is left to the auditor. */
static int held_by(struct store *s, const struct lease_id *lease, struct digest *blobs, size_t max, size_t *ret_n,
		   struct err *err)
{
	CLEANUP(freep) struct meta_scan *scan = malloc(sizeof *scan);
	struct key prefix = key_held_prefix(lease);
	struct lease_id same;
	const struct key *k;
	size_t n = 0;
	int r;

	if (!scan)
		return fail_nomem(err);
	meta_scan_prefix(scan, s->shared, &prefix);
	while ((r = meta_scan_next(scan, &k, NULL, err)) == OK && k && n < max)
		n += key_parse_held(key_bytes(k), &same, &blobs[n]);
	*ret_n = n;
	return r;
}

/* The record last: as long as it is there, the next start does this again. */
int mount_record_end(struct store *s, const struct mount_id *id, int64_t *ret_freed, struct err *err)
{
	CLEANUP(freep) struct digest *blobs = calloc(HELD_MAX, sizeof *blobs);
	CLEANUP(arena_free) struct arena arena;
	struct lease_id lease;
	mount_record *record;
	uint64_t revision;
	size_t n = 0;
	int r;

	*ret_freed = 0;
	arena_init(&arena, RECORD_ARENA_MAX);
	if (!blobs)
		return fail_nomem(err);
	r = read_one(s, id, &arena, &record, &revision, err);
	if (r != OK)
		return r == E_NOT_FOUND ? OK : r;
	r = lease_of(record, &lease, err);
	if (r == OK)
		r = held_by(s, &lease, blobs, HELD_MAX, &n, err);
	if (r == OK)
		r = lease_release(s, &lease, err);
	if (r == OK)
		r = gc_blobs(s, blobs, n, ret_freed, err);
	return r == OK || r == E_CORRUPT ? delete_one(s, id, err) : r;
}

int mount_record_get(struct store *s, const struct mount_id *id, struct arena *arena, struct mount_entry *ret_entry,
		     struct err *err)
{
	uint64_t revision;
	mount_record *record;
	int r = read_one(s, id, arena, &record, &revision, err);

	if (r == OK)
		*ret_entry = (struct mount_entry){ *id, record };
	return r;
}

/* ---- all of them ----------------------------------------------------------------- */

static int by_age(const void *a, const void *b)
{
	const struct mount_entry *x = a, *y = b;

	if (x->record->created_ns != y->record->created_ns)
		return x->record->created_ns < y->record->created_ns ? -1 : 1;
	return memcmp(x->id.bytes, y->id.bytes, MOUNT_ID_LEN);
}

static int read_keys(struct store *s, struct arena *arena, struct mount_entry **ret_entries, size_t *ret_n,
		     struct err *err)
{
	CLEANUP(freep) struct meta_scan *scan = malloc(sizeof *scan);
	struct key prefix = key_mount_prefix();
	struct mount_entry *entries = NULL;
	const struct key *k;
	size_t n = 0;
	int r;

	if (!scan)
		return fail_nomem(err);
	meta_scan_prefix(scan, s->local, &prefix);
	while ((r = meta_scan_next(scan, &k, NULL, err)) == OK && k && n < MOUNTS_MAX) {
		if (!entries)
			entries = arena_array(arena, MOUNTS_MAX, sizeof *entries);
		if (!entries)
			return fail_nomem(err);
		n += key_parse_mount(key_bytes(k), &entries[n].id);
	}
	*ret_entries = entries;
	*ret_n = n;
	return r;
}

int mount_records_read(struct store *s, struct arena *arena, struct mount_entry **ret_entries, size_t *ret_n,
		       struct err *err)
{
	struct mount_entry *entries;
	size_t found, n = 0;
	uint64_t revision;
	int r = read_keys(s, arena, &entries, &found, err);

	for (size_t i = 0; r == OK && i < found; i++) {
		entries[n].id = entries[i].id;
		r = read_one(s, &entries[i].id, arena, &entries[n].record, &revision, err);
		n += r == OK;
		if (r == E_NOT_FOUND) /* it ended meanwhile */
			r = OK;
	}
	if (r != OK)
		return r;
	if (n)
		qsort(entries, n, sizeof *entries, by_age);
	*ret_entries = entries;
	*ret_n = n;
	return OK;
}

static bool is_of(const mount_record *record, const struct digest *manifests, size_t n)
{
	struct digest d;

	if (digest_from_data(record->manifest, &d, NULL) != OK)
		return false;
	for (size_t i = 0; i < n; i++)
		if (digest_eq(&d, &manifests[i]))
			return true;
	return false;
}

int mount_of_manifests(struct store *s, const struct digest *manifests, size_t n, struct arena *arena,
		       char **ret_target, struct err *err)
{
	struct mount_entry *entries;
	size_t count;
	int r = mount_records_read(s, arena, &entries, &count, err);

	*ret_target = NULL;
	for (size_t i = 0; r == OK && i < count; i++) {
		ProtobufCBinaryData target = entries[i].record->target;

		if (!is_of(entries[i].record, manifests, n))
			continue;
		*ret_target = arena_bytes(arena, (struct bytes){ target.data, target.len });
		return *ret_target ? OK : fail_nomem(err);
	}
	return r;
}
