#include "store/content/content.h"
#include "store/gc/in_use.h"
#include "store/internal.h"
#include "store/layers/layer_image.h"
#include "store/meta/scan.h"
#include "store/record.h"

static int diff_id_of(struct store *s, const struct digest *blob, struct digest *ret_diff_id, struct err *err)
{
	CLEANUP(arena_free) struct arena arena = { .cap = 0 };
	struct key k = key_layer(blob);
	ProtobufCMessage *m;
	int r;

	arena_init(&arena, RECORD_ARENA_MAX);
	r = record_get(s->local, &k, &imaged__store__v1__layer_record__descriptor, &arena, &m, NULL, err);
	if (r != OK)
		return r;
	return digest_from_data(((Imaged__Store__V1__LayerRecord *)m)->diff_id, ret_diff_id, err);
}

/* Whether another blob keeps the image, or is the one with which it is counted: the first
 * of those that go. */
static int other_counts(struct store *s, const struct digest *blob, const struct digest *other,
			const struct doomed *doomed, bool *ret_counts, struct err *err)
{
	*ret_counts = false;
	if (digest_eq(blob, other))
		return OK;
	if (content_exists(s, other, NULL) && memcmp(other->bytes, blob->bytes, sizeof blob->bytes) < 0) {
		*ret_counts = true;
		return OK;
	}
	return blob_in_use(s, other, doomed, ret_counts, err);
}

static int goes_with(struct store *s, const struct digest *blob, const struct digest *diff_id,
		     const struct doomed *doomed, bool *ret_goes, struct err *err)
{
	CLEANUP(freep) struct meta_scan *scan = malloc(sizeof *scan);
	struct key prefix = key_diff_prefix(diff_id);
	bool other = false;
	const struct key *k;
	int r;

	if (!scan)
		return fail_nomem(err);
	meta_scan_prefix(scan, s->local, &prefix);
	while ((r = meta_scan_next(scan, &k, NULL, err)) == OK && k && !other) {
		struct digest same, b;

		if (key_parse_diff(key_bytes(k), &same, &b))
			r = other_counts(s, blob, &b, doomed, &other, err);
		if (r != OK)
			return r;
	}
	*ret_goes = !other;
	return r;
}

int layer_bytes_of(struct store *s, const struct digest *blob, const struct doomed *doomed, int64_t *bytes,
		   struct err *err)
{
	struct digest diff_id;
	int64_t size = 0;
	bool goes = false;
	int r = diff_id_of(s, blob, &diff_id, err);

	if (r == E_NOT_FOUND)
		return OK; /* no layer */
	if (r == OK)
		r = goes_with(s, blob, &diff_id, doomed, &goes, err);
	if (r == OK && goes)
		r = layer_images_size(s, &diff_id, &size, err);
	*bytes += size;
	return r;
}
