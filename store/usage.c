#include "store/usage.h"

#include "store/content/content.h"
#include "store/gc/in_use.h"
#include "store/image/parent.h"
#include "store/internal.h"
#include "store/layers/layer_image.h"
#include "store/meta/scan.h"
#include "store/record.h"
#include "store/used.h"

/* ---- content -------------------------------------------------------------- */

static bool add_blob(void *arg, UNUSED const struct digest *d, int64_t size)
{
	struct usage *u = arg;

	u->content_bytes += size;
	u->blob_count++;
	return true;
}

static int count_once(struct store *s, struct usage *u, struct err *err)
{
	int r = content_list(s, add_blob, u, err);

	return r == OK ? layer_images_usage(s, &u->layer_image_bytes, &u->layer_image_count, err) : r;
}

int store_count_used(struct store *s, struct cancel *cancel, struct err *err)
{
	enum { TRIES = 8 };

	for (int i = 0; i < TRIES; i++) {
		uint64_t changes = used_changes(s);
		struct usage u = { .image_count = 0 };
		struct store_used all, layers;
		int r = cancel_check(cancel, err);

		if (r == OK)
			r = count_once(s, &u, err);
		if (r != OK)
			return r;
		layers = (struct store_used){ u.layer_image_bytes, u.layer_image_count };
		all = (struct store_used){ u.content_bytes + layers.bytes, u.blob_count + layers.files };
		if (used_set(s, changes, &all, &layers))
			return OK;
	}
	return fail(err, E_BUSY, "the store is never still for long enough to be counted");
}

/* ---- layers --------------------------------------------------------------- */

static bool is_own(const struct image *image, const struct digest *manifest)
{
	for (size_t i = 0; i < image->n_manifests; i++)
		if (digest_eq(&image->manifests[i], manifest))
			return true;
	return false;
}

/* Whether an image that is there has this layer blob, besides `own` (NULL: any). */
static int is_used(struct store *s, const struct digest *blob, const struct image *own, bool *ret_used, struct err *err)
{
	CLEANUP(freep) struct meta_scan *scan = malloc(sizeof *scan);
	struct key prefix = key_edge_kind_prefix(blob, EDGE_MANIFEST);
	const struct key *k;
	int r;

	*ret_used = false;
	if (!scan)
		return fail_nomem(err);
	meta_scan_prefix(scan, s->shared, &prefix);
	while ((r = meta_scan_next(scan, &k, NULL, err)) == OK && k && !*ret_used) {
		struct edge_parent parent;
		struct digest child;

		if (!key_parse_edge(key_bytes(k), &child, &parent) || (own && is_own(own, &parent.digest)))
			continue;
		r = edge_is_live(s, blob, &parent, NULL, ret_used, err);
		if (r != OK)
			return r;
	}
	return r;
}

/* The layer that a blob holds, unless no image has it. */
static int add_layer(struct store *s, const struct digest *blob, struct usage *u, bool *ret_counted, struct err *err)
{
	struct layer_facts facts;
	int r = is_used(s, blob, NULL, ret_counted, err);

	if (r != OK || !*ret_counted)
		return r;
	r = layer_facts_get(s, blob, &facts, err);
	*ret_counted = r == OK;
	if (r == OK)
		u->layers_size = add_sizes(u->layers_size, facts.files_size);
	return r == E_NOT_FOUND ? OK : r;
}

/* Each diff ID once, on however many parents and in however many compressions. */
static int add_layers(struct store *s, struct usage *u, struct err *err)
{
	CLEANUP(freep) struct meta_scan *scan = malloc(sizeof *scan);
	struct key prefix = key_diff_prefix(NULL);
	struct digest last = { 0 };
	const struct key *k;
	int r;

	if (!scan)
		return fail_nomem(err);
	meta_scan_prefix(scan, s->local, &prefix);
	while ((r = meta_scan_next(scan, &k, NULL, err)) == OK && k) {
		struct digest diff, blob;
		bool counted;

		if (!key_parse_diff(key_bytes(k), &diff, &blob) || digest_eq(&diff, &last))
			continue;
		r = add_layer(s, &blob, u, &counted, err);
		if (r != OK)
			return r;
		if (counted)
			last = diff;
	}
	return r;
}

int store_usage(struct store *s, struct usage *ret_usage, struct err *err)
{
	struct usage u = { .image_count = store_image_count(s) };
	int64_t intermediate = 0;
	int r = intermediate_count(s, &intermediate, err);

	u.image_count -= intermediate;
	if (r == OK)
		r = add_layers(s, &u, err);
	if (r == OK)
		r = content_list(s, add_blob, &u, err);
	if (r == OK)
		r = ingest_usage(s, &u.ingest_bytes, err);
	if (r == OK)
		r = layer_images_usage(s, &u.layer_image_bytes, &u.layer_image_count, err);
	if (r != OK)
		return r;
	u.metadata_bytes = meta_size(s->shared) + meta_size(s->local);
	u.reclaimable_size = u.layers_size; /* nothing runs from images yet */
	*ret_usage = u;
	return OK;
}

/* ---- one image ------------------------------------------------------------ */

/* In this blob or in another one of the same diff ID. */
static int used_by_others(struct store *s, const struct image *image, const Imaged__Store__V1__LayerEntry *layer,
			  bool *ret_used, struct err *err)
{
	CLEANUP(freep) struct meta_scan *scan = malloc(sizeof *scan);
	struct digest diff, blob;
	const struct key *k;
	struct key prefix;
	int r = scan ? digest_from_data(layer->digest, &blob, err) : fail_nomem(err);

	if (r == OK)
		r = digest_from_data(layer->diff_id, &diff, err);
	if (r == OK)
		r = is_used(s, &blob, image, ret_used, err);
	if (r != OK || *ret_used)
		return r;
	prefix = key_diff_prefix(&diff);
	meta_scan_prefix(scan, s->local, &prefix);
	while ((r = meta_scan_next(scan, &k, NULL, err)) == OK && k && !*ret_used) {
		if (key_parse_diff(key_bytes(k), &diff, &blob))
			r = is_used(s, &blob, image, ret_used, err);
		if (r != OK)
			return r;
	}
	return r;
}

int image_shared_size(struct store *s, const struct image *image, int64_t *ret_shared, struct err *err)
{
	int64_t shared = 0;

	for (size_t i = 0; i < image->record->n_layers; i++) {
		bool used;
		int r = used_by_others(s, image, image->record->layers[i], &used, err);

		if (r != OK)
			return r;
		if (used)
			shared = add_sizes(shared, image->record->layers[i]->files_size);
	}
	*ret_shared = shared;
	return OK;
}

/* ---- counts --------------------------------------------------------------- */

static int64_t count_of(struct store *s, size_t counter)
{
	int64_t n = 0;

	return meta_count(s->shared, counter, &n, NULL) == OK ? n : 0;
}

int64_t store_image_count(struct store *s)
{
	return count_of(s, KEY_COUNT_IMAGES);
}

int64_t store_name_count(struct store *s)
{
	return count_of(s, KEY_COUNT_NAMES);
}
