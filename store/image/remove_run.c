#include "store/content/content.h"
#include "store/gc/in_use.h"
#include "store/image/event_log.h"
#include "store/image/image_record.h"
#include "store/image/name.h"
#include "store/image/removing.h"
#include "store/internal.h"
#include "store/meta/scan.h"

enum {
	TRIES = 50,
	NAMES_PER_TXN = 16,
	MANIFESTS_PER_TXN = 8,
	MANIFEST_OPS = 3, /* record, config index, order */
	UNTAG_OPS = NAME_DELETE_OPS + 1,
	PARENT_OPS = 2,
	PIN_OPS = 1,
};

_Static_assert((int)(NAMES_PER_TXN *UNTAG_OPS + MANIFESTS_PER_TXN * MANIFEST_OPS + PARENT_OPS + PIN_OPS + 1 +
		     EVENT_TRIM_OPS) <= (int)META_TXN_OPS,
	       "names and records of an image fit one transaction");

/* ---- what goes ------------------------------------------------------------ */

static bool is_ours(const struct removing *w, const struct digest *manifest)
{
	for (size_t i = 0; i < w->image.n_manifests; i++)
		if (digest_eq(&w->image.manifests[i], manifest))
			return true;
	return false;
}

static int chain_is_used(struct removing *w, const struct digest *chain, bool *ret_used, struct err *err)
{
	CLEANUP(freep) struct meta_scan *scan = malloc(sizeof *scan);
	struct key prefix = key_chain_prefix(chain);
	const struct key *k;
	int r;

	*ret_used = false;
	if (!scan)
		return fail_nomem(err);
	meta_scan_prefix(scan, w->store->shared, &prefix);
	while ((r = meta_scan_next(scan, &k, NULL, err)) == OK && k && !*ret_used) {
		struct edge_parent parent = { .kind = EDGE_MANIFEST };
		struct digest same;

		if (!key_parse_chain(key_bytes(k), &same, &parent.digest) || is_ours(w, &parent.digest))
			continue;
		r = edge_is_live(w->store, chain, &parent, NULL, ret_used, err);
		if (r != OK)
			return r;
	}
	return r;
}

int removing_chains(struct removing *w, struct unused_chain **ret_chains, size_t *ret_n, struct err *err)
{
	const Imaged__Store__V1__ImageRecord *record = w->image.record;
	struct unused_chain *chains = arena_array(&w->arena, record->n_layers + 1, sizeof *chains);
	size_t n = 0;

	if (!chains)
		return fail_nomem(err);
	for (size_t i = record->n_layers; i-- > 0;) {
		struct digest chain;
		bool used;
		int r = digest_from_data(record->layers[i]->chain_id, &chain, err);

		if (r == OK)
			r = w->r->rehearsal ? rehearsal_chain_is_used(w->r->rehearsal, &chain, &used, err)
					    : chain_is_used(w, &chain, &used, err);
		if (r != OK)
			return r;
		if (used)
			break; /* and so are all below it */
		digest_text(&chain, chains[n].text);
		chains[n++].size = record->layers[i]->files_size;
	}
	*ret_chains = chains;
	*ret_n = n;
	return OK;
}

static int collect_manifest(struct removing *w, const struct digest *manifest, struct err *err)
{
	Imaged__Store__V1__ImageRecord *record;
	struct digest config;
	int r = image_record_get(w->store, manifest, &w->arena, &record, &config, err);
	bool ok;

	if (r != OK)
		return r == E_NOT_FOUND ? fail(err, E_ABORTED, "the image was removed meanwhile") : r;
	ok = digest_list_add(&w->blobs, manifest) && digest_list_add(&w->blobs, &config);
	for (size_t i = 0; ok && r == OK && i < record->n_layers; i++) {
		struct digest layer;

		r = digest_from_data(record->layers[i]->digest, &layer, err);
		ok = r != OK || digest_list_add(&w->blobs, &layer);
	}
	return ok ? r : fail_nomem(err);
}

int removing_collect(struct removing *w, struct err *err)
{
	int r = OK;

	for (size_t i = 0; r == OK && w->delete_image && i < w->image.n_manifests; i++)
		r = collect_manifest(w, &w->image.manifests[i], err);
	for (size_t i = 0; r == OK && i < w->n_names; i++) {
		struct name n;

		r = name_read(w->store, w->names[i], &n, err);
		if (r == OK && n.revision && !digest_eq(&n.root, &n.manifest) && !digest_list_add(&w->roots, &n.root))
			r = fail_nomem(err);
	}
	return r;
}

/* ---- report --------------------------------------------------------------- */

