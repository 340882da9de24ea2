/*
 * Images that others were made from. docker's classic builder makes one for each step and gives
 * the name to the last; its archives tell which stands on which. Such a parent is no other image's
 * base layer: its whole configuration is the child's without the last step.
 *
 * While the child is here, the parent cannot be removed, and without a name it is hidden from
 * lists; with the last child it goes too (docker-cli.md 3 and 7). A pair counts while both are
 * here, and its keys go with the child's records.
 */
#ifndef STORE_IMAGE_PARENT_H
#define STORE_IMAGE_PARENT_H

#include "store/image/image.h"

/* False: there is none, or it is not here any more. */
int image_parent(struct store *s, const struct digest *config, bool *ret_has, struct digest *ret_parent,
		 struct err *err);
/* Without those that are gone (NULL: none is). */
int image_has_children(struct store *s, const struct digest *config, const struct gone *gone, bool *ret_has,
		       struct err *err);
/* Of two images that are here; E_ABORTED: one went meanwhile. What was its parent is none any more. */
int image_set_parent(struct store *s, const struct digest *config, const struct digest *parent, struct err *err);
/* Others were made from it. */
int image_has_child(struct store *s, const struct image *image, bool *ret_has, struct err *err);
/* And no name leads to it. */
int image_is_intermediate(struct store *s, const struct image *image, bool *ret_is, struct err *err);
/* How many such there are. */
int intermediate_count(struct store *s, int64_t *ret_count, struct err *err);

#endif
