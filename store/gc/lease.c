#include "store/gc/lease.h"

#include <sys/random.h>

#include "proto/runtime/clock.h"
#include "store/content/content.h"
#include "store/gc/lease_end.h"
#include "store/internal.h"
#include "store/meta/scan.h"
#include "store/record.h"

enum { TRIES = 100, OPS_PER_DIGEST = 2, DIGESTS_PER_TXN = (META_TXN_OPS - 1) / OPS_PER_DIGEST };

static const int64_t ns_per_s = 1000000000;

typedef Imaged__Store__V1__LeaseRecord lease_record;

static struct key edge_of(const struct lease_id *id, const struct digest *d)
{
	struct edge_parent parent = { .kind = EDGE_LEASE, .lease = *id };

	return key_edge(d, &parent);
}

static void hold(struct meta_txn *t, const struct lease_id *id, const struct digest *digests, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		struct key held = key_held(id, &digests[i]), edge = edge_of(id, &digests[i]);

		meta_txn_put(t, key_bytes(&held), (struct bytes){ 0 });
		meta_txn_put(t, key_bytes(&edge), (struct bytes){ 0 });
	}
}

static size_t portion(size_t n)
{
	return n < DIGESTS_PER_TXN ? n : DIGESTS_PER_TXN;
}

static int write_lease(struct store *s, const struct lease_id *id, const Imaged__Store__V1__LeaseRecord *record,
		       uint64_t old_revision, const struct digest *digests, size_t n, struct err *err)
{
	CLEANUP(meta_txn_freep) struct meta_txn *t = meta_txn_new();
	struct key k = key_lease(id);
	int r;

	if (!t)
		return fail_nomem(err);
	if (!record->owner.len) /* on a full disk as well: it will give space back */
		meta_txn_use_reserve(t);
	meta_txn_compare(t, key_bytes(&k), old_revision);
	r = record_put(t, &k, &record->base, err);
	if (r != OK)
		return r;
	hold(t, id, digests, n);
	return meta_txn_commit(s->shared, t, NULL, err);
}

int lease_id_new(struct lease_id *ret_id, struct err *err)
{
	if (getrandom(ret_id->bytes, sizeof ret_id->bytes, 0) != sizeof ret_id->bytes)
		return fail_errno(err, "random number for a lease");
	return OK;
}

static int create(struct store *s, const struct lease_id *id, lease_record *record, const struct digest *digests,
		  size_t n, struct err *err)
{
	int r;

	record->created_ns = clock_wall_ns();
	record->expires_ns = record->created_ns + LEASE_SECONDS * ns_per_s;
	record->owner = (ProtobufCBinaryData){ sizeof s->run, s->run };
	r = write_lease(s, id, record, 0, digests, portion(n), err);
	if (r == OK && n > portion(n))
		r = lease_add(s, id, digests + portion(n), n - portion(n), err);
	if (r != OK)
		lease_release(s, id, NULL); /* nobody else knows it */
	return r;
}

int lease_create(struct store *s, const char *purpose, const struct digest *digests, size_t n, struct lease_id *ret_id,
		 struct err *err)
{
	lease_record record = IMAGED__STORE__V1__LEASE_RECORD__INIT;
	struct lease_id id;
	int r = lease_id_new(&id, err);

	record.purpose = (char *)purpose;
	if (r == OK)
		r = create(s, &id, &record, digests, n, err);
	if (r == OK)
		*ret_id = id;
	return r;
}

int lease_create_for_mount(struct store *s, const struct mount_id *mount, const struct lease_id *id,
			   const struct digest *digests, size_t n, struct err *err)
{
	lease_record record = IMAGED__STORE__V1__LEASE_RECORD__INIT;

	record.purpose = (char *)"mount";
	record.mount = (ProtobufCBinaryData){ sizeof mount->bytes, (uint8_t *)mount->bytes };
	return create(s, id, &record, digests, n, err);
}

/* ---- of steps of builds ------------------------------------------------------ */

enum { OPS_PER_STEP = 1 + OPS_PER_DIGEST };

static int add_for_step(struct store *s, struct meta_txn *t, const struct step_lease *l, int64_t now, struct err *err)
{
	lease_record record = IMAGED__STORE__V1__LEASE_RECORD__INIT;
	struct key k = key_lease(&l->id);
	uint8_t step[DIGEST_KEY_MAX];
	int r;

	record.purpose = (char *)"build cache";
	record.created_ns = now;
	record.expires_ns = now + LEASE_SECONDS * ns_per_s;
	record.owner = (ProtobufCBinaryData){ sizeof s->run, s->run };
	record.step = (ProtobufCBinaryData){ digest_to_key(&l->key, step), step };
	meta_txn_compare(t, key_bytes(&k), 0);
	r = record_put(t, &k, &record.base, err);
	if (r == OK)
		hold(t, &l->id, &l->blob, 1);
	return r;
}

