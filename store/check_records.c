#include "store/check_run.h"
#include "store/content/content.h"
#include "store/image/image_record.h"
#include "store/image/name.h"
#include "store/internal.h"
#include "store/meta/scan.h"

typedef Imaged__Store__V1__ImageRecord image_record;

/* ---- looking twice -------------------------------------------------------- */

static int key_is_there(struct meta *m, const struct key *k, bool *ret_there, struct err *err)
{
	uint64_t revision;
	int r = record_revision(m, k, &revision, err);

	*ret_there = r == OK;
	return r == E_NOT_FOUND ? OK : r;
}

/* A record that something misses, unless the record went meanwhile. */
static int report_broken(struct checking *w, const struct key *record, const struct digest *d, const char *detail,
			 struct err *err)
{
	bool there;
	int r = key_is_there(w->store->shared, record, &there, err);

	return r == OK && there ? check_report(w, FINDING_RECORD_BROKEN, d, detail, err) : r;
}

static int need_key(struct checking *w, const struct key *record, const struct key *needed, const struct digest *d,
		    const char *detail, struct err *err)
{
	bool there;
	int r = key_is_there(w->store->shared, needed, &there, err);

	return r != OK || there ? r : report_broken(w, record, d, detail, err);
}

static int need_blob(struct checking *w, const struct key *record, const struct digest *d, int64_t size,
		     struct err *err)
{
	char detail[128];
	int64_t found;
	bool there;
	int r;

	if (content_exists(w->store, d, &found)) {
		if (found == size || digest_list_has(&w->damaged, d))
			return OK;
		if (!digest_list_add(&w->damaged, d))
			return fail_nomem(err);
		snprintf(detail, sizeof detail, "%lld bytes instead of %lld", (long long)found, (long long)size);
		return check_report(w, FINDING_BLOB_DAMAGED, d, detail, err);
	}
	r = key_is_there(w->store->shared, record, &there, err);
	if (r != OK || !there || digest_list_has(&w->missing, d))
		return r;
	if (!digest_list_add(&w->missing, d))
		return fail_nomem(err);
	return check_report(w, FINDING_BLOB_MISSING, d, "an image needs this content and it is not there", err);
}

/* ---- images --------------------------------------------------------------- */

static struct key edge_of(const struct digest *child, const struct digest *manifest)
{
	struct edge_parent parent = { .kind = EDGE_MANIFEST, .digest = *manifest };

	return key_edge(child, &parent);
}

static int check_layer_record(struct checking *w, const struct digest *blob, const struct digest *diff_id,
			      struct err *err)
{
	struct layer_facts facts;
	int r = layer_facts_get(w->store, blob, &facts, err);

	if (r == OK && digest_eq(&facts.diff_id, diff_id))
		return OK;
	if (r != OK && r != E_NOT_FOUND)
		return r;
	return check_report(w, FINDING_LAYER_UNVERIFIED, blob,
			    r == OK ? "another diff ID is on record" : "no verified diff ID is on record", err);
}

static int check_layer(struct checking *w, const struct key *record, const struct digest *manifest,
		       const Imaged__Store__V1__LayerEntry *layer, struct err *err)
{
	struct digest blob, diff_id, chain;
	struct key edge, chain_key;
	int r = digest_from_data(layer->digest, &blob, err);

	if (r == OK)
		r = digest_from_data(layer->diff_id, &diff_id, err);
	if (r == OK)
		r = digest_from_data(layer->chain_id, &chain, err);
	if (r == E_CORRUPT)
		return report_broken(w, record, manifest, "a layer entry is damaged", err);
	edge = edge_of(&blob, manifest);
	chain_key = key_chain(&chain, manifest);
	r = need_key(w, record, &edge, manifest, "an edge of a layer is missing", err);
	if (r == OK)
		r = need_key(w, record, &chain_key, manifest, "a layer chain is missing", err);
	if (r == OK)
		r = need_blob(w, record, &blob, layer->size, err);
	return r == OK && content_exists(w->store, &blob, NULL) ? check_layer_record(w, &blob, &diff_id, err) : r;
}

static int check_image_keys(struct checking *w, const struct key *k, const struct digest *manifest,
			    const struct digest *config, const image_record *record, struct err *err)
{
	struct timestamp created = { .present = record->has_created,
				     .seconds = record->created_seconds,
				     .nanos = record->created_nanos };
	struct key by_config = key_config(config, manifest), order = key_order(&created, manifest);
	struct key edge = edge_of(config, manifest);
	int r = need_key(w, k, &by_config, manifest, "its entry in the list of image IDs is missing", err);

	if (r == OK)
		r = need_key(w, k, &order, manifest, "its entry in the order of creation is missing", err);
	return r == OK ? need_key(w, k, &edge, manifest, "the edge of its configuration is missing", err) : r;
}

