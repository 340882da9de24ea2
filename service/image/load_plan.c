/* Which images an archive holds, by its OCI index; docker's manifest.json gives the
 * names, and the images of archives without an index. */
#include "service/image/convert.h"
#include "service/image/load.h"
#include "store/image/names.h"
#include "store/types/descriptor.h"
#include "store/types/docker_archive.h"
#include "store/types/oci_layout.h"

/* ---- images ---------------------------------------------------------------- */

void load_image_free(struct load_image *image)
{
	for (size_t i = 0; i < image->n_names; i++)
		free(image->names[i]);
	free(image->names);
	*image = (struct load_image){ .n_names = 0 };
}

struct load_image *load_image_find(struct load *l, const struct digest *config)
{
	for (size_t i = 0; i < l->n_images; i++)
		if (digest_eq(&l->images[i].config, config))
			return &l->images[i];
	return NULL;
}

int load_add_image(struct load *l, const struct load_image *image, struct err *err)
{
	if (!l->images || l->n_images == l->images_capacity) {
		size_t capacity = l->images_capacity ? 2 * l->images_capacity : 16;
		struct load_image *larger = reallocarray(l->images, capacity, sizeof *larger);

		if (!larger)
			return fail_nomem(err);
		l->images = larger;
		l->images_capacity = capacity;
	}
	l->images[l->n_images++] = *image;
	return OK;
}

static bool has_name(const struct load_image *image, const char *name)
{
	for (size_t i = 0; i < image->n_names; i++)
		if (!strcmp(image->names[i], name))
			return true;
	return false;
}

bool load_is_named(const struct load *l, const struct digest *config, const char *name)
{
	for (size_t i = 0; i < l->n_images; i++)
		if (digest_eq(&l->images[i].config, config) && has_name(&l->images[i], name))
			return true;
	return false;
}

int load_add_name(struct load_image *image, const char *text, struct err *err)
{
	enum { NAME_SHOWN_MAX = 300 };
	CLEANUP(freep) char *name = NULL;
	char canonical[REFERENCE_TEXT_MAX], shown[NAME_SHOWN_MAX];
	struct reference ref;
	char **larger;

	if (reference_parse(text, &ref, err) < 0)
		return err->code;
	if (!ref.tag[0] || digest_is_set(&ref.digest))
		return fail(err, E_INVALID_REFERENCE, "invalid tag \"%s\"", printable_text(text, shown, sizeof shown));
	reference_text(&ref, canonical);
	if (has_name(image, canonical))
		return OK;
	if (image->n_names == DOCKER_ARCHIVE_TAGS_MAX) /* however many entries they come in */
		return fail(err, E_LIMIT, "the archive gives one image more than %d names", DOCKER_ARCHIVE_TAGS_MAX);
	name = strdup(canonical);
	larger = reallocarray(image->names, image->n_names + 1, sizeof *larger);
	if (larger)
		image->names = larger;
	if (!larger || !name)
		return fail_nomem(err);
	image->names[image->n_names++] = TAKE(name);
	return OK;
}

bool load_wants_platform(struct load *l, const struct platform *p)
{
	if (!l->platform_given || platform_rank(&l->platform, p))
		return true;
	l->passed_over++;
	return false;
}

/* ---- documents by digest --------------------------------------------------- */

/* Bytes whose digest was proven, here or when they came into the store. */
static int read_document(struct load *l, const struct digest *d, struct buf *out, bool *ret_found, struct err *err)
{
	struct load_blob *b = NULL;

	if (load_blob_get(l, d, NULL, &b, err) < 0)
		return err->code;
	*ret_found = b != NULL;
	return b ? load_blob_read(l, b, out, err) : OK;
}

static int need_document(struct load *l, const struct digest *d, const char *what, struct buf *out, struct err *err)
{
	char text[DIGEST_TEXT_MAX];
	bool found = false;

	if (read_document(l, d, out, &found, err) < 0)
		return err->code;
	return found ? OK : fail(err, E_BAD_CONTENT, "%s %s is not in the archive", what, digest_text(d, text));
}

/* ---- one manifest ---------------------------------------------------------- */

