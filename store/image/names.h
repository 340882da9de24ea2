/*
 * What belongs to one configuration: its manifests and all their names.
 */
#ifndef STORE_IMAGE_NAMES_H
#define STORE_IMAGE_NAMES_H

#include "store/image/image.h"

/* In key order; n is 0 when there are none. In the arena. */
int manifests_of(struct store *s, const struct digest *config, struct arena *arena, struct digest **ret_manifests,
		 size_t *ret_n, struct err *err);
/* Sorted. In the arena. */
int names_of(struct store *s, const struct digest *manifests, size_t n, struct arena *arena, char ***ret_names,
	     size_t *ret_n, struct err *err);

/* The first in key order; E_NOT_FOUND. */
int first_manifest_of(struct store *s, const struct digest *config, struct digest *ret_manifest, struct err *err);
/* The first name of all these manifests; "" when there is none. */
int first_name_of(struct store *s, const struct digest *manifests, size_t n, char ret_name[REFERENCE_TEXT_MAX],
		  struct err *err);

#endif
