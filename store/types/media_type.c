#include <strings.h>

#include "store/types/manifest.h"

struct row {
	const char *text;
	struct media_type type;
};

/* clang-format off */
static const struct row rows[] = {
	{ "application/vnd.oci.image.manifest.v1+json", { MEDIA_OCI_MANIFEST, COMPRESSION_NONE } },
	{ "application/vnd.oci.image.index.v1+json", { MEDIA_OCI_INDEX, COMPRESSION_NONE } },
	{ "application/vnd.docker.distribution.manifest.v2+json", { MEDIA_DOCKER_MANIFEST, COMPRESSION_NONE } },
	{ "application/vnd.docker.distribution.manifest.list.v2+json", { MEDIA_DOCKER_LIST, COMPRESSION_NONE } },
	{ "application/vnd.docker.distribution.manifest.v1+json", { MEDIA_DOCKER_SCHEMA1, COMPRESSION_NONE } },
	{ "application/vnd.docker.distribution.manifest.v1+prettyjws", { MEDIA_DOCKER_SCHEMA1, COMPRESSION_NONE } },
	{ "application/vnd.oci.image.config.v1+json", { MEDIA_CONFIG, COMPRESSION_NONE } },
	{ "application/vnd.docker.container.image.v1+json", { MEDIA_CONFIG, COMPRESSION_NONE } },
	{ "application/vnd.oci.image.layer.v1.tar", { MEDIA_LAYER, COMPRESSION_NONE } },
	{ "application/vnd.oci.image.layer.v1.tar+gzip", { MEDIA_LAYER, COMPRESSION_GZIP } },
	{ "application/vnd.oci.image.layer.v1.tar+zstd", { MEDIA_LAYER, COMPRESSION_ZSTD } },
	{ "application/vnd.docker.image.rootfs.diff.tar", { MEDIA_LAYER, COMPRESSION_NONE } },
	{ "application/vnd.docker.image.rootfs.diff.tar.gzip", { MEDIA_LAYER, COMPRESSION_GZIP } },
	{ "application/vnd.docker.image.rootfs.diff.tar.zstd", { MEDIA_LAYER, COMPRESSION_ZSTD } },
	{ "application/vnd.oci.image.layer.nondistributable.v1.tar", { MEDIA_LAYER_FOREIGN, COMPRESSION_NONE } },
	{ "application/vnd.oci.image.layer.nondistributable.v1.tar+gzip", { MEDIA_LAYER_FOREIGN, COMPRESSION_GZIP } },
	{ "application/vnd.oci.image.layer.nondistributable.v1.tar+zstd", { MEDIA_LAYER_FOREIGN, COMPRESSION_ZSTD } },
	{ "application/vnd.docker.image.rootfs.foreign.diff.tar", { MEDIA_LAYER_FOREIGN, COMPRESSION_NONE } },
	{ "application/vnd.docker.image.rootfs.foreign.diff.tar.gzip", { MEDIA_LAYER_FOREIGN, COMPRESSION_GZIP } },
	{ "application/vnd.docker.image.rootfs.foreign.diff.tar.zstd", { MEDIA_LAYER_FOREIGN, COMPRESSION_ZSTD } },
};
/* clang-format on */

static const char encrypted[] = "+encrypted";

static size_t essence_len(const char *text)
{
	size_t len = strcspn(text, ";");

	while (len && (text[len - 1] == ' ' || text[len - 1] == '\t'))
		len--;
	return len;
}

static struct media_type look_up(const char *text, size_t len)
{
	for (size_t i = 0; i < ARRAY_LEN(rows); i++)
		if (strlen(rows[i].text) == len && !strncasecmp(rows[i].text, text, len))
			return rows[i].type;
	return (struct media_type){ MEDIA_UNKNOWN, COMPRESSION_NONE };
}

struct media_type media_type_of(const char *text)
{
	size_t len, suffix = sizeof encrypted - 1;
	struct media_type type;

	text += strspn(text, " \t");
	len = essence_len(text);
	if (len <= suffix || strncasecmp(text + len - suffix, encrypted, suffix))
		return look_up(text, len);
	type = look_up(text, len - suffix);
	if (type.kind == MEDIA_LAYER || type.kind == MEDIA_LAYER_FOREIGN)
		return (struct media_type){ MEDIA_LAYER_ENCRYPTED, type.compression };
	return (struct media_type){ MEDIA_UNKNOWN, COMPRESSION_NONE };
}

bool media_is_index(enum media_kind kind)
{
	return kind == MEDIA_OCI_INDEX || kind == MEDIA_DOCKER_LIST;
}

bool media_is_manifest(enum media_kind kind)
{
	return kind == MEDIA_OCI_MANIFEST || kind == MEDIA_DOCKER_MANIFEST;
}

const char *media_kind_name(enum media_kind kind)
{
	switch (kind) {
	case MEDIA_OCI_MANIFEST:
		return "application/vnd.oci.image.manifest.v1+json";
	case MEDIA_OCI_INDEX:
		return "application/vnd.oci.image.index.v1+json";
	case MEDIA_DOCKER_LIST:
		return "application/vnd.docker.distribution.manifest.list.v2+json";
	default:
		return "application/vnd.docker.distribution.manifest.v2+json";
	}
}