static int take_layers(struct load *l, const struct manifest *m, const struct image_config *config, struct err *err)
{
	for (size_t i = 0; i < m->n_layers; i++) {
		const struct descriptor *d = &m->layers[i];
		struct load_blob *b = NULL;
		char text[DIGEST_TEXT_MAX];

		if (d->type.kind == MEDIA_LAYER_FOREIGN)
			return fail(err, E_UNSUPPORTED, "layer %zu is kept outside of the archive (%s)", i,
				    d->media_type);
		if (load_blob_get(l, &d->digest, &config->diff_ids[i], &b, err) < 0)
			return err->code;
		if (!b)
			return fail(err, E_BAD_CONTENT, "layer %zu (%s) is not in the archive", i,
				    digest_text(&d->digest, text));
		if (b->size != d->size)
			return fail(err, E_BAD_CONTENT, "layer %zu has %lld bytes, its manifest says %lld", i,
				    (long long)b->size, (long long)d->size);
		if (load_layer_begin(l, b, config, i, err) < 0)
			return err->code;
	}
	return load_layers_finish(l, config, err);
}

static int check_config(struct load *l, const struct manifest *m, struct image_config *ret_config, struct err *err)
{
	CLEANUP(buf_free) struct buf body = BUF_INIT(CONFIG_BYTES_MAX);

	if (need_document(l, &m->config.digest, "image configuration", &body, err) < 0)
		return err->code;
	if ((int64_t)body.len != m->config.size)
		return fail(err, E_BAD_CONTENT, "the image configuration has %zu bytes, its manifest says %lld",
			    body.len, (long long)m->config.size);
	if (image_config_parse(buf_bytes(&body), ret_config, err) < 0)
		return err->code;
	return image_config_check_layers(ret_config, m->n_layers, err);
}

/* Checks all that belongs to a manifest. */
static int check_image(struct load *l, const struct manifest *m, struct load_image *image, bool *ret_wanted,
		       struct err *err)
{
	CLEANUP(image_config_free) struct image_config config = { .n_diff_ids = 0 };

	if (check_config(l, m, &config, err) < 0)
		return err->code;
	image->config = m->config.digest;
	*ret_wanted = load_wants_platform(l, &config.platform);
	return *ret_wanted ? take_layers(l, m, &config, err) : OK;
}

/* ---- indexes --------------------------------------------------------------- */

/* Of the index's entries those that are there; they borrow. */
static int find_present(struct load *l, const struct index *index, struct index *ret_present, struct err *err)
{
	CLEANUP(freep) struct descriptor *entries = calloc(index->n_entries + 1, sizeof *entries);
	size_t n = 0;

	if (!entries)
		return fail_nomem(err);
	for (size_t i = 0; i < index->n_entries; i++) {
		const struct descriptor *e = &index->entries[i];

		if (!e->attestation && (media_is_manifest(e->type.kind) || media_is_index(e->type.kind)) &&
		    load_blob_present(l, &e->digest))
			entries[n++] = *e;
	}
	*ret_present = (struct index){ .kind = index->kind, .entries = TAKE(entries), .n_entries = n };
	return OK;
}

/* The best for the platform that is there; where none was asked for, else the first
 * that is. */
static int choose(struct load *l, const struct index *index, struct descriptor *ret_entry, bool *ret_found,
		  struct err *err)
{
	struct index present;
	const struct descriptor *entry = NULL;

	*ret_found = false;
	if (find_present(l, index, &present, err) < 0)
		return err->code;
	if (index_choose(&present, &l->platform, &entry, NULL) != OK)
		entry = !l->platform_given && present.n_entries ? &present.entries[0] : NULL;
	if (entry) {
		*ret_found = true;
		*ret_entry = *entry;
	}
	free(present.entries);
	return OK;
}

/* From a descriptor of the layout to its manifest. *ret_manifest is empty when nothing
 * of an index is wanted. */
static int follow(struct load *l, const struct descriptor *root, struct load_image *image, struct buf *ret_manifest,
		  struct err *err)
{
	struct digest at = root->digest;
	int64_t size = root->size;
	char type[MEDIA_TYPE_MAX];

