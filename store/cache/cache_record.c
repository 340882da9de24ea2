#include "proto/runtime/clock.h"
#include "store/cache/cache_mount_state.h"

enum { ID_KEPT_MAX = 4096 }; /* of the text; the key has all of it */

int cache_record_get(struct store *s, const struct digest *key, struct arena *arena, cache_mount_record **ret_record,
		     uint64_t *ret_revision, struct err *err)
{
	struct key k = key_cache_mount(key);
	ProtobufCMessage *m;
	int r = record_get(s->local, &k, &imaged__store__v1__cache_mount_record__descriptor, arena, &m, ret_revision,
			   err);

	if (r == OK)
		*ret_record = (cache_mount_record *)m;
	return r;
}

static int write_record(struct cache_group *g, const cache_mount_record *record, struct err *err)
{
	CLEANUP(meta_txn_freep) struct meta_txn *t = meta_txn_new();
	struct key k = key_cache_mount(&g->key);
	int r;

	if (!t)
		return fail_nomem(err);
	r = record_put(t, &k, &record->base, err);
	if (r == OK)
		r = meta_txn_commit(g->mounts->store->local, t, NULL, err);
	if (r != OK)
		return r;
	g->recorded = true;
	g->written_ns = record->last_used_ns;
	return OK;
}

int cache_record_make(struct cache_group *g, const struct cache_mount_request *request, struct err *err)
{
	cache_mount_record record = IMAGED__STORE__V1__CACHE_MOUNT_RECORD__INIT;
	CLEANUP(freep) char *id = NULL;
	uint8_t seed[DIGEST_KEY_MAX];

	if (g->recorded)
		return OK;
	id = strndup(request->id, ID_KEPT_MAX);
	if (!id)
		return fail_nomem(err);
	record.id = id;
	record.mode = request->mode;
	record.uid = request->uid;
	record.gid = request->gid;
	if (digest_is_set(&request->seed))
		record.seed = (ProtobufCBinaryData){ digest_to_key(&request->seed, seed), seed };
	record.created_ns = record.last_used_ns = clock_wall_ns();
	g->has_seed = record.seed.len != 0;
	return write_record(g, &record, err);
}

static bool fill_ready(const struct cache_group *g, struct arena *arena, cache_mount_record *record)
{
	record->n_ready = 0;
	if (!g->has_seed)
		return true;
	record->ready = arena_array(arena, g->n_copies + 1, sizeof *record->ready);
	if (!record->ready)
		return false;
	for (size_t i = 0; i < g->n_copies; i++)
		if (g->copies[i].filled)
			record->ready[record->n_ready++] = g->copies[i].number;
	return true;
}

int cache_record_update(struct cache_group *g, struct err *err)
{
	CLEANUP(arena_free) struct arena arena;
	cache_mount_record *record;
	int r;

	arena_init(&arena, 2 * RECORD_ARENA_MAX);
	r = cache_record_get(g->mounts->store, &g->key, &arena, &record, NULL, err);
	if (r != OK)
		return r;
	if (!fill_ready(g, &arena, record))
		return fail_nomem(err);
	record->use_count += g->uses;
	if (g->last_used_ns > record->last_used_ns)
		record->last_used_ns = g->last_used_ns;
	r = write_record(g, record, err);
	if (r == OK)
		g->uses = 0;
	return r;
}
