/* docker's manifest.json: names for images that the OCI index listed already, and
 * images that only it describes. Those have no manifest of a registry: one is made,
 * whose bytes are fixed by the configuration and the layers as they came (DESIGN.md
 * 11.5), so that loading twice gives one image. */
#include "service/image/load.h"
#include "service/image/synthetic_manifest.h"
#include "store/image/names.h"
#include "store/types/docker_archive.h"

struct docker_image {
	const struct docker_archive_image *entry;
	struct digest digest; /* of the configuration */
	struct load_blob *stored;
	struct buf body;
	struct image_config config;
	struct load_blob **layers;
};

static void docker_image_free(struct docker_image *d)
{
	buf_free(&d->body);
	image_config_free(&d->config);
	free(d->layers);
}

/* ---- members --------------------------------------------------------------- */

/* As content, whose bytes are then what the member's name says, if it says a digest. */
static int bring_config(struct load *l, struct docker_image *d, struct err *err)
{
	char name[MEMBER_NAME_ROOM], path[LOAD_PATH_MAX];
	struct load_member *m;

	if (load_clean_name(l, d->entry->config, name, err) < 0)
		return err->code;
	if (!strcmp(name, ".")) {
		load_member_path(l, "", path);
		*strrchr(path, '/') = 0;
		return fail(err, E_BAD_CONTENT, "read %s: is a directory", path);
	}
	m = load_find(l, name);
	if (!m)
		return load_fail_missing(l, name, err);
	if (m->size > CONFIG_BYTES_MAX)
		return fail(err, E_LIMIT, "archive member %s has %lld bytes; at most %d are read", m->name,
			    (long long)m->size, CONFIG_BYTES_MAX);
	if (load_bring(l, m, NULL, err) < 0)
		return err->code;
	d->digest = m->blob->digest;
	d->stored = m->blob;
	return OK;
}

static int read_config(struct load *l, struct docker_image *d, struct err *err)
{
	if (load_blob_read(l, d->stored, &d->body, err) < 0)
		return err->code;
	if (d->digest.algorithm != DIGEST_SHA256)
		return fail(err, E_UNSUPPORTED, "%s: the ID of an image without a manifest is a sha256 digest",
			    d->entry->config);
	if (image_config_parse(buf_bytes(&d->body), &d->config, err) < 0)
		return err_wrap(err, "%s", d->entry->config);
	if (d->config.n_diff_ids != d->entry->n_layers)
		return fail(err, E_BAD_CONTENT, "invalid manifest, layers length mismatch: expected %zu, got %zu",
			    d->entry->n_layers, d->config.n_diff_ids);
	for (size_t i = 0; i < d->entry->n_layers; i++) {
		char name[MEMBER_NAME_ROOM];

		if (load_clean_name(l, d->entry->layers[i], name, err) < 0)
			return err->code;
	}
	if (d->config.platform.os[0] && strcmp(d->config.platform.os, "linux") != 0)
		return fail(err, E_UNSUPPORTED, "cannot load %s image on linux", d->config.platform.os);
	return image_config_check_layers(&d->config, d->entry->n_layers, err);
}

/* A layer whose file is missing may be here all the same, as docker has it. */
static int stored_layer(struct load *l, const struct docker_image *d, size_t i, const char *name,
			struct load_blob **ret_blob, struct err *err)
{
	struct digest blob;

	if (layer_by_diff_id(l->service->store, &d->config.diff_ids[i], &blob, NULL) == OK &&
	    load_blob_get(l, &blob, NULL, ret_blob, err) < 0)
		return err->code;
	return *ret_blob ? OK : load_fail_missing(l, name, err);
}

/* A tar as it is has its diff ID as its digest: if that is here, so are these bytes,
 * and they need not be asked for. */
static int same_bytes_are_here(struct load *l, const struct digest *diff_id, const struct load_member *m,
			       struct load_blob **ret_blob, struct err *err)
{
	int64_t size = 0;

