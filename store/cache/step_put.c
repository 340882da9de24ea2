#include <fcntl.h>

#include "proto/runtime/clock.h"
#include "store/cache/step_state.h"
#include "store/content/shard.h"
#include "store/gc/gc.h"
#include "store/image/layer.h"
#include "store/types/manifest.h"

enum { TRIES = 50, OPS_PER_RESULT = 1 + 2 * STEP_KEYS_MAX };

/* One call. */
struct putting {
	struct step_cache *cache;
	const struct step_made *made;
	size_t n;
	size_t pinned; /* so many of them */
	struct step_lease *leases;
	struct replaced {
		struct digest first;
		struct step_old old;
	} * olds; /* what these took the place of */
	size_t n_olds;
	int64_t now_ns;
};

/* ---- what is asked for -------------------------------------------------------------------- */

static int check_one(const struct step_made *m, struct err *err)
{
	if (!m->n_keys || m->n_keys > STEP_KEYS_MAX)
		return fail(err, E_INTERNAL, "a result of a step has %zu keys", m->n_keys);
	if (!m->result.media_type || !step_media_type(m->result.media_type))
		return fail(err, E_INTERNAL, "a result of a step has no media type of a layer");
	if (!digest_is_set(&m->result.blob) || !digest_is_set(&m->result.diff_id))
		return fail(err, E_INTERNAL, "a result of a step has no layer");
	return OK;
}

static int check_made(const struct putting *p, struct err *err)
{
	int r = store_writable(p->cache->store, err);

	for (size_t i = 0; r == OK && i < p->n; i++) {
		r = check_one(&p->made[i], err);
		for (size_t k = 0; r == OK && k < i; k++)
			if (digest_eq(&p->made[i].keys[0], &p->made[k].keys[0]))
				r = fail(err, E_INTERNAL, "two results of steps have the same key");
	}
	return r;
}

static int pin_all(struct putting *p, struct err *err)
{
	int r = OK;

	for (; r == OK && p->pinned < p->n; p->pinned += r == OK) {
		const struct digest *first = &p->made[p->pinned].keys[0];

		r = step_pin(p->cache, first, first, true, err);
	}
	return r;
}

/* ---- layers ----------------------------------------------------------------------------------- */

/* Before anything comes in, so that the collector leaves it alone. */
static int hold_all(struct putting *p, struct err *err)
{
	int r = OK;

	for (size_t i = 0; r == OK && i < p->n; i++) {
		p->leases[i].key = p->made[i].keys[0];
		p->leases[i].blob = p->made[i].result.blob;
		r = lease_id_new(&p->leases[i].id, err);
	}
	return r == OK ? leases_create_for_steps(p->cache->store, p->leases, p->n, err) : r;
}

static int commit_blobs(struct putting *p, struct err *err)
{
	CLEANUP(freep) struct ingest **ingests = calloc(p->n, sizeof(struct ingest *));
	size_t n = 0;

	if (!ingests)
		return fail_nomem(err);
	for (size_t i = 0; i < p->n; i++)
		if (p->made[i].ingest)
			ingests[n++] = p->made[i].ingest;
	return n ? content_commit(p->cache->store, ingests, n, err) : OK;
}

/* Those that were there already: who put them may have been killed before they were durable. */
static int claim_blobs(struct putting *p, struct err *err)
{
	struct store *s = p->cache->store;
	CLEANUP(freep) struct digest *claimed = calloc(p->n, sizeof *claimed);
	CLEANUP(closep) int fd = -1;
	size_t n = 0;

	if (!claimed)
		return fail_nomem(err);
	for (size_t i = 0; i < p->n; i++) {
		const struct step_result *result = &p->made[i].result;
		char text[DIGEST_TEXT_MAX];
		int64_t size;

		if (!content_claim(s, &result->blob, &size) || size != result->blob_size)
			return fail(err, E_NOT_FOUND, "layer %s of a step's result is not in the store",
				    digest_text(&result->blob, text));
		if (!p->made[i].ingest)
			claimed[n++] = result->blob;
	}
	if (!n)
		return OK;
	fd = openat(s->root_fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd < 0)
		return fail_errno(err, "open root '%s'", s->root);
	return shards_sync(s, fd, claimed, n, err);
}

static int put_facts(struct putting *p, struct err *err)
{
	CLEANUP(freep) struct descriptor *blobs = calloc(p->n, sizeof *blobs);
	CLEANUP(freep) struct layer_facts *facts = calloc(p->n, sizeof *facts);

	if (!blobs || !facts)
		return fail_nomem(err);
	for (size_t i = 0; i < p->n; i++) {
		blobs[i].digest = p->made[i].result.blob;
		facts[i] = p->made[i].result.facts;
		facts[i].diff_id = p->made[i].result.diff_id;
	}
	return layer_facts_put(p->cache->store, blobs, facts, p->n, err);
}

