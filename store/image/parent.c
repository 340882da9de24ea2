#include "store/image/parent.h"

#include "store/image/names.h"
#include "store/internal.h"
#include "store/meta/scan.h"
#include "store/record.h"

enum { TRIES = 50 };

static int is_here(struct store *s, const struct digest *config, bool *ret_is, struct err *err)
{
	struct digest manifest;
	int r = first_manifest_of(s, config, &manifest, err);

	*ret_is = r == OK;
	return r == E_NOT_FOUND ? OK : r;
}

/* ---- look up -------------------------------------------------------------- */

struct found {
	struct digest parent;
	bool any;
};

static bool keep_parent(void *arg, struct bytes key, UNUSED struct bytes value, UNUSED uint64_t revision)
{
	struct found *f = arg;
	struct digest config;

	f->any = key_parse_parent(key, &config, &f->parent);
	return !f->any;
}

static int recorded_parent(struct store *s, const struct digest *config, struct found *ret_found, struct err *err)
{
	struct key prefix = key_parent_prefix(config);

	*ret_found = (struct found){ .any = false };
	return meta_prefix(s->shared, key_bytes(&prefix), keep_parent, ret_found, err);
}

int image_parent(struct store *s, const struct digest *config, bool *ret_has, struct digest *ret_parent,
		 struct err *err)
{
	struct found f;
	int r = recorded_parent(s, config, &f, err);

	*ret_has = false;
	if (r != OK || !f.any)
		return r;
	*ret_parent = f.parent;
	return is_here(s, &f.parent, ret_has, err);
}

int image_has_children(struct store *s, const struct digest *config, const struct gone *gone, bool *ret_has,
		       struct err *err)
{
	CLEANUP(freep) struct meta_scan *scan = malloc(sizeof *scan);
	struct key prefix = key_child_prefix(config);
	const struct key *k;
	int r = OK;

	*ret_has = false;
	if (!scan)
		return fail_nomem(err);
	meta_scan_prefix(scan, s->shared, &prefix);
	while (!*ret_has && (r = meta_scan_next(scan, &k, NULL, err)) == OK && k) {
		struct digest parent, child;

		if (!key_parse_child(key_bytes(k), &parent, &child) || gone_has_record(gone, &child))
			continue;
		r = is_here(s, &child, ret_has, err);
		if (r != OK)
			return r;
	}
	return *ret_has ? OK : r;
}

int image_has_child(struct store *s, const struct image *image, bool *ret_has, struct err *err)
{
	struct digest config;
	int r = digest_from_data(image->record->config, &config, err);

	return r == OK ? image_has_children(s, &config, NULL, ret_has, err) : r;
}

int image_is_intermediate(struct store *s, const struct image *image, bool *ret_is, struct err *err)
{
	*ret_is = false;
	return image->n_names ? OK : image_has_child(s, image, ret_is, err);
}

static int count_parent(struct store *s, const struct digest *config, int64_t *count, struct err *err)
{
	CLEANUP(arena_free) struct arena arena = { .cap = 0 };
	char name[REFERENCE_TEXT_MAX];
	struct digest *manifests;
	bool has_children;
	size_t n;
	int r;

	arena_init(&arena, RECORD_ARENA_MAX);
	r = manifests_of(s, config, &arena, &manifests, &n, err);
	if (r == OK)
		r = first_name_of(s, manifests, n, name, err);
	if (r != OK || !n || *name)
		return r;
	r = image_has_children(s, config, NULL, &has_children, err);
	*count += r == OK && has_children;
	return r;
}

int intermediate_count(struct store *s, int64_t *ret_count, struct err *err)
{
	CLEANUP(freep) struct meta_scan *scan = malloc(sizeof *scan);
	struct digest parent, child, last = { .algorithm = DIGEST_NONE };
	struct key prefix = key_child_prefix(NULL);
	const struct key *k;
	int r;

	*ret_count = 0;
	if (!scan)
		return fail_nomem(err);
	meta_scan_prefix(scan, s->shared, &prefix);
	while ((r = meta_scan_next(scan, &k, NULL, err)) == OK && k) {
		if (!key_parse_child(key_bytes(k), &parent, &child) || digest_eq(&parent, &last))
			continue;
		last = parent;
		r = count_parent(s, &parent, ret_count, err);
		if (r != OK)
			return r;
	}
	return r;
}

/* ---- change --------------------------------------------------------------- */

/* Whoever removes an image compares this key of it, and so sees what it has become. */
static int touch(struct store *s, struct meta_txn *t, const struct digest *config, struct err *err)
{
	struct digest manifest;
	uint64_t revision;
	struct key k;
	int r = first_manifest_of(s, config, &manifest, err);

	if (r != OK)
		return r;
	k = key_config(config, &manifest);
	r = record_revision(s->shared, &k, &revision, err);
	meta_txn_compare(t, key_bytes(&k), revision);
	meta_txn_put(t, key_bytes(&k), (struct bytes){ 0 });
	return r;
}

static int set_once(struct store *s, const struct digest *config, const struct digest *parent, struct err *err)
{
	CLEANUP(meta_txn_freep) struct meta_txn *t = meta_txn_new();
	struct key up = key_parent(config, parent), down = key_child(parent, config);
	struct found old;
	int r = t ? recorded_parent(s, config, &old, err) : fail_nomem(err);

	if (r == OK)
		r = touch(s, t, config, err);
	if (r == OK)
		r = touch(s, t, parent, err);
	if (r != OK)
		return r == E_NOT_FOUND ? fail(err, E_ABORTED, "an image was removed meanwhile") : r;
	if (old.any) {
		struct key old_up = key_parent(config, &old.parent), old_down = key_child(&old.parent, config);

		meta_txn_delete(t, key_bytes(&old_up));
		meta_txn_delete(t, key_bytes(&old_down));
	}
	meta_txn_put(t, key_bytes(&up), (struct bytes){ 0 });
	meta_txn_put(t, key_bytes(&down), (struct bytes){ 0 });
	return meta_txn_commit(s->shared, t, NULL, err);
}

int image_set_parent(struct store *s, const struct digest *config, const struct digest *parent, struct err *err)
{
	int tries = 0, r;

	do
		r = set_once(s, config, parent, err);
	while (r == E_ABORTED && ++tries < TRIES);
	return r;
}