static int create_for_steps(struct store *s, const struct step_lease *leases, size_t n, struct err *err)
{
	CLEANUP(meta_txn_freep) struct meta_txn *t = meta_txn_new();
	int r = t ? OK : fail_nomem(err);

	for (size_t i = 0; r == OK && i < n; i++) {
		r = add_for_step(s, t, &leases[i], clock_wall_ns(), err);
		if (r == OK && (i + 1 == n || meta_txn_room(t) < OPS_PER_STEP))
			r = meta_txn_commit(s->shared, t, NULL, err);
	}
	return r;
}

int leases_create_for_steps(struct store *s, const struct step_lease *leases, size_t n, struct err *err)
{
	int r = create_for_steps(s, leases, n, err);

	for (size_t i = 0; r != OK && i < n; i++)
		lease_release(s, &leases[i].id, NULL); /* nobody else knows them */
	return r;
}

/* ---- grow ---------------------------------------------------------------------- */

static int fail_ended(struct err *err)
{
	return fail(err, E_ABORTED, "the lease of this operation has ended: it took too long");
}

static int read_lease(struct store *s, const struct lease_id *id, struct arena *arena, lease_record **ret_record,
		      uint64_t *ret_revision, struct err *err)
{
	ProtobufCMessage *message;
	struct key k = key_lease(id);
	int r;

	arena_init(arena, RECORD_ARENA_MAX);
	r = record_get(s->shared, &k, &imaged__store__v1__lease_record__descriptor, arena, &message, ret_revision, err);
	if (r == OK)
		*ret_record = (lease_record *)message;
	return r;
}

static int add_once(struct store *s, const struct lease_id *id, const struct digest *digests, size_t n, struct err *err)
{
	CLEANUP(arena_free) struct arena arena = { .cap = 0 };
	lease_record *record;
	uint64_t revision;
	int r = read_lease(s, id, &arena, &record, &revision, err);

	if (r != OK)
		return r;
	record->expires_ns = clock_wall_ns() + LEASE_SECONDS * ns_per_s;
	return write_lease(s, id, record, revision, digests, n, err);
}

int lease_add(struct store *s, const struct lease_id *id, const struct digest *digests, size_t n, struct err *err)
{
	int tries = 0;

	while (n) {
		int r = add_once(s, id, digests, portion(n), err);

		if (r == E_NOT_FOUND)
			return fail_ended(err);
		if (r == E_ABORTED && ++tries < TRIES)
			continue; /* another thread added to the same lease */
		if (r != OK)
			return r;
		digests += portion(n);
		n -= portion(n);
	}
	return OK;
}

/* ---- live and dead -------------------------------------------------------- */

static int abandon_once(struct store *s, const struct lease_id *id, struct err *err)
{
	CLEANUP(arena_free) struct arena arena = { .cap = 0 };
	lease_record *record;
	uint64_t revision;
	int r = read_lease(s, id, &arena, &record, &revision, err);

	if (r != OK)
		return r;
	record->owner = (ProtobufCBinaryData){ 0 };
	record->expires_ns = clock_wall_ns() + LEASE_SECONDS * ns_per_s;
	return write_lease(s, id, record, revision, NULL, 0, err);
}

int lease_abandon(struct store *s, const struct lease_id *id, struct err *err)
{
	int tries = 0, r;

	do
		r = abandon_once(s, id, err);
	while (r == E_ABORTED && ++tries < TRIES);
	return r == E_NOT_FOUND ? OK : r;
}

static int own_once(struct store *s, const struct lease_id *id, struct err *err)
{
	CLEANUP(arena_free) struct arena arena = { .cap = 0 };
	lease_record *record;
	uint64_t revision;
	int r = read_lease(s, id, &arena, &record, &revision, err);

	if (r != OK)
		return r;
	record->owner = (ProtobufCBinaryData){ sizeof s->run, s->run };
	return write_lease(s, id, record, revision, NULL, 0, err);
}

int lease_own(struct store *s, const struct lease_id *id, struct err *err)
{
	int tries = 0, r;

	do
		r = own_once(s, id, err);
	while (r == E_ABORTED && ++tries < TRIES);
	return r;
}

static bool mount_is_on_record(const struct store *s, const lease_record *record)
{
	struct mount_id id;
	uint64_t revision;
	struct key k;

	if (record->mount.len != sizeof id.bytes)
		return false;
	memcpy(id.bytes, record->mount.data, sizeof id.bytes);
	k = key_mount(&id);
	return record_revision(s->local, &k, &revision, NULL) != E_NOT_FOUND; /* in doubt it is */
}

