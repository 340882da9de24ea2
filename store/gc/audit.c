/*
 * gc_run(): the auditor. Everything it deletes in shared metadata goes with the
 * comparisons that make it right at that moment (keys.h); what was changed
 * meanwhile is left for the next run.
 */
#include "store/gc/collect.h"
#include "store/gc/in_use.h"
#include "store/gc/lease_end.h"
#include "store/internal.h"
#include "store/layers/layer_image.h"
#include "store/meta/scan.h"
#include "store/record.h"

enum { CANDIDATES = 64 };

static const int64_t ns_per_s = 1000000000;
static const int64_t guard_seconds = 3600; /* a publication takes milliseconds */

struct audit {
	struct store *store;
	int64_t now_ns;
	struct cancel *cancel;
	struct gc_result result;
	struct meta_txn *txn;
	size_t pending; /* edges in txn */
	struct meta_scan scan;
};

/* ---- deleting with comparisons -------------------------------------------- */

static int flush(struct audit *a, struct meta *m, struct err *err)
{
	size_t pending = a->pending;
	int r;

	a->pending = 0;
	if (!meta_txn_ops(a->txn))
		return OK;
	meta_txn_use_reserve(a->txn);
	r = meta_txn_commit(m, a->txn, NULL, err);
	if (r == OK)
		a->result.edges += (int64_t)pending;
	return r == E_ABORTED ? OK : r;
}

/* At most two comparisons and one deletion come after this. */
static int make_room(struct audit *a, struct err *err)
{
	return a->pending >= META_TXN_OPS / 2 - 1 ? flush(a, a->store->shared, err) : OK;
}

static void compare_absent(struct audit *a, const struct key *k)
{
	meta_txn_compare(a->txn, key_bytes(k), 0);
}

static void delete_key(struct audit *a, const struct key *k)
{
	meta_txn_delete(a->txn, key_bytes(k));
	a->pending++;
}

static void compare_no_image(struct audit *a, const struct digest *manifest)
{
	struct key image = key_image(manifest), guard = key_guard(manifest);

	compare_absent(a, &image);
	compare_absent(a, &guard);
}

/* Calls fn for each key of a range. */
typedef int audit_key(struct audit *a, const struct key *k, uint64_t revision, struct err *err);

static int each(struct audit *a, struct meta *m, struct key prefix, audit_key *fn, struct err *err)
{
	const struct key *k;
	uint64_t revision;
	int r;

	meta_scan_prefix(&a->scan, m, &prefix);
	while ((r = meta_scan_next(&a->scan, &k, &revision, err)) == OK && k) {
		r = cancel_check(a->cancel, err);
		if (r == OK)
			r = fn(a, k, revision, err);
		if (r != OK)
			return r;
	}
	return r == OK ? flush(a, m, err) : r;
}

/* ---- leases and guards ---------------------------------------------------- */

static int audit_lease(struct audit *a, const struct key *k, uint64_t revision, struct err *err)
{
	CLEANUP(arena_free) struct arena arena = { .cap = 0 };
	Imaged__Store__V1__LeaseRecord *record;
	ProtobufCMessage *m;
	uint64_t now_revision;
	struct lease_id id;
	int r;

	if (!key_parse_lease(key_bytes(k), &id))
		return OK;
	arena_init(&arena, RECORD_ARENA_MAX);
	r = record_get(a->store->shared, k, &imaged__store__v1__lease_record__descriptor, &arena, &m, &now_revision,
		       err);
	if (r != OK)
		return r == E_NOT_FOUND ? OK : r;
	record = (Imaged__Store__V1__LeaseRecord *)m;
	/* A live one does not expire: its operation would lose what it relies on. */
	if (now_revision != revision || record->expires_ns > a->now_ns || lease_is_owned(a->store, &id, record))
		return OK;
	/* The record first, and only if nobody renewed it; what it held is garbage then. */
	meta_txn_use_reserve(a->txn);
	meta_txn_compare(a->txn, key_bytes(k), revision);
	meta_txn_delete(a->txn, key_bytes(k));
	r = meta_txn_commit(a->store->shared, a->txn, NULL, err);
	if (r != OK)
		return r == E_ABORTED ? OK : r;
	a->result.leases++;
	return OK;
}