	snprintf(type, sizeof type, "%s", root->media_type);
	for (int depth = 0; depth <= INDEX_DEPTH_MAX; depth++) {
		CLEANUP(buf_free) struct buf body = BUF_INIT(MANIFEST_BYTES_MAX);
		CLEANUP(index_free) struct index index = { .n_entries = 0 };
		struct descriptor entry;
		enum media_kind kind;
		bool found;

		if (need_document(l, &at, "manifest", &body, err) < 0 ||
		    document_kind(buf_bytes(&body), type, &kind, err) < 0)
			return err->code;
		if ((int64_t)body.len != size)
			return fail(err, E_BAD_CONTENT, "a manifest has %zu bytes, its descriptor says %lld", body.len,
				    (long long)size);
		if (!media_is_index(kind)) {
			image->manifest = at;
			*ret_manifest = TAKE(body);
			return OK;
		}
		if (index_parse(buf_bytes(&body), &index, err) < 0 || choose(l, &index, &entry, &found, err) < 0)
			return err->code;
		if (!found)
			return OK;
		/* A nested index is no root: what lies between would be missing. */
		if (depth)
			image->root = at;
		at = entry.digest;
		size = entry.size;
		snprintf(type, sizeof type, "%s", entry.media_type);
	}
	return fail(err, E_BAD_CONTENT, "indexes are nested more than %d deep", INDEX_DEPTH_MAX);
}

/* containerd's annotation holds a whole name, perhaps one by digest, which is none to
 * give. The other one holds what somebody typed: a tag, a whole name, or none of both. */
static const char *annotated_name(const struct oci_names *names)
{
	const char *name = *names->image_name ? names->image_name : names->ref_name;
	struct reference ref;

	if (!strchr(name, ':') || strchr(name, '@'))
		return NULL;
	return *names->image_name || reference_parse(name, &ref, NULL) == OK ? name : NULL;
}

static int add_annotated_name(struct load_image *image, const struct oci_names *names, struct err *err)
{
	enum { NAME_SHOWN_MAX = 300 };
	const char *name = annotated_name(names);
	char shown[NAME_SHOWN_MAX];

	if (!name || load_add_name(image, name, err) == OK)
		return OK;
	return err_wrap(err, "index.json: name \"%s\"", printable_text(name, shown, sizeof shown));
}

static int fail_image(const struct load_image *image, struct err *err)
{
	char text[DIGEST_TEXT_MAX];

	return err_wrap(err, "image %s", digest_text(&image->manifest, text));
}

/* E_UNSUPPORTED: it is no image that could be had. *ret_found: false when nothing of an
 * index is wanted. */
static int find_manifest(struct load *l, const struct descriptor *root, struct load_image *image,
			 struct manifest *ret_manifest, bool *ret_found, struct err *err)
{
	CLEANUP(buf_free) struct buf body = BUF_INIT(MANIFEST_BYTES_MAX);

	if (follow(l, root, image, &body, err) < 0)
		return err->code;
	*ret_found = body.len != 0;
	if (!*ret_found)
		return OK;
	if (manifest_parse(buf_bytes(&body), ret_manifest, err) < 0)
		return fail_image(image, err);
	if (ret_manifest->is_image)
		return OK;
	fail(err, E_UNSUPPORTED, "it is an artifact (configuration of type %s), not an image",
	     ret_manifest->config.media_type);
	return fail_image(image, err);
}

/* Where the image is that this one would be again: an index may be listed by itself and
 * within another. */
static int keep(struct load *l, struct load_image *image, size_t *ret_place, struct err *err)
{
	for (size_t i = 0; i < l->n_images; i++) {
		const struct load_image *before = &l->images[i];

		if (digest_eq(&before->root, &image->root) && digest_eq(&before->manifest, &image->manifest)) {
			*ret_place = i;
			return OK;
		}
	}
	*ret_place = l->n_images;
	return load_add_image(l, image, err);
}

/* Signatures and the like, which stand beside images, are passed over when nobody gave
 * them an image's name. */
static int plan_root(struct load *l, const struct descriptor *root, bool named, size_t *ret_place, struct err *err)
{
	CLEANUP(manifest_free) struct manifest m = { .n_layers = 0 };
	struct load_image image = { .root = root->digest };
	bool found = false, wanted = false;
	int r = find_manifest(l, root, &image, &m, &found, err);

	*ret_place = LOAD_NOTHING;
	if (r == E_UNSUPPORTED && !named) {
		if (l->not_an_image.code == OK)
			l->not_an_image = *err;
		*ret_place = LOAD_ARTIFACT;
		return OK;
	}
	if (r == OK && !found)
		l->passed_over++;
	if (r != OK || !found)
		return r;
	if (check_image(l, &m, &image, &wanted, err) < 0)
		return fail_image(&image, err);
	return wanted ? keep(l, &image, ret_place, err) : OK;
}