static int check_image(struct checking *w, const struct key *k, struct err *err)
{
	CLEANUP(arena_free) struct arena arena = { 0 };
	struct digest manifest, config;
	image_record *record;
	int r;

	if (!key_parse_image(key_bytes(k), &manifest))
		return OK;
	arena_init(&arena, CHECK_ARENA);
	r = image_record_get(w->store, &manifest, &arena, &record, &config, err);
	if (r == E_NOT_FOUND)
		return OK;
	if (r == E_CORRUPT)
		return report_broken(w, k, &manifest, "the record of the image cannot be read", err);
	if (r == OK)
		r = check_image_keys(w, k, &manifest, &config, record, err);
	if (r == OK)
		r = need_blob(w, k, &manifest, record->manifest_size, err);
	if (r == OK)
		r = need_blob(w, k, &config, record->config_size, err);
	for (size_t i = 0; r == OK && i < record->n_layers; i++)
		r = check_layer(w, k, &manifest, record->layers[i], err);
	return r;
}

/* ---- what leads to images ------------------------------------------------- */

static int check_config(struct checking *w, const struct key *k, struct err *err)
{
	struct digest config, manifest;
	struct key image;

	if (!key_parse_config(key_bytes(k), &config, &manifest))
		return OK;
	image = key_image(&manifest);
	return need_key(w, k, &image, &manifest, "an image ID leads to an image that is not there", err);
}

static int check_order(struct checking *w, const struct key *k, struct err *err)
{
	struct timestamp created;
	struct digest manifest;
	struct key image;

	if (!key_parse_order(key_bytes(k), &created, &manifest))
		return OK;
	image = key_image(&manifest);
	return need_key(w, k, &image, &manifest, "the order of creation holds an image that is not there", err);
}

static int check_index(struct checking *w, const struct key *k, struct err *err)
{
	CLEANUP(arena_free) struct arena arena = { 0 };
	Imaged__Store__V1__IndexRecord *record;
	struct digest index;
	uint64_t revision;
	int r;

	if (!key_parse_index(key_bytes(k), &index))
		return OK;
	arena_init(&arena, CHECK_ARENA);
	r = index_read(w->store, &index, &arena, &record, &revision, err);
	if (r == E_CORRUPT)
		return report_broken(w, k, &index, "the record of the index cannot be read", err);
	return r == OK && record ? need_blob(w, k, &index, record->size, err) : r;
}

static int check_name_edge(struct checking *w, const struct key *k, const struct digest *child, const char *text,
			   struct err *err)
{
	struct edge_parent parent = { .kind = EDGE_NAME };
	struct key edge;

	snprintf(parent.reference, sizeof parent.reference, "%s", text);
	edge = key_edge(child, &parent);
	return need_key(w, k, &edge, child, "the edge of a name is missing", err);
}

static int check_name(struct checking *w, const struct key *k, struct err *err)
{
	char text[REFERENCE_TEXT_MAX], detail[REFERENCE_TEXT_MAX + 64];
	struct key image, root;
	struct name n;
	int r;

	if (!key_parse_name(key_bytes(k), text))
		return OK;
	r = name_read(w->store, text, &n, err);
	if (r == E_CORRUPT) {
		struct digest none = { .algorithm = DIGEST_SHA256 };

		snprintf(detail, sizeof detail, "the record of the name %s cannot be read", text);
		return report_broken(w, k, &none, detail, err);
	}
	if (r != OK || !n.revision)
		return r;
	image = key_image(&n.manifest);
	snprintf(detail, sizeof detail, "the name %s leads to an image that is not there", text);
	r = need_key(w, k, &image, &n.manifest, detail, err);
	if (r == OK)
		r = check_name_edge(w, k, &n.manifest, text, err);
	if (r != OK || digest_eq(&n.root, &n.manifest))
		return r;
	root = key_index(&n.root);
	snprintf(detail, sizeof detail, "the name %s leads to an index that is not there", text);
	r = need_key(w, k, &root, &n.root, detail, err);
	return r == OK ? check_name_edge(w, k, &n.root, text, err) : r;
}

/* ---- all of them ---------------------------------------------------------- */

typedef int check_key(struct checking *w, const struct key *k, struct err *err);

static int each(struct checking *w, struct key prefix, check_key *fn, struct err *err)
{
	CLEANUP(freep) struct meta_scan *scan = malloc(sizeof *scan);
	const struct key *k;
	int r;

	if (!scan)
		return fail_nomem(err);
	meta_scan_prefix(scan, w->store->shared, &prefix);
	while ((r = meta_scan_next(scan, &k, NULL, err)) == OK && k) {
		r = cancel_check(w->c->cancel, err);
		if (r == OK)
			r = fn(w, k, err);
		if (r != OK)
			return r;
	}
	return r;
}

int check_records(struct checking *w, struct err *err)
{
	int r = each(w, key_image_prefix(), check_image, err);

	if (r == OK)
		r = each(w, key_config_prefix(NULL), check_config, err);
	if (r == OK)
		r = each(w, key_order_prefix(), check_order, err);
	if (r == OK)
		r = each(w, key_index_prefix(), check_index, err);
	return r == OK ? each(w, key_name_prefix(""), check_name, err) : r;
}
