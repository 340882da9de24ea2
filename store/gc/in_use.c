#include "store/gc/in_use.h"

#include "store/gc/lease_end.h"
#include "store/internal.h"
#include "store/meta/scan.h"
#include "store/record.h"

enum { LOOKS_MAX = 20 };

static bool record_is_gone(const struct doomed *doomed, const struct digest *d)
{
	return doomed && gone_has_record(doomed->gone, d);
}

/* One get, where absence is an answer. */
static int key_exists(struct store *s, const struct key *k, bool *ret_exists, struct err *err)
{
	uint64_t revision;
	int r = record_revision(s->shared, k, &revision, err);

	*ret_exists = r == OK;
	return r == E_NOT_FOUND ? OK : r;
}

static int manifest_is_live(struct store *s, const struct digest *manifest, const struct doomed *doomed, bool *ret_live,
			    struct err *err)
{
	struct key image = key_image(manifest), guard = key_guard(manifest);
	int r;

	*ret_live = false;
	if (record_is_gone(doomed, manifest))
		return OK;
	r = key_exists(s, &image, ret_live, err);
	/* A publication that runs has a lease on all of it as well. */
	if (doomed && doomed->dead_leases)
		return r;
	return r == OK && !*ret_live ? key_exists(s, &guard, ret_live, err) : r;
}

static int name_is_live(struct store *s, const char *name, const struct digest *child, const struct doomed *doomed,
			bool *ret_live, struct err *err)
{
	CLEANUP(arena_free) struct arena arena = { 0 };
	struct key k = key_name(name);
	ProtobufCMessage *message;
	Imaged__Store__V1__NameRecord *record;
	struct digest root, manifest;
	int r;

	*ret_live = false;
	if (doomed && gone_has_name(doomed->gone, name))
		return OK;
	arena_init(&arena, RECORD_ARENA_MAX);
	r = record_get(s->shared, &k, &imaged__store__v1__name_record__descriptor, &arena, &message, NULL, err);
	if (r == E_NOT_FOUND)
		return OK;
	if (r != OK)
		return r;
	record = (Imaged__Store__V1__NameRecord *)message;
	r = digest_from_data(record->root, &root, err);
	if (r == OK)
		r = digest_from_data(record->manifest, &manifest, err);
	if (r == OK)
		*ret_live = digest_eq(&root, child) || digest_eq(&manifest, child);
	return r;
}

int edge_is_live(struct store *s, const struct digest *child, const struct edge_parent *parent,
		 const struct doomed *doomed, bool *ret_live, struct err *err)
{
	struct key k;

	switch (parent->kind) {
	case EDGE_MANIFEST:
		return manifest_is_live(s, &parent->digest, doomed, ret_live, err);
	case EDGE_NAME:
		return name_is_live(s, parent->reference, child, doomed, ret_live, err);
	case EDGE_LEASE:
		if (doomed && doomed->dead_leases)
			return lease_is_live(s, &parent->lease, ret_live, err);
		k = key_lease(&parent->lease);
		return key_exists(s, &k, ret_live, err);
	case EDGE_INDEX:
		k = key_index(&parent->digest);
		return key_exists(s, &k, ret_live, err);
	}
	*ret_live = false;
	return OK;
}

/* Whether one of the edges of this range is live and keeps its child. */
static int any_live(struct store *s, const struct digest *d, const struct key *prefix, const struct doomed *doomed,
		    bool *ret_live, struct err *err)
{
	CLEANUP(freep) struct meta_scan *scan = malloc(sizeof *scan);
	const struct key *k;
	int r;

	*ret_live = false;
	if (!scan)
		return fail_nomem(err);
	meta_scan_prefix(scan, s->shared, prefix);
	while ((r = meta_scan_next(scan, &k, NULL, err)) == OK && k && !*ret_live) {
		struct edge_parent parent;
		struct digest child;

		if (!key_parse_edge(key_bytes(k), &child, &parent) || parent.kind == EDGE_INDEX)
			continue;
		r = edge_is_live(s, d, &parent, doomed, ret_live, err);
		if (r != OK)
			return r;
	}
	return r;
}

static int look_for_use(struct store *s, const struct digest *d, const struct doomed *doomed, bool *ret_in_use,
			struct err *err)
{
	struct key image = key_image(d), index = key_index(d), edges = key_edge_prefix(d);
	int r = OK;

	*ret_in_use = false;
	if (!record_is_gone(doomed, d)) {
		r = key_exists(s, &image, ret_in_use, err);
		if (r == OK && !*ret_in_use)
			r = key_exists(s, &index, ret_in_use, err);
	}
	return r == OK && !*ret_in_use ? any_live(s, d, &edges, doomed, ret_in_use, err) : r;
}

/* It takes several reads, and a publication may end its lease and add its edges
 * between two of them: seen half before and half after, nothing would hold the blob.
 * So "no" counts only if nothing was committed meanwhile. */
int blob_in_use(struct store *s, const struct digest *d, const struct doomed *doomed, bool *ret_in_use, struct err *err)
{
	for (int i = 0; i < LOOKS_MAX; i++) {
		uint64_t before = meta_revision(s->shared);
		int r = look_for_use(s, d, doomed, ret_in_use, err);

		if (r != OK || *ret_in_use || (before && meta_revision(s->shared) == before))
			return r;
	}
	*ret_in_use = true; /* too busy to tell: a later collection will */
	return OK;
}

int index_in_use(struct store *s, const struct digest *index, const struct doomed *doomed, bool *ret_in_use,
		 struct err *err)
{
	struct key names = key_edge_kind_prefix(index, EDGE_NAME), leases = key_edge_kind_prefix(index, EDGE_LEASE);
	int r = any_live(s, index, &names, doomed, ret_in_use, err);

	return r == OK && !*ret_in_use ? any_live(s, index, &leases, doomed, ret_in_use, err) : r;
}
