#include "store/image/image_record.h"
#include "store/image/names.h"
#include "store/internal.h"
#include "store/meta/scan.h"

/* One call of image_list(). */
struct listing {
	struct store *store;
	struct buf *after;
	size_t limit, accepted;
	struct arena *arena;
	image_visit *visit;
	void *arg;
	struct meta_scan scan;
};

static int offer(struct listing *l, const struct key *k, const struct image *image, struct err *err)
{
	int r = l->visit(l->arg, image);

	if (r < 0)
		return visit_failed(err, r, "the list was ended");
	l->accepted += r > 0;
	buf_reset(l->after);
	return buf_append(l->after, k->bytes, k->len) ? OK : fail_nomem(err);
}

/* One image for each configuration: that of its first manifest. What was removed
 * since its key was read is passed over. */
static int offer_ordered(struct listing *l, const struct key *k, bool only_nameless, struct err *err)
{
	char name[REFERENCE_TEXT_MAX];
	struct timestamp created;
	struct digest manifest;
	struct image image;
	int r;

	if (!key_parse_order(key_bytes(k), &created, &manifest))
		return OK;
	if (only_nameless) { /* most have one: cheaper to find out than to read the image */
		r = first_name_of(l->store, &manifest, 1, name, err);
		if (r != OK || name[0])
			return r;
	}
	r = image_fill(l->store, &manifest, l->arena, &image, err);
	if (r != OK)
		return r == E_NOT_FOUND ? OK : r;
	if (!image.n_manifests || !digest_eq(&image.manifests[0], &manifest) || (only_nameless && image.n_names))
		return OK;
	return offer(l, k, &image, err);
}

/* An image comes at its first name. */
static int offer_named(struct listing *l, const struct key *k, struct err *err)
{
	char name[REFERENCE_TEXT_MAX], first[REFERENCE_TEXT_MAX];
	Imaged__Store__V1__NameRecord *record;
	struct image image = { .n_names = 0 };
	struct digest config;
	int r;

	if (!key_parse_name(key_bytes(k), name))
		return OK;
	r = name_get(l->store, name, l->arena, &record, err);
	if (r == OK)
		r = digest_from_data(record->manifest, &image.manifest, err);
	if (r == OK)
		r = digest_from_data(record->config, &config, err);
	if (r == OK)
		r = manifests_of(l->store, &config, l->arena, &image.manifests, &image.n_manifests, err);
	if (r == OK)
		r = first_name_of(l->store, image.manifests, image.n_manifests, first, err);
	if (r == OK && strcmp(first, name))
		return OK;
	if (r == OK)
		r = image_record_get(l->store, &image.manifest, l->arena, &image.record, &config, err);
	if (r == OK)
		r = names_of(l->store, image.manifests, image.n_manifests, l->arena, &image.names, &image.n_names, err);
	if (r != OK)
		return r == E_NOT_FOUND ? OK : r;
	return offer(l, k, &image, err);
}

enum pass { PASS_ORDER, PASS_NAMES, PASS_NAMELESS };

static int offer_key(struct listing *l, enum pass pass, const struct key *k, struct err *err)
{
	return pass == PASS_NAMES ? offer_named(l, k, err) : offer_ordered(l, k, pass == PASS_NAMELESS, err);
}

/* From behind `after`, where that is a key of this range. */
static void start(struct listing *l, const struct key *prefix)
{
	struct key from = *prefix, to = key_after_prefix(prefix);
	size_t len = l->after->len;

	if (len && len < sizeof from.bytes && l->after->data[0] == prefix->bytes[0]) {
		memcpy(from.bytes, l->after->data, len);
		from.bytes[len] = 0;
		from.len = len + 1;
	}
	meta_scan_range(&l->scan, l->store->shared, &from, &to);
}

static int run(struct listing *l, enum pass pass, bool *ret_more, struct err *err)
{
	struct key prefix = pass == PASS_NAMES ? key_name_prefix("") : key_order_prefix();
	const struct key *k;
	int r;

	start(l, &prefix);
	while ((r = meta_scan_next(&l->scan, &k, NULL, err)) == OK && k) {
		if (l->accepted == l->limit) {
			*ret_more = true;
			return OK;
		}
		/* So that what one image may need bounds them all: sums of labels do not. */
		arena_reset(l->arena, l->arena->cap);
		r = offer_key(l, pass, k, err);
		if (r != OK)
			return r;
	}
	return r;
}

static int run_by_name(struct listing *l, bool *ret_more, struct err *err)
{
	struct key order = key_order_prefix();
	int r = OK;

	if (!l->after->len || l->after->data[0] != order.bytes[0])
		r = run(l, PASS_NAMES, ret_more, err);
	return r == OK && !*ret_more ? run(l, PASS_NAMELESS, ret_more, err) : r;
}

int image_list(struct store *s, enum image_order order, struct buf *after, size_t limit, struct arena *arena,
	       image_visit *visit, void *arg, bool *ret_more, struct err *err)
{
	CLEANUP(freep) struct listing *l = malloc(sizeof *l);
	bool more = false;
	int r;

	if (!l)
		return fail_nomem(err);
	*l = (struct listing){ .store = s, .after = after, .limit = limit, .arena = arena, .visit = visit, .arg = arg };
	r = order == IMAGE_ORDER_NAME ? run_by_name(l, &more, err) : run(l, PASS_ORDER, &more, err);
	if (r == OK)
		*ret_more = more;
	return r;
}
