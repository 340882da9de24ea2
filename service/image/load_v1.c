/* Archives without manifest.json and index.json: docker's first format, of Docker 1. Each
 * directory is an image of one layer that may have a parent, and "repositories" gives names.
 * The configuration of what stands on top is made as docker makes it, so that its ID is
 * the same; what lies below is none of its own unless it has a name. */
#include "service/image/load.h"
#include "store/types/descriptor.h"
#include "store/types/v1_image.h"

enum { NAME_SHOWN_MAX = 100 };

struct node {
	char name[V1_NAME_MAX + 1];
	struct load_member *json, *layer;
	char parent[V1_NAME_MAX + 1];
	bool is_parent;
	UT_hash_handle hh;
};

struct nodes {
	struct load *load;
	struct node *by_name;
	struct v1_tags tags;
};

static void nodes_free(struct nodes *n)
{
	struct node *node, *next;

	for (node = n->by_name; node; node = next) {
		next = node->hh.next;
		HASH_DEL(n->by_name, node);
		free(node);
	}
	v1_tags_free(&n->tags);
}

static struct node *find(const struct nodes *n, const char *name)
{
	struct node *node;

	HASH_FIND_STR(n->by_name, name, node);
	return node;
}

/* ---- directories ------------------------------------------------------------------- */

static struct load_member *find_in(struct load *l, const char *directory, const char *file)
{
	char name[V1_NAME_MAX + sizeof "/layer.tar"];

	snprintf(name, sizeof name, "%s/%s", directory, file);
	return load_find(l, name);
}

static int fail_without(const struct load *l, const char *directory, const char *file, struct err *err)
{
	char name[V1_NAME_MAX + sizeof "/layer.tar"];

	snprintf(name, sizeof name, "%s/%s", directory, file);
	return load_fail_missing(l, name, err);
}

static int fail_node(const struct node *node, struct err *err)
{
	char shown[NAME_SHOWN_MAX];

	return err_wrap(err, "%s", printable_text(node->name, shown, sizeof shown));
}

static int add_node(struct nodes *n, const char *name, size_t len, struct err *err)
{
	struct node *node = calloc(1, sizeof *node);

	if (!node)
		return fail_nomem(err);
	snprintf(node->name, sizeof node->name, "%.*s", (int)len, name);
	if (find(n, node->name)) {
		free(node);
		return OK;
	}
	node->json = find_in(n->load, node->name, "json");
	node->layer = find_in(n->load, node->name, "layer.tar");
	HASH_ADD_STR(n->by_name, name, node);
	if (HASH_ADDED(node))
		return OK;
	free(node);
	return fail_nomem(err);
}

/* Each directory that something lies in is an image. */
static int add_nodes(struct nodes *n, struct err *err)
{
	for (struct load_member *m = n->load->members; m; m = m->hh.next) {
		const char *slash = strchr(m->name, '/');
		size_t len = slash ? (size_t)(slash - m->name) : 0;

		char shown[NAME_SHOWN_MAX];

		if (len > V1_NAME_MAX)
			return fail(err, E_BAD_CONTENT, "archive member \"%s\": its name is no ID of an image",
				    printable_text(m->name, shown, sizeof shown));
		if (slash && add_node(n, m->name, len, err) < 0)
			return err->code;
	}
	return OK;
}

static int compare_names(const struct node *a, const struct node *b)
{
	return strcmp(a->name, b->name);
}

static int read_json(struct load *l, const struct node *node, struct buf *out, struct err *err)
{
	if (node->json->blob)
		return load_blob_read(l, node->json->blob, out, err);
	return load_read_member(l, node->json, out, err);
}

static int read_node(struct nodes *n, struct node *node, struct err *err)
{
	CLEANUP(buf_free) struct buf json = BUF_INIT(CONFIG_BYTES_MAX);
	struct v1_image image;

	if (!node->json)
		return fail_without(n->load, node->name, "json", err);
	if (!node->layer)
		return fail_without(n->load, node->name, "layer.tar", err);
	if (read_json(n->load, node, &json, err) < 0 || v1_image_parse(buf_bytes(&json), &image, err) < 0)
		return fail_node(node, err);
	if (*image.os && strcmp(image.os, "linux") != 0)
		return fail(err, E_UNSUPPORTED, "cannot load %s image on linux", image.os);
	snprintf(node->parent, sizeof node->parent, "%s", image.parent);
	return OK;
}

static int read_nodes(struct nodes *n, struct err *err)
{
	HASH_SORT(n->by_name, compare_names);
	for (struct node *node = n->by_name; node; node = node->hh.next) {
		struct node *parent;

		if (read_node(n, node, err) < 0)
			return err->code;
		parent = *node->parent ? find(n, node->parent) : NULL;
		if (*node->parent && !parent)
			return fail_without(n->load, node->parent, "json", err);
		if (parent)
			parent->is_parent = true;
	}
	return OK;
}

/* ---- names --------------------------------------------------------------------------- */