static int commit_images(struct putting *p, struct err *err)
{
	CLEANUP(freep) struct layer_image **images = calloc(p->n, sizeof(struct layer_image *));
	CLEANUP(freep) struct digest *diff_ids = calloc(p->n, sizeof *diff_ids);

	if (!images || !diff_ids)
		return fail_nomem(err);
	for (size_t i = 0; i < p->n; i++) {
		images[i] = p->made[i].image;
		diff_ids[i] = p->made[i].result.diff_id;
	}
	return layer_images_commit(p->cache->store, images, diff_ids, p->n, err);
}

static int bring_in(struct putting *p, struct err *err)
{
	int r = commit_blobs(p, err);

	if (r == OK)
		r = claim_blobs(p, err);
	if (r == OK)
		r = put_facts(p, err);
	return r == OK ? commit_images(p, err) : r;
}

/* ---- records ------------------------------------------------------------------------------------ */

/* Borrows from the result; the description is cut to what is kept. */
static bool fill_record(const struct putting *p, size_t i, struct arena *a, step_record *record)
{
	const struct step_made *m = &p->made[i];
	const char *text = m->description ? m->description : "";

	imaged__store__v1__step_record__init(record);
	record->blob_size = m->result.blob_size;
	record->media_type = (char *)m->result.media_type;
	record->tar_size = m->result.facts.tar_size;
	record->files_size = m->result.facts.files_size;
	record->entries = m->result.facts.entries;
	record->worker_version = m->result.facts.worker_version;
	record->created_ns = m->result.created_ns;
	record->description = arena_bytes(a, (struct bytes){ (const uint8_t *)text, strnlen(text, STEP_TEXT_MAX) });
	record->kind = (char *)m->kind;
	record->last_used_ns = p->now_ns;
	record->use_count = 1;
	record->lease = (ProtobufCBinaryData){ sizeof p->leases[i].id.bytes, p->leases[i].id.bytes };
	record->keys = arena_array(a, STEP_KEYS_MAX, sizeof *record->keys);
	if (!record->description || !record->keys)
		return false;
	for (size_t k = 1; k < m->n_keys; k++)
		if (!digest_to_data(&m->keys[k], a, &record->keys[record->n_keys++]))
			return false;
	return digest_to_data(&m->result.diff_id, a, &record->diff_id) &&
	       digest_to_data(&m->result.blob, a, &record->blob);
}

static void put_alias(struct meta_txn *t, const struct digest *key, const struct digest *first)
{
	struct key alias = key_step_alias(key);
	uint8_t value[DIGEST_KEY_MAX];

	meta_txn_put(t, key_bytes(&alias), (struct bytes){ value, digest_to_key(first, value) });
}

static bool is_own(const struct putting *p, size_t i, const step_record *record)
{
	struct lease_id lease;

	return step_lease_of(record, &lease, NULL) == OK && !memcmp(&lease, &p->leases[i].id, sizeof lease);
}

static bool is_known_old(const struct putting *p, const struct lease_id *lease)
{
	for (size_t i = 0; i < p->n_olds; i++)
		if (!memcmp(&p->olds[i].old.lease, lease, sizeof *lease))
			return true;
	return false;
}

/* Somebody may rely on what this takes the place of: from now on this run holds it. */
static int take_place(struct putting *p, const struct digest *first, const step_record *record, struct err *err)
{
	struct replaced *olds;
	struct step_old old;
	int r;

	if (step_lease_of(record, &old.lease, NULL) != OK || digest_from_data(record->blob, &old.blob, NULL) != OK ||
	    is_known_old(p, &old.lease))
		return OK;
	olds = reallocarray(p->olds, p->n_olds + 1, sizeof *olds);
	if (!olds)
		return fail_nomem(err);
	p->olds = olds;
	r = lease_own(p->cache->store, &old.lease, err);
	if (r == OK)
		p->olds[p->n_olds++] = (struct replaced){ *first, old };
	return r == E_NOT_FOUND ? OK : r;
}

