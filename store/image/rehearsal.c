#include "store/image/rehearsal.h"

#include "proto/runtime/cancel.h"
#include "proto/runtime/hash.h"
#include "store/content/content.h"
#include "store/gc/in_use.h"
#include "store/image/removing.h"
#include "store/internal.h"
#include "store/meta/scan.h"

/* The first manifest, in the order of keys, that was found to use a chain. Those before it
 * never do again, so that many removals together look at each once. */
struct chain_user {
	struct digest chain, manifest;
	UT_hash_handle hh;
};

void rehearsal_free(struct rehearsal *h)
{
	struct chain_user *u, *next;

	HASH_ITER(hh, h->users, u, next)
	{
		HASH_DEL(h->users, u);
		free(u);
	}
	digest_set_free(&h->blobs);
	gone_free(&h->gone);
}

/* ---- chains --------------------------------------------------------------- */

static int remember_user(struct rehearsal *h, struct chain_user *u, const struct digest *chain,
			 const struct digest *manifest, struct err *err)
{
	if (u) {
		u->manifest = *manifest;
		return OK;
	}
	u = calloc(1, sizeof *u);
	if (!u)
		return fail_nomem(err);
	u->chain = *chain;
	u->manifest = *manifest;
	HASH_ADD(hh, h->users, chain, sizeof u->chain, u);
	if (HASH_ADDED(u))
		return OK;
	free(u);
	return fail_nomem(err);
}

/* Of the keys that are left, the first one whose image stays. */
static int find_user(struct rehearsal *h, struct meta_scan *scan, const struct digest *chain, bool *ret_found,
		     struct digest *ret_manifest, struct err *err)
{
	const struct doomed doomed = { .gone = &h->gone };
	const struct key *k;
	int r;

	*ret_found = false;
	while ((r = meta_scan_next(scan, &k, NULL, err)) == OK && k && !*ret_found) {
		struct edge_parent parent = { .kind = EDGE_MANIFEST };
		struct digest same;

		if (!key_parse_chain(key_bytes(k), &same, &parent.digest))
			continue;
		r = edge_is_live(h->store, chain, &parent, &doomed, ret_found, err);
		if (r != OK)
			return r;
		*ret_manifest = parent.digest;
	}
	return r;
}

int rehearsal_chain_is_used(struct rehearsal *h, const struct digest *chain, bool *ret_used, struct err *err)
{
	CLEANUP(freep) struct meta_scan *scan = malloc(sizeof *scan);
	struct key prefix = key_chain_prefix(chain), to = key_after_prefix(&prefix);
	struct digest manifest = { .algorithm = DIGEST_NONE };
	struct chain_user *u;
	int r;

	if (!scan)
		return fail_nomem(err);
	HASH_FIND(hh, h->users, chain, sizeof *chain, u);
	if (u)
		prefix = key_chain(chain, &u->manifest);
	meta_scan_range(scan, h->store->shared, &prefix, &to);
	r = find_user(h, scan, chain, ret_used, &manifest, err);
	return r == OK && *ret_used ? remember_user(h, u, chain, &manifest, err) : r;
}

/* ---- what goes ------------------------------------------------------------ */

static int take_names(struct rehearsal *h, const struct removing *w, struct err *err)
{
	int r = OK;

	for (size_t i = 0; r == OK && i < w->n_names; i++)
		r = gone_add_name(&h->gone, w->names[i], err);
	return r;
}

static int take_image(struct rehearsal *h, const struct removing *w, struct err *err)
{
	int r = digest_set_add(&h->gone.records, &w->config, err);

	for (size_t i = 0; r == OK && i < w->image.n_manifests; i++)
		r = digest_set_add(&h->gone.records, &w->image.manifests[i], err);
	for (size_t i = 0; r == OK && i < w->blobs.n; i++)
		r = digest_set_add(&h->blobs, &w->blobs.items[i], err);
	return r;
}

/* An index goes with its last name. */
static int take_index(struct rehearsal *h, const struct digest *index, struct err *err)
{
	const struct doomed doomed = { .gone = &h->gone, .dead_leases = true };
	bool in_use;
	int r = index_in_use(h->store, index, &doomed, &in_use, err);

	if (r != OK || in_use)
		return r;
	r = digest_set_add(&h->gone.records, index, err);
	return r == OK ? digest_set_add(&h->blobs, index, err) : r;
}

int rehearsal_take(struct rehearsal *h, const struct removing *w, struct err *err)
{
	int r = take_names(h, w, err);

	if (r == OK && w->delete_image)
		r = take_image(h, w, err);
	for (size_t i = 0; r == OK && i < w->roots.n; i++)
		r = take_index(h, &w->roots.items[i], err);
	return r;
}

/* ---- bytes ---------------------------------------------------------------- */

static int add_freed(const struct rehearsal *h, const struct digest *blob, int64_t *bytes, struct err *err)
{
	const struct doomed doomed = { .gone = &h->gone, .dead_leases = true };
	int64_t size;
	bool in_use;
	int r = blob_in_use(h->store, blob, &doomed, &in_use, err);

	if (r != OK || in_use || !content_exists(h->store, blob, &size))
		return r;
	*bytes += size;
	return layer_bytes_of(h->store, blob, &doomed, bytes, err);
}

int rehearsal_freed(const struct rehearsal *h, struct cancel *cancel, int64_t *ret_bytes, struct err *err)
{
	const struct digest *blob = NULL;
	int64_t bytes = 0;

	while ((blob = digest_set_next(&h->blobs, blob)))
		if (cancel_check(cancel, err) < 0 || add_freed(h, blob, &bytes, err) < 0)
			return err ? err->code : E_UNKNOWN;
	*ret_bytes = bytes;
	return OK;
}
