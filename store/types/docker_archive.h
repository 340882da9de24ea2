/*
 * manifest.json of a docker-archive (docker save): which members of the archive are
 * the configuration and the layers of which image, and what the image was called.
 *
 *	[{"Config": "…json", "RepoTags": ["name:tag"] or null, "Layers": ["…/layer.tar"],
 *	  "Parent": "sha256:…" or absent}]
 *
 * Read as strictly as manifest.h's documents, but what docker takes for empty is. Names of
 * members and references come out as they stand there: they are judged by the caller
 * (member_name_clean()). Parent is the ID of the image that this one was made from by one step
 * (store/image/parent.h). LayerSources and keys that are not known are not looked at.
 *
 * Ownership: the result owns its memory. Failure: E_BAD_CONTENT, in Go's words for what docker refuses, too.
 */
#ifndef STORE_TYPES_DOCKER_ARCHIVE_H
#define STORE_TYPES_DOCKER_ARCHIVE_H

#include "store/types/manifest.h"
#include "store/types/member_name.h"

enum {
	DOCKER_ARCHIVE_BYTES_MAX = 8 * 1024 * 1024,
	DOCKER_ARCHIVE_IMAGES_MAX = 10000,
	DOCKER_ARCHIVE_TAGS_MAX = 10000, /* of one image */
};

struct docker_archive_image {
	char *config;
	char **layers;
	size_t n_layers; /* <= MANIFEST_LAYERS_MAX, or its manifest could not be read again */
	char **repo_tags;
	size_t n_repo_tags;
	struct digest parent; /* unset when there is none */
};

struct docker_archive {
	struct docker_archive_image *images;
	size_t n_images; /* may be 0 */
};

int docker_archive_parse(struct bytes json, struct docker_archive *ret_archive, struct err *err);
void docker_archive_free(struct docker_archive *a); /* also the cleanup function */

#endif
