/*
 * The layout of docker up to version 24 (docker-cli.md 9.1), byte for byte: each layer a
 * directory that is named by its v1 id, its tar plain; configurations, manifest.json,
 * repositories. What docker leaves to chance is fixed: the order of the images is that of the
 * arguments, and what is made for a link has the image's time and not that of the saving.
 *
 * Manifests are not in it, so that an image comes back with its ID and without its digest.
 */
#include <sys/stat.h>

#include <jansson.h>

#include "proto/runtime/codec.h"
#include "store/archive/save_members.h"
#include "store/content/content.h"
#include "store/image/parent.h"
#include "store/record.h"
#include "store/types/docker_archive.h"
#include "store/types/v1_image.h"

enum {
	DIRECTORY_MODE = S_IFDIR | 0755,
	FILE_MODE = S_IFREG | 0644,
	LINK_MODE = S_IFLNK | 0777,
	DOCUMENTS_BYTES_MAX = 256 * 1024 * 1024, /* they are kept in memory */
};

/* The last second that the system's clock counts in nanoseconds; docker writes 0 for what
 * comes later. */
static const int64_t last_second = INT64_MAX / 1000000000;

/* An image, whatever number of manifests the store knows it by. */
struct docker_image {
	const struct saved_image *from;
	struct digest *ids; /* of its layers, as v1 images */
	const char **tags;  /* the selection's, in the order of the arguments */
	size_t n_tags;
};

/* A layer that is in the archive, by its v1 id or by its diff ID. */
struct known_layer {
	struct digest key, id;
	UT_hash_handle hh;
};

struct planning {
	struct save *archive;
	const struct selection *selection;
	struct docker_image *images;
	size_t n_images;
	struct known_layer *by_id, *by_diff_id;
};

static void forget(struct known_layer **table)
{
	struct known_layer *k, *next;

	for (k = *table; k; k = next) {
		next = k->hh.next;
		HASH_DEL(*table, k);
		free(k);
	}
}

static void planning_free(struct planning *p)
{
	for (size_t i = 0; i < p->n_images; i++) {
		free(p->images[i].ids);
		free(p->images[i].tags);
	}
	free(p->images);
	forget(&p->by_id);
	forget(&p->by_diff_id);
}

/* ---- members ---------------------------------------------------------------------- */

static int64_t time_of(const struct saved_image *image)
{
	int64_t t = image->record->has_created ? image->record->created_seconds : 0;

	return t < 0 || t > last_second ? 0 : t;
}

/* Owner and time as docker has them; NULL stays it. */
static struct save_member *owned(struct save_member *m, int64_t time)
{
	if (m) {
		m->tar.owner = "root";
		m->tar.mtime = time;
	}
	return m;
}

static int add_text(struct save *a, const char *name, struct bytes text, int64_t time, struct err *err)
{
	struct save_member *m;

	a->documents_bytes += text.len;
	if (a->documents_bytes > DOCUMENTS_BYTES_MAX)
		return fail(err, E_LIMIT,
			    "the configurations of the images take more than %d bytes: save fewer at once",
			    DOCUMENTS_BYTES_MAX);
	m = owned(save_add(a, name, FILE_MODE, (int64_t)text.len), time);

	if (!m)
		return fail_nomem(err);
	m->body = (struct buf)BUF_INIT(text.len);
	return buf_append(&m->body, text.data, text.len) ? OK : fail_nomem(err);
}

static int add_config(struct save *a, const struct saved_image *image, struct err *err)
{
	char hex[DIGEST_TEXT_MAX], name[TAR_NAME_MAX];
	struct save_member *m;

	snprintf(name, sizeof name, "%s.json", digest_hex(&image->config, hex));
	if (save_add_blob(a, name, FILE_MODE, &image->config, image->record->config_size, &m, err) < 0)
		return err ? err->code : E_NO_MEMORY;
	owned(m, time_of(image));
	return OK;
}

