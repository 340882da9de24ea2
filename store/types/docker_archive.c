#include "store/types/docker_archive.h"

#include "store/types/json.h"

/* ---- texts ----------------------------------------------------------------- */

/* In Go's words, which docker shows. `where`: of the docker_archive_image's; "": the entry itself. */
static int fail_type(const struct jnode *n, const char *field, const char *wanted, struct err *err)
{
	static const char *const names[] = {
		[JSON_OBJECT] = "object", [JSON_ARRAY] = "array", [JSON_STRING] = "string", [JSON_INTEGER] = "number",
		[JSON_REAL] = "number",	  [JSON_TRUE] = "bool",	  [JSON_FALSE] = "bool",    [JSON_NULL] = "null"
	};
	const char *found = names[json_typeof(n->value)];

	if (!field)
		return fail(err, E_BAD_CONTENT, "json: cannot unmarshal %s into Go value of type %s", found, wanted);
	return fail(err, E_BAD_CONTENT, "json: cannot unmarshal %s into Go struct field manifestItem.%s of type %s",
		    found, field, wanted);
}

/* What is absent or null is "". */
static int read_text(const struct jnode *n, const char *field, char **ret_text, struct err *err)
{
	if (n->value && !json_is_string(n->value))
		return fail_type(n, field, "string", err);
	return jnode_string(n, MEMBER_NAME_MAX, ret_text, err);
}

static void free_texts(char **texts, size_t count)
{
	for (size_t i = 0; texts && i < count; i++)
		free(texts[i]);
	free(texts);
}

/* An array of texts; null and absent are an empty one. *ret_texts and *ret_count are
 * the caller's to free also after a failure. */
static int read_texts(const struct jnode *parent, const char *field, size_t max, char ***ret_texts, size_t *ret_count,
		      struct err *err)
{
	struct jnode n = jnode_member(parent, field);
	size_t count;
	int r;

	if (n.value && !json_is_array(n.value))
		return fail_type(&n, field, "[]string", err);
	r = jnode_array(&n, max, &count, err);
	if (r < 0)
		return r;
	*ret_texts = calloc(count ? count : 1, sizeof **ret_texts);
	if (!*ret_texts)
		return fail_nomem(err);
	*ret_count = count;
	for (size_t i = 0; r == OK && i < count; i++) {
		struct jnode item = jnode_item(&n, i);

		r = read_text(&item, field, &(*ret_texts)[i], err);
	}
	return r;
}

static int read_parent(const struct jnode *n, struct digest *ret_parent, struct err *err)
{
	struct err why = ERR_INIT;
	const char *text = "";
	int r = jnode_text(n, DIGEST_TEXT_MAX, &text, err);

	if (r < 0 || !*text)
		return r;
	if (digest_parse(text, ret_parent, &why) < 0)
		return jnode_fail(n, E_BAD_CONTENT, err, "%s", why.text);
	return OK;
}

/* ---- images ---------------------------------------------------------------- */

/* Into zeros, which are filled also on failure. */
static int read_image(const struct jnode *n, struct docker_archive_image *image, struct err *err)
{
	struct jnode config = jnode_member(n, "Config"), parent = jnode_member(n, "Parent");
	int r;

	if (n->value && !json_is_object(n->value))
		return fail_type(n, NULL, "tarexport.manifestItem", err);
	r = read_text(&config, "Config", &image->config, err);
	if (r == OK)
		r = read_texts(n, "RepoTags", DOCKER_ARCHIVE_TAGS_MAX, &image->repo_tags, &image->n_repo_tags, err);
	if (r == OK)
		r = read_texts(n, "Layers", MANIFEST_LAYERS_MAX, &image->layers, &image->n_layers, err);
	if (r == OK)
		r = read_parent(&parent, &image->parent, err);
	return r;
}

static int read_images(const struct jnode *root, struct docker_archive *a, struct err *err)
{
	size_t count;
	int r = jnode_array(root, DOCKER_ARCHIVE_IMAGES_MAX, &count, err);

	if (r < 0)
		return r;
	a->images = calloc(count ? count : 1, sizeof *a->images);
	if (!a->images)
		return fail_nomem(err);
	a->n_images = count;
	for (size_t i = 0; r == OK && i < count; i++) {
		struct jnode item = jnode_item(root, i);

		r = read_image(&item, &a->images[i], err);
	}
	return r;
}

static struct bytes without_space(struct bytes json)
{
	static const char space[] = " \t\r\n";

	while (json.len && strchr(space, json.data[0]) && json.data[0]) {
		json.data++;
		json.len--;
	}
	while (json.len && strchr(space, json.data[json.len - 1]) && json.data[json.len - 1])
		json.len--;
	return json;
}

/* What Go writes for a list that was never made; to a JSON parser it is no document. */
static bool is_null(struct bytes json)
{
	return json.len == 4 && !memcmp(json.data, "null", 4);
}

/* What begins neither a list nor an object, in Go's words; the parser knows no such document. */
static int check_begin(struct bytes json, struct err *err)
{
	char c = json.len ? (char)json.data[0] : 0;
	const char *found = c == '"'				 ? "string"
			    : (c >= '0' && c <= '9') || c == '-' ? "number"
			    : c == 't' || c == 'f'		 ? "bool"
								 : NULL;

	if (!json.len)
		return fail(err, E_BAD_CONTENT, "EOF");
	if (found)
		return fail(err, E_BAD_CONTENT,
			    "json: cannot unmarshal %s into Go value of type []tarexport.manifestItem", found);
	if (c == '[' || c == '{' || is_null(json))
		return OK;
	return fail(err, E_BAD_CONTENT, "invalid character '%c' looking for beginning of value",
		    c >= ' ' && c <= '~' ? c : '?');
}

int docker_archive_parse(struct bytes json, struct docker_archive *ret_archive, struct err *err)
{
	CLEANUP(jnode_close) struct jnode root = { 0 };
	CLEANUP(docker_archive_free) struct docker_archive a = { 0 };
	int r;

	if (check_begin(without_space(json), err) < 0)
		return err ? err->code : E_BAD_CONTENT;
	if (is_null(without_space(json)))
		return fail(err, E_BAD_CONTENT, "invalid manifest, manifest cannot be null (but can be [])");
	r = jnode_open_any(json, "manifest.json", DOCKER_ARCHIVE_BYTES_MAX, &root, err);
	if (r == OK && !json_is_array(root.value))
		r = fail_type(&root, NULL, "[]tarexport.manifestItem", err);
	if (r == OK)
		r = read_images(&root, &a, err);
	if (r < 0)
		return r;
	*ret_archive = TAKE(a);
	return OK;
}

void docker_archive_free(struct docker_archive *a)
{
	for (size_t i = 0; a->images && i < a->n_images; i++) {
		struct docker_archive_image *image = &a->images[i];

		free(image->config);
		free_texts(image->layers, image->n_layers);
		free_texts(image->repo_tags, image->n_repo_tags);
	}
	free(a->images);
	*a = (struct docker_archive){ 0 };
}
