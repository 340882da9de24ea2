#include "store/types/document.h"

#include <strings.h>

static const char schema1_text[] =
	"image uses the Docker schema 1 format, which is no longer supported; push it again with a current tool";

static bool has(const struct jnode *root, const char *name)
{
	return json_object_get(root->value, name) != NULL;
}

static bool has_any(const struct jnode *root, const char *const names[])
{
	for (; *names; names++)
		if (has(root, *names))
			return true;
	return false;
}

/* What servers say that do not know the type; it contradicts nothing. */
static bool is_generic(const char *content_type)
{
	static const char *const names[] = { "application/json", "application/octet-stream", "binary/octet-stream",
					     "text/plain", "text/html" };
	size_t len = strcspn(content_type, "; \t");

	for (size_t i = 0; i < ARRAY_LEN(names); i++)
		if (strlen(names[i]) == len && !strncasecmp(names[i], content_type, len))
			return true;
	return false;
}

static int check_version(const struct jnode *root, struct err *err)
{
	struct jnode version = jnode_member(root, "schemaVersion");
	int64_t value;
	int r = jnode_integer(&version, 1, 2, &value, err);

	if (r < 0)
		return r;
	if (value == 1)
		return fail(err, E_UNSUPPORTED, "%s", schema1_text);
	return OK;
}

/* By the fields alone; each kind excludes the fields of the others. */
static int kind_by_fields(const struct jnode *root, enum media_kind *ret_kind, struct err *err)
{
	static const char *const of_manifest[] = { "config", "layers", NULL };
	static const char *const of_schema1[] = { "fsLayers", "history", NULL };
	bool manifest = has_any(root, of_manifest), index = has(root, "manifests");

	if (has_any(root, of_schema1) && (manifest || index))
		return jnode_fail(root, E_BAD_CONTENT, err, "has fields of several kinds of document");
	if (manifest && index)
		return jnode_fail(root, E_BAD_CONTENT, err,
				  "has fields of several kinds of document: `manifests` beside `%s`",
				  has(root, "layers") ? "layers" : "config");
	if (!manifest && !index)
		return jnode_fail(root, E_BAD_CONTENT, err, "neither an image manifest nor an index");
	*ret_kind = index ? MEDIA_OCI_INDEX : MEDIA_OCI_MANIFEST;
	return OK;
}

/* The kind that a media type claims; MEDIA_UNKNOWN when it claims none. */
static int claimed_kind(const struct jnode *at, const char *text, enum media_kind *ret_kind, struct err *err)
{
	char seen[MEDIA_TYPE_MAX];
	enum media_kind kind = media_type_of(text).kind;

	if (kind == MEDIA_DOCKER_SCHEMA1)
		return fail(err, E_UNSUPPORTED, "%s", schema1_text);
	if (*text && !media_is_index(kind) && !media_is_manifest(kind))
		return jnode_fail(at, E_UNSUPPORTED, err, "unsupported kind of document \"%s\"",
				  printable_text(text, seen, sizeof seen));
	*ret_kind = *text ? kind : MEDIA_UNKNOWN;
	return OK;
}

static int claims(const struct jnode *root, const char *content_type, enum media_kind *ret_kind, struct err *err)
{
	struct jnode type = jnode_member(root, "mediaType");
	enum media_kind own = MEDIA_UNKNOWN, sent = MEDIA_UNKNOWN;
	const char *text = "";
	int r = media_type_read(&type, &text, err);

	if (r == OK)
		r = claimed_kind(&type, text, &own, err);
	if (r == OK && content_type && !is_generic(content_type))
		r = claimed_kind(root, content_type, &sent, err);
	if (r < 0)
		return r;
	if (own != MEDIA_UNKNOWN && sent != MEDIA_UNKNOWN && own != sent)
		return jnode_fail(&type, E_BAD_CONTENT, err, "differs from the Content-Type or the descriptor");
	*ret_kind = own != MEDIA_UNKNOWN ? own : sent;
	return OK;
}

int document_classify(const struct jnode *root, const char *content_type, enum media_kind *ret_kind, struct err *err)
{
	enum media_kind claimed = MEDIA_UNKNOWN, seen = MEDIA_UNKNOWN;
	int r = check_version(root, err);

	if (r == OK)
		r = claims(root, content_type, &claimed, err);
	if (r == OK)
		r = kind_by_fields(root, &seen, err);
	if (r < 0)
		return r;
	if (claimed == MEDIA_UNKNOWN)
		claimed = seen;
	if (media_is_index(claimed) != media_is_index(seen))
		return jnode_fail(root, E_BAD_CONTENT, err, "the media type says %s, the fields say %s",
				  media_is_index(claimed) ? "index" : "image manifest",
				  media_is_index(seen) ? "index" : "image manifest");
	*ret_kind = claimed;
	return OK;
}

static int read_subject(const struct jnode *n, struct digest *ret_digest, struct err *err)
{
	CLEANUP(descriptor_free) struct descriptor d = { 0 };
	int r = jnode_present(n) ? descriptor_read(n, false, &d, err) : OK;

	if (r == OK)
		*ret_digest = d.digest;
	return r;
}

int document_subject(struct bytes json, struct digest *ret_subject, struct err *err)
{
	CLEANUP(jnode_close) struct jnode root = { 0 };
	struct jnode subject;
	int r = jnode_open(json, "manifest", MANIFEST_BYTES_MAX, &root, err);

	if (r < 0)
		return r;
	subject = jnode_member(&root, "subject");
	return read_subject(&subject, ret_subject, err);
}

int document_kind(struct bytes json, const char *content_type, enum media_kind *ret_kind, struct err *err)
{
	CLEANUP(jnode_close) struct jnode root = { 0 };
	int r = jnode_open(json, "manifest", MANIFEST_BYTES_MAX, &root, err);

	if (r < 0)
		return r;
	return document_classify(&root, content_type, ret_kind, err);
}

int document_check_common(const struct jnode *root, const char **ret_artifact_type, struct err *err)
{
	struct jnode subject = jnode_member(root, "subject"), annotations = jnode_member(root, "annotations");
	struct jnode artifact = jnode_member(root, "artifactType");
	const char *text = json_string_value(artifact.value);
	struct digest digest;
	int r = read_subject(&subject, &digest, err);

	if (text && !*text)
		artifact.value = NULL;
	if (r == OK)
		r = annotations_check(&annotations, err);
	return r < 0 ? r : media_type_read(&artifact, ret_artifact_type, err);
}
