#include "store/image/sources.h"

#include "store/image/image_record.h"
#include "store/internal.h"
#include "store/meta/scan.h"

enum { IMAGES_MAX = 64 };

struct found {
	struct arena *arena;
	const char *domain, *except;
	const char **paths;
	size_t n, max;
};

static bool is_known(const struct found *f, const char *path)
{
	if (!strcmp(path, f->except))
		return true;
	for (size_t i = 0; i < f->n; i++)
		if (!strcmp(f->paths[i], path))
			return true;
	return false;
}

/* "domain/path" of a record. */
static void add(struct found *f, const char *source)
{
	size_t len = strlen(f->domain);
	const char *path = source + len + 1, *kept;

	if (f->n == f->max || strncmp(source, f->domain, len) != 0 || source[len] != '/' || is_known(f, path))
		return;
	kept = arena_string(f->arena, path);
	if (kept)
		f->paths[f->n++] = kept;
}

static void add_of_image(struct store *s, const struct digest *manifest, struct found *f)
{
	enum { RECORD_BYTES = 8 * 1024 * 1024 };
	CLEANUP(arena_free) struct arena a = { .cap = 0 };
	Imaged__Store__V1__ImageRecord *record;
	struct digest config;

	arena_init(&a, RECORD_BYTES);
	if (image_record_get(s, manifest, &a, &record, &config, NULL) != OK)
		return;
	for (size_t i = 0; i < record->n_sources; i++)
		add(f, record->sources[i]);
}

size_t blob_sources(struct store *s, const struct digest *blob, const char *domain, const char *except,
		    struct arena *arena, const char **ret_paths, size_t max)
{
	CLEANUP(freep) struct meta_scan *scan = malloc(sizeof *scan);
	struct found f = { arena, domain, except, ret_paths, 0, max };
	struct key prefix = key_edge_kind_prefix(blob, EDGE_MANIFEST);
	const struct key *k;

	if (!scan)
		return 0;
	meta_scan_prefix(scan, s->shared, &prefix);
	for (unsigned i = 0; i < IMAGES_MAX && f.n < max; i++) {
		struct edge_parent parent;
		struct digest child;

		if (meta_scan_next(scan, &k, NULL, NULL) != OK || !k)
			break;
		if (key_parse_edge(key_bytes(k), &child, &parent))
			add_of_image(s, &parent.digest, &f);
	}
	return f.n;
}
