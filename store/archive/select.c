#include "store/archive/select.h"

#include "proto/runtime/hash.h"
#include "store/content/content.h"
#include "store/image/image_record.h"
#include "store/image/name.h"
#include "store/internal.h"
#include "store/meta/scan.h"

/* Which images there are already. */
struct image_node {
	struct digest manifest;
	size_t at;
	UT_hash_handle hh;
};

struct selecting {
	struct store *store;
	const struct platform *platform;
	struct selection *to;
	struct image_node *known; /* nodes in the arena */
};

void selection_free(struct selection *x)
{
	free(x->images);
	free(x->entries);
	arena_free(&x->arena);
	*x = (struct selection){ .n_images = 0 };
}

static int make_room(struct selection *x, struct err *err)
{
	size_t capacity = x->capacity ? 2 * x->capacity : 16;
	void *images, *entries;

	if (x->n_entries == SELECTION_MAX)
		return fail(err, E_LIMIT, "more than %d images at once", SELECTION_MAX);
	if (x->n_entries < x->capacity)
		return OK;
	images = realloc(x->images, capacity * sizeof *x->images);
	if (images)
		x->images = images;
	entries = images ? realloc(x->entries, capacity * sizeof *x->entries) : NULL;
	if (!entries)
		return fail_nomem(err);
	x->entries = entries;
	x->capacity = capacity;
	return OK;
}

/* ---- indexes --------------------------------------------------------------- */

static int read_index(struct store *s, const struct digest *root, struct index *ret_index, struct err *err)
{
	CLEANUP(buf_free) struct buf body = BUF_INIT(MANIFEST_BYTES_MAX);
	int r = content_read(s, root, &body, err);

	return r == OK ? index_parse(buf_bytes(&body), ret_index, err) : r;
}

static bool lists(const struct index *index, const struct digest *manifest)
{
	for (size_t i = 0; i < index->n_entries; i++)
		if (digest_eq(&index->entries[i].digest, manifest))
			return true;
	return false;
}

static int no_platform(const struct selecting *w, const char *what, struct err *err)
{
	char text[PLATFORM_TEXT_MAX];

	return fail(err, E_NO_PLATFORM, "image %s was found but does not provide the specified platform (%s)", what,
		    platform_text(w->platform, text));
}

/* The manifest for the platform out of the index that a name leads to. */
static int choose(const struct selecting *w, const char *what, const struct digest *root, struct digest *manifest,
		  struct err *err)
{
	CLEANUP(index_free) struct index index = { .n_entries = 0 };
	const struct descriptor *entry;
	int r = read_index(w->store, root, &index, err);

	if (r == OK && index_choose(&index, w->platform, &entry, NULL) != OK)
		return no_platform(w, what, err);
	if (r == OK)
		*manifest = entry->digest;
	return r;
}

static bool runs_on(const Imaged__Store__V1__ImageRecord *r, const struct platform *wanted)
{
	struct platform p = { 0 };

	if (!r->platform)
		return false;
	snprintf(p.os, sizeof p.os, "%s", r->platform->os);
	snprintf(p.architecture, sizeof p.architecture, "%s", r->platform->architecture);
	snprintf(p.variant, sizeof p.variant, "%s", r->platform->variant);
	return platform_rank(wanted, &p) > 0;
}

/* An index is listed where it leads to the manifest at once (between a nested one and
 * the manifest something is missing) and no platform was cut out of it. */
static int fill_root(const struct selecting *w, struct saved_entry *e, const struct digest *root,
		     const struct saved_image *image, struct err *err)
{
	CLEANUP(index_free) struct index index = { .n_entries = 0 };
	const struct selection *x = w->to;
	const struct saved_entry *before = x->n_entries ? &x->entries[x->n_entries - 1] : NULL;
	struct key k = key_index(root);
	ProtobufCMessage *m;
	int r;

	if (before && before->image == e->image && digest_eq(&before->root, root)) { /* another name of it */
		e->root = before->root;
		e->root_media_type = before->root_media_type;
		e->root_size = before->root_size;
		return OK;
	}
	e->root = image->manifest;
	e->root_media_type = image->record->media_type;
	e->root_size = image->record->manifest_size;
	if (w->platform || digest_eq(root, &image->manifest))
		return OK;
	r = read_index(w->store, root, &index, err);
	if (r != OK || !lists(&index, &image->manifest))
		return r;
	r = record_get(w->store->shared, &k, &imaged__store__v1__index_record__descriptor, &w->to->arena, &m, NULL,
		       err);
	if (r != OK)
		return r;
	e->root = *root;
	e->root_media_type = ((Imaged__Store__V1__IndexRecord *)m)->media_type;
	e->root_size = ((Imaged__Store__V1__IndexRecord *)m)->size;
	return OK;
}