static int audit_guard(struct audit *a, const struct key *k, uint64_t revision, struct err *err)
{
	CLEANUP(arena_free) struct arena arena = { .cap = 0 };
	ProtobufCMessage *m;
	uint64_t now_revision;
	int r;

	arena_init(&arena, RECORD_ARENA_MAX);
	r = record_get(a->store->shared, k, &imaged__store__v1__guard_record__descriptor, &arena, &m, &now_revision,
		       err);
	if (r != OK)
		return r == E_NOT_FOUND ? OK : r;
	if (((Imaged__Store__V1__GuardRecord *)m)->started_ns > a->now_ns - guard_seconds * ns_per_s)
		return OK;
	meta_txn_compare(a->txn, key_bytes(k), revision);
	delete_key(a, k);
	return flush(a, a->store->shared, err);
}

static int audit_held(struct audit *a, const struct key *k, UNUSED uint64_t revision, struct err *err)
{
	struct lease_id id;
	struct digest blob;
	struct key lease;
	uint64_t lease_revision_now;
	int r;

	if (!key_parse_held(key_bytes(k), &id, &blob))
		return OK;
	lease = key_lease(&id);
	r = record_revision(a->store->shared, &lease, &lease_revision_now, err);
	if (r != E_NOT_FOUND)
		return r;
	r = make_room(a, err);
	if (r != OK)
		return r;
	compare_absent(a, &lease);
	delete_key(a, k);
	return OK;
}

/* ---- edges, chains, indexes ----------------------------------------------- */

/* That the parent is as it was when the edge was found dead. */
static void compare_parent(struct audit *a, const struct edge_parent *parent, uint64_t name_revision)
{
	struct key k;

	switch (parent->kind) {
	case EDGE_MANIFEST:
		compare_no_image(a, &parent->digest);
		return;
	case EDGE_NAME:
		k = key_name(parent->reference);
		meta_txn_compare(a->txn, key_bytes(&k), name_revision);
		return;
	case EDGE_LEASE:
		k = key_lease(&parent->lease);
		compare_absent(a, &k);
		return;
	case EDGE_INDEX:
		k = key_index(&parent->digest);
		compare_absent(a, &k);
		return;
	}
}

static int audit_edge(struct audit *a, const struct key *k, UNUSED uint64_t revision, struct err *err)
{
	struct edge_parent parent;
	struct digest child;
	uint64_t name_revision = 0;
	bool live;
	int r;

	if (!key_parse_edge(key_bytes(k), &child, &parent))
		return OK;
	if (parent.kind == EDGE_NAME) { /* before its record is read: a change in between shows */
		struct key name = key_name(parent.reference);

		r = record_revision(a->store->shared, &name, &name_revision, err);
		if (r != OK && r != E_NOT_FOUND)
			return r;
	}
	r = edge_is_live(a->store, &child, &parent, NULL, &live, err);
	if (r == OK && !live)
		r = make_room(a, err);
	if (r != OK || live)
		return r;
	compare_parent(a, &parent, name_revision);
	delete_key(a, k);
	return OK;
}

static int audit_chain(struct audit *a, const struct key *k, UNUSED uint64_t revision, struct err *err)
{
	struct edge_parent parent = { .kind = EDGE_MANIFEST };
	struct digest chain;
	bool live;
	int r;

	if (!key_parse_chain(key_bytes(k), &chain, &parent.digest))
		return OK;
	r = edge_is_live(a->store, &chain, &parent, NULL, &live, err);
	if (r == OK && !live)
		r = make_room(a, err);
	if (r != OK || live)
		return r;
	compare_no_image(a, &parent.digest);
	delete_key(a, k);
	return OK;
}

/* Its bytes and the edges it leaves are garbage for the steps after this one. */
static int audit_index(struct audit *a, const struct key *k, uint64_t revision, struct err *err)
{
	struct digest index;
	bool in_use;
	int r;

	if (!key_parse_index(key_bytes(k), &index))
		return OK;
	r = index_in_use(a->store, &index, NULL, &in_use, err);
	if (r != OK || in_use)
		return r;
	meta_txn_compare(a->txn, key_bytes(k), revision);
	delete_key(a, k);
	return flush(a, a->store->shared, err);
}

