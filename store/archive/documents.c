#include "store/archive/documents.h"

#include <jansson.h>

#include "store/image/image.h"
#include "store/record.h"

char *blob_member_name(const struct digest *d, char out[TAR_NAME_MAX])
{
	char hex[DIGEST_TEXT_MAX];

	snprintf(out, TAR_NAME_MAX, "blobs/%s/%s", digest_algorithm_name(d->algorithm), digest_hex(d, hex));
	return out;
}

static int append(const char *text, size_t len, void *out)
{
	return buf_append(out, text, len) ? 0 : -1;
}

/* jansson refuses to print what is no value, so that a lack of memory on the way here
 * shows here. */
static int print(json_t *value, struct buf *out, struct err *err)
{
	if (value && !json_dump_callback(value, append, out, JSON_COMPACT | JSON_PRESERVE_ORDER))
		return OK;
	return buf_ok(out) ? fail_nomem(err) : fail(err, E_LIMIT, "too many images for one archive");
}

/* ---- index.json ------------------------------------------------------------ */

static json_t *annotations_of(const struct saved_entry *e)
{
	json_t *all = json_object();

	if (e->name) {
		json_object_set_new(all, "io.containerd.image.name", json_string(e->name));
		json_object_set_new(all, "org.opencontainers.image.ref.name", json_string(strrchr(e->name, ':') + 1));
	}
	for (size_t i = 0; e->annotations && i < e->annotations->n; i++)
		json_object_set_new(all, e->annotations->pairs[i].key, json_string(e->annotations->pairs[i].value));
	return all;
}

static json_t *entry_of(const struct saved_entry *e)
{
	char digest[DIGEST_TEXT_MAX];
	bool annotated = e->name || e->annotations;

	return json_pack("{s:s, s:s, s:I, s:o*}", "mediaType", e->root_media_type, "digest",
			 digest_text(&e->root, digest), "size", (json_int_t)e->root_size, "annotations",
			 annotated ? annotations_of(e) : NULL);
}

int index_document(const struct selection *x, struct buf *out, struct err *err)
{
	CLEANUP(json_decrefp) json_t *list = json_array();
	CLEANUP(json_decrefp) json_t *index = NULL;

	for (size_t i = 0; i < x->n_entries; i++)
		if (json_array_append_new(list, entry_of(&x->entries[i])))
			return fail_nomem(err);
	index = json_pack("{s:i, s:s, s:O}", "schemaVersion", 2, "mediaType", "application/vnd.oci.image.index.v1+json",
			  "manifests", list);
	return print(index, out, err);
}

/* ---- manifest.json --------------------------------------------------------- */

static json_t *tags_of(const struct saved_image *image)
{
	json_t *list = image->n_names ? json_array() : json_null();

	for (size_t i = 0; i < image->n_names; i++)
		if (json_array_append_new(list, json_string(image->tags[i]))) {
			json_decref(list);
			return NULL;
		}
	return list;
}

static json_t *layers_of(const struct saved_image *image, struct err *err)
{
	json_t *list = json_array();
	struct digest d;
	char name[TAR_NAME_MAX];

	for (size_t i = 0; i < image->record->n_layers; i++)
		if (digest_from_data(image->record->layers[i]->digest, &d, err) < 0 ||
		    json_array_append_new(list, json_string(blob_member_name(&d, name)))) {
			json_decref(list);
			return NULL;
		}
	return list;
}

int manifest_document(const struct selection *x, struct buf *out, struct err *err)
{
	CLEANUP(json_decrefp) json_t *list = json_array();

	for (size_t i = 0; i < x->n_images; i++) {
		const struct saved_image *image = &x->images[i];
		char config[TAR_NAME_MAX];
		json_t *one = json_pack("{s:s, s:o, s:o}", "Config", blob_member_name(&image->config, config),
					"RepoTags", tags_of(image), "Layers", layers_of(image, err));

		if (json_array_append_new(list, one))
			return err && err->code ? err->code : fail_nomem(err);
	}
	return print(list, out, err);
}

/* ---- repositories ---------------------------------------------------------- */

/* What docker looks up under a tag: the diff ID of the top layer. */
static int add_tag(json_t *repositories, const char *tag, const char *top, struct err *err)
{
	const char *colon = strrchr(tag, ':');
	CLEANUP(freep) char *repository = strndup(tag, (size_t)(colon - tag));
	json_t *tags;

	if (!repository)
		return fail_nomem(err);
	tags = json_object_get(repositories, repository);
	if (!tags && !json_object_set_new(repositories, repository, json_object()))
		tags = json_object_get(repositories, repository);
	return json_object_set_new(tags, colon + 1, json_string(top)) ? fail_nomem(err) : OK;
}

int repositories_document(const struct selection *x, struct buf *out, struct err *err)
{
	CLEANUP(json_decrefp) json_t *repositories = json_object();

	for (size_t i = 0; i < x->n_images; i++) {
		const struct saved_image *image = &x->images[i];
		size_t n_layers = image->record->n_layers;
		char top[DIGEST_TEXT_MAX] = "";
		struct digest d;

		if (n_layers && digest_from_data(image->record->layers[n_layers - 1]->diff_id, &d, err) < 0)
			return err ? err->code : E_CORRUPT;
		if (n_layers)
			digest_hex(&d, top);
		for (size_t k = 0; k < image->n_names; k++)
			if (add_tag(repositories, image->tags[k], top, err) < 0)
				return err ? err->code : E_NO_MEMORY;
	}
	if (repositories && !json_object_size(repositories))
		return OK;
	return print(repositories, out, err);
}