static int read_tags(struct nodes *n, struct err *err)
{
	CLEANUP(buf_free) struct buf body = BUF_INIT(V1_TAGS_BYTES_MAX);
	struct load_member *m = load_find(n->load, "repositories");

	if (!m)
		return load_fail_missing(n->load, "repositories", err);
	if (load_read_member(n->load, m, &body, err) < 0 || v1_tags_parse(buf_bytes(&body), &n->tags, err) < 0)
		return err->code;
	for (size_t i = 0; i < n->tags.n; i++) {
		char shown[NAME_SHOWN_MAX];

		if (!find(n, n->tags.items[i].id))
			return fail(err, E_BAD_CONTENT, "invalid target ID: %s",
				    printable_text(n->tags.items[i].id, shown, sizeof shown));
	}
	return OK;
}

static bool is_named(const struct nodes *n, const struct node *node)
{
	for (size_t i = 0; i < n->tags.n; i++)
		if (!strcmp(n->tags.items[i].id, node->name))
			return true;
	return false;
}

/* ---- images --------------------------------------------------------------------------- */

/* From the top down to what has no parent. */
struct lineage {
	struct node *nodes[MANIFEST_LAYERS_MAX];
	size_t n;
};

static int trace(const struct nodes *n, struct node *top, struct lineage *x, struct err *err)
{
	x->n = 0;
	for (struct node *node = top; node; node = *node->parent ? find(n, node->parent) : NULL) {
		if (x->n == MANIFEST_LAYERS_MAX)
			return fail(err, E_BAD_CONTENT, "an image has more than %d layers, or is its own parent",
				    MANIFEST_LAYERS_MAX);
		x->nodes[x->n++] = node;
	}
	return OK;
}

/* The configuration with one more layer. */
static int add_layer(struct load *l, const struct node *node, struct buf *config, struct err *err)
{
	CLEANUP(buf_free) struct buf json = BUF_INIT(CONFIG_BYTES_MAX), next = BUF_INIT(CONFIG_BYTES_MAX);

	if (cancel_check(l->cancel, err) < 0 || load_bring(l, node->layer, NULL, err) < 0 ||
	    load_layer_look(l, node->layer->blob, err) < 0 || read_json(l, node, &json, err) < 0)
		return err->code;
	if (v1_config_write(buf_bytes(&json), buf_bytes(config), &node->layer->blob->facts->diff_id, &next, err) < 0)
		return fail_node(node, err);
	if (load_account_document(l, (int64_t)next.len, err) < 0)
		return err->code;
	buf_free(config);
	*config = TAKE(next);
	return OK;
}

static void entry_free(struct docker_archive_image *entry)
{
	free(entry->layers);
	free(entry->repo_tags);
}

static int describe(const struct nodes *n, const struct lineage *x, struct docker_archive_image *entry, struct err *err)
{
	entry->layers = calloc(x->n + 1, sizeof *entry->layers);
	entry->repo_tags = calloc(n->tags.n + 1, sizeof *entry->repo_tags);
	if (!entry->layers || !entry->repo_tags)
		return fail_nomem(err);
	for (; entry->n_layers < x->n; entry->n_layers++)
		entry->layers[entry->n_layers] = x->nodes[x->n - 1 - entry->n_layers]->layer->name;
	for (size_t i = 0; i < n->tags.n; i++)
		if (!strcmp(n->tags.items[i].id, x->nodes[0]->name))
			entry->repo_tags[entry->n_repo_tags++] = n->tags.items[i].name;
	return OK;
}

static int add_image(struct nodes *n, struct node *top, struct lineage *x, struct err *err)
{
	CLEANUP(buf_free) struct buf config = BUF_INIT(CONFIG_BYTES_MAX);
	CLEANUP(entry_free) struct docker_archive_image entry = { .config = top->name };
	struct digest digest;

	if (trace(n, top, x, err) < 0)
		return err->code;
	for (size_t i = x->n; i-- > 0;) {
		if (!i && x->n > 1 && is_named(n, x->nodes[1]))
			digest_of(DIGEST_SHA256, buf_bytes(&config), &entry.parent);
		if (add_layer(n->load, x->nodes[i], &config, err) < 0)
			return err->code;
	}
	if (load_blob_add_bytes(n->load, buf_bytes(&config), &digest, err) < 0 || describe(n, x, &entry, err) < 0)
		return err->code;
	return load_add_described(n->load, &entry, &digest, err);
}

static int add_images(struct nodes *n, struct err *err)
{
	CLEANUP(freep) struct lineage *x = malloc(sizeof *x);

	if (!x)
		return fail_nomem(err);
	for (struct node *node = n->by_name; node; node = node->hh.next)
		if ((!node->is_parent || is_named(n, node)) && add_image(n, node, x, err) < 0)
			return err->code;
	if (n->by_name && !n->load->n_images && !n->load->passed_over)
		return fail(err, E_BAD_CONTENT, "the images of the archive are their own parents");
	return OK;
}

int load_plan_v1(struct load *l, struct err *err)
{
	CLEANUP(nodes_free) struct nodes n = { .load = l };

	if (add_nodes(&n, err) < 0 || read_nodes(&n, err) < 0 || read_tags(&n, err) < 0 || add_images(&n, err) < 0)
		return err->code;
	return OK;
}