/* Plain, whatever the store has of it. */
static int add_tar(struct save *a, const char *name, const Imaged__Store__V1__LayerEntry *layer,
		   const struct digest *diff_id, int64_t time, struct err *err)
{
	struct digest blob;
	struct layer_facts facts = { .tar_size = layer->size };
	struct save_member *m;
	int r = digest_from_data(layer->digest, &blob, err);

	if (r == OK)
		r = save_add_blob(a, name, FILE_MODE, &blob, layer->size, &m, err);
	if (r == OK && !digest_eq(&blob, diff_id))
		r = layer_facts_get(a->store, &blob, &facts, err);
	if (r != OK)
		return r;
	if (!owned(m, time))
		return fail(err, E_INTERNAL, "a layer of the archive is there twice");
	if (digest_eq(&blob, diff_id))
		return OK;
	m->tar.size = facts.tar_size;
	m->diff_id = *diff_id;
	return OK;
}

static int add_link(struct save *a, const char *name, const struct digest *to, int64_t time, struct err *err)
{
	struct save_member *m = owned(save_add(a, name, LINK_MODE, 0), time);
	char hex[DIGEST_TEXT_MAX];

	if (!m)
		return fail_nomem(err);
	snprintf(m->tar.link, sizeof m->tar.link, "../%s/layer.tar", digest_hex(to, hex));
	return OK;
}

/* ---- layers ------------------------------------------------------------------------ */

/* What is known under the key already, or NULL; then it is known from now on. */
static int know(struct known_layer **table, const struct digest *key, const struct digest *id,
		const struct known_layer **ret_known, struct err *err)
{
	struct known_layer *k;

	HASH_FIND(hh, *table, key, sizeof *key, k);
	*ret_known = k;
	if (k)
		return OK;
	k = malloc(sizeof *k);
	if (!k)
		return fail_nomem(err);
	k->key = *key;
	k->id = *id;
	HASH_ADD(hh, *table, key, sizeof k->key, k);
	if (HASH_ADDED(k))
		return OK;
	free(k);
	return fail_nomem(err);
}

static int add_layer_data(struct planning *p, const struct saved_image *image, const struct v1_layer *l,
			  const struct digest *id, const char *name, struct err *err)
{
	const struct digest *diff_id = &l->config->diff_ids[l->number];
	const struct known_layer *first;

	if (know(&p->by_diff_id, diff_id, id, &first, err) < 0)
		return err ? err->code : E_NO_MEMORY;
	if (first)
		return add_link(p->archive, name, &first->id, time_of(image), err);
	return add_tar(p->archive, name, image->record->layers[l->number], diff_id, time_of(image), err);
}

static int add_layer(struct planning *p, const struct saved_image *image, const struct v1_layer *l,
		     const struct digest *id, struct err *err)
{
	CLEANUP(buf_free) struct buf json = BUF_INIT(V1_JSON_BYTES_MAX);
	char hex[DIGEST_TEXT_MAX], name[TAR_NAME_MAX];
	const struct known_layer *before;
	int64_t time = time_of(image);
	int r = know(&p->by_id, id, id, &before, err);

	if (r != OK || before)
		return r;
	digest_hex(id, hex);
	snprintf(name, sizeof name, "%s/", hex);
	if (!owned(save_add(p->archive, name, DIRECTORY_MODE, 0), time))
		return fail_nomem(err);
	snprintf(name, sizeof name, "%s/VERSION", hex);
	r = add_text(p->archive, name, bytes_of("1.0"), time, err);
	if (r == OK)
		r = v1_layer_write(l, id, &json, err);
	snprintf(name, sizeof name, "%s/json", hex);
	if (r == OK)
		r = add_text(p->archive, name, buf_bytes(&json), time, err);
	snprintf(name, sizeof name, "%s/layer.tar", hex);
	return r == OK ? add_layer_data(p, image, l, id, name, err) : r;
}

/* ---- images ------------------------------------------------------------------------ */

static int read_config(struct save *a, const struct saved_image *image, struct image_config *ret_config,
		       struct err *err)
{
	CLEANUP(buf_free) struct buf body = BUF_INIT(CONFIG_BYTES_MAX);
	int r = content_read(a->store, &image->config, &body, err);