static int audit_use(struct audit *a, const struct key *k, UNUSED uint64_t revision, struct err *err)
{
	struct digest manifest;
	struct key image;
	uint64_t found;
	int r;

	if (!key_parse_use(key_bytes(k), &manifest))
		return OK;
	image = key_image(&manifest);
	r = record_revision(a->store->shared, &image, &found, err);
	if (r != E_NOT_FOUND)
		return r;
	meta_txn_delete(a->txn, key_bytes(k));
	return flush(a, a->store->local, err);
}

/* ---- blobs ---------------------------------------------------------------- */

struct candidates {
	struct audit *audit;
	struct digest digests[CANDIDATES];
	size_t n, collected;
	int r;
	struct err *err;
};

static int collect(struct candidates *c)
{
	size_t n = c->n;
	int r = cancel_check(c->audit->cancel, c->err);

	c->n = 0;
	if (r == OK)
		r = gc_collect(c->audit->store, c->digests, n, NULL, &c->audit->result.bytes, &c->collected, c->err);
	return r;
}

static bool add_candidate(void *arg, const struct digest *d, UNUSED int64_t size)
{
	struct candidates *c = arg;

	c->digests[c->n++] = *d;
	if (c->n == CANDIDATES)
		c->r = collect(c);
	return c->r == OK;
}

/* Layer records of blobs that are not there. */
static int add_lost_layers(struct candidates *c, struct err *err)
{
	struct key prefix = key_layer_prefix();
	struct audit *a = c->audit;
	const struct key *k;
	int r;

	meta_scan_prefix(&a->scan, a->store->local, &prefix);
	while ((r = meta_scan_next(&a->scan, &k, NULL, err)) == OK && k) {
		struct digest d;

		if (key_parse_layer(key_bytes(k), &d) && !content_exists(a->store, &d, NULL) &&
		    !add_candidate(c, &d, 0))
			return c->r;
	}
	return r;
}

static int audit_blobs(struct audit *a, struct err *err)
{
	CLEANUP(freep) struct candidates *c = calloc(1, sizeof *c);
	int r;

	if (!c)
		return fail_nomem(err);
	c->audit = a;
	c->err = err;
	r = content_list(a->store, add_candidate, c, err);
	if (r == OK)
		r = c->r;
	if (r == OK)
		r = add_lost_layers(c, err);
	if (r == OK)
		r = collect(c);
	a->result.blobs += (int64_t)c->collected;
	return r;
}

/* ---- all of it ------------------------------------------------------------ */

/* Parents before what hangs on them. */
static int audit_all(struct audit *a, struct err *err)
{
	struct meta *shared = a->store->shared;
	int r = each(a, shared, key_lease_prefix(), audit_lease, err);

	if (r == OK)
		r = each(a, shared, key_guard_prefix(), audit_guard, err);
	if (r == OK)
		r = each(a, shared, key_index_prefix(), audit_index, err);
	if (r == OK)
		r = each(a, shared, key_held_prefix(NULL), audit_held, err);
	if (r == OK)
		r = each(a, shared, key_edge_all(), audit_edge, err);
	if (r == OK)
		r = each(a, shared, key_chain_prefix(NULL), audit_chain, err);
	if (r == OK)
		r = each(a, a->store->local, key_use_prefix(), audit_use, err);
	if (r == OK)
		r = audit_blobs(a, err);
	if (r == OK)
		r = layer_images_sweep(a->store, a->now_ns - LEASE_SECONDS * ns_per_s, a->cancel, &a->result.bytes,
				       err);
	if (r == OK)
		r = ingest_sweep(a->store, a->now_ns - LEASE_SECONDS * ns_per_s, &a->result.ingest_bytes, err);
	return r;
}

int gc_run(struct store *s, int64_t now_ns, struct cancel *cancel, struct gc_result *ret_result, struct err *err)
{
	CLEANUP(freep) struct audit *a = calloc(1, sizeof *a);
	CLEANUP(meta_txn_freep) struct meta_txn *t = meta_txn_new();
	int r = store_writable(s, err);

	if (r != OK)
		return r;
	if (!a || !t)
		return fail_nomem(err);
	a->store = s;
	a->now_ns = now_ns;
	a->cancel = cancel;
	a->txn = t;
	r = audit_all(a, err);
	if (r == OK)
		*ret_result = a->result;
	return r;
}
