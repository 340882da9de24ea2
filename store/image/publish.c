#include <fcntl.h>

#include "store/content/content.h"
#include "store/content/shard.h"
#include "store/gc/lease_end.h"
#include "store/image/event_log.h"
#include "store/image/image_index.h"
#include "store/image/layer.h"
#include "store/image/name.h"
#include "store/image/publishing.h"
#include "store/internal.h"
#include "store/layers/layer_image.h"

enum {
	TRIES = 50,
	NAMES_WITH_IMAGE = 6, /* names that become durable together with the image */
	NAMES_PER_TXN = 12,
	IMAGE_OPS = 3, /* record, order, config index */
	INDEX_OPS = 2, /* record and edge */
	GUARD_OPS = 1,
	FINAL_OPS = IMAGE_OPS + INDEX_OPS + GUARD_OPS + NAMES_WITH_IMAGE * NAME_PUT_OPS + 1 + EVENT_TRIM_OPS + 1,
	RECORD_ARENA = 64 * 1024 * 1024,
};

_Static_assert((int)FINAL_OPS <= (int)META_TXN_OPS, "the last transaction of a publication fits");

/* ---- prepare -------------------------------------------------------------- */

static int check_layers(const struct publication *p, struct err *err)
{
	int r = image_config_check_layers(p->config, p->manifest->n_layers, err);

	for (size_t i = 0; r == OK && i < p->manifest->n_layers; i++) {
		char text[DIGEST_TEXT_MAX];

		if (!digest_eq(&p->layers[i].diff_id, &p->config->diff_ids[i]))
			r = fail(err, E_DIGEST_MISMATCH, "layer %s: its diff ID is not the one of the configuration",
				 digest_text(&p->manifest->layers[i].digest, text));
	}
	return r;
}

static int prepare_names(struct publishing *w, struct err *err)
{
	size_t n = w->p->n_names;
	int r = OK;

	w->names = calloc(n ? n : 1, sizeof *w->names);
	if (!w->names)
		return fail_nomem(err);
	for (size_t i = 0; r == OK && i < n; i++)
		r = name_text(&w->p->names[i], w->names[i], err);
	return r;
}

static int prepare_blobs(struct publishing *w, struct err *err)
{
	const struct manifest *m = w->p->manifest;

	w->blobs = calloc(m->n_layers + 3, sizeof *w->blobs);
	w->chains = calloc(m->n_layers + 1, sizeof *w->chains);
	if (!w->blobs || !w->chains)
		return fail_nomem(err);
	w->blobs[w->n_blobs++] = w->p->manifest_digest;
	w->blobs[w->n_blobs++] = w->config;
	for (size_t i = 0; i < m->n_layers; i++) {
		struct digest two[2] = { i ? w->chains[i - 1] : w->p->layers[0].diff_id, w->p->layers[i].diff_id };

		w->chains[i] = chain_id(two, i ? 2 : 1);
		w->blobs[w->n_blobs++] = m->layers[i].digest;
	}
	if (w->has_index)
		w->blobs[w->n_blobs++] = w->p->root;
	return OK;
}

static int prepare(struct publishing *w, struct err *err)
{
	int r = check_layers(w->p, err);

	if (r == OK)
		r = prepare_names(w, err);
	if (r == OK)
		r = prepare_blobs(w, err);
	if (r != OK)
		return r;
	w->txn = meta_txn_new();
	return w->txn ? OK : fail_nomem(err);
}

