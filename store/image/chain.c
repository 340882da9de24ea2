#include "store/image/chain.h"

#include "proto/runtime/hash.h"
#include "store/image/image_record.h"
#include "store/internal.h"
#include "store/meta/scan.h"

enum { IMAGE_ARENA_MAX = 64 * 1024 * 1024 };

/* The image that a manifest is of. */
struct known {
	struct digest manifest, config;
	bool is_listed;
	UT_hash_handle hh;
};

struct counting {
	struct store *store;
	struct known *known;
	struct digest configs[CHAIN_IMAGES_MAX]; /* of the chain being counted */
	size_t n;
};

static void known_free(struct known *all)
{
	struct known *k, *next;

	HASH_ITER(hh, all, k, next)
	{
		HASH_DEL(all, k);
		free(k);
	}
}

static int look_up(struct counting *c, struct known *k, struct err *err)
{
	CLEANUP(arena_free) struct arena arena = { .cap = 0 };
	Imaged__Store__V1__ImageRecord *record;
	int r;

	arena_init(&arena, IMAGE_ARENA_MAX);
	r = image_record_get(c->store, &k->manifest, &arena, &record, &k->config, err);
	k->is_listed = r == OK;
	return r == E_NOT_FOUND ? OK : r;
}

/* NULL: err says why. */
static const struct known *know(struct counting *c, const struct digest *manifest, struct err *err)
{
	struct known *k;

	HASH_FIND(hh, c->known, manifest, sizeof *manifest, k);
	if (k)
		return k;
	k = calloc(1, sizeof *k);
	if (!k) {
		fail_nomem(err);
		return NULL;
	}
	k->manifest = *manifest;
	if (look_up(c, k, err) != OK) {
		free(k);
		return NULL;
	}
	HASH_ADD(hh, c->known, manifest, sizeof k->manifest, k);
	if (HASH_ADDED(k))
		return k;
	free(k);
	fail_nomem(err);
	return NULL;
}

static int compare_digests(const void *a, const void *b)
{
	return memcmp(a, b, sizeof(struct digest));
}

/* Several manifests may be of one image. */
static int64_t count_images(struct counting *c)
{
	int64_t images = 0;

	qsort(c->configs, c->n, sizeof *c->configs, compare_digests);
	for (size_t i = 0; i < c->n; i++)
		images += !i || !digest_eq(&c->configs[i], &c->configs[i - 1]);
	return images;
}

static int count_chain(struct counting *c, const struct digest *chain, int64_t *ret_count, struct err *err)
{
	CLEANUP(freep) struct meta_scan *scan = malloc(sizeof *scan);
	struct key prefix = key_chain_prefix(chain);
	const struct key *k;
	int r = OK;

	if (!scan)
		return fail_nomem(err);
	c->n = 0;
	meta_scan_prefix(scan, c->store->shared, &prefix);
	while (c->n < CHAIN_IMAGES_MAX && (r = meta_scan_next(scan, &k, NULL, err)) == OK && k) {
		struct digest same, manifest = { .algorithm = DIGEST_NONE };
		const struct known *image;

		if (!key_parse_chain(key_bytes(k), &same, &manifest))
			continue;
		image = know(c, &manifest, err);
		if (!image)
			return err->code;
		if (image->is_listed)
			c->configs[c->n++] = image->config;
	}
	*ret_count = count_images(c);
	return r;
}

int chain_image_counts(struct store *s, const struct digest *chains, size_t n, int64_t *ret_counts, struct err *err)
{
	CLEANUP(freep) struct counting *c = calloc(1, sizeof *c);
	int r = c ? OK : fail_nomem(err);

	if (!c)
		return r;
	c->store = s;
	for (size_t i = 0; r == OK && i < n; i++) {
		if (i && ret_counts[i - 1] <= 1) /* it alone: so are all above */
			ret_counts[i] = ret_counts[i - 1];
		else
			r = count_chain(c, &chains[i], &ret_counts[i], err);
	}
	known_free(c->known);
	return r;
}
