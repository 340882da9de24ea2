#include "store/check_run.h"
#include "store/image/image_record.h"
#include "store/internal.h"
#include "store/meta/scan.h"

enum { IMAGES_MAX = 64, SOURCES_MAX = 32, BLOBS_MAX = 16 };

struct description {
	struct finding *f;
	struct digest *images;
	const char **sources;
};

static void add_image(struct description *d, const struct digest *config)
{
	for (size_t i = 0; i < d->f->n_images; i++)
		if (digest_eq(&d->images[i], config))
			return;
	if (d->f->n_images < IMAGES_MAX)
		d->images[d->f->n_images++] = *config;
}

static void add_sources(struct description *d, char *const *sources, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		bool known = false;

		for (size_t k = 0; k < d->f->n_sources && !known; k++)
			known = !strcmp(d->sources[k], sources[i]);
		if (!known && d->f->n_sources < SOURCES_MAX)
			d->sources[d->f->n_sources++] = sources[i];
	}
}

static bool is_data(ProtobufCBinaryData data, const struct digest *d)
{
	struct digest found;

	return digest_from_data(data, &found, NULL) == OK && digest_eq(&found, d);
}

/* What the image's record says of this blob. */
static void describe_part(struct description *d, const Imaged__Store__V1__ImageRecord *record, bool is_manifest)
{
	struct finding *f = d->f;

	if (is_manifest) {
		f->size = record->manifest_size;
		f->media_type = record->media_type;
	} else if (is_data(record->config, &f->digest)) {
		f->size = record->config_size;
	}
	for (size_t i = 0; i < record->n_layers; i++)
		if (is_data(record->layers[i]->digest, &f->digest)) {
			f->size = record->layers[i]->size;
			f->media_type = record->layers[i]->media_type;
		}
}

static void describe_image(struct store *s, struct description *d, const struct digest *manifest, struct arena *arena)
{
	Imaged__Store__V1__ImageRecord *record;
	struct digest config;

	if (image_record_get(s, manifest, arena, &record, &config, NULL) != OK)
		return;
	add_image(d, &config);
	add_sources(d, record->sources, record->n_sources);
	describe_part(d, record, digest_eq(manifest, &d->f->digest));
}

static void describe_index(struct store *s, struct description *d, struct arena *arena)
{
	Imaged__Store__V1__IndexRecord *record;
	uint64_t revision;

	if (index_read(s, &d->f->digest, arena, &record, &revision, NULL) != OK || !record)
		return;
	add_sources(d, record->sources, record->n_sources);
	d->f->size = record->size;
	d->f->media_type = record->media_type;
	for (size_t i = 0; i < record->n_manifests; i++) {
		struct digest manifest, config;
		Imaged__Store__V1__ImageRecord *image;

		if (digest_from_data(record->manifests[i], &manifest, NULL) == OK &&
		    image_record_get(s, &manifest, arena, &image, &config, NULL) == OK)
			add_image(d, &config);
	}
}

/* ---- who needs it ----------------------------------------------------------- */

static int begin(struct description *about, struct arena *arena, struct finding *f, struct err *err)
{
	*about = (struct description){
		.f = f,
		.images = arena_array(arena, IMAGES_MAX, sizeof *about->images),
		.sources = arena_array(arena, SOURCES_MAX, sizeof *about->sources),
	};
	if (!about->images || !about->sources)
		return fail_nomem(err);
	f->images = about->images;
	f->sources = about->sources;
	return OK;
}

static int describe_parents(struct store *s, struct description *about, const struct digest *blob, struct arena *arena,
			    struct err *err)
{
	struct key prefix = key_edge_kind_prefix(blob, EDGE_MANIFEST);
	CLEANUP(freep) struct meta_scan *scan = malloc(sizeof *scan);
	const struct key *k;
	int r;

	if (!scan)
		return fail_nomem(err);
	meta_scan_prefix(scan, s->shared, &prefix);
	while ((r = meta_scan_next(scan, &k, NULL, err)) == OK && k && about->f->n_images < IMAGES_MAX) {
		struct edge_parent parent;
		struct digest child;

		if (key_parse_edge(key_bytes(k), &child, &parent))
			describe_image(s, about, &parent.digest, arena);
	}
	return r;
}

int check_describe(struct store *s, const struct digest *d, struct arena *arena, struct finding *f, struct err *err)
{
	struct description about;
	int r = begin(&about, arena, f, err);

	if (r != OK)
		return r;
	describe_image(s, &about, d, arena);
	describe_index(s, &about, arena);
	return describe_parents(s, &about, d, arena, err);
}

int check_describe_layer(struct store *s, const struct digest *diff_id, struct arena *arena, struct finding *f,
			 struct err *err)
{
	struct digest blobs[BLOBS_MAX];
	struct description about;
	int r = begin(&about, arena, f, err);
	size_t n = r == OK ? layers_by_diff_id(s, diff_id, blobs, BLOBS_MAX) : 0;

	for (size_t i = 0; r == OK && i < n; i++)
		r = describe_parents(s, &about, &blobs[i], arena, err);
	return r;
}
