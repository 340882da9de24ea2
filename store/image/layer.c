#include "store/image/layer.h"

#include "store/content/content.h"
#include "store/meta/scan.h"
#include "store/record.h"

enum { LAYERS_PER_TXN = META_TXN_OPS / 2 };

static int fail_unverified(const struct digest *blob, struct err *err)
{
	char text[DIGEST_TEXT_MAX];

	return fail(err, E_NOT_FOUND, "layer %s has not been verified", digest_text(blob, text));
}

int layer_facts_get(struct store *s, const struct digest *blob, struct layer_facts *ret_facts, struct err *err)
{
	CLEANUP(arena_free) struct arena arena = { .cap = 0 };
	struct key k = key_layer(blob);
	Imaged__Store__V1__LayerRecord *record;
	struct layer_facts facts = { 0 };
	ProtobufCMessage *m;
	int r;

	arena_init(&arena, RECORD_ARENA_MAX);
	r = record_get(store_local(s), &k, &imaged__store__v1__layer_record__descriptor, &arena, &m, NULL, err);
	if (r == E_NOT_FOUND)
		return fail_unverified(blob, err);
	if (r != OK)
		return r;
	record = (Imaged__Store__V1__LayerRecord *)m;
	r = digest_from_data(record->diff_id, &facts.diff_id, err);
	if (r != OK)
		return r;
	facts.tar_size = record->tar_size;
	facts.files_size = record->files_size;
	facts.entries = record->entries;
	facts.worker_version = record->worker_version;
	*ret_facts = facts;
	return OK;
}

int layer_by_diff_id(struct store *s, const struct digest *diff_id, struct digest *ret_blob, struct err *err)
{
	CLEANUP(freep) struct meta_scan *scan = malloc(sizeof *scan);
	struct key prefix = key_diff_prefix(diff_id);
	const struct key *k;
	int r;

	if (!scan)
		return fail_nomem(err);
	meta_scan_prefix(scan, store_local(s), &prefix);
	while ((r = meta_scan_next(scan, &k, NULL, err)) == OK && k) {
		struct digest same, blob;

		if (!key_parse_diff(key_bytes(k), &same, &blob) || !content_exists(s, &blob, NULL))
			continue;
		*ret_blob = blob;
		return OK;
	}
	return r == OK ? fail(err, E_NOT_FOUND, "no layer with this diff ID") : r;
}

size_t layers_by_diff_id(struct store *s, const struct digest *diff_id, struct digest *ret_blobs, size_t max)
{
	CLEANUP(freep) struct meta_scan *scan = malloc(sizeof *scan);
	struct key prefix = key_diff_prefix(diff_id);
	struct digest same;
	const struct key *k;
	size_t n = 0;

	if (!scan)
		return 0;
	meta_scan_prefix(scan, store_local(s), &prefix);
	while (n < max && meta_scan_next(scan, &k, NULL, NULL) == OK && k)
		n += key_parse_diff(key_bytes(k), &same, &ret_blobs[n]);
	return n;
}

static int put_one(struct meta_txn *t, const struct digest *blob, const struct layer_facts *f, struct err *err)
{
	Imaged__Store__V1__LayerRecord record = IMAGED__STORE__V1__LAYER_RECORD__INIT;
	struct key layer = key_layer(blob), diff = key_diff(&f->diff_id, blob);
	uint8_t diff_id[DIGEST_KEY_MAX];

	record.diff_id = (ProtobufCBinaryData){ digest_to_key(&f->diff_id, diff_id), diff_id };
	record.tar_size = f->tar_size;
	record.files_size = f->files_size;
	record.entries = f->entries;
	record.worker_version = f->worker_version;
	meta_txn_put(t, key_bytes(&diff), (struct bytes){ 0 });
	return record_put(t, &layer, &record.base, err);
}

int layer_facts_put(struct store *s, const struct descriptor *blobs, const struct layer_facts *facts, size_t n,
		    struct err *err)
{
	CLEANUP(meta_txn_freep) struct meta_txn *t = meta_txn_new();
	int r = t ? OK : fail_nomem(err);

	for (size_t i = 0; r == OK && i < n; i++) {
		r = put_one(t, &blobs[i].digest, &facts[i], err);
		if (r == OK && (i + 1 == n || (i + 1) % LAYERS_PER_TXN == 0))
			r = meta_txn_commit(store_local(s), t, NULL, err);
	}
	return r;
}