/* *ret_done: it was written by a try before this one. */
static int put_record(struct putting *p, size_t i, struct meta_txn *t, struct err *err)
{
	CLEANUP(arena_free) struct arena arena;
	const struct step_made *m = &p->made[i];
	struct key k = key_step(&m->keys[0]);
	step_record *old = NULL, record;
	uint64_t revision = 0;
	int r;

	arena_init(&arena, 2 * RECORD_ARENA_MAX);
	r = step_read(p->cache->store, &m->keys[0], &arena, &old, &revision, err);
	if (r == OK && is_own(p, i, old))
		return OK;
	if (r == OK)
		r = take_place(p, &m->keys[0], old, err);
	if (r == OK)
		r = step_delete_aliases(p->cache->store, t, &m->keys[0], old, err);
	if (r != OK && r != E_NOT_FOUND && r != E_CORRUPT)
		return r;
	if (!fill_record(p, i, &arena, &record))
		return fail_nomem(err);
	meta_txn_compare(t, key_bytes(&k), revision);
	for (size_t n = 1; n < m->n_keys; n++)
		put_alias(t, &m->keys[n], &m->keys[0]);
	return record_put(t, &k, &record.base, err);
}

static int put_records_once(struct putting *p, struct err *err)
{
	CLEANUP(meta_txn_freep) struct meta_txn *t = meta_txn_new();
	int r = t ? OK : fail_nomem(err);

	for (size_t i = 0; r == OK && i < p->n; i++) {
		r = put_record(p, i, t, err);
		if (r == OK && (i + 1 == p->n || meta_txn_room(t) < OPS_PER_RESULT) && meta_txn_ops(t))
			r = meta_txn_commit(p->cache->store->local, t, NULL, err);
	}
	return r;
}

static int put_records(struct putting *p, struct err *err)
{
	int tries = 0, r;

	do
		r = put_records_once(p, err);
	while (r == E_ABORTED && ++tries < TRIES);
	return r;
}

/* ---- all of it -------------------------------------------------------------------------------------- */

/* None of the results may be there. A record that is another's by now stays. */
static void delete_records(struct putting *p)
{
	CLEANUP(meta_txn_freep) struct meta_txn *t = meta_txn_new();

	for (size_t i = 0; t && i < p->n; i++) {
		CLEANUP(arena_free) struct arena arena;
		struct key k = key_step(&p->made[i].keys[0]);
		step_record *record;
		uint64_t revision;

		arena_init(&arena, RECORD_ARENA_MAX);
		if (step_read(p->cache->store, &p->made[i].keys[0], &arena, &record, &revision, NULL) != OK ||
		    !is_own(p, i, record))
			continue;
		meta_txn_use_reserve(t);
		meta_txn_compare(t, key_bytes(&k), revision);
		meta_txn_delete(t, key_bytes(&k));
		step_delete_aliases(p->cache->store, t, &p->made[i].keys[0], record, NULL);
		meta_txn_commit(p->cache->store->local, t, NULL, NULL);
	}
}

static void undo(struct putting *p)
{
	CLEANUP(freep) struct step_old *own = calloc(p->n + 1, sizeof *own);
	int64_t freed = 0;

	delete_records(p);
	for (size_t i = 0; own && i < p->n; i++)
		own[i] = (struct step_old){ p->leases[i].id, p->leases[i].blob };
	if (own)
		step_let_go(p->cache->store, own, p->n, &freed, NULL);
}

/* With the last pin of what took their place: until then somebody may rely on them. */
static void let_go_of_olds(struct putting *p)
{
	for (size_t i = 0; i < p->n_olds; i++) {
		int64_t freed = 0;

		if (!step_keep_old(p->cache, &p->olds[i].first, &p->olds[i].old))
			step_let_go(p->cache->store, &p->olds[i].old, 1, &freed, NULL);
	}
}

static int put(struct putting *p, struct err *err)
{
	int r = pin_all(p, err);

	if (r == OK)
		r = hold_all(p, err);
	if (r != OK)
		return r;
	r = bring_in(p, err);
	if (r == OK)
		r = put_records(p, err);
	if (r != OK)
		undo(p);
	let_go_of_olds(p);
	return r;
}

static void putting_free(struct putting *p)
{
	free(p->leases);
	free(p->olds);
}

int step_cache_put(struct step_cache *c, const struct step_made *made, size_t n, struct err *err)
{
	CLEANUP(putting_free)
	struct putting p = { .cache = c, .made = made, .n = n, .now_ns = clock_wall_ns() };
	int r = check_made(&p, err);

	if (r != OK || !n)
		return r;
	p.leases = calloc(n, sizeof *p.leases);
	if (!p.leases)
		return fail_nomem(err);
	r = put(&p, err);
	for (size_t i = 0; r != OK && i < p.pinned; i++)
		step_cache_unpin(c, &made[i].keys[0]);
	return r;
}
