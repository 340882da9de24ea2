/* Manifests of images that were built, and the index over several. */
#include <jansson.h>

#include "proto/runtime/codec.h"
#include "service/build/result/made.h"

const char *made_layer_type(const struct made *m, const struct made_layer *l)
{
	static const char *const types[2][2][3] = {
		{ { "application/vnd.oci.image.layer.v1.tar", "application/vnd.oci.image.layer.v1.tar+gzip",
		    "application/vnd.oci.image.layer.v1.tar+zstd" },
		  { "application/vnd.oci.image.layer.nondistributable.v1.tar",
		    "application/vnd.oci.image.layer.nondistributable.v1.tar+gzip",
		    "application/vnd.oci.image.layer.nondistributable.v1.tar+zstd" } },
		{ { "application/vnd.docker.image.rootfs.diff.tar", "application/vnd.docker.image.rootfs.diff.tar.gzip",
		    "application/vnd.docker.image.rootfs.diff.tar.zstd" },
		  { "application/vnd.docker.image.rootfs.foreign.diff.tar",
		    "application/vnd.docker.image.rootfs.foreign.diff.tar.gzip",
		    "application/vnd.docker.image.rootfs.foreign.diff.tar.zstd" } },
	};

	return types[m->docker_types][l->foreign][l->compression];
}

/* jansson refuses to store what is no value, so that a lack of memory on the way shows at the end. */

static json_t *annotations_of(const struct made *m, enum annotation_place place, const struct platform *platform,
			      json_t *known)
{
	json_t *all = known ? known : json_object();

	for (size_t i = 0; i < m->annotations.n; i++) {
		const struct annotation *one = &m->annotations.all[i];

		if (annotation_is_for(one, place, platform) &&
		    json_object_set_new(all, one->key, json_string(one->value))) {
			json_decref(all);
			return NULL;
		}
	}
	return all;
}

/* False for what no JSON may hold. */
static bool put_annotations(json_t *document, json_t *annotations)
{
	bool any = json_object_size(annotations) > 0;
	bool put = annotations && (!any || !json_object_set(document, "annotations", annotations));

	json_decref(annotations);
	return put;
}

static json_t *descriptor(const char *type, const struct digest *d, int64_t size)
{
	char text[DIGEST_TEXT_MAX];

	return json_pack("{s:s, s:s, s:I}", "mediaType", type, "digest", digest_text(d, text), "size",
			 (json_int_t)size);
}

static int append(const char *text, size_t len, void *out)
{
	return buf_append(out, text, len) ? 0 : -1;
}

static int print(json_t *document, json_t *annotations, struct made_document *d, struct err *err)
{
	bool put = put_annotations(document, annotations);

	if (!put || json_dump_callback(document, append, &d->body, JSON_COMPACT | JSON_PRESERVE_ORDER))
		return buf_ok(&d->body) ? fail(err, E_INVALID, "the manifest would hold text that is not UTF-8")
					: fail(err, E_LIMIT, "the manifest is larger than %zu bytes", d->body.max);
	made_document_finish(d);
	return OK;
}

static json_t *layers_of(const struct made *m, const struct made_image *i)
{
	json_t *layers = json_array();

	for (size_t k = 0; k < i->n_layers; k++)
		json_array_append_new(
			layers, descriptor(made_layer_type(m, &i->layers[k]), &i->layers[k].digest, i->layers[k].size));
	return layers;
}

static int make_manifest(struct made *m, struct made_image *i, struct err *err)
{
	CLEANUP(json_decrefp) json_t *document = NULL;

	i->manifest.media_type = media_kind_name(m->docker_types ? MEDIA_DOCKER_MANIFEST : MEDIA_OCI_MANIFEST);
	document = json_pack("{s:i, s:s, s:o, s:o}", "schemaVersion", 2, "mediaType", i->manifest.media_type, "config",
			     descriptor(i->config.media_type, &i->config.digest, (int64_t)i->config.body.len), "layers",
			     layers_of(m, i));
	if (!document || json_array_size(json_object_get(document, "layers")) != i->n_layers)
		return fail_nomem(err);
	return print(document, annotations_of(m, ANNOTATE_MANIFEST, &i->built->platform, NULL), &i->manifest, err);
}

/* ---- the index ------------------------------------------------------------------- */

static json_t *platform_of(const struct platform *p)
{
	json_t *j = json_pack("{s:s, s:s}", "architecture", p->architecture, "os", p->os);

	if (*p->variant)
		json_object_set_new(j, "variant", json_string(p->variant));
	if (*p->os_version)
		json_object_set_new(j, "os.version", json_string(p->os_version));
	return j;
}

static json_t *entry_of(const struct made *m, const struct made_image *i)
{
	json_t *entry = descriptor(i->manifest.media_type, &i->manifest.digest, (int64_t)i->manifest.body.len);

	if (!put_annotations(entry, annotations_of(m, ANNOTATE_MANIFEST_DESCRIPTOR, &i->built->platform, NULL)) ||
	    json_object_set_new(entry, "platform", platform_of(&i->built->platform))) {
		json_decref(entry);
		return NULL;
	}
	return entry;
}

/* SOURCE_DATE_EPOCH is told there, as BuildKit does. */
static json_t *index_annotations(const struct made *m)
{
	struct timestamp epoch = { .present = true, .seconds = m->r->epoch };
	json_t *all = json_object();
	char text[40];

	if (m->r->has_epoch)
		json_object_set_new(all, "org.opencontainers.image.created", json_string(timestamp_text(&epoch, text)));
	return annotations_of(m, ANNOTATE_INDEX, NULL, all);
}

static int make_index(struct made *m, struct err *err)
{
	CLEANUP(json_decrefp) json_t *document = NULL;
	json_t *entries = json_array();

	m->index.media_type = media_kind_name(m->docker_types ? MEDIA_DOCKER_LIST : MEDIA_OCI_INDEX);
	for (size_t i = 0; i < m->n; i++)
		json_array_append_new(entries, entry_of(m, &m->images[i]));
	document = json_pack("{s:i, s:s, s:o}", "schemaVersion", 2, "mediaType", m->index.media_type, "manifests",
			     entries);
	if (!document || json_array_size(entries) != m->n)
		return fail_nomem(err);
	return print(document, index_annotations(m), &m->index, err);
}

int made_documents(struct made *m, struct err *err)
{
	for (size_t i = 0; i < m->n; i++)
		if (make_manifest(m, &m->images[i], err) < 0)
			return err->code;
	return m->has_index ? make_index(m, err) : OK;
}
