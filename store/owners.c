#include "store/owners.h"

#include "store/content/content.h"
#include "store/gc/in_use.h"
#include "store/image/image_record.h"
#include "store/image/name.h"
#include "store/internal.h"
#include "store/layers/layer_image.h"
#include "store/meta/scan.h"

enum { OWNER_RECORD_MAX = 64 * 1024 * 1024 };

/* ---- owners of one file ----------------------------------------------------- */

/* Two are enough to know. */
struct owners {
	struct digest first; /* its configuration */
	size_t n;	     /* 0, 1 or 2: several */
};

static void add_owner(struct owners *o, const struct digest *config)
{
	if (!o->n)
		o->first = *config;
	if (!o->n || !digest_eq(&o->first, config))
		o->n++;
}

static bool are_several(const struct owners *o)
{
	return o->n > 1;
}

/* Nothing when the manifest is no image of ours (any more). */
static int add_manifest(struct store *s, const struct digest *manifest, struct owners *o, struct err *err)
{
	CLEANUP(arena_free) struct arena arena = { .cap = 0 };
	Imaged__Store__V1__ImageRecord *record;
	struct digest config;
	int r;

	arena_init(&arena, OWNER_RECORD_MAX);
	r = image_record_get(s, manifest, &arena, &record, &config, err);
	if (r == OK)
		add_owner(o, &config);
	return r == E_NOT_FOUND ? OK : r;
}

/* An index that this name leads through. */
static int add_name(struct store *s, const struct digest *index, const char *text, struct owners *o, struct err *err)
{
	struct name n;
	int r = name_read(s, text, &n, err);

	if (r == OK && n.revision && digest_eq(&n.root, index))
		r = add_manifest(s, &n.manifest, o, err);
	return r;
}

static int add_parents(struct store *s, const struct digest *blob, enum edge_kind kind, struct owners *o,
		       struct err *err)
{
	CLEANUP(freep) struct meta_scan *scan = malloc(sizeof *scan);
	struct key prefix = key_edge_kind_prefix(blob, kind);
	const struct key *k;
	int r;

	if (!scan)
		return fail_nomem(err);
	meta_scan_prefix(scan, s->shared, &prefix);
	while (!are_several(o) && (r = meta_scan_next(scan, &k, NULL, err)) == OK && k) {
		struct edge_parent parent;
		struct digest child;

		if (!key_parse_edge(key_bytes(k), &child, &parent))
			continue;
		r = kind == EDGE_NAME ? add_name(s, blob, parent.reference, o, err)
				      : add_manifest(s, &parent.digest, o, err);
		if (r != OK)
			return r;
	}
	return are_several(o) ? OK : r;
}

static int owners_of_blob(struct store *s, const struct digest *blob, struct owners *o, struct err *err)
{
	int r = add_manifest(s, blob, o, err);

	if (r == OK)
		r = add_parents(s, blob, EDGE_MANIFEST, o, err);
	return r == OK && !are_several(o) ? add_parents(s, blob, EDGE_NAME, o, err) : r;
}

/* Of the image that is mounted in place of any blob of the layer. */
static int owners_of_layer(struct store *s, const struct digest *diff_id, struct owners *o, struct err *err)
{
	CLEANUP(freep) struct meta_scan *scan = malloc(sizeof *scan);
	struct key prefix = key_diff_prefix(diff_id);
	const struct key *k;
	int r = OK;

	if (!scan)
		return fail_nomem(err);
	meta_scan_prefix(scan, s->local, &prefix);
	while (!are_several(o) && (r = meta_scan_next(scan, &k, NULL, err)) == OK && k) {
		struct digest same, blob;

		if (!key_parse_diff(key_bytes(k), &same, &blob))
			continue;
		r = add_parents(s, &blob, EDGE_MANIFEST, o, err);
		if (r != OK)
			return r;
	}
	return are_several(o) ? OK : r;
}

/* ---- one image --------------------------------------------------------------- */

struct files {
	struct digest_set blobs, layers;
};

static void files_free(struct files *f)
{
	digest_set_free(&f->blobs);
	digest_set_free(&f->layers);
}

static int add_data(struct digest_set *set, ProtobufCBinaryData data, struct err *err)
{
	struct digest d;
	int r = digest_from_data(data, &d, err);

	return r == OK ? digest_set_add(set, &d, err) : r;
}

static int collect_record(struct store *s, const struct digest *manifest, struct files *f, struct err *err)
{
	CLEANUP(arena_free) struct arena arena = { .cap = 0 };
	Imaged__Store__V1__ImageRecord *record;
	struct digest config;
	int r;

	arena_init(&arena, OWNER_RECORD_MAX);
	r = image_record_get(s, manifest, &arena, &record, &config, err);
	if (r != OK)
		return r == E_NOT_FOUND ? OK : r;
	r = digest_set_add(&f->blobs, manifest, err);
	if (r == OK)
		r = digest_set_add(&f->blobs, &config, err);
	for (size_t i = 0; r == OK && i < record->n_layers; i++) {
		r = add_data(&f->blobs, record->layers[i]->digest, err);
		if (r == OK)
			r = add_data(&f->layers, record->layers[i]->diff_id, err);
	}
	return r;
}

