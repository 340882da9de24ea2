#include "store/gc/gc.h"

#include "store/content/blob.h"
#include "store/gc/collect.h"
#include "store/gc/in_use.h"
#include "store/internal.h"
#include "store/layers/layer_image.h"
#include "store/record.h"

enum { RECORDS_PER_TXN = META_TXN_OPS / 2 };

/* Layer records of blobs that are gone; they go together, as one durable
 * transaction for each would cost more than all the rest. A record that was
 * written again meanwhile (the blob came back) has another revision and stays. */
struct leftovers {
	struct digest blobs[RECORDS_PER_TXN], diff_ids[RECORDS_PER_TXN];
	uint64_t revisions[RECORDS_PER_TXN];
	size_t n;
};

static void add_leftover(struct meta_txn *t, const struct leftovers *l, size_t i)
{
	struct key layer = key_layer(&l->blobs[i]), diff = key_diff(&l->diff_ids[i], &l->blobs[i]);

	meta_txn_use_reserve(t);
	meta_txn_compare(t, key_bytes(&layer), l->revisions[i]);
	meta_txn_delete(t, key_bytes(&layer));
	meta_txn_delete(t, key_bytes(&diff));
}

/* What cannot be deleted now says nothing wrong: the next audit takes it. */
static void drop_leftovers(struct store *s, struct leftovers *l, int64_t *freed)
{
	CLEANUP(meta_txn_freep) struct meta_txn *t = meta_txn_new();

	for (size_t i = 0; t && i < l->n; i++)
		add_leftover(t, l, i);
	if (t && l->n && meta_txn_commit(s->local, t, NULL, NULL) == E_ABORTED)
		for (size_t i = 0; i < l->n; i++) {
			add_leftover(t, l, i);
			meta_txn_commit(s->local, t, NULL, NULL);
		}
	if (l->n) /* with the last blob of a layer goes its image */
		layer_images_release(s, l->diff_ids, l->n, freed, NULL);
	l->n = 0;
}

static void note_leftover(struct store *s, const struct digest *d, struct leftovers *l)
{
	CLEANUP(arena_free) struct arena arena = { .cap = 0 };
	struct key k = key_layer(d);
	ProtobufCMessage *m;

	arena_init(&arena, RECORD_ARENA_MAX);
	if (record_get(s->local, &k, &imaged__store__v1__layer_record__descriptor, &arena, &m, &l->revisions[l->n],
		       NULL) != OK ||
	    digest_from_data(((Imaged__Store__V1__LayerRecord *)m)->diff_id, &l->diff_ids[l->n], NULL) != OK)
		return;
	l->blobs[l->n++] = *d;
}

static int collect_locked(struct store *s, const struct digest *d, const struct doomed *doomed, struct leftovers *l,
			  int64_t *freed, size_t *count, struct err *err)
{
	int64_t size = 0;
	bool in_use;
	int r = blob_in_use(s, d, doomed, &in_use, err);

	if (r != OK || in_use)
		return r;
	r = blob_unlink(s, d, &size, err);
	if (r != OK && r != E_NOT_FOUND)
		return r;
	*freed += size;
	*count += r == OK;
	note_leftover(s, d, l);
	return OK;
}

int gc_collect(struct store *s, const struct digest *candidates, size_t n, const struct doomed *doomed, int64_t *freed,
	       size_t *count, struct err *err)
{
	CLEANUP(freep) struct leftovers *l = calloc(1, sizeof *l);
	int r = store_writable(s, err);

	if (!l)
		return fail_nomem(err);
	for (size_t i = 0; r == OK && i < n; i++) {
		digest_lock(s, &candidates[i]);
		r = collect_locked(s, &candidates[i], doomed, l, freed, count, err);
		digest_unlock(s, &candidates[i]);
		if (l->n == RECORDS_PER_TXN)
			drop_leftovers(s, l, freed);
	}
	drop_leftovers(s, l, freed);
	return r;
}

int gc_blobs(struct store *s, const struct digest *candidates, size_t n, int64_t *ret_freed, struct err *err)
{
	const struct doomed doomed = { .dead_leases = true };
	int64_t freed = 0;
	size_t count = 0;
	int r = gc_collect(s, candidates, n, &doomed, &freed, &count, err);

	*ret_freed = freed; /* also of what went before a failure */
	return r;
}
