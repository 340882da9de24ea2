#include "store/image/names.h"

#include "store/internal.h"
#include "store/record.h"

enum { COLLECTED_BYTES_MAX = 64 * 1024 * 1024 };

/* Things of one range, copied out of its snapshot. */
struct collected {
	struct buf bytes;
	size_t n;
};

static void collected_free(struct collected *c)
{
	buf_free(&c->bytes);
}

static bool collect(struct collected *c, const void *data, size_t len)
{
	bool ok = buf_append(&c->bytes, data, len);

	c->n += ok;
	return ok;
}

/* ---- manifests ------------------------------------------------------------ */

static bool keep_manifest(void *arg, struct bytes key, UNUSED struct bytes value, UNUSED uint64_t revision)
{
	struct digest config, manifest;

	return !key_parse_config(key, &config, &manifest) || collect(arg, &manifest, sizeof manifest);
}

int manifests_of(struct store *s, const struct digest *config, struct arena *arena, struct digest **ret_manifests,
		 size_t *ret_n, struct err *err)
{
	CLEANUP(collected_free) struct collected c = { .bytes = BUF_INIT(COLLECTED_BYTES_MAX) };
	struct key prefix = key_config_prefix(config);
	struct digest *manifests;
	int r = meta_prefix(s->shared, key_bytes(&prefix), keep_manifest, &c, err);

	if (r != OK)
		return r;
	if (!buf_ok(&c.bytes))
		return fail_nomem(err);
	manifests = arena_array(arena, c.n + 1, sizeof *manifests);
	if (!manifests)
		return record_fail_arena(arena, (c.n + 1) * sizeof *manifests, err);
	if (c.n)
		memcpy(manifests, c.bytes.data, c.n * sizeof *manifests);
	*ret_manifests = manifests;
	*ret_n = c.n;
	return OK;
}

struct first {
	struct digest manifest;
	char name[REFERENCE_TEXT_MAX];
	bool found;
};

static bool first_manifest(void *arg, struct bytes key, UNUSED struct bytes value, UNUSED uint64_t revision)
{
	struct first *f = arg;
	struct digest config;

	f->found = key_parse_config(key, &config, &f->manifest);
	return !f->found;
}

int first_manifest_of(struct store *s, const struct digest *config, struct digest *ret_manifest, struct err *err)
{
	struct key prefix = key_config_prefix(config);
	struct first f = { .found = false };
	int r = meta_prefix(s->shared, key_bytes(&prefix), first_manifest, &f, err);

	if (r == OK && !f.found)
		r = fail(err, E_NOT_FOUND, "no image of this configuration");
	if (r == OK)
		*ret_manifest = f.manifest;
	return r;
}

/* ---- names ---------------------------------------------------------------- */

static bool keep_name(void *arg, struct bytes key, UNUSED struct bytes value, UNUSED uint64_t revision)
{
	struct edge_parent parent;
	struct digest child;

	return !key_parse_edge(key, &child, &parent) || collect(arg, parent.reference, strlen(parent.reference) + 1);
}

static int by_text(const void *a, const void *b)
{
	return strcmp(*(char *const *)a, *(char *const *)b);
}

int names_of(struct store *s, const struct digest *manifests, size_t n, struct arena *arena, char ***ret_names,
	     size_t *ret_n, struct err *err)
{
	CLEANUP(collected_free) struct collected c = { .bytes = BUF_INIT(COLLECTED_BYTES_MAX) };
	char **names, *texts;
	int r = OK;

	for (size_t i = 0; r == OK && i < n; i++) {
		struct key prefix = key_edge_kind_prefix(&manifests[i], EDGE_NAME);

		r = meta_prefix(s->shared, key_bytes(&prefix), keep_name, &c, err);
	}
	if (r != OK)
		return r;
	if (!buf_ok(&c.bytes))
		return fail_nomem(err);
	names = arena_array(arena, c.n + 1, sizeof *names);
	texts = arena_alloc(arena, c.bytes.len + 1);
	if (!names || !texts)
		return record_fail_arena(arena, (c.n + 1) * sizeof *names + c.bytes.len + 1, err);
	if (c.n)
		memcpy(texts, c.bytes.data, c.bytes.len);
	for (size_t i = 0; i < c.n; i++, texts += strlen(texts) + 1)
		names[i] = texts;
	if (n > 1) /* those of one manifest come in order */
		qsort(names, c.n, sizeof *names, by_text);
	*ret_names = names;
	*ret_n = c.n;
	return OK;
}

static bool first_name(void *arg, struct bytes key, UNUSED struct bytes value, UNUSED uint64_t revision)
{
	struct edge_parent parent;
	struct first *f = arg;
	struct digest child;

	if (!key_parse_edge(key, &child, &parent))
		return true;
	if (!f->found || strcmp(parent.reference, f->name) < 0)
		memcpy(f->name, parent.reference, sizeof f->name);
	f->found = true;
	return false;
}

int first_name_of(struct store *s, const struct digest *manifests, size_t n, char ret_name[REFERENCE_TEXT_MAX],
		  struct err *err)
{
	struct first f = { .found = false };
	int r = OK;

	for (size_t i = 0; r == OK && i < n; i++) {
		struct key prefix = key_edge_kind_prefix(&manifests[i], EDGE_NAME);

		r = meta_prefix(s->shared, key_bytes(&prefix), first_name, &f, err);
	}
	memcpy(ret_name, f.name, sizeof f.name);
	return r;
}
