/*
 * An image of the store as what a build stands on: which manifest serves a platform, its
 * configuration and its layers. Inside of this folder.
 */
#ifndef SERVICE_BUILD_SESSION_BASE_LAYERS_H
#define SERVICE_BUILD_SESSION_BASE_LAYERS_H

#include "service/build/layers/build_tree.h"
#include "store/image/image.h"
#include "store/types/manifest.h"

struct base_layers {
	struct digest manifest, config;
	struct step_result *layers; /* lowest first */
	size_t n;
};

void base_layers_free(struct base_layers *l); /* also the cleanup function */

/* E_NOT_FOUND: there is none for this platform. */
int base_layers_choose(struct store *s, const struct reference *ref, const struct platform *platform,
		       struct digest *ret_manifest, struct err *err);
/* The same of an index or a manifest that is here. */
int base_layers_choose_root(struct store *s, const struct digest *root, const struct platform *platform,
			    struct digest *ret_manifest, struct err *err);
/* E_NOT_FOUND: it is not listed. */
int base_layers_find(struct store *s, const struct digest *manifest, struct base_layers *ret_layers, struct err *err);
/* From now on nobody removes them, until the lease ends. E_NOT_FOUND: one of them is gone. */
int base_layers_hold(struct store *s, const struct base_layers *l, struct lease_id *ret_lease, bool *ret_held,
		     struct err *err);
int base_layers_tree(struct layer_files *files, const struct base_layers *l, struct build_tree **ret_tree,
		     struct err *err);

#endif
