#include "store/types/image_config.h"

#include "store/types/container_config.h"

enum { HISTORY_MAX = 4096 };

static int read_part(const struct jnode *root, const char *name, char out[PLATFORM_PART_MAX], struct err *err)
{
	struct jnode n = jnode_member(root, name);
	const char *text;
	int r = jnode_text(&n, PLATFORM_PART_MAX - 1, &text, err);

	if (r == OK)
		memcpy(out, text, strlen(text) + 1);
	return r;
}

static int read_platform(const struct jnode *root, struct platform *p, struct err *err)
{
	int r = read_part(root, "architecture", p->architecture, err);

	if (r == OK)
		r = read_part(root, "variant", p->variant, err);
	if (r == OK)
		r = read_part(root, "os", p->os, err);
	if (r == OK)
		r = read_part(root, "os.version", p->os_version, err);
	return r;
}

static int read_time(const struct jnode *parent, const char *name, struct timestamp *ret_time, int32_t *ret_zone,
		     struct err *err)
{
	struct jnode n = jnode_member(parent, name);
	struct err why = ERR_INIT;
	const char *text;
	int r = jnode_text(&n, 4096, &text, err);

	if (r < 0 || !jnode_present(&n))
		return r;
	if (timestamp_parse_zoned(text, ret_time, ret_zone, &why) < 0)
		return jnode_fail(&n, E_BAD_CONTENT, err, "%s", why.text);
	return OK;
}

static int read_diff_ids(const struct jnode *n, struct image_config *c, struct err *err)
{
	size_t count;
	int r = jnode_array(n, MANIFEST_LAYERS_MAX, &count, err);

	if (r < 0)
		return r;
	c->diff_ids = calloc(count ? count : 1, sizeof *c->diff_ids);
	if (!c->diff_ids)
		return fail_nomem(err);
	for (size_t i = 0; r == OK && i < count; i++) {
		struct jnode item = jnode_item(n, i);

		r = jnode_digest(&item, &c->diff_ids[i], err);
	}
	c->n_diff_ids = count;
	return r;
}

static int read_rootfs(const struct jnode *root, struct image_config *c, struct err *err)
{
	struct jnode rootfs = jnode_member(root, "rootfs"), type = jnode_member(&rootfs, "type");
	struct jnode diff_ids = jnode_member(&rootfs, "diff_ids");
	const char *text = "";
	int r = jnode_require(&rootfs, err);

	if (r == OK)
		r = jnode_object(&rootfs, err);
	if (r == OK)
		r = jnode_text(&type, 64, &text, err);
	if (r < 0)
		return r;
	if (*text && strcmp(text, "layers"))
		return jnode_fail(&type, E_UNSUPPORTED, err, "only \"layers\" is supported");
	return read_diff_ids(&diff_ids, c, err);
}

static int read_history_entry(const struct jnode *n, struct history *h, struct err *err)
{
	struct jnode empty = jnode_member(n, "empty_layer");
	int r = jnode_require(n, err);

	if (r == OK)
		r = jnode_object(n, err);
	if (r == OK)
		r = read_time(n, "created", &h->created, &(int32_t){ 0 }, err);
	if (r == OK)
		r = jnode_member_string(n, "created_by", &h->created_by, err);
	if (r == OK)
		r = jnode_member_string(n, "author", &h->author, err);
	if (r == OK)
		r = jnode_member_string(n, "comment", &h->comment, err);
	if (r == OK)
		r = jnode_bool(&empty, &h->empty_layer, err);
	return r;
}

static int read_history(const struct jnode *root, struct image_config *c, struct err *err)
{
	struct jnode n = jnode_member(root, "history");
	size_t count;
	int r = jnode_array(&n, HISTORY_MAX, &count, err);

	if (r < 0)
		return r;
	c->history = calloc(count ? count : 1, sizeof *c->history);
	if (!c->history)
		return fail_nomem(err);
	c->n_history = count;
	for (size_t i = 0; r == OK && i < count; i++) {
		struct jnode item = jnode_item(&n, i);

		r = read_history_entry(&item, &c->history[i], err);
	}
	return r;
}