	if (r == OK)
		r = image_config_parse(buf_bytes(&body), ret_config, err);
	return r == OK ? image_config_check_layers(ret_config, image->record->n_layers, err) : r;
}

static int add_layers(struct planning *p, struct docker_image *image, struct err *err)
{
	CLEANUP(image_config_free) struct image_config config = { .n_diff_ids = 0 };
	struct v1_layer l = { .config = &config };
	int r = read_config(p->archive, image->from, &config, err);

	if (r == OK && !config.n_diff_ids)
		r = fail(err, E_UNSUPPORTED, "empty export - not implemented");
	if (r != OK)
		return r;
	image->ids = calloc(config.n_diff_ids, sizeof *image->ids);
	if (!image->ids)
		return fail_nomem(err);
	for (; r == OK && l.number < config.n_diff_ids; l.number++) {
		struct digest *id = &image->ids[l.number];

		l.chain = chain_id(config.diff_ids, l.number + 1);
		r = v1_layer_id(&l, id, err);
		if (r == OK)
			r = add_layer(p, image->from, &l, id, err);
		l.parent = *id;
	}
	return r;
}

static struct docker_image *find_image(const struct planning *p, const struct digest *config)
{
	for (size_t i = 0; i < p->n_images; i++)
		if (digest_eq(&p->images[i].from->config, config))
			return &p->images[i];
	return NULL;
}

static int add_image(struct planning *p, const struct saved_image *from, struct docker_image **ret_image,
		     struct err *err)
{
	struct docker_image *image = &p->images[p->n_images++];
	int r;

	*image = (struct docker_image){ .from = from };
	*ret_image = image;
	r = add_config(p->archive, from, err);
	return r == OK ? add_layers(p, image, err) : r;
}

static int add_tag(struct docker_image *image, const char *tag, struct err *err)
{
	const char **larger = reallocarray(image->tags, image->n_tags + 1, sizeof *larger);

	if (!larger)
		return fail_nomem(err);
	image->tags = larger;
	for (size_t i = 0; i < image->n_tags; i++)
		if (!strcmp(image->tags[i], tag))
			return OK;
	image->tags[image->n_tags++] = tag;
	return OK;
}

/* The familiar form of one of the image's names. */
static const char *tag_of(const struct saved_image *image, const char *name)
{
	for (size_t i = 0; i < image->n_names; i++)
		if (!strcmp(image->names[i], name))
			return image->tags[i];
	return NULL;
}

static int add_images(struct planning *p, struct err *err)
{
	const struct selection *x = p->selection;
	int r = OK;

	p->images = calloc(x->n_entries + 1, sizeof *p->images);
	if (!p->images)
		return fail_nomem(err);
	for (size_t i = 0; r == OK && i < x->n_entries; i++) {
		const struct saved_image *from = &x->images[x->entries[i].image];
		const char *tag = x->entries[i].name ? tag_of(from, x->entries[i].name) : NULL;
		struct docker_image *image = find_image(p, &from->config);

		if (!image)
			r = add_image(p, from, &image, err);
		if (r == OK && tag)
			r = add_tag(image, tag, err);
	}
	return r;
}

/* ---- documents ---------------------------------------------------------------------- */

static int append(const char *text, size_t len, void *out)
{
	return buf_append(out, text, len) ? 0 : -1;
}

/* What Go's encoder writes, with its newline; names hold nothing that it would escape. */
static int print(const json_t *value, size_t flags, struct buf *out, struct err *err)
{
	if (value && !json_dump_callback(value, append, out, JSON_COMPACT | flags) && buf_putc(out, '\n'))
		return OK;
	return buf_ok(out) ? fail_nomem(err) : fail(err, E_LIMIT, "too many images for one archive");
}

static json_t *layers_of(const struct docker_image *image)
{
	json_t *list = json_array();
	char hex[DIGEST_TEXT_MAX];

	for (size_t i = 0; list && i < image->from->record->n_layers; i++)
		if (json_array_append_new(list, json_sprintf("%s/layer.tar", digest_hex(&image->ids[i], hex))) < 0) {
			json_decref(list);
			return NULL;
		}
	return list;
}