static int collect_index(struct store *s, const char *name, struct files *f, struct err *err)
{
	struct name n;
	int r = name_read(s, name, &n, err);

	return r == OK && n.revision && !digest_eq(&n.root, &n.manifest) ? digest_set_add(&f->blobs, &n.root, err) : r;
}

static int collect(struct store *s, const struct image *image, struct files *f, struct err *err)
{
	int r = OK;

	for (size_t i = 0; r == OK && i < image->n_manifests; i++)
		r = collect_record(s, &image->manifests[i], f, err);
	for (size_t i = 0; r == OK && i < image->n_names; i++)
		r = collect_index(s, image->names[i], f, err);
	return r;
}

static int share_content(struct store *s, const struct digest_set *blobs, struct disk_share *share, struct err *err)
{
	const struct digest *blob = NULL;

	while ((blob = digest_set_next(blobs, blob))) {
		struct owners owners = { .n = 0 };
		int64_t size = 0;
		int r = owners_of_blob(s, blob, &owners, err);

		if (r != OK)
			return r;
		if (!content_exists(s, blob, &size))
			continue;
		if (are_several(&owners))
			share->content_shared += size;
		else
			share->content_unique += size;
	}
	return OK;
}

static int share_layer_images(struct store *s, const struct digest_set *layers, struct disk_share *share,
			      struct err *err)
{
	const struct digest *layer = NULL;

	while ((layer = digest_set_next(layers, layer))) {
		struct owners owners = { .n = 0 };
		int64_t size = 0;
		int r = owners_of_layer(s, layer, &owners, err);

		if (r == OK)
			r = layer_images_size(s, layer, &size, err);
		if (r != OK)
			return r;
		if (are_several(&owners))
			share->layer_image_shared += size;
		else
			share->layer_image_unique += size;
	}
	return OK;
}

int image_disk_share(struct store *s, const struct image *image, struct disk_share *ret_share, struct err *err)
{
	CLEANUP(files_free) struct files f = { .blobs = { NULL } };
	struct disk_share share = { .content_unique = 0 };
	int r = collect(s, image, &f, err);

	if (r == OK)
		r = share_content(s, &f.blobs, &share, err);
	if (r == OK)
		r = share_layer_images(s, &f.layers, &share, err);
	if (r == OK)
		*ret_share = share;
	return r;
}

/* ---- all of the store --------------------------------------------------------- */

struct counting {
	struct store *store;
	struct cancel *cancel;
	struct disk_owners content, layer_images;
	int r; /* of the visitor */
	struct err *err;
};

static void count(struct disk_owners *all, const struct owners *o, int64_t size)
{
	if (are_several(o))
		all->several += size;
	else if (o->n)
		all->one += size;
	else
		all->none += size;
}

static bool count_blob(void *arg, const struct digest *d, int64_t size)
{
	struct counting *c = arg;
	struct owners owners = { .n = 0 };

	c->r = cancel_check(c->cancel, c->err);
	if (c->r == OK)
		c->r = owners_of_blob(c->store, d, &owners, c->err);
	if (c->r == OK)
		count(&c->content, &owners, size);
	return c->r == OK;
}

static int count_layer(struct counting *c, const struct digest *diff_id)
{
	struct owners owners = { .n = 0 };
	int64_t size = 0;
	int r = cancel_check(c->cancel, c->err);

	if (r == OK)
		r = layer_images_size(c->store, diff_id, &size, c->err);
	if (r == OK)
		r = owners_of_layer(c->store, diff_id, &owners, c->err);
	if (r == OK)
		count(&c->layer_images, &owners, size);
	return r;
}

/* Several versions of the writer are one layer. */
static int count_layers(struct counting *c)
{
	CLEANUP(freep) struct meta_scan *scan = malloc(sizeof *scan);
	struct key prefix = key_layer_image_prefix(NULL);
	struct digest last = { .algorithm = DIGEST_NONE };
	const struct key *k;
	int r;

	if (!scan)
		return fail_nomem(c->err);
	meta_scan_prefix(scan, c->store->local, &prefix);
	while ((r = meta_scan_next(scan, &k, NULL, c->err)) == OK && k) {
		struct digest diff_id;
		uint32_t version;

		if (!key_parse_layer_image(key_bytes(k), &diff_id, &version) || digest_eq(&diff_id, &last))
			continue;
		r = count_layer(c, &diff_id);
		if (r != OK)
			return r;
		last = diff_id;
	}
	return r;
}

int store_disk_owners(struct store *s, struct cancel *cancel, struct disk_owners *ret_content,
		      struct disk_owners *ret_layer_images, struct err *err)
{
	struct err own = ERR_INIT;
	struct counting c = { .store = s, .cancel = cancel, .err = err ? err : &own };
	int r = content_list(s, count_blob, &c, c.err);

	if (r == OK)
		r = c.r;
	if (r == OK)
		r = count_layers(&c);
	if (r != OK)
		return r;
	*ret_content = c.content;
	*ret_layer_images = c.layer_images;
	return OK;
}
