#include "store/image/image_index.h"

#include "store/gc/in_use.h"
#include "store/internal.h"
#include "store/meta/scan.h"

enum { INDEX_ARENA = 8 * 1024 * 1024, LISTED_MAX = 5000 };

typedef Imaged__Store__V1__IndexRecord index_record;

bool digest_list_has(const struct digest_list *l, const struct digest *d)
{
	for (size_t i = 0; i < l->n; i++)
		if (digest_eq(&l->items[i], d))
			return true;
	return false;
}

bool digest_list_add(struct digest_list *l, const struct digest *d)
{
	if (digest_list_has(l, d))
		return true;
	if (l->n == l->cap) {
		size_t cap = l->cap ? 2 * l->cap : 16;
		struct digest *items = reallocarray(l->items, cap, sizeof *items);

		if (!items)
			return false;
		l->items = items;
		l->cap = cap;
	}
	l->items[l->n++] = *d;
	return true;
}

void digest_list_free(struct digest_list *l)
{
	free(l->items);
	*l = (struct digest_list){ 0 };
}

int index_read(struct store *s, const struct digest *index, struct arena *a, index_record **ret_record,
	       uint64_t *ret_revision, struct err *err)
{
	struct key k = key_index(index);
	ProtobufCMessage *m = NULL;
	int r;

	*ret_revision = 0;
	r = record_get(s->shared, &k, &imaged__store__v1__index_record__descriptor, a, &m, ret_revision, err);
	if (r != OK && r != E_NOT_FOUND)
		return r;
	*ret_record = r == OK ? (index_record *)m : NULL;
	return OK;
}

static bool is_digest(ProtobufCBinaryData data, const struct digest *d)
{
	struct digest found;

	return digest_from_data(data, &found, NULL) == OK && digest_eq(&found, d);
}

/* The old list with `add` in it, or without `drop`; either may be NULL. */
static bool fill_manifests(index_record *record, const index_record *old, const struct digest *add,
			   const struct digest *drop, struct arena *a)
{
	size_t n_old = old ? old->n_manifests : 0;

	record->n_manifests = 0;
	record->manifests = arena_array(a, n_old + 1, sizeof *record->manifests);
	if (!record->manifests)
		return false;
	for (size_t i = 0; i < n_old && i < LISTED_MAX; i++)
		if (!(add && is_digest(old->manifests[i], add)) && !(drop && is_digest(old->manifests[i], drop)))
			record->manifests[record->n_manifests++] = old->manifests[i];
	return !add || digest_to_data(add, a, &record->manifests[record->n_manifests++]);
}

static struct key edge_of(const struct digest *manifest, const struct digest *index)
{
	struct edge_parent parent = { .kind = EDGE_INDEX, .digest = *index };

	return key_edge(manifest, &parent);
}

int index_put(struct meta_txn *t, const struct index_change *c, struct arena *a, struct err *err)
{
	index_record record = IMAGED__STORE__V1__INDEX_RECORD__INIT;
	struct key k = key_index(c->index), edge = edge_of(c->manifest, c->index);

	record.media_type = (char *)c->media_type;
	record.size = c->size;
	record.sources = c->sources;
	record.n_sources = c->n_sources;
	if (!fill_manifests(&record, c->old, c->manifest, NULL, a))
		return fail_nomem(err);
	meta_txn_compare(t, key_bytes(&k), c->revision);
	meta_txn_put(t, key_bytes(&edge), (struct bytes){ 0 });
	return record_put(t, &k, &record.base, err);
}

/* ---- letting go ----------------------------------------------------------- */

static void delete_edges(struct meta_txn *t, const struct digest *index, const index_record *record)
{
	for (size_t i = 0; i < record->n_manifests && meta_txn_room(t); i++) {
		struct digest manifest;
		struct key edge;

		if (digest_from_data(record->manifests[i], &manifest, NULL) != OK)
			continue;
		edge = edge_of(&manifest, index);
		meta_txn_delete(t, key_bytes(&edge));
	}
}

/* True when it is gone, or was. */
static bool drop_record(struct store *s, const struct digest *index)
{
	CLEANUP(meta_txn_freep) struct meta_txn *t = meta_txn_new();
	CLEANUP(arena_free) struct arena arena = { .cap = 0 };
	const struct doomed doomed = { .dead_leases = true };
	struct key k = key_index(index);
	index_record *record;
	uint64_t revision;
	bool in_use;

	arena_init(&arena, INDEX_ARENA);
	if (!t || index_read(s, index, &arena, &record, &revision, NULL) != OK)
		return false;
	if (!record)
		return true;
	/* Whoever names it again puts its record too, so the comparison fails then. */
	if (index_in_use(s, index, &doomed, &in_use, NULL) != OK || in_use)
		return false;
	meta_txn_use_reserve(t);
	meta_txn_compare(t, key_bytes(&k), revision);
	meta_txn_delete(t, key_bytes(&k));
	delete_edges(t, index, record);
	return meta_txn_commit(s->shared, t, NULL, NULL) == OK;
}

void index_release(struct store *s, const struct digest *index, int64_t *freed)
{
	int64_t bytes = 0;

	if (drop_record(s, index) && gc_blobs(s, index, 1, &bytes, NULL) == OK && freed)
		*freed += bytes;
}

static void forget_in(struct store *s, const struct digest *index, const struct digest *manifest)
{
	CLEANUP(meta_txn_freep) struct meta_txn *t = meta_txn_new();
	CLEANUP(arena_free) struct arena arena = { .cap = 0 };
	struct key k = key_index(index), edge = edge_of(manifest, index), image = key_image(manifest);
	index_record *record;
	uint64_t revision;

	arena_init(&arena, INDEX_ARENA);
	if (!t || index_read(s, index, &arena, &record, &revision, NULL) != OK)
		return;
	meta_txn_use_reserve(t);
	meta_txn_compare(t, key_bytes(&image), 0);
	meta_txn_compare(t, key_bytes(&k), revision);
	meta_txn_delete(t, key_bytes(&edge));
	if (record &&
	    (!fill_manifests(record, record, NULL, manifest, &arena) || record_put(t, &k, &record->base, NULL) != OK))
		return;
	meta_txn_commit(s->shared, t, NULL, NULL);
}

void index_forget(struct store *s, const struct digest *manifest)
{
	CLEANUP(freep) struct meta_scan *scan = malloc(sizeof *scan);
	struct key prefix = key_edge_kind_prefix(manifest, EDGE_INDEX);
	const struct key *k;

	if (!scan)
		return;
	meta_scan_prefix(scan, s->shared, &prefix);
	while (meta_scan_next(scan, &k, NULL, NULL) == OK && k) {
		struct edge_parent parent;
		struct digest child;

		if (key_parse_edge(key_bytes(k), &child, &parent))
			forget_in(s, &parent.digest, manifest);
	}
}
