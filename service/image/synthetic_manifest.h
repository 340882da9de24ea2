/*
 * The manifest of an image that comes without one (a docker-archive, an imported tar):
 * OCI, its bytes fixed by the configuration and the layers, so that the same image gets
 * the same digest wherever it is made (DESIGN.md 11.5).
 */
#ifndef SERVICE_IMAGE_SYNTHETIC_MANIFEST_H
#define SERVICE_IMAGE_SYNTHETIC_MANIFEST_H

#include "proto/runtime/buf.h"
#include "store/types/digest.h"

struct synthetic_layer {
	const char *media_type;
	struct digest digest;
	int64_t size;
};

/* By the first bytes of the layer: gzip, zstd, or plain. */
int layer_media_type(int fd, const char **ret_type, struct err *err);

/* The same as docker's push makes it, byte for byte: Docker schema 2, in its indentation.
 * All layers are gzip. */
int docker_manifest(const struct digest *config, int64_t config_size, const struct synthetic_layer *layers, size_t n,
		    struct buf *out, struct err *err);

/* One with other layers in their places, and all else as it is. *ret_made: false when it tells nothing that
 * those above do not; an OCI manifest with annotations does. */
int annotated_manifest(struct bytes manifest, const struct synthetic_layer *layers, size_t n, bool *ret_made,
		       struct buf *out, struct err *err);

int synthetic_manifest(const struct digest *config, int64_t config_size, const struct synthetic_layer *layers, size_t n,
		       struct buf *out, struct err *err);

#endif
