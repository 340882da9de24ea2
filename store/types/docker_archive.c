#include "store/types/docker_archive.h"

#include "store/types/json.h"

typedef int read_text_fn(const struct jnode *n, char **ret_text, struct err *err);

/* ---- texts ----------------------------------------------------------------- */

static int read_tag(const struct jnode *n, char **ret_text, struct err *err)
{
	int r = jnode_require(n, err);

	return r == OK ? jnode_string(n, MEMBER_NAME_MAX, ret_text, err) : r;
}

static int read_member(const struct jnode *n, char **ret_text, struct err *err)
{
	char name[MEMBER_NAME_ROOM];
	struct err why = ERR_INIT;
	const char *text = "";
	int r = jnode_require(n, err);

	if (r == OK)
		r = jnode_text(n, JSON_TEXT_MAX, &text, err);
	if (r < 0)
		return r;
	if (member_name_normalize(bytes_of(text), name, &why) < 0)
		return jnode_fail(n, E_BAD_CONTENT, err, "%s", why.text);
	*ret_text = strdup(name);
	return *ret_text ? OK : fail_nomem(err);
}

static void free_texts(char **texts, size_t count)
{
	for (size_t i = 0; texts && i < count; i++)
		free(texts[i]);
	free(texts);
}

/* An array of texts; null and absent are an empty one. *ret_texts and *ret_count are
 * the caller's to free also after a failure. */
static int read_texts(const struct jnode *n, size_t max, read_text_fn *read, char ***ret_texts, size_t *ret_count,
		      struct err *err)
{
	size_t count;
	int r = jnode_array(n, max, &count, err);

	if (r < 0)
		return r;
	*ret_texts = calloc(count ? count : 1, sizeof **ret_texts);
	if (!*ret_texts)
		return fail_nomem(err);
	*ret_count = count;
	for (size_t i = 0; r == OK && i < count; i++) {
		struct jnode item = jnode_item(n, i);

		r = read(&item, &(*ret_texts)[i], err);
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
	struct jnode config = jnode_member(n, "Config"), layers = jnode_member(n, "Layers");
	struct jnode tags = jnode_member(n, "RepoTags"), parent = jnode_member(n, "Parent");
	int r = jnode_require(n, err);

	if (r == OK)
		r = jnode_object(n, err);
	if (r == OK)
		r = read_member(&config, &image->config, err);
	if (r == OK)
		r = read_texts(&layers, MANIFEST_LAYERS_MAX, read_member, &image->layers, &image->n_layers, err);
	if (r == OK)
		r = read_texts(&tags, DOCKER_ARCHIVE_TAGS_MAX, read_tag, &image->repo_tags, &image->n_repo_tags, err);
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

/* What Go writes for a list that was never made; to a JSON parser it is no document. */
static bool is_null(struct bytes json)
{
	static const char space[] = " \t\r\n";

	while (json.len && strchr(space, json.data[0]) && json.data[0]) {
		json.data++;
		json.len--;
	}
	while (json.len && strchr(space, json.data[json.len - 1]) && json.data[json.len - 1])
		json.len--;
	return json.len == 4 && !memcmp(json.data, "null", 4);
}

int docker_archive_parse(struct bytes json, struct docker_archive *ret_archive, struct err *err)
{
	CLEANUP(jnode_close) struct jnode root = { 0 };
	CLEANUP(docker_archive_free) struct docker_archive a = { 0 };
	int r;

	if (is_null(json))
		return fail(err, E_BAD_CONTENT, "manifest.json: null instead of a list of images");
	r = jnode_open_array(json, "manifest.json", DOCKER_ARCHIVE_BYTES_MAX, &root, err);
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
