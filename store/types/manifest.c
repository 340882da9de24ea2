#include "store/types/document.h"

/* What old registries put for Docker's configuration, and no type at all. */
static bool is_docker_default(const char *media_type)
{
	static const char *const names[] = { "", "application/octet-stream", "application/json", "text/html" };

	for (size_t i = 0; i < ARRAY_LEN(names); i++)
		if (!strcmp(names[i], media_type))
			return true;
	return false;
}

static bool is_image(const struct manifest *m)
{
	if (*m->artifact_type)
		return false;
	if (m->config.type.kind == MEDIA_CONFIG)
		return true;
	return m->kind == MEDIA_DOCKER_MANIFEST && is_docker_default(m->config.media_type);
}

/* An image needs each of its layers, so none is passed over. */
static int check_layer(const struct jnode *layers, size_t i, const struct descriptor *d, struct err *err)
{
	struct jnode item = jnode_item(layers, i), type = jnode_member(&item, "mediaType");
	char text[MEDIA_TYPE_MAX];

	switch (d->type.kind) {
	case MEDIA_LAYER:
	case MEDIA_LAYER_FOREIGN:
		return OK;
	case MEDIA_LAYER_ENCRYPTED:
		return jnode_fail(&type, E_UNSUPPORTED, err, "the layer is encrypted (\"%s\"), which is not supported",
				  printable_text(d->media_type, text, sizeof text));
	default:
		return jnode_fail(&type, E_UNSUPPORTED, err, "unsupported layer format \"%s\"",
				  printable_text(d->media_type, text, sizeof text));
	}
}

/* That callers may add the sizes up. */
static int check_total(const struct jnode *root, const struct manifest *m, struct err *err)
{
	int64_t total = m->config.size;

	for (size_t i = 0; i < m->n_layers; i++)
		if (__builtin_add_overflow(total, m->layers[i].size, &total))
			return jnode_fail(root, E_BAD_CONTENT, err, "the sizes add up to more than any disk holds");
	return OK;
}

static int read_layers(const struct jnode *root, struct manifest *m, struct err *err)
{
	struct jnode layers = jnode_member(root, "layers");

	if (!json_object_get(root->value, "layers"))
		return jnode_fail(&layers, E_BAD_CONTENT, err, "missing");
	return descriptors_read(&layers, MANIFEST_LAYERS_MAX, &m->layers, &m->n_layers, err);
}

static int check_layers(const struct jnode *root, const struct manifest *m, struct err *err)
{
	struct jnode layers = jnode_member(root, "layers");
	int r = OK;

	for (size_t i = 0; r == OK && m->is_image && i < m->n_layers; i++)
		r = check_layer(&layers, i, &m->layers[i], err);
	return r;
}

static int read_head(const struct jnode *root, struct manifest *m, struct err *err)
{
	const char *artifact_type = "";
	int r = document_classify(root, NULL, &m->kind, err);

	if (r == OK && !media_is_manifest(m->kind))
		return jnode_fail(root, E_BAD_CONTENT, err, "is an index, not an image manifest");
	if (r == OK)
		r = document_check_common(root, &artifact_type, err);
	if (r < 0)
		return r;
	m->artifact_type = strdup(artifact_type);
	return m->artifact_type ? OK : fail_nomem(err);
}

static int read_manifest(const struct jnode *root, struct manifest *m, struct err *err)
{
	struct jnode config = jnode_member(root, "config");
	int r = read_head(root, m, err);

	if (r == OK)
		r = descriptor_read(&config, m->kind == MEDIA_DOCKER_MANIFEST, &m->config, err);
	if (r < 0)
		return r;
	m->is_image = is_image(m);
	r = read_layers(root, m, err);
	return r < 0 ? r : check_total(root, m, err);
}

static int parse(struct bytes json, bool any, struct manifest *ret_manifest, struct err *err)
{
	CLEANUP(jnode_close) struct jnode root = { 0 };
	CLEANUP(manifest_free) struct manifest m = { 0 };
	int r = jnode_open(json, "manifest", MANIFEST_BYTES_MAX, &root, err);

	if (r == OK)
		r = read_manifest(&root, &m, err);
	if (r == OK && !any)
		r = check_layers(&root, &m, err);
	if (r < 0)
		return r;
	*ret_manifest = TAKE(m);
	return OK;
}

int manifest_parse(struct bytes json, struct manifest *ret_manifest, struct err *err)
{
	return parse(json, false, ret_manifest, err);
}

int manifest_parse_any(struct bytes json, struct manifest *ret_manifest, struct err *err)
{
	return parse(json, true, ret_manifest, err);
}

void manifest_free(struct manifest *m)
{
	descriptor_free(&m->config);
	descriptors_free(m->layers, m->n_layers);
	free(m->artifact_type);
	*m = (struct manifest){ 0 };
}
