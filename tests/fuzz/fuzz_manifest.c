/*
 * Input: one byte that picks a Content-Type, then a document. It is at most one of
 * manifest and index, within the limits, and of the kind that document_kind() says.
 */
#include "store/types/manifest.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const char *const content_types[] = {
	NULL,
	"text/plain",
	"application/vnd.oci.image.manifest.v1+json",
	"application/vnd.oci.image.index.v1+json",
	"application/vnd.docker.distribution.manifest.v2+json; charset=utf-8",
	"application/vnd.docker.distribution.manifest.list.v2+json",
	"application/vnd.docker.distribution.manifest.v1+prettyjws",
};

static void require(bool holds)
{
	if (!holds)
		abort();
}

static void check_descriptor(const struct descriptor *d)
{
	require(d->media_type && strlen(d->media_type) < MEDIA_TYPE_MAX);
	require(d->size >= 0 && digest_is_set(&d->digest));
}

static bool check_manifest(struct bytes json, enum media_kind kind)
{
	CLEANUP(manifest_free) struct manifest m = { 0 };
	struct err err;
	int64_t total = 0;

	if (manifest_parse(json, &m, &err) < 0)
		return false;
	require(media_is_manifest(m.kind) && m.kind == kind);
	require(m.n_layers <= MANIFEST_LAYERS_MAX);
	check_descriptor(&m.config);
	for (size_t i = 0; i < m.n_layers; i++) {
		check_descriptor(&m.layers[i]);
		require(!__builtin_add_overflow(total, m.layers[i].size, &total));
		require(!m.is_image || m.layers[i].type.kind == MEDIA_LAYER ||
			m.layers[i].type.kind == MEDIA_LAYER_FOREIGN);
	}
	return true;
}

static void choose(const struct index *i, const char *platform)
{
	const struct descriptor *entry;
	struct platform p;
	struct err err;

	require(platform_parse(platform, &p, &err) == OK);
	if (index_choose(i, &p, &entry, &err) == OK)
		require(entry >= i->entries && entry < i->entries + i->n_entries && !entry->attestation);
}

static bool check_index(struct bytes json, enum media_kind kind)
{
	CLEANUP(index_free) struct index i = { 0 };
	struct err err;

	if (index_parse(json, &i, &err) < 0)
		return false;
	require(media_is_index(i.kind) && i.kind == kind);
	require(i.n_entries <= INDEX_ENTRIES_MAX);
	for (size_t n = 0; n < i.n_entries; n++)
		check_descriptor(&i.entries[n]);
	choose(&i, "linux/amd64/v3");
	choose(&i, "linux/arm64/v9");
	choose(&i, "windows(10.0.17763.1)/amd64");
	return true;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	enum media_kind kind = MEDIA_UNKNOWN, sent;
	struct bytes json;
	struct err err;
	bool manifest, index;

	if (!size)
		return 0;
	json = (struct bytes){ data + 1, size - 1 };
	(void)document_kind(json, content_types[data[0] % ARRAY_LEN(content_types)], &sent, &err);
	(void)document_kind(json, NULL, &kind, &err);
	manifest = check_manifest(json, kind);
	index = check_index(json, kind);
	require(!manifest || !index);
	return 0;
}