/* ---- images ---------------------------------------------------------------- */

static int add_image(struct selecting *w, const struct digest *manifest, size_t *ret_at, struct err *err)
{
	struct selection *x = w->to;
	struct saved_image image = { .manifest = *manifest };
	struct image_node *node;
	int r;

	HASH_FIND(hh, w->known, manifest, sizeof *manifest, node);
	if (node) {
		*ret_at = node->at;
		return OK;
	}
	node = arena_alloc(&x->arena, sizeof *node);
	if (!node)
		return record_fail_arena(&x->arena, sizeof *node, err);
	r = image_record_get(w->store, manifest, &x->arena, &image.record, &image.config, err);
	if (r != OK)
		return r;
	node->manifest = *manifest;
	node->at = *ret_at = x->n_images;
	HASH_ADD(hh, w->known, manifest, sizeof node->manifest, node);
	if (!HASH_ADDED(node))
		return fail_nomem(err);
	x->images[x->n_images++] = image;
	return OK;
}

static bool has_name(const struct saved_image *image, const char *name)
{
	for (size_t i = 0; i < image->n_names; i++)
		if (!strcmp(image->names[i], name))
			return true;
	return false;
}

static int add_to_list(struct arena *a, const char ***list, size_t n, const char *text, struct err *err)
{
	bool full = !(n & (n - 1)); /* it grows by doubling */

	if (full) {
		const char **larger = arena_array(a, n ? 2 * n : 1, sizeof *larger);

		if (!larger)
			return record_fail_arena(a, 2 * n * sizeof *larger, err);
		if (n)
			memcpy(larger, *list, n * sizeof *larger);
		*list = larger;
	}
	(*list)[n] = text;
	return OK;
}

static int give_name(struct selection *x, struct saved_image *image, const char *name, const char **ret_name,
		     struct err *err)
{
	char familiar[REFERENCE_TEXT_MAX];
	const char *full = arena_string(&x->arena, name), *tag;

	name_familiar(name, familiar);
	tag = arena_string(&x->arena, familiar);
	if (!full || !tag)
		return record_fail_arena(&x->arena, REFERENCE_TEXT_MAX, err);
	if (add_to_list(&x->arena, &image->names, image->n_names, full, err) < 0 ||
	    add_to_list(&x->arena, &image->tags, image->n_names, tag, err) < 0)
		return err ? err->code : E_NO_MEMORY;
	image->n_names++;
	*ret_name = full;
	return OK;
}

/* `name` is NULL for an image without a name; `what`: as the user calls it. */
static int add(struct selecting *w, const char *what, const char *name, const struct digest *root,
	       const struct digest *manifest, struct err *err)
{
	struct selection *x = w->to;
	struct digest chosen = *manifest;
	struct saved_entry e = { .name = NULL };
	struct saved_image *image;
	int r = make_room(x, err);

	if (r == OK && w->platform && !digest_eq(root, manifest))
		r = choose(w, what, root, &chosen, err);
	if (r == OK)
		r = add_image(w, &chosen, &e.image, err);
	if (r == E_NOT_FOUND && w->platform)
		return no_platform(w, what, err);
	if (r != OK)
		return r == E_NOT_FOUND ? fail(err, E_NO_SUCH_IMAGE, "No such image: %s", what) : r;
	if (w->platform && !runs_on(x->images[e.image].record, w->platform))
		return no_platform(w, what, err);
	image = &x->images[e.image];
	if (name ? has_name(image, name) : image->listed)
		return OK;
	r = fill_root(w, &e, root, image, err);
	if (r == OK && name)
		r = give_name(x, image, name, &e.name, err);
	if (r != OK)
		return r;
	image->listed = true;
	x->entries[x->n_entries++] = e;
	return OK;
}