/* And names this lease: one that it replaced has another. In doubt it is. */
static bool step_is_on_record(const struct store *s, const struct lease_id *id, const lease_record *record)
{
	CLEANUP(arena_free) struct arena arena = { .cap = 0 };
	Imaged__Store__V1__StepRecord *step;
	ProtobufCMessage *m;
	struct digest first;
	struct key k;
	int r;

	if (!record->step.len || digest_from_data(record->step, &first, NULL) != OK)
		return false;
	k = key_step(&first);
	arena_init(&arena, RECORD_ARENA_MAX);
	r = record_get(s->local, &k, &imaged__store__v1__step_record__descriptor, &arena, &m, NULL, NULL);
	if (r != OK)
		return r != E_NOT_FOUND && r != E_CORRUPT;
	step = (Imaged__Store__V1__StepRecord *)m;
	return step->lease.len == sizeof id->bytes && !memcmp(step->lease.data, id->bytes, sizeof id->bytes);
}

int lease_step(struct store *s, const struct lease_id *id, struct digest *ret_key, struct err *err)
{
	CLEANUP(arena_free) struct arena arena = { .cap = 0 };
	lease_record *record;
	uint64_t revision;
	int r = read_lease(s, id, &arena, &record, &revision, err);

	if (r != OK)
		return r;
	if (!step_is_on_record(s, id, record))
		return fail(err, E_NOT_FOUND, "the lease is not of a step");
	return digest_from_data(record->step, ret_key, err);
}

bool lease_is_owned(const struct store *s, const struct lease_id *id, const lease_record *record)
{
	if (mount_is_on_record(s, record) || step_is_on_record(s, id, record))
		return true;
	return record->owner.len == sizeof s->run && !memcmp(record->owner.data, s->run, sizeof s->run);
}

int lease_is_live(struct store *s, const struct lease_id *id, bool *ret_live, struct err *err)
{
	CLEANUP(arena_free) struct arena arena = { .cap = 0 };
	lease_record *record;
	uint64_t revision;
	int r = read_lease(s, id, &arena, &record, &revision, err);

	*ret_live = r == OK && lease_is_owned(s, id, record);
	return r == E_NOT_FOUND ? OK : r;
}

/* ---- end ------------------------------------------------------------------ */

int lease_end_some(struct store *s, const struct lease_id *id, struct meta_txn *t, bool *ret_all, struct err *err)
{
	struct key prefix = key_held_prefix(id), lease = key_lease(id);
	CLEANUP(freep) struct meta_scan *scan = malloc(sizeof *scan);
	const struct key *k;
	int r = OK;

	if (!scan)
		return fail_nomem(err);
	meta_txn_delete(t, key_bytes(&lease));
	*ret_all = true;
	meta_scan_prefix(scan, s->shared, &prefix);
	while ((r = meta_scan_next(scan, &k, NULL, err)) == OK && k) {
		struct lease_id same;
		struct digest d;
		struct key edge;

		if (!key_parse_held(key_bytes(k), &same, &d))
			continue;
		if (meta_txn_room(t) < OPS_PER_DIGEST) {
			*ret_all = false;
			break;
		}
		edge = edge_of(id, &d);
		meta_txn_delete(t, key_bytes(&edge));
		meta_txn_delete(t, key_bytes(k));
	}
	return r;
}

int lease_release(struct store *s, const struct lease_id *id, struct err *err)
{
	CLEANUP(meta_txn_freep) struct meta_txn *t = meta_txn_new();
	bool all = false;
	int r = t ? OK : fail_nomem(err);

	while (r == OK && !all) {
		meta_txn_use_reserve(t);
		r = lease_end_some(s, id, t, &all, err);
		if (r == OK)
			r = meta_txn_commit(s->shared, t, NULL, err);
	}
	return r;
}

static int release_some(struct store *s, const struct lease_id *ids, size_t n, size_t *done, struct err *err)
{
	CLEANUP(meta_txn_freep) struct meta_txn *t = meta_txn_new();
	bool all = true;
	int r = t ? OK : fail_nomem(err);

	if (t)
		meta_txn_use_reserve(t);
	while (r == OK && all && *done < n && meta_txn_room(t) > OPS_PER_DIGEST) {
		r = lease_end_some(s, &ids[*done], t, &all, err);
		*done += all;
	}
	return r == OK ? meta_txn_commit(s->shared, t, NULL, err) : r;
}

int leases_release(struct store *s, const struct lease_id *ids, size_t n, struct err *err)
{
	size_t done = 0;
	int r = OK;

	while (r == OK && done < n)
		r = release_some(s, ids, n, &done, err);
	return r;
}

int lease_revision(struct store *s, const struct lease_id *id, uint64_t *ret_revision, struct err *err)
{
	struct key k = key_lease(id);
	int r = record_revision(s->shared, &k, ret_revision, err);

	return r == E_NOT_FOUND ? fail_ended(err) : r;
}

bool content_claim(struct store *s, const struct digest *d, int64_t *ret_size)
{
	bool exists;

	digest_lock(s, d);
	exists = content_exists(s, d, ret_size);
	digest_unlock(s, d);
	return exists;
}
