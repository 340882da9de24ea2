#include "service/build/session/base_layers.h"

#include "service/image/convert.h"

enum { IMAGE_ARENA_MAX = 8 * 1024 * 1024 };

void base_layers_free(struct base_layers *l)
{
	free(l->layers);
	*l = (struct base_layers){ .n = 0 };
}

/* ---- which manifest ----------------------------------------------------------------- */

static int choose_of_index(struct bytes json, const struct platform *platform, struct digest *ret_manifest,
			   struct err *err)
{
	CLEANUP(index_free) struct index index = { .n_entries = 0 };
	const struct descriptor *entry;

	if (index_parse(json, &index, err) < 0)
		return err->code;
	if (index_choose(&index, platform, &entry, NULL) < 0)
		return fail(err, E_NOT_FOUND, "its index has no such platform");
	*ret_manifest = entry->digest;
	return OK;
}

/* Whether a manifest that no index speaks for runs there. */
static int check_platform(struct store *s, const struct digest *manifest, const struct platform *platform,
			  struct err *err)
{
	CLEANUP(arena_free) struct arena a;
	const Imaged__Store__V1__PlatformEntry *e;
	struct platform is = { .os = "" };
	struct image image;

	arena_init(&a, IMAGE_ARENA_MAX);
	if (image_get(s, manifest, &a, &image, err) < 0)
		return fail(err, E_NOT_FOUND, "it is not listed");
	e = image.record->platform;
	if (!e || !*e->os)
		return OK;
	snprintf(is.os, sizeof is.os, "%s", e->os);
	snprintf(is.architecture, sizeof is.architecture, "%s", e->architecture);
	snprintf(is.variant, sizeof is.variant, "%s", e->variant);
	return platform_rank(platform, &is) ? OK : fail(err, E_NOT_FOUND, "it is of another platform");
}

static int choose_of_root(struct store *s, const struct digest *root, const struct digest *chosen,
			  const struct platform *platform, struct digest *ret_manifest, struct err *err)
{
	CLEANUP(buf_free) struct buf body = BUF_INIT(MANIFEST_BYTES_MAX);
	enum media_kind kind;

	if (content_read(s, root, &body, NULL) == OK && document_kind(buf_bytes(&body), NULL, &kind, NULL) == OK &&
	    media_is_index(kind))
		return choose_of_index(buf_bytes(&body), platform, ret_manifest, err);
	*ret_manifest = *chosen;
	return check_platform(s, chosen, platform, err);
}

int base_layers_choose_root(struct store *s, const struct digest *root, const struct platform *platform,
			    struct digest *ret_manifest, struct err *err)
{
	return choose_of_root(s, root, root, platform, ret_manifest, err);
}

int base_layers_choose(struct store *s, const struct reference *ref, const struct platform *platform,
		       struct digest *ret_manifest, struct err *err)
{
	CLEANUP(arena_free) struct arena a;
	Imaged__Store__V1__NameRecord *name;
	struct reference stored = *ref;
	struct digest root, chosen;
	char text[REFERENCE_TEXT_MAX];
	int r;

	arena_init(&a, IMAGE_ARENA_MAX);
	if (digest_is_set(&stored.digest))
		stored.tag[0] = 0;
	r = name_get(s, reference_text(&stored, text), &a, &name, err);
	if (r == OK)
		r = digest_of_record(&name->root, &root, err);
	if (r == OK)
		r = digest_of_record(&name->manifest, &chosen, err);
	return r == OK ? choose_of_root(s, &root, &chosen, platform, ret_manifest, err) : r;
}

/* ---- its layers --------------------------------------------------------------------- */

/* Of the kinds that a layer can have, as a static text. */
static const char *layer_type(const char *media_type)
{
	switch (media_type_of(media_type).compression) {
	case COMPRESSION_GZIP:
		return "application/vnd.oci.image.layer.v1.tar+gzip";
	case COMPRESSION_ZSTD:
		return "application/vnd.oci.image.layer.v1.tar+zstd";
	default:
		return "application/vnd.oci.image.layer.v1.tar";
	}
}

static int take_layer(struct store *s, const Imaged__Store__V1__LayerEntry *e, struct step_result *ret_layer,
		      struct err *err)
{
	struct step_result l = { .blob_size = e->size, .media_type = layer_type(e->media_type) };

	if (digest_of_record(&e->digest, &l.blob, err) < 0 || digest_of_record(&e->diff_id, &l.diff_id, err) < 0 ||
	    layer_facts_get(s, &l.blob, &l.facts, err) < 0)
		return err->code;
	*ret_layer = l;
	return OK;
}

int base_layers_find(struct store *s, const struct digest *manifest, struct base_layers *ret_layers, struct err *err)
{
	CLEANUP(base_layers_free) struct base_layers l = { .manifest = *manifest };
	CLEANUP(arena_free) struct arena a;
	struct image image;

	arena_init(&a, IMAGE_ARENA_MAX);
	if (image_get(s, manifest, &a, &image, err) < 0 || digest_of_record(&image.record->config, &l.config, err) < 0)
		return err->code;
	l.layers = calloc(image.record->n_layers + 1, sizeof *l.layers);
	if (!l.layers)
		return fail_nomem(err);
	for (; l.n < image.record->n_layers; l.n++)
		if (take_layer(s, image.record->layers[l.n], &l.layers[l.n], err) < 0)
			return err->code;
	*ret_layers = TAKE(l);
	return OK;
}

static int claim_all(struct store *s, const struct digest *all, size_t n, struct err *err)
{
	char text[DIGEST_TEXT_MAX];
	int64_t size;

	for (size_t i = 0; i < n; i++)
		if (!content_claim(s, &all[i], &size))
			return fail(err, E_NOT_FOUND, "%s is not here any more", digest_text(&all[i], text));
	return OK;
}

int base_layers_hold(struct store *s, const struct base_layers *l, struct lease_id *ret_lease, bool *ret_held,
		     struct err *err)
{
	enum { MANIFEST_AND_CONFIG = 2 };
	CLEANUP(freep) struct digest *all = calloc(l->n + MANIFEST_AND_CONFIG, sizeof *all);

	if (!all)
		return fail_nomem(err);
	all[0] = l->manifest;
	all[1] = l->config;
	for (size_t i = 0; i < l->n; i++)
		all[MANIFEST_AND_CONFIG + i] = l->layers[i].blob;
	if (*ret_held)
		lease_release(s, ret_lease, NULL);
	*ret_held = false;
	if (lease_create(s, "build", all, l->n + MANIFEST_AND_CONFIG, ret_lease, err) < 0)
		return err->code;
	*ret_held = true;
	return claim_all(s, all, l->n + MANIFEST_AND_CONFIG, err);
}

static void unref_all(struct build_layer **layers, size_t n)
{
	for (size_t i = 0; i < n; i++)
		build_layer_unref(layers[i]);
}

int base_layers_tree(struct layer_files *files, const struct base_layers *l, struct build_tree **ret_tree,
		     struct err *err)
{
	CLEANUP(freep) struct build_layer **layers = calloc(l->n + 1, sizeof(*layers));
	size_t n = 0;
	int r = OK;

	if (!layers)
		return fail_nomem(err);
	for (; r == OK && n < l->n; n++)
		r = build_layer_stored(files, &l->layers[n], &layers[n], err);
	if (r == OK)
		r = build_tree_new(layers, n, ret_tree, err);
	unref_all(layers, n);
	return r;
}
