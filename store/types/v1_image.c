#include "store/types/v1_image.h"

#include "store/types/go_json.h"
#include "store/types/json.h"
#include "store/types/v1_document.h"

/* ---- saving ---------------------------------------------------------------------- */

static json_t *document_of(const struct v1_layer *l, const struct v1_head *head)
{
	return l->number + 1 == l->config->n_diff_ids ? v1_document_of(head, l->config) : v1_document_of_nothing(head);
}

/* The os of a lower layer is written, but makes no part of its ID. */
static json_t *identity_of(const struct v1_layer *l)
{
	bool top = l->number + 1 == l->config->n_diff_ids;
	const struct v1_head head = { .os = top ? l->config->platform.os : NULL };
	json_t *object = document_of(l, &head);
	char text[DIGEST_TEXT_MAX];

	if (json_object_set_new(object, "layer_id", json_string(digest_text(&l->chain, text))) < 0 ||
	    (digest_is_set(&l->parent) &&
	     json_object_set_new(object, "parent", json_string(digest_text(&l->parent, text))) < 0)) {
		json_decref(object);
		return NULL;
	}
	return object;
}

int v1_layer_id(const struct v1_layer *l, struct digest *ret_id, struct err *err)
{
	CLEANUP(buf_free) struct buf body = BUF_INIT(V1_JSON_BYTES_MAX);
	json_t *object = identity_of(l);
	int r = object ? go_json_put_sorted(object, &body, err) : fail_nomem(err);

	json_decref(object);
	if (r == OK)
		digest_of(DIGEST_SHA256, buf_bytes(&body), ret_id);
	return r;
}

int v1_layer_write(const struct v1_layer *l, const struct digest *id, struct buf *out, struct err *err)
{
	char own[DIGEST_TEXT_MAX], parent[DIGEST_TEXT_MAX];
	const struct v1_head head = {
		.id = digest_hex(id, own),
		.parent = digest_is_set(&l->parent) ? digest_hex(&l->parent, parent) : NULL,
		.os = l->config->platform.os,
	};
	json_t *object = document_of(l, &head);
	int r = object ? go_json_put(object, out, err) : fail_nomem(err);

	json_decref(object);
	return r;
}

/* ---- loading --------------------------------------------------------------------- */

/* One part of a path. */
static bool is_directory_name(const char *name)
{
	return *name && strlen(name) <= V1_NAME_MAX && !strchr(name, '/') && strcmp(name, ".") != 0 &&
	       strcmp(name, "..") != 0;
}

int v1_image_parse(struct bytes json, struct v1_image *ret_image, struct err *err)
{
	CLEANUP(jnode_close) struct jnode root = { 0 };
	struct v1_image image = { .parent = "" };
	const char *parent = "", *os = "";
	struct jnode parent_node, os_node;
	int r = jnode_open(json, "json", CONFIG_BYTES_MAX, &root, err);

	if (r != OK)
		return r;
	parent_node = jnode_member(&root, "parent");
	os_node = jnode_member(&root, "os");
	if (jnode_text(&parent_node, JSON_TEXT_MAX, &parent, err) < 0 ||
	    jnode_text(&os_node, PLATFORM_PART_MAX - 1, &os, err) < 0)
		return err ? err->code : E_BAD_CONTENT;
	if (*parent && !is_directory_name(parent))
		return jnode_fail(&parent_node, E_BAD_CONTENT, err, "not the ID of an image");
	memcpy(image.parent, parent, strlen(parent) + 1);
	memcpy(image.os, os, strlen(os) + 1);
	*ret_image = image;
	return OK;
}

/* The number that a version begins with, or that stands behind its next dot; as Go's Atoi
 * has it, whatever is no number is 0. */
static long next_part(const char **version)
{
	size_t len = strcspn(*version, "."), digits = strspn(*version, "0123456789");
	long part = digits == len && len < 10 ? strtol(*version, NULL, 10) : 0;

	*version += len + ((*version)[len] == '.');
	return part;
}

/* Before 1.8.3 docker wrote members that mean nothing; of its documents only what is known
 * is taken over. */
static bool is_old(const char *docker_version)
{
	static const long first[] = { 1, 8, 3 };

	for (size_t i = 0; i < ARRAY_LEN(first); i++) {
		long part = next_part(&docker_version);

		if (part != first[i])
			return part < first[i];
	}
	return false;
}

static json_t *without_place(json_t *root)
{
	static const char *const place[] = { "id", "parent", "Size", "parent_id", "layer_id", "throwaway" };

	for (size_t i = 0; i < ARRAY_LEN(place); i++)
		json_object_del(root, place[i]);
	return json_incref(root);
}

/* A list of the parent's and one more; takes the item over. */
static json_t *with_one_more(const json_t *list, json_t *item)
{
	json_t *longer = json_is_array(list) ? json_copy((json_t *)list) : json_array();

	if (!json_array_append_new(longer, item))
		return longer;
	json_decref(longer);
	return NULL;
}