	if (m->blob || !content_exists(l->service->store, diff_id, &size) || size != m->size)
		return OK;
	return load_blob_add(l, diff_id, m->size, NULL, ret_blob, err);
}

static int find_layer(struct load *l, struct docker_image *d, size_t i, struct err *err)
{
	struct load_blob **blob = &d->layers[i];
	char name[MEMBER_NAME_ROOM];
	struct load_member *m;

	if (load_clean_name(l, d->entry->layers[i], name, err) < 0)
		return err->code;
	m = load_find(l, name);
	if (!m)
		return stored_layer(l, d, i, name, blob, err);
	if (same_bytes_are_here(l, &d->config.diff_ids[i], m, blob, err) < 0)
		return err->code;
	if (*blob)
		return OK;
	if (load_bring(l, m, &d->config.diff_ids[i], err) < 0)
		return err->code;
	*blob = m->blob;
	return OK;
}

/* ---- the manifest ---------------------------------------------------------- */

static int describe_layer(struct load *l, const struct load_blob *b, struct synthetic_layer *ret_layer, struct err *err)
{
	CLEANUP(closep) int fd = -1;

	ret_layer->digest = b->digest;
	ret_layer->size = b->size;
	return load_blob_open(l, b, &fd, err) < 0 ? err->code : layer_media_type(fd, &ret_layer->media_type, err);
}

static int make_manifest(struct load *l, const struct docker_image *d, struct buf *out, struct err *err)
{
	CLEANUP(freep) struct synthetic_layer *layers = calloc(d->entry->n_layers + 1, sizeof *layers);

	if (!layers)
		return fail_nomem(err);
	for (size_t i = 0; i < d->entry->n_layers; i++)
		if (describe_layer(l, d->layers[i], &layers[i], err) < 0)
			return err->code;
	return synthetic_manifest(&d->digest, (int64_t)d->body.len, layers, d->entry->n_layers, out, err);
}

static int build(struct load *l, struct docker_image *d, struct load_image *image, struct err *err)
{
	CLEANUP(buf_free) struct buf manifest = BUF_INIT(MANIFEST_BYTES_MAX);

	d->layers = calloc(d->entry->n_layers + 1, sizeof(*d->layers));
	if (!d->layers)
		return fail_nomem(err);
	for (size_t i = 0; i < d->entry->n_layers; i++)
		if (find_layer(l, d, i, err) < 0 || load_layer_begin(l, d->layers[i], &d->config, i, err) < 0)
			return err->code;
	if (load_layers_finish(l, &d->config, err) < 0 || make_manifest(l, d, &manifest, err) < 0 ||
	    load_blob_add_bytes(l, buf_bytes(&manifest), &image->manifest, err) < 0)
		return err->code;
	image->root = image->manifest;
	image->synthesized = true;
	return OK;
}

static bool is_here(struct load *l, const struct digest *d, int64_t size)
{
	int64_t here = 0;

	return content_exists(l->service->store, d, &here) && here == size;
}

/* So that it stays until the image is published. */
static int claim_all(struct load *l, const struct digest *manifest, const struct manifest *m, struct err *err)
{
	struct load_blob *b;

	if (load_blob_get(l, manifest, NULL, &b, err) < 0 || load_blob_get(l, &m->config.digest, NULL, &b, err) < 0)
		return err->code;
	for (size_t i = 0; i < m->n_layers; i++)
		if (load_blob_get(l, &m->layers[i].digest, NULL, &b, err) < 0)
			return err->code;
	return OK;
}

/* An image that is here with all that belongs to it keeps its manifest, and needs
 * nothing of the archive. */
