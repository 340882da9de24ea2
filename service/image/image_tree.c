#include "service/image/image_tree.h"

#include "store/content/content.h"
#include "store/image/image_record.h"

/* ---- layers -------------------------------------------------------------- */

static int add_layers(struct arena *a, const Imaged__Store__V1__ImageRecord *r, Imaged__V1__ImageSummary *m,
		      struct err *err)
{
	m->layers = arena_array(a, r->n_layers + 1, sizeof *m->layers);
	if (!m->layers)
		return fail_nomem(err);
	for (size_t i = 0; i < r->n_layers; i++) {
		Imaged__V1__Layer *layer = arena_alloc(a, sizeof *layer);

		if (!layer)
			return fail_nomem(err);
		if (layer_record_message(a, r->layers[i], layer, err) < 0)
			return err->code;
		m->layers[m->n_layers++] = layer;
	}
	return OK;
}

/* ---- entries of an index --------------------------------------------------- */

static Imaged__V1__Platform *platform_message(struct arena *a, const struct platform *p)
{
	Imaged__V1__Platform *m = arena_alloc(a, sizeof *m);

	if (!m)
		return NULL;
	imaged__v1__platform__init(m);
	m->os = arena_string(a, p->os);
	m->architecture = arena_string(a, p->architecture);
	m->variant = arena_string(a, p->variant);
	m->os_version = arena_string(a, p->os_version);
	return m->os && m->architecture && m->variant && m->os_version ? m : NULL;
}

/* The image that a manifest is of; "" when it is not here. */
static int image_of(struct store *s, struct arena *a, const struct digest *manifest, char **ret_id, struct err *err)
{
	Imaged__Store__V1__ImageRecord *record;
	struct digest config;
	int r = image_record_get(s, manifest, a, &record, &config, err);

	if (r != OK && r != E_NOT_FOUND)
		return r;
	*ret_id = r == OK ? digest_message(a, &config) : arena_string(a, "");
	return *ret_id ? OK : fail_nomem(err);
}

static int add_entry(struct store *s, struct arena *a, const struct descriptor *d, Imaged__V1__ImageRoot *root,
		     struct err *err)
{
	Imaged__V1__RootEntry *m = arena_alloc(a, sizeof *m);

	if (!m)
		return fail_nomem(err);
	imaged__v1__root_entry__init(m);
	m->descriptor = descriptor_message(a, d->media_type, &d->digest, d->size);
	if (!m->descriptor)
		return fail_nomem(err);
	if (d->has_platform) {
		m->descriptor->platform = platform_message(a, &d->platform);
		if (!m->descriptor->platform)
			return fail_nomem(err);
	}
	root->entries[root->n_entries++] = m;
	return image_of(s, a, &d->digest, &m->image_id, err);
}

static int add_entries(struct store *s, struct arena *a, const struct index *index, Imaged__V1__ImageRoot *root,
		       struct err *err)
{
	root->entries = arena_array(a, min_size(index->n_entries, ROOT_ENTRIES_MAX) + 1, sizeof *root->entries);
	if (!root->entries)
		return fail_nomem(err);
	for (size_t i = 0; i < index->n_entries && root->n_entries < ROOT_ENTRIES_MAX; i++)
		if (!index->entries[i].attestation && add_entry(s, a, &index->entries[i], root, err) < 0)
			return err->code;
	return OK;
}

/* One that is missing or damaged lists nothing here: `system check` tells. */
static int read_index(struct store *s, struct arena *a, const struct digest *digest, Imaged__V1__ImageRoot *root,
		      struct err *err)
{
	CLEANUP(buf_free) struct buf body = BUF_INIT(MANIFEST_BYTES_MAX);
	CLEANUP(index_free) struct index index = { .n_entries = 0 };
	enum media_kind kind;

	root->is_index = true;
	root->descriptor->media_type = arena_string(a, "");
	if (!root->descriptor->media_type)
		return fail_nomem(err);
	if (content_read(s, digest, &body, NULL) < 0 || document_kind(buf_bytes(&body), NULL, &kind, NULL) < 0 ||
	    index_parse(buf_bytes(&body), &index, NULL) < 0)
		return OK;
	root->descriptor->size = (int64_t)body.len;
	root->descriptor->media_type = arena_string(a, media_kind_name(kind));
	return root->descriptor->media_type ? add_entries(s, a, &index, root, err) : fail_nomem(err);
}

/* ---- roots ------------------------------------------------------------------ */

struct roots {
	struct store *store;
	struct arena *arena;
	const struct image *image;
	Imaged__V1__ImageSummary *message;
	struct digest *digests; /* of message->roots */
	size_t n_names;
};

static int add_root(struct roots *l, const struct digest *digest, Imaged__V1__ImageRoot **ret_root, struct err *err)
{
	const Imaged__Store__V1__ImageRecord *r = l->image->record;
	Imaged__V1__ImageSummary *m = l->message;
	Imaged__V1__ImageRoot *root = arena_alloc(l->arena, sizeof *root);
	bool is_manifest = false;

	if (!root)
		return fail_nomem(err);
	imaged__v1__image_root__init(root);
	for (size_t i = 0; i < l->image->n_manifests; i++)
		is_manifest = is_manifest || digest_eq(&l->image->manifests[i], digest);
	root->descriptor = descriptor_message(l->arena, is_manifest ? r->media_type : "", digest,
					      is_manifest ? r->manifest_size : 0);
	root->names = arena_array(l->arena, l->n_names + 1, sizeof *root->names);
	if (!root->descriptor || !root->names)
		return fail_nomem(err);
	l->digests[m->n_roots] = *digest;
	m->roots[m->n_roots++] = root;
	*ret_root = root;
	return is_manifest ? OK : read_index(l->store, l->arena, digest, root, err);
}

static int find_root(struct roots *l, const struct digest *digest, Imaged__V1__ImageRoot **ret_root, struct err *err)
{
	for (size_t i = 0; i < l->message->n_roots; i++)
		if (digest_eq(&l->digests[i], digest)) {
			*ret_root = l->message->roots[i];
			return OK;
		}
	return add_root(l, digest, ret_root, err);
}

/* A name that went meanwhile is left out. */
static int add_name(struct roots *l, char *name, struct err *err)
{
	Imaged__Store__V1__NameRecord *record = NULL;
	Imaged__V1__ImageRoot *root;
	struct digest digest;
	int r = name_get(l->store, name, l->arena, &record, err);

	if (r == OK)
		r = digest_of_record(&record->root, &digest, err);
	if (r == OK)
		r = find_root(l, &digest, &root, err);
	if (r != OK)
		return r == E_NOT_FOUND ? OK : r;
	root->names[root->n_names++] = name;
	return OK;
}

int image_tree_add(struct store *s, struct arena *a, const struct image *image, char *const *names, size_t n_names,
		   Imaged__V1__ImageSummary *m, struct err *err)
{
	struct roots l = { .store = s, .arena = a, .image = image, .message = m, .n_names = n_names };
	Imaged__V1__ImageRoot *root;
	int r = add_layers(a, image->record, m, err);

	m->roots = arena_array(a, n_names + 1, sizeof(Imaged__V1__ImageRoot *));
	l.digests = arena_array(a, n_names + 1, sizeof *l.digests);
	if (r == OK && (!m->roots || !l.digests))
		return fail_nomem(err);
	for (size_t i = 0; r == OK && i < n_names; i++)
		r = add_name(&l, names[i], err);
	return r == OK && !m->n_roots ? add_root(&l, &image->manifest, &root, err) : r;
}