/* ---- arguments ------------------------------------------------------------- */

static int add_name(struct selecting *w, const char *what, const char *text, bool named, struct err *err)
{
	struct name n;
	int r = name_read(w->store, text, &n, err);

	if (r == OK && !n.revision)
		r = fail(err, E_NO_SUCH_IMAGE, "reference does not exist");
	return r == OK ? add(w, what, named ? text : NULL, &n.root, &n.manifest, err) : r;
}

/* All tags of a repository, in order; *ret_found tells whether there is one. */
static int add_repository(struct selecting *w, const char *what, const struct reference *ref, bool *ret_found,
			  struct err *err)
{
	CLEANUP(freep) struct meta_scan *scan = malloc(sizeof *scan);
	char repository[REFERENCE_TEXT_MAX], prefix[REFERENCE_TEXT_MAX + 1], name[REFERENCE_TEXT_MAX];
	const struct key *k;
	struct key from;
	int r = OK;

	if (!scan)
		return fail_nomem(err);
	snprintf(prefix, sizeof prefix, "%s:", reference_name(ref, repository));
	from = key_name_prefix(prefix);
	meta_scan_prefix(scan, w->store->shared, &from);
	while (r == OK && (r = meta_scan_next(scan, &k, NULL, err)) == OK && k) {
		if (!key_parse_name(key_bytes(k), name))
			continue;
		r = add_name(w, what, name, true, err);
		if (r == E_NO_SUCH_IMAGE)
			r = OK; /* removed in between */
		else
			*ret_found = true;
	}
	return r;
}

static int add_by_id(struct selecting *w, const char *what, struct err *err)
{
	CLEANUP(arena_free) struct arena a;
	struct image image;
	bool by_id;
	int r;

	arena_init(&a, SELECTION_BYTES_MAX);
	r = image_resolve(w->store, what, &a, &image, &by_id, err);
	if (r == E_NO_SUCH_IMAGE && image_id_is_ambiguous(w->store, what))
		return fail(err, E_NOT_FOUND, "ambiguous digest string");
	return r == OK ? add(w, what, NULL, &image.manifest, &image.manifest, err) : r;
}

static bool is_full_id(const char *text)
{
	enum { HEX_SHA256 = 64 };

	return reference_is_id_prefix(text) && strlen(strncmp(text, "sha256:", 7) ? text : text + 7) == HEX_SHA256;
}

static int add_argument(struct selecting *w, const char *what, struct err *err)
{
	char text[REFERENCE_TEXT_MAX];
	struct reference ref;
	bool found = false;
	int r;

	if (is_full_id(what))
		return add_by_id(w, what, err);
	r = reference_parse(what, &ref, err);
	if (r != OK)
		return r;
	if (ref.tag[0] || digest_is_set(&ref.digest)) {
		r = name_text(&ref, text, err);
		return r == OK ? add_name(w, what, text, !digest_is_set(&ref.digest), err) : r;
	}
	r = add_repository(w, what, &ref, &found, err);
	if (r != OK || found)
		return r;
	r = reference_is_id_prefix(what) ? add_by_id(w, what, err) : E_NO_SUCH_IMAGE;
	return r == E_NO_SUCH_IMAGE ? fail(err, E_NO_SUCH_IMAGE, "No such image: %s", what) : r;
}

int selection_make(struct store *s, char *const *arguments, size_t n, const struct platform *platform,
		   struct selection *x, struct err *err)
{
	struct selecting w = { .store = s, .platform = platform, .to = x };
	int r = OK;

	*x = (struct selection){ .n_images = 0 };
	arena_init(&x->arena, SELECTION_BYTES_MAX);
	for (size_t i = 0; r == OK && i < n; i++)
		r = add_argument(&w, arguments[i], err);
	HASH_CLEAR(hh, w.known);
	if (r != OK)
		selection_free(x);
	return r;
}
