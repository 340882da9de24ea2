/*
 * Where else a blob may be had: for mounts between repositories of one registry.
 */
#ifndef STORE_IMAGE_SOURCES_H
#define STORE_IMAGE_SOURCES_H

#include "store/image/image.h"

/* Paths of repositories of `domain` that images with this layer or configuration came
 * from or went to, at most `max`, each once; `except` is left out. In the arena. A hint
 * only: what cannot be read is left out, and of many images not all are looked at. */
size_t blob_sources(struct store *s, const struct digest *blob, const char *domain, const char *except,
		    struct arena *arena, const char **ret_paths, size_t max);

#endif
