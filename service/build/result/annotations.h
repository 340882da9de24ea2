/*
 * Annotations as users write them: "[TYPE[,TYPE…]:]KEY=VALUE", TYPE one of manifest (which is
 * meant without any), index, manifest-descriptor, index-descriptor, each perhaps with a platform:
 * "manifest[linux/amd64]:KEY=VALUE".
 *
 * Pure; in the arena, which must outlive them. E_INVALID in buildx's words.
 */
#ifndef SERVICE_BUILD_RESULT_ANNOTATIONS_H
#define SERVICE_BUILD_RESULT_ANNOTATIONS_H

#include "proto/runtime/arena.h"
#include "store/types/platform.h"

enum annotation_place {
	ANNOTATE_MANIFEST,
	ANNOTATE_INDEX,
	ANNOTATE_MANIFEST_DESCRIPTOR, /* where the index names the manifest */
	ANNOTATE_INDEX_DESCRIPTOR,    /* where an archive's index.json names the root */
};

enum { ANNOTATIONS_OF_BUILD_MAX = 1000 };

struct annotation {
	enum annotation_place place;
	bool has_platform;
	struct platform platform;
	const char *key, *value;
};

struct annotations {
	struct annotation *all; /* the later one of a key counts */
	size_t n, capacity;
};

int annotations_add(struct annotations *to, const char *text, struct arena *a, struct err *err);

/* Whether it is for this place; `platform` may be NULL: of what has none. */
bool annotation_is_for(const struct annotation *a, enum annotation_place place, const struct platform *platform);
bool annotations_have(const struct annotations *a, enum annotation_place place);

#endif