static int read_texts(const struct jnode *root, struct image_config *c, struct err *err)
{
	int r = jnode_member_string(root, "author", &c->author, err);

	if (r == OK)
		r = jnode_member_string(root, "comment", &c->comment, err);
	if (r == OK)
		r = jnode_member_string(root, "docker_version", &c->docker_version, err);
	if (r == OK)
		r = jnode_member_string(root, "container", &c->container, err);
	return r;
}

/* All but the layers and the history. */
static int read_own(const struct jnode *root, struct image_config *c, struct err *err)
{
	struct jnode config = jnode_member(root, "config"), old = jnode_member(root, "container_config");
	int r = read_platform(root, &c->platform, err);

	if (r == OK)
		r = read_time(root, "created", &c->created, &c->created_zone, err);
	if (r == OK)
		r = read_texts(root, c, err);
	if (r == OK)
		r = container_config_read(&config, &c->config, err);
	if (r == OK)
		r = container_config_read(&old, &c->container_config, err);
	return r;
}

static int read_config(const struct jnode *root, struct image_config *c, struct err *err)
{
	int r = read_own(root, c, err);

	if (r == OK)
		r = read_rootfs(root, c, err);
	if (r == OK)
		r = read_history(root, c, err);
	return r;
}

typedef int read_fn(const struct jnode *root, struct image_config *c, struct err *err);

static int parse(struct bytes json, const char *document, read_fn *read, struct image_config *ret_config,
		 struct err *err)
{
	CLEANUP(jnode_close) struct jnode root = { 0 };
	CLEANUP(image_config_free) struct image_config c = { 0 };
	int r = jnode_open(json, document, CONFIG_BYTES_MAX, &root, err);

	if (r == OK)
		r = read(&root, &c, err);
	if (r < 0)
		return r;
	*ret_config = TAKE(c);
	return OK;
}

int image_config_parse(struct bytes json, struct image_config *ret_config, struct err *err)
{
	return parse(json, "config", read_config, ret_config, err);
}

int image_config_parse_v1(struct bytes json, struct image_config *ret_config, struct err *err)
{
	return parse(json, "json", read_own, ret_config, err);
}

void image_config_free(struct image_config *c)
{
	for (size_t i = 0; i < c->n_history; i++) {
		free(c->history[i].created_by);
		free(c->history[i].author);
		free(c->history[i].comment);
	}
	free(c->history);
	free(c->diff_ids);
	free(c->author);
	free(c->comment);
	free(c->docker_version);
	free(c->container);
	container_config_clear(&c->config);
	container_config_clear(&c->container_config);
	*c = (struct image_config){ 0 };
}

int image_config_check_layers(const struct image_config *c, size_t n_layers, struct err *err)
{
	size_t filled = 0;

	for (size_t i = 0; i < c->n_history; i++)
		filled += !c->history[i].empty_layer;
	if (c->n_diff_ids != n_layers)
		return fail(err, E_BAD_CONTENT, "config: rootfs.diff_ids: %zu entries, but the manifest has %zu layers",
			    c->n_diff_ids, n_layers);
	if (filled > n_layers)
		return fail(err, E_BAD_CONTENT, "config: history: %zu entries with a layer, but there are %zu layers",
			    filled, n_layers);
	return OK;
}

static struct digest chain_link(const struct digest *parent, const struct digest *diff_id)
{
	char text[DIGEST_TEXT_MAX];
	struct hasher h;

	hasher_init(&h, DIGEST_SHA256);
	digest_text(parent, text);
	hasher_update(&h, text, strlen(text));
	hasher_update(&h, " ", 1);
	digest_text(diff_id, text);
	hasher_update(&h, text, strlen(text));
	return hasher_final(&h);
}

struct digest chain_id(const struct digest *diff_ids, size_t n)
{
	struct digest chain = { 0 };

	for (size_t i = 0; i < n; i++)
		chain = i ? chain_link(&chain, &diff_ids[i]) : diff_ids[0];
	return chain;
}