static json_t *tags_of(const struct docker_image *image)
{
	json_t *list = image->n_tags ? json_array() : json_null();

	for (size_t i = 0; list && i < image->n_tags; i++)
		if (json_array_append_new(list, json_string(image->tags[i])) < 0) {
			json_decref(list);
			return NULL;
		}
	return list;
}

/* What the image was made from by one step, when it is in the archive, too. */
static int add_parent(const struct planning *p, const struct docker_image *image, json_t *entry, struct err *err)
{
	char text[DIGEST_TEXT_MAX];
	struct digest parent;
	bool has;

	if (image_parent(p->archive->store, &image->from->config, &has, &parent, err) < 0)
		return err ? err->code : E_IO;
	if (!has || !find_image(p, &parent))
		return OK;
	return json_object_set_new(entry, "Parent", json_string(digest_text(&parent, text))) ? fail_nomem(err) : OK;
}

static int manifest_of(const void *planning, struct buf *out, struct err *err)
{
	const struct planning *p = planning;
	CLEANUP(json_decrefp) json_t *list = json_array();
	char hex[DIGEST_TEXT_MAX];

	for (size_t i = 0; i < p->n_images; i++) {
		const struct docker_image *image = &p->images[i];

		json_t *entry = json_pack("{s:o, s:o, s:o}", "Config",
					  json_sprintf("%s.json", digest_hex(&image->from->config, hex)), "RepoTags",
					  tags_of(image), "Layers", layers_of(image));

		if (json_array_append_new(list, entry) < 0)
			return fail_nomem(err);
		if (add_parent(p, image, entry, err) < 0)
			return err ? err->code : E_NO_MEMORY;
	}
	return print(list, 0, out, err);
}

static int add_repository(json_t *repositories, const char *tag, const struct digest *top, struct err *err)
{
	const char *colon = strrchr(tag, ':');
	CLEANUP(freep) char *repository = strndup(tag, (size_t)(colon - tag));
	char hex[DIGEST_TEXT_MAX];
	json_t *tags;

	if (!repository)
		return fail_nomem(err);
	tags = json_object_get(repositories, repository);
	if (!tags && !json_object_set_new(repositories, repository, json_object()))
		tags = json_object_get(repositories, repository);
	return json_object_set_new(tags, colon + 1, json_string(digest_hex(top, hex))) ? fail_nomem(err) : OK;
}

static int repositories_of(const void *planning, struct buf *out, struct err *err)
{
	const struct planning *p = planning;
	CLEANUP(json_decrefp) json_t *repositories = json_object();
	int r = OK;

	for (size_t i = 0; i < p->n_images; i++) {
		const struct docker_image *image = &p->images[i];
		const struct digest *top = &image->ids[image->from->record->n_layers - 1];

		for (size_t k = 0; r == OK && k < image->n_tags; k++)
			r = add_repository(repositories, image->tags[k], top, err);
	}
	if (r != OK || (repositories && !json_object_size(repositories)))
		return r;
	return print(repositories, JSON_SORT_KEYS, out, err);
}

/* ---- all of it ----------------------------------------------------------------------- */

static int add_documents(struct planning *p, struct err *err)
{
	static const struct {
		const char *name;
		save_document_fn *make;
	} documents[] = { { "manifest.json", manifest_of }, { "repositories", repositories_of } };

	for (size_t i = 0; i < ARRAY_LEN(documents); i++) {
		CLEANUP(buf_free) struct buf body = BUF_INIT(DOCKER_ARCHIVE_BYTES_MAX);
		int r = documents[i].make(p, &body, err);

		if (r == OK && body.len)
			r = add_text(p->archive, documents[i].name, buf_bytes(&body), 0, err);
		if (r != OK)
			return r;
	}
	return OK;
}

int save_plan_docker(struct save *a, const struct selection *x, struct err *err)
{
	CLEANUP(planning_free) struct planning p = { .archive = a, .selection = x };
	int r = add_images(&p, err);

	if (r == OK)
		r = add_documents(&p, err);
	return r == OK ? save_sort(a, err) : r;
}