static int remember_root(struct load *l, const struct descriptor *root, size_t place, struct err *err)
{
	struct load_root *known = calloc(1, sizeof *known);

	if (!known)
		return fail_nomem(err);
	known->digest = root->digest;
	known->size = root->size;
	known->kind = root->type.kind;
	known->image = place;
	HASH_ADD(hh, l->roots, digest, sizeof known->digest, known);
	if (HASH_ADDED(known))
		return OK;
	free(known);
	return fail_nomem(err);
}

void load_forget_roots(struct load *l)
{
	struct load_root *root, *next;

	for (root = l->roots; root; root = next) {
		next = root->hh.next;
		HASH_DEL(l->roots, root);
		free(root);
	}
}

/* Once for each name of an image, and read once. */
static int add_entry(struct load *l, const struct descriptor *root, const struct oci_names *names, struct err *err)
{
	bool named = annotated_name(names) != NULL;
	size_t place = LOAD_NOTHING;
	char text[DIGEST_TEXT_MAX];
	struct load_root *known;

	HASH_FIND(hh, l->roots, &root->digest, sizeof root->digest, known);
	if (known && (known->size != root->size || known->kind != root->type.kind))
		return fail(err, E_BAD_CONTENT, "index.json: two descriptors of %s do not agree",
			    digest_text(&root->digest, text));
	if (known && !(known->image == LOAD_ARTIFACT && named))
		place = known->image;
	else if (plan_root(l, root, named, &place, err) < 0 || (!known && remember_root(l, root, place, err) < 0))
		return err->code;
	return place >= LOAD_ARTIFACT ? OK : add_annotated_name(&l->images[place], names, err);
}

static int plan_index(struct load *l, struct bytes json, struct err *err)
{
	CLEANUP(oci_index_free) struct oci_index layout = { .names = NULL };

	if (oci_index_parse(json, &layout, err) < 0)
		return err->code;
	for (size_t i = 0; i < layout.index.n_entries; i++) {
		const struct descriptor *root = &layout.index.entries[i];

		if (root->attestation)
			continue;
		if (cancel_check(l->cancel, err) < 0 || add_entry(l, root, &layout.names[i], err) < 0)
			return err->code;
	}
	return OK;
}

/* ---- all of it ------------------------------------------------------------- */

static int read_named(struct load *l, const char *name, struct buf *out, bool *ret_found, struct err *err)
{
	struct load_member *m = load_find(l, name);

	*ret_found = m != NULL;
	return m ? load_read_member(l, m, out, err) : OK;
}

static int check_layout_version(struct load *l, struct err *err)
{
	CLEANUP(buf_free) struct buf body = BUF_INIT(OCI_LAYOUT_BYTES_MAX);
	bool found;

	if (read_named(l, "oci-layout", &body, &found, err) < 0)
		return err->code;
	return found ? oci_layout_check(buf_bytes(&body), err) : OK;
}

static int fail_platform(struct load *l, struct err *err)
{
	char text[PLATFORM_TEXT_MAX];

	return fail(err, E_NO_PLATFORM, "requested platform (%s) not found: image might be filtered out",
		    platform_text(&l->platform, text));
}

int load_plan(struct load *l, struct err *err)
{
	CLEANUP(buf_free) struct buf index = BUF_INIT(MANIFEST_BYTES_MAX);
	CLEANUP(buf_free) struct buf docker = BUF_INIT(DOCKER_ARCHIVE_BYTES_MAX);
	bool has_index, has_docker;

	if (read_named(l, "index.json", &index, &has_index, err) < 0 ||
	    read_named(l, "manifest.json", &docker, &has_docker, err) < 0)
		return err->code;
	if (!has_index && !has_docker)
		return load_plan_v1(l, err);
	if (has_index && (check_layout_version(l, err) < 0 || plan_index(l, buf_bytes(&index), err) < 0))
		return err->code;
	if (has_docker && load_plan_docker(l, buf_bytes(&docker), err) < 0)
		return err->code;
	if (l->n_images)
		return OK;
	if (l->passed_over)
		return fail_platform(l, err);
	if (l->not_an_image.code != OK)
		*err = l->not_an_image;
	return l->not_an_image.code;
}