static json_t *rootfs_of(const json_t *below, const struct digest *diff_id)
{
	const json_t *layers = json_object_get(json_object_get(below, "rootfs"), "diff_ids");
	char text[DIGEST_TEXT_MAX];

	return json_pack("{s:s, s:o}", "type", "layers", "diff_ids",
			 with_one_more(layers, json_string(digest_text(diff_id, text))));
}

static json_t *config_of(json_t *root, const struct image_config *c, const json_t *below, const struct digest *diff_id)
{
	json_t *config = is_old(c->docker_version) ? v1_document_of(&(struct v1_head){ .os = c->platform.os }, c)
						   : without_place(root);
	const json_t *before = json_object_get(below, "history");

	if (!json_object_set_new(config, "rootfs", rootfs_of(below, diff_id)) &&
	    !json_object_set_new(config, "history", with_one_more(before, v1_history_entry(c))))
		return config;
	json_decref(config);
	return NULL;
}

int v1_config_write(struct bytes json, struct bytes below, const struct digest *diff_id, struct buf *out,
		    struct err *err)
{
	CLEANUP(jnode_close) struct jnode root = { 0 };
	CLEANUP(jnode_close) struct jnode parent = { 0 };
	CLEANUP(image_config_free) struct image_config c = { .n_diff_ids = 0 };
	json_t *config;
	int r = image_config_parse_v1(json, &c, err);

	if (r == OK)
		r = jnode_open(json, "json", CONFIG_BYTES_MAX, &root, err);
	if (r == OK && below.len)
		r = jnode_open(below, "config", CONFIG_BYTES_MAX, &parent, err);
	if (r != OK)
		return r;
	config = config_of(root.value, &c, parent.value, diff_id);
	r = config ? go_json_put_sorted(config, out, err) : fail_nomem(err);
	json_decref(config);
	return r;
}

/* ---- repositories ------------------------------------------------------------------ */

static int fail_tags(const json_t *value, const char *type, struct err *err)
{
	const char *found = json_is_array(value)    ? "array"
			    : json_is_object(value) ? "object"
			    : json_is_string(value) ? "string"
			    : json_is_number(value) ? "number"
						    : "bool";

	return fail(err, E_BAD_CONTENT, "json: cannot unmarshal %s into Go value of type %s", found, type);
}

static int add_tag(struct v1_tags *t, const char *name, const char *tag, const json_t *id, struct err *err)
{
	struct v1_tag *one = &t->items[t->n];

	if (!json_is_string(id))
		return fail_tags(id, "string", err);
	one->name = format("%s:%s", name, tag);
	one->id = strdup(json_string_value(id));
	t->n++;
	return one->name && one->id ? OK : fail_nomem(err);
}

static int add_tags(struct v1_tags *t, const char *name, json_t *tags, struct err *err)
{
	struct v1_tag *larger;
	const char *tag;
	json_t *id;
	int r = OK;

	if (json_is_null(tags))
		return OK;
	if (!json_is_object(tags))
		return fail_tags(tags, "map[string]string", err);
	if (json_object_size(tags) > V1_TAGS_MAX - t->n)
		return fail(err, E_LIMIT, "repositories: more than %d names", V1_TAGS_MAX);
	larger = reallocarray(t->items, t->n + json_object_size(tags) + 1, sizeof *larger);
	if (!larger)
		return fail_nomem(err);
	t->items = larger;
	json_object_foreach(tags, tag, id)
	{
		r = add_tag(t, name, tag, id, err);
		if (r != OK)
			return r;
	}
	return r;
}

static int compare_tags(const void *a, const void *b)
{
	return strcmp(((const struct v1_tag *)a)->name, ((const struct v1_tag *)b)->name);
}

int v1_tags_parse(struct bytes json, struct v1_tags *ret_tags, struct err *err)
{
	CLEANUP(jnode_close) struct jnode root = { 0 };
	CLEANUP(v1_tags_free) struct v1_tags t = { .n = 0 };
	int r = jnode_open_any(json, "repositories", V1_TAGS_BYTES_MAX, &root, err);
	const char *name;
	json_t *tags;

	if (r == OK && !json_is_object(root.value))
		r = fail_tags(root.value, "map[string]map[string]string", err);
	if (r != OK)
		return r;
	json_object_foreach(root.value, name, tags)
	{
		r = add_tags(&t, name, tags, err);
		if (r != OK)
			return r;
	}
	if (t.n)
		qsort(t.items, t.n, sizeof *t.items, compare_tags);
	*ret_tags = TAKE(t);
	return OK;
}

void v1_tags_free(struct v1_tags *t)
{
	for (size_t i = 0; i < t->n; i++) {
		free(t->items[i].name);
		free(t->items[i].id);
	}
	free(t->items);
	*t = (struct v1_tags){ .n = 0 };
}