int removing_report(struct removing *w, enum removed_kind kind, const char *value, int64_t size, struct err *err)
{
	int r = w->r->visit ? w->r->visit(w->r->arg, kind, value, size) : OK;

	w->visited = true;
	return r < 0 ? visit_failed(err, r, "the removal was ended") : OK;
}

static int report_name(struct removing *w, const char *name, struct err *err)
{
	char familiar[REFERENCE_TEXT_MAX];

	name_familiar(name, familiar);
	return removing_report(w, REMOVED_NAME, familiar, 0, err);
}

int removing_report_image(struct removing *w, const struct unused_chain *chains, size_t n, struct err *err)
{
	char text[DIGEST_TEXT_MAX];
	int r = removing_report(w, REMOVED_IMAGE, digest_text(&w->config, text), 0, err);

	for (size_t i = 0; r == OK && i < n; i++)
		r = removing_report(w, REMOVED_CHAIN, chains[i].text, chains[i].size, err);
	return r;
}

/* ---- names ---------------------------------------------------------------- */

/* Names that are gone or lead elsewhere by now are not ours to remove: NULL then. */
static int untag_in(struct removing *w, struct meta_txn *t, const char **name, struct err *err)
{
	struct name n;
	int r = name_read(w->store, *name, &n, err);

	if (r != OK)
		return r;
	if (!n.revision || !is_ours(w, &n.manifest)) {
		*name = NULL;
		return OK;
	}
	name_delete(t, &n);
	return event_add(t, EVENT_UNTAG, &n.config, n.text, &n.manifest, w->r->now_ns, err);
}

static int untag_all_in(struct removing *w, struct meta_txn *t, const char **names, size_t n, struct err *err)
{
	int r = OK;

	meta_txn_use_reserve(t);
	for (size_t i = 0; r == OK && i < n; i++)
		r = untag_in(w, t, &names[i], err);
	return r;
}

static int report_names(struct removing *w, const char *const *names, size_t n, struct err *err)
{
	int r = OK;

	for (size_t i = 0; r == OK && i < n; i++)
		if (names[i])
			r = report_name(w, names[i], err);
	return r;
}

static int untag_some(struct removing *w, size_t at, size_t n, struct err *err)
{
	CLEANUP(meta_txn_freep) struct meta_txn *t = meta_txn_new();
	const char *names[NAMES_PER_TXN];
	int tries = 0, r;

	if (!t)
		return fail_nomem(err);
	do {
		memcpy(names, w->names + at, n * sizeof *names);
		r = untag_all_in(w, t, names, n, err);
		if (r == OK)
			r = event_commit(w->store, t, err);
	} while (r == E_ABORTED && ++tries < TRIES);
	return r == OK ? report_names(w, names, n, err) : r;
}

/* ---- records and edges ---------------------------------------------------- */

static void delete_key(struct meta_txn *t, const struct key *k)
{
	meta_txn_delete(t, key_bytes(k));
}

static void delete_records(struct removing *w, struct meta_txn *t, size_t i)
{
	const struct digest *manifest = &w->image.manifests[i];
	struct timestamp created = { .present = w->image.record->has_created,
				     .seconds = w->image.record->created_seconds,
				     .nanos = w->image.record->created_nanos };
	struct key image = key_image(manifest), config = key_config(&w->config, manifest);
	struct key order = key_order(&created, manifest);

	meta_txn_compare(t, key_bytes(&config), w->revisions[i]);
	delete_key(t, &config);
	delete_key(t, &order);
	delete_key(t, &image);
}

static void delete_parent(struct removing *w, struct meta_txn *t)
{
	struct key up = key_parent(&w->config, &w->parent), down = key_child(&w->parent, &w->config);

	delete_key(t, &up);
	delete_key(t, &down);
}

/* Edges of a manifest whose record is gone, unless it comes back meanwhile. What
 * stays is garbage for gc_run(). */
struct edge_sweep {
	struct removing *w;
	struct meta_txn *t;
	const struct digest *manifest;
};

static void flush_edges(struct edge_sweep *e)
{
	struct key image = key_image(e->manifest), guard = key_guard(e->manifest);

	meta_txn_use_reserve(e->t);
	meta_txn_compare(e->t, key_bytes(&image), 0);
	meta_txn_compare(e->t, key_bytes(&guard), 0);
	meta_txn_commit(e->w->store->shared, e->t, NULL, NULL);
}

static void sweep_key(struct edge_sweep *e, const struct key *k)
{
	delete_key(e->t, k);
	if (!meta_txn_room(e->t))
		flush_edges(e);
}

static void sweep_chains(struct edge_sweep *e)
{
	const Imaged__Store__V1__ImageRecord *record = e->w->image.record;

	/* One configuration, so all its manifests have the same chains. */
	for (size_t i = 0; i < record->n_layers; i++) {
		struct digest chain;
		struct key k;

		if (digest_from_data(record->layers[i]->chain_id, &chain, NULL) != OK)
			continue;
		k = key_chain(&chain, e->manifest);
		sweep_key(e, &k);
	}
}