static int sync_names(struct publishing *w, struct err *err)
{
	CLEANUP(closep) int fd = openat(w->store->root_fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	if (fd < 0)
		return fail_errno(err, "open root '%s'", w->store->root);
	return shards_sync(w->store, fd, w->blobs, w->n_blobs, err);
}

/* From here on the collector leaves them alone, and power loss too. */
static int secure_blobs(struct publishing *w, struct err *err)
{
	int r = OK;

	if (!w->p->lease) {
		r = lease_create(w->store, "publish", w->blobs, w->n_blobs, &w->own_lease, err);
		if (r != OK)
			return r;
		w->lease = &w->own_lease;
	}
	for (size_t i = 0; r == OK && i < w->n_blobs; i++) {
		char text[DIGEST_TEXT_MAX];

		if (!content_claim(w->store, &w->blobs[i], NULL))
			r = fail(err, E_NOT_FOUND, "content %s is not in the store", digest_text(&w->blobs[i], text));
	}
	return r == OK ? sync_names(w, err) : r;
}

/* ---- records ------------------------------------------------------------- */

static int put_image(struct publishing *w, const image_record *old, struct arena *a, struct err *err)
{
	const struct digest *manifest = &w->p->manifest_digest;
	struct key image = key_image(manifest), config = key_config(&w->config, manifest);
	struct key order = key_order(&w->p->config->created, manifest);
	image_record record;
	int r = publish_fill_record(w, old, a, &record, err);

	if (r != OK)
		return r;
	meta_txn_compare(w->txn, key_bytes(&image), w->image_revision);
	meta_txn_put(w->txn, key_bytes(&config), (struct bytes){ 0 });
	meta_txn_put(w->txn, key_bytes(&order), (struct bytes){ 0 });
	r = record_put(w->txn, &image, &record.base, err);
	return r == OK ? OK : err_wrap(err, "record of the image");
}

static int put_index(struct publishing *w, struct arena *a, struct err *err)
{
	struct index_change c = {
		.index = &w->p->root,
		.manifest = &w->p->manifest_digest,
		.media_type = w->p->root_media_type,
		.size = (int64_t)w->p->root_bytes.len,
	};
	Imaged__Store__V1__IndexRecord *old;
	int r;

	if (!w->has_index)
		return OK;
	if (!c.size)
		content_exists(w->store, &w->p->root, &c.size);
	r = index_read(w->store, &w->p->root, a, &old, &c.revision, err);
	if (r != OK)
		return r;
	c.old = old;
	if (!publish_fill_sources(w->p->source, old ? old->sources : NULL, old ? old->n_sources : 0, a, &c.sources,
				  &c.n_sources))
		return fail_nomem(err);
	return index_put(w->txn, &c, a, err);
}

/* ---- edges ---------------------------------------------------------------- */

static int put_guard(struct publishing *w, const struct key *guard, struct err *err)
{
	Imaged__Store__V1__GuardRecord record = IMAGED__STORE__V1__GUARD_RECORD__INIT;

	record.started_ns = w->p->now_ns;
	meta_txn_compare(w->txn, key_bytes(guard), 0);
	return record_put(w->txn, guard, &record.base, err);
}

static int commit_edges(struct publishing *w, struct err *err)
{
	struct key guard = key_guard(&w->p->manifest_digest);
	uint64_t revision = 0;
	int r;

	if (w->image_revision) /* the image is there: its edges are nobody's garbage */
		return meta_txn_commit(w->store->shared, w->txn, NULL, err);
	if (w->guard_revision) {
		meta_txn_compare(w->txn, key_bytes(&guard), w->guard_revision);
		return meta_txn_commit(w->store->shared, w->txn, NULL, err);
	}
	r = put_guard(w, &guard, err);
	if (r == OK)
		r = meta_txn_commit(w->store->shared, w->txn, &revision, err);
	w->guard_revision = r == OK ? revision : 0;
	return r;
}

/* Ahead of the record, in as many transactions as it takes; what is left over when
 * the rest fits into the last one stays in it. */
static int put_edge(struct publishing *w, const struct key *k, struct bytes value, size_t keep_free, struct err *err)
{
	int r = OK;

	if (meta_txn_room(w->txn) <= keep_free)
		r = commit_edges(w, err);
	if (r == OK)
		meta_txn_put(w->txn, key_bytes(k), value);
	return r;
}

static int put_chain(struct publishing *w, size_t layer, size_t keep_free, struct err *err)
{
	struct key k = key_chain(&w->chains[layer], &w->p->manifest_digest);
	uint64_t size = (uint64_t)w->p->layers[layer].files_size;
	uint8_t value[8];

	for (size_t i = 0; i < sizeof value; i++, size >>= 8)
		value[i] = (uint8_t)size;
	return put_edge(w, &k, (struct bytes){ value, sizeof value }, keep_free, err);
}

static int put_edges(struct publishing *w, struct err *err)
{
	struct edge_parent parent = { .kind = EDGE_MANIFEST, .digest = w->p->manifest_digest };
	size_t n_layers = w->p->manifest->n_layers, all = 1 + 2 * n_layers;
	/* Either all of them go with the record, or all transactions but the last are
	 * full of edges. */
	size_t keep_free = all + FINAL_OPS <= META_TXN_OPS ? 0 : FINAL_OPS;
	struct key k = key_edge(&w->config, &parent);
	int r = put_edge(w, &k, (struct bytes){ 0 }, keep_free, err);

	for (size_t i = 0; r == OK && i < n_layers; i++) {
		k = key_edge(&w->p->manifest->layers[i].digest, &parent);
		r = put_edge(w, &k, (struct bytes){ 0 }, keep_free, err);
		if (r == OK)
			r = put_chain(w, i, keep_free, err);
	}
	return r;
}

static void end_guard(struct publishing *w)
{
	struct key guard = key_guard(&w->p->manifest_digest);

	if (!w->guard_revision)
		return;
	meta_txn_compare(w->txn, key_bytes(&guard), w->guard_revision);
	meta_txn_delete(w->txn, key_bytes(&guard));
}

/* ---- names ---------------------------------------------------------------- */

static int put_name(struct publishing *w, size_t i, struct err *err)
{
	struct name old, new = { .root = w->p->root, .manifest = w->p->manifest_digest, .config = w->config };
	bool same;
	int r = name_read(w->store, w->names[i], &old, err);

	if (r != OK)
		return r;
	same = old.revision && digest_eq(&old.manifest, &new.manifest);
	w->changed = w->changed || !same || !digest_eq(&old.root, &new.root);
	if (old.revision && !digest_eq(&old.root, &new.root) && !digest_list_add(&w->old_roots, &old.root))
		return fail_nomem(err);
	memcpy(new.text, old.text, sizeof new.text);
	new.tagged_ns = same ? old.tagged_ns : 0;
	return name_put(w->txn, &old, &new, w->p->now_ns, err);
}

/* That image and index are still there, for the names that come after them. Whoever
 * removes the image compares this key of it, and so sees that it has new names. */
static int compare_published(struct publishing *w, struct err *err)
{
	struct key config = key_config(&w->config, &w->p->manifest_digest), index = key_index(&w->p->root);
	uint64_t revision = 0;
	int r = record_revision(w->store->shared, &config, &revision, err);

	meta_txn_compare(w->txn, key_bytes(&config), revision);
	meta_txn_put(w->txn, key_bytes(&config), (struct bytes){ 0 });
	if (r == OK && w->has_index) {
		r = record_revision(w->store->shared, &index, &revision, err);
		meta_txn_compare(w->txn, key_bytes(&index), revision);
	}
	return r == E_NOT_FOUND ? fail(err, E_ABORTED, "the image was removed meanwhile") : r;
}

/* The names that did not go with the image. */
static int put_more_names(struct publishing *w, struct err *err)
{
	size_t done = min_size(w->p->n_names, NAMES_WITH_IMAGE);
	int tries = 0, r = OK;

	while (r == OK && done < w->p->n_names) {
		size_t end = min_size(w->p->n_names, done + NAMES_PER_TXN);

		r = compare_published(w, err);
		for (size_t i = done; r == OK && i < end; i++)
			r = put_name(w, i, err);
		if (r != OK)
			return r;
		r = meta_txn_commit(w->store->shared, w->txn, NULL, err);
		if (r == OK)
			done = end;
		else if (r == E_ABORTED && ++tries < TRIES)
			r = OK;
	}
	return r;
}

/* ---- all of it ------------------------------------------------------------ */

static int read_old(struct publishing *w, struct arena *a, image_record **ret_old, struct err *err)
{
	struct key image = key_image(&w->p->manifest_digest), guard = key_guard(&w->p->manifest_digest);
	ProtobufCMessage *m = NULL;
	int r;

	w->image_revision = w->guard_revision = 0;
	r = record_get(w->store->shared, &image, &imaged__store__v1__image_record__descriptor, a, &m,
		       &w->image_revision, err);
	if (r != OK && r != E_NOT_FOUND)
		return r;
	*ret_old = (image_record *)m;
	r = record_revision(w->store->shared, &guard, &w->guard_revision, err);
	return r == E_NOT_FOUND ? OK : r;
}

static int end_lease(struct publishing *w, bool *ret_all, struct err *err)
{
	struct key k = key_lease(w->lease);
	uint64_t revision;
	int r = lease_revision(w->store, w->lease, &revision, err);

	if (r != OK)
		return r;
	meta_txn_compare(w->txn, key_bytes(&k), revision);
	return lease_end_some(w->store, w->lease, w->txn, ret_all, err);
}

/* The transaction that makes the image listed. */
static int put_final(struct publishing *w, const image_record *old, struct arena *a, bool *ret_lease_ended,
		     struct err *err)
{
	const char *name = w->p->n_names ? w->names[0] : NULL;
	int r = put_image(w, old, a, err);

	if (r == OK)
		r = put_index(w, a, err);
	for (size_t i = 0; r == OK && i < w->p->n_names && i < NAMES_WITH_IMAGE; i++)
		r = put_name(w, i, err);
	if (r == OK && w->p->action)
		r = event_add(w->txn, (enum event_action)w->p->action, &w->config, name, &w->p->root, w->p->now_ns,
			      err);
	if (r != OK)
		return r;
	end_guard(w);
	r = end_lease(w, ret_lease_ended, err);
	if (r != OK)
		return r;
	return w->p->action ? event_commit(w->store, w->txn, err)
			    : meta_txn_commit(w->store->shared, w->txn, NULL, err);
}

static int publish_once(struct publishing *w, bool *ret_lease_ended, struct err *err)
{
	CLEANUP(meta_txn_freep) struct meta_txn *fresh = meta_txn_new();
	CLEANUP(arena_free) struct arena arena = { .cap = 0 };
	image_record *old = NULL;
	int r;

	arena_init(&arena, RECORD_ARENA);
	if (!fresh)
		return fail_nomem(err);
	/* What a try before this one had collected is gone with its transaction. */
	meta_txn_free(w->txn);
	w->txn = TAKE(fresh);
	w->old_roots.n = 0;
	w->changed = false;
	r = read_old(w, &arena, &old, err);
	if (r == OK)
		r = put_edges(w, err);
	return r == OK ? put_final(w, old, &arena, ret_lease_ended, err) : r;
}

/* A lease that has ended is no interference that another try would get over. */
static bool lease_is_there(struct publishing *w)
{
	uint64_t revision;

	return lease_revision(w->store, w->lease, &revision, NULL) == OK;
}

static int publish_until_done(struct publishing *w, bool *ret_lease_ended, struct err *err)
{
	int r, tries = 0;

	do
		r = publish_once(w, ret_lease_ended, err);
	while (r == E_ABORTED && ++tries < TRIES && lease_is_there(w));
	return r;
}

/* After the records that keep them, and before the image is listed. */
static int commit_layer_images(struct publishing *w, struct err *err)
{
	const struct publication *p = w->p;
	size_t n = p->manifest->n_layers;
	CLEANUP(freep) struct digest *diff_ids = calloc(n + 1, sizeof *diff_ids);

	if (!p->layer_images)
		return OK;
	if (!diff_ids)
		return fail_nomem(err);
	for (size_t i = 0; i < n; i++)
		diff_ids[i] = p->layers[i].diff_id;
	return layer_images_commit(w->store, p->layer_images, diff_ids, n, err);
}

static int publish(struct publishing *w, struct err *err)
{
	const struct publication *p = w->p;
	bool lease_ended = false;
	int r = prepare(w, err);

	if (r == OK)
		r = secure_blobs(w, err);
	if (r == OK)
		r = layer_facts_put(w->store, p->manifest->layers, p->layers, p->manifest->n_layers, err);
	if (r == OK)
		r = commit_layer_images(w, err);
	if (r == OK)
		r = publish_until_done(w, &lease_ended, err);
	if (r == OK)
		r = put_more_names(w, err);
	/* What is left of a lease keeps nothing: to clear it is tidiness. */
	if ((r == OK && !lease_ended) || (r != OK && w->lease == &w->own_lease))
		lease_release(w->store, w->lease, NULL);
	for (size_t i = 0; r == OK && i < w->old_roots.n; i++)
		index_release(w->store, &w->old_roots.items[i], NULL);
	return r;
}

static struct publishing publishing_of(struct store *s, const struct publication *p)
{
	return (struct publishing){
		.store = s,
		.p = p,
		.config = p->manifest->config.digest,
		.has_index = !digest_eq(&p->root, &p->manifest_digest),
		.lease = p->lease,
	};
}

static void publishing_free(struct publishing *w)
{
	free(w->blobs);
	free(w->chains);
	free(w->names);
	digest_list_free(&w->old_roots);
	meta_txn_free(w->txn);
}

int image_publication_check(const struct publication *p, struct err *err)
{
	CLEANUP(publishing_free) struct publishing w = publishing_of(NULL, p);
	CLEANUP(buf_free) struct buf packed = BUF_INIT(RECORD_BYTES_MAX);
	CLEANUP(arena_free) struct arena arena = { .cap = 0 };
	image_record record;
	int r = prepare(&w, err);

	arena_init(&arena, RECORD_ARENA);
	if (r == OK)
		r = publish_fill_record(&w, NULL, &arena, &record, err);
	return r == OK ? record_pack(&record.base, &packed, err) : r;
}

int image_publish(struct store *s, const struct publication *p, bool *ret_changed, struct err *err)
{
	CLEANUP(publishing_free) struct publishing w = publishing_of(s, p);
	int r = store_writable(s, err);

	if (r == OK)
		r = publish(&w, err);
	if (r == OK)
		*ret_changed = w.changed;
	return r;
}