static int find_stored(struct load *l, struct load_image *image, bool *ret_found, struct err *err)
{
	CLEANUP(buf_free) struct buf body = BUF_INIT(MANIFEST_BYTES_MAX);
	CLEANUP(manifest_free) struct manifest m = { .n_layers = 0 };
	int r = first_manifest_of(l->service->store, &image->config, &image->manifest, err);

	*ret_found = false;
	if (r == OK)
		r = content_read(l->service->store, &image->manifest, &body, err);
	if (r == E_NOT_FOUND || r == E_CORRUPT)
		return OK;
	if (r != OK || manifest_parse(buf_bytes(&body), &m, err) < 0)
		return err->code;
	if (!is_here(l, &m.config.digest, m.config.size))
		return OK;
	for (size_t i = 0; i < m.n_layers; i++)
		if (!is_here(l, &m.layers[i].digest, m.layers[i].size))
			return OK;
	image->root = image->manifest;
	*ret_found = true;
	return claim_all(l, &image->manifest, &m, err);
}

/* ---- entries --------------------------------------------------------------- */

static int add_names(struct load_image *image, const struct docker_archive_image *entry, struct err *err)
{
	for (size_t i = 0; i < entry->n_repo_tags; i++)
		if (load_add_name(image, entry->repo_tags[i], err) < 0)
			return err->code;
	return OK;
}

/* Of several manifests with one configuration the index may have said which one a name
 * leads to; manifest.json does not know. */
static int add_more_names(struct load *l, struct load_image *image, const struct docker_archive_image *entry,
			  struct err *err)
{
	CLEANUP(load_image_free) struct load_image more = { .n_names = 0 };

	if (add_names(&more, entry, err) < 0)
		return err->code;
	for (size_t i = 0; i < more.n_names; i++)
		if (!load_is_named(l, &image->config, more.names[i]) && load_add_name(image, more.names[i], err) < 0)
			return err->code;
	return OK;
}

static int add_new(struct load *l, struct docker_image *d, struct err *err)
{
	CLEANUP(load_image_free) struct load_image image = { .config = d->digest };
	bool found;

	if (read_config(l, d, err) < 0)
		return err->code;
	if (!load_wants_platform(l, &d->config.platform))
		return OK;
	if (add_names(&image, d->entry, err) < 0 || find_stored(l, &image, &found, err) < 0)
		return err->code;
	if (!found && build(l, d, &image, err) < 0)
		return err->code;
	if (load_add_image(l, &image, err) < 0)
		return err->code;
	image = (struct load_image){ .n_names = 0 };
	return OK;
}

static int add_described(struct load *l, struct docker_image *d, struct err *err)
{
	struct load_image *image = load_image_find(l, &d->digest);

	if (image ? add_more_names(l, image, d->entry, err) < 0 : add_new(l, d, err) < 0)
		return err->code;
	image = load_image_find(l, &d->digest);
	if (image && digest_is_set(&d->entry->parent))
		image->parent = d->entry->parent;
	return OK;
}

static int add_entry(struct load *l, const struct docker_archive_image *entry, struct err *err)
{
	CLEANUP(docker_image_free) struct docker_image d = { .entry = entry, .body = BUF_INIT(CONFIG_BYTES_MAX) };

	return bring_config(l, &d, err) < 0 ? err->code : add_described(l, &d, err);
}

int load_add_described(struct load *l, const struct docker_archive_image *entry, const struct digest *config,
		       struct err *err)
{
	CLEANUP(docker_image_free) struct docker_image d = { .entry = entry, .body = BUF_INIT(CONFIG_BYTES_MAX) };

	d.digest = *config;
	d.stored = load_blob_find(l, config);
	return add_described(l, &d, err);
}

int load_plan_docker(struct load *l, struct bytes json, struct err *err)
{
	CLEANUP(docker_archive_free) struct docker_archive archive = { .n_images = 0 };

	if (docker_archive_parse(json, &archive, err) < 0)
		return err->code;
	for (size_t i = 0; i < archive.n_images; i++)
		if (cancel_check(l->cancel, err) < 0 || add_entry(l, &archive.images[i], err) < 0)
			return err->code;
	return load_check_parents(l, err);
}