/* `blobs` holds those of the other manifests too: deleting what is not there is
 * nothing. */
static void sweep_edges(struct removing *w, const struct digest *manifest)
{
	CLEANUP(meta_txn_freep) struct meta_txn *t = meta_txn_new();
	struct edge_sweep e = { .w = w, .t = t, .manifest = manifest };
	struct edge_parent parent = { .kind = EDGE_MANIFEST, .digest = *manifest };

	if (!t)
		return;
	for (size_t i = 0; i < w->blobs.n; i++) {
		struct key k = key_edge(&w->blobs.items[i], &parent);

		sweep_key(&e, &k);
	}
	sweep_chains(&e);
	if (meta_txn_ops(t))
		flush_edges(&e);
}

/* The records of manifests first..n, with the names that are left, all or nothing. */
static int delete_group(struct removing *w, size_t first, size_t n, const char **names, size_t n_names, struct err *err)
{
	CLEANUP(meta_txn_freep) struct meta_txn *t = meta_txn_new();
	bool last = first + n == w->image.n_manifests;
	struct key pin = key_pin(&w->config);
	int r = t ? untag_all_in(w, t, names, n_names, err) : fail_nomem(err);

	if (r != OK)
		return r;
	meta_txn_use_reserve(t);
	for (size_t i = first; i < first + n; i++)
		delete_records(w, t, i);
	if (last)
		delete_key(t, &pin);
	if (last && w->has_parent)
		delete_parent(w, t);
	if (last)
		r = event_add(t, EVENT_DELETE, &w->config, NULL, &w->image.manifest, w->r->now_ns, err);
	return r == OK ? event_commit(w->store, t, err) : r;
}

static int delete_image(struct removing *w, const char **names, size_t n_names, struct err *err)
{
	size_t n = w->image.n_manifests, step = MANIFESTS_PER_TXN;
	int r = OK;

	for (size_t at = 0; r == OK && at < n; at += step) {
		r = delete_group(w, at, n - at < step ? n - at : step, names, n_names, err);
		if (r == OK)
			r = report_names(w, names, n_names, err);
		n_names = 0; /* they went with the first group */
	}
	return r;
}

/* ---- run ------------------------------------------------------------------ */

static int free_content(struct removing *w, struct err *err)
{
	int64_t freed = 0;
	int r = OK;

	for (size_t i = 0; w->delete_image && i < w->image.n_manifests; i++) {
		sweep_edges(w, &w->image.manifests[i]);
		index_forget(w->store, &w->image.manifests[i]);
	}
	if (w->delete_image)
		r = gc_blobs(w->store, w->blobs.items, w->blobs.n, &freed, err);
	w->r->freed += freed;
	for (size_t i = 0; i < w->roots.n; i++)
		index_release(w->store, &w->roots.items[i], &w->r->freed);
	return r;
}

int removing_run(struct removing *w, struct err *err)
{
	struct unused_chain *chains = NULL;
	const char *rest[NAMES_PER_TXN];
	size_t n_chains = 0, at = 0, n_rest;
	int r = removing_collect(w, err);

	if (r == OK && w->delete_image)
		r = removing_chains(w, &chains, &n_chains, err);
	for (; r == OK && w->n_names - at > NAMES_PER_TXN; at += NAMES_PER_TXN)
		r = untag_some(w, at, NAMES_PER_TXN, err);
	if (r != OK)
		return r;
	n_rest = w->n_names - at;
	if (n_rest)
		memcpy(rest, w->names + at, n_rest * sizeof *rest);
	r = w->delete_image ? delete_image(w, rest, n_rest, err) : untag_some(w, at, n_rest, err);
	if (r == OK && w->delete_image)
		r = removing_report_image(w, chains, n_chains, err);
	/* The records are gone: also when the reader of the report is. */
	if (r != E_ABORTED) {
		int freed = free_content(w, r == OK ? err : NULL);

		r = r == OK ? freed : r;
	}
	return r;
}

/* ---- dry run -------------------------------------------------------------- */

int removing_try(struct removing *w, struct err *err)
{
	struct unused_chain *chains = NULL;
	size_t n_chains = 0;
	int r = removing_collect(w, err);

	if (r == OK)
		r = rehearsal_take(w->r->rehearsal, w, err);
	if (r == OK && w->delete_image)
		r = removing_chains(w, &chains, &n_chains, err);
	for (size_t i = 0; r == OK && i < w->n_names; i++)
		r = report_name(w, w->names[i], err);
	return r == OK && w->delete_image ? removing_report_image(w, chains, n_chains, err) : r;
}
