#include "store/usage.h"

#include "store/content/content.h"
#include "store/gc/in_use.h"
#include "store/internal.h"
#include "store/meta/scan.h"
#include "store/record.h"

/* ---- content -------------------------------------------------------------- */

static bool add_blob(void *arg, UNUSED const struct digest *d, int64_t size)
{
	struct usage *u = arg;

	u->content_bytes += size;
	u->blob_count++;
	return true;
}

/* ---- layers --------------------------------------------------------------- */

static int chain_size(struct store *s, const struct key *k, int64_t *ret_size, struct err *err)
{
	CLEANUP(buf_free) struct buf value = BUF_INIT(8);
	uint64_t size = 0;
	int r = meta_get(s->shared, key_bytes(k), &value, NULL, err);

	*ret_size = 0;
	if (r == E_NOT_FOUND)
		return OK;
	if (r != OK || value.len != 8)
		return r != OK ? r : fail(err, E_CORRUPT, "a layer chain without a size");
	for (int i = 7; i >= 0; i--)
		size = size << 8 | value.data[i];
	*ret_size = (int64_t)size;
	return OK;
}

/* Each chain once, if one of the images that use it is there. */
static int add_chains(struct store *s, struct usage *u, struct err *err)
{
	CLEANUP(freep) struct meta_scan *scan = malloc(sizeof *scan);
	struct key prefix = key_chain_prefix(NULL);
	struct digest counted = { 0 };
	const struct key *k;
	int r;

	if (!scan)
		return fail_nomem(err);
	meta_scan_prefix(scan, s->shared, &prefix);
	while ((r = meta_scan_next(scan, &k, NULL, err)) == OK && k) {
		struct edge_parent parent = { .kind = EDGE_MANIFEST };
		struct digest chain;
		int64_t size;
		bool live;

		if (!key_parse_chain(key_bytes(k), &chain, &parent.digest) || digest_eq(&chain, &counted))
			continue;
		r = edge_is_live(s, &chain, &parent, NULL, &live, err);
		if (r == OK && live)
			r = chain_size(s, k, &size, err);
		if (r != OK)
			return r;
		if (live) {
			counted = chain;
			u->layers_size = add_sizes(u->layers_size, size);
		}
	}
	return r;
}

int store_usage(struct store *s, struct usage *ret_usage, struct err *err)
{
	struct usage u = { .image_count = store_image_count(s) };
	int r = add_chains(s, &u, err);

	if (r == OK)
		r = content_list(s, add_blob, &u, err);
	if (r == OK)
		r = ingest_usage(s, &u.ingest_bytes, err);
	if (r != OK)
		return r;
	u.metadata_bytes = meta_size(s->shared) + meta_size(s->local);
	u.reclaimable_size = u.layers_size; /* nothing runs from images yet */
	*ret_usage = u;
	return OK;
}

/* ---- one image ------------------------------------------------------------ */

static bool is_own(const struct image *image, const struct digest *manifest)
{
	for (size_t i = 0; i < image->n_manifests; i++)
		if (digest_eq(&image->manifests[i], manifest))
			return true;
	return false;
}

static int used_by_others(struct store *s, const struct image *image, const struct digest *chain, bool *ret_used,
			  struct err *err)
{
	CLEANUP(freep) struct meta_scan *scan = malloc(sizeof *scan);
	struct key prefix = key_chain_prefix(chain);
	const struct key *k;
	int r;

	*ret_used = false;
	if (!scan)
		return fail_nomem(err);
	meta_scan_prefix(scan, s->shared, &prefix);
	while ((r = meta_scan_next(scan, &k, NULL, err)) == OK && k && !*ret_used) {
		struct edge_parent parent = { .kind = EDGE_MANIFEST };
		struct digest same;

		if (!key_parse_chain(key_bytes(k), &same, &parent.digest) || is_own(image, &parent.digest))
			continue;
		r = edge_is_live(s, chain, &parent, NULL, ret_used, err);
		if (r != OK)
			return r;
	}
	return r;
}

int image_shared_size(struct store *s, const struct image *image, int64_t *ret_shared, struct err *err)
{
	int64_t shared = 0;

	for (size_t i = 0; i < image->record->n_layers; i++) {
		struct digest chain;
		bool used;
		int r = digest_from_data(image->record->layers[i]->chain_id, &chain, err);

		if (r == OK)
			r = used_by_others(s, image, &chain, &used, err);
		if (r != OK)
			return r;
		if (used)
			shared = add_sizes(shared, image->record->layers[i]->files_size);
	}
	*ret_shared = shared;
	return OK;
}

/* ---- counts --------------------------------------------------------------- */

struct counting {
	struct digest last;
	int64_t n;
};

static bool count_config(void *arg, struct bytes key, UNUSED struct bytes value, UNUSED uint64_t revision)
{
	struct digest config, manifest;
	struct counting *c = arg;

	if (key_parse_config(key, &config, &manifest) && !digest_eq(&config, &c->last)) {
		c->last = config;
		c->n++;
	}
	return true;
}

int64_t store_image_count(struct store *s)
{
	struct key prefix = key_config_prefix(NULL);
	struct counting c = { .n = 0 };

	return meta_prefix(s->shared, key_bytes(&prefix), count_config, &c, NULL) == OK ? c.n : 0;
}

static bool count_key(void *arg, UNUSED struct bytes key, UNUSED struct bytes value, UNUSED uint64_t revision)
{
	++*(int64_t *)arg;
	return true;
}

int64_t store_name_count(struct store *s)
{
	struct key prefix = key_name_prefix("");
	int64_t n = 0;

	return meta_prefix(s->shared, key_bytes(&prefix), count_key, &n, NULL) == OK ? n : 0;
}
