/*
 * File trees while a build goes on: stacks of layers, as values.
 *
 * A layer of a base image, or of an earlier build, is in the store. One that a step has just
 * made is not yet: its tar is a finished ingest and its EROFS image a sealed file, both
 * without a name, and go with the last reference unless somebody commits them
 * (store/cache/step_cache.h). Either can be mounted and read at once.
 *
 * Threads: any; both are immutable but for what is opened, and reference-counted.
 */
#ifndef SERVICE_BUILD_LAYERS_BUILD_TREE_H
#define SERVICE_BUILD_LAYERS_BUILD_TREE_H

#include "service/image/layer_files.h"
#include "service/layer/layer.h"
#include "store/cache/step_cache.h"

struct build_layer;
struct build_tree;

/* One that is in the store. `files` outlives it. media_type is copied. */
int build_layer_stored(struct layer_files *files, const struct step_result *result, struct build_layer **ret_layer,
		       struct err *err);
/* What of it is not in the store yet becomes the layer's, also on failure: its blob, finished and
 * verified (NULL: it is there), and its sealed image (NULL: the same). */
int build_layer_unstored(struct layer_files *files, const struct step_result *result, struct ingest *ingest,
			 struct layer_image *image, struct build_layer **ret_layer, struct err *err);
struct build_layer *build_layer_ref(struct build_layer *l);
void build_layer_unref(struct build_layer *l); /* NULL is fine */
void build_layer_unrefp(struct build_layer **l);

const struct step_result *build_layer_result(const struct build_layer *l);
/* For step_cache_put(): borrowed; both NULL when it is in the store. */
struct ingest *build_layer_ingest(const struct build_layer *l);
struct layer_image *build_layer_image(const struct build_layer *l);
/* After that: from now on it is one that is in the store, and its descriptors are closed. Of who
 * has put it: nobody else may have borrowed either. */
void build_layer_settle(struct build_layer *l);
/* A read-only descriptor of its EROFS image, the caller's; made first where there is none.
 * *ret_opaque (may be NULL): layers below are hidden. */
int build_layer_open(struct build_layer *l, struct cancel *cancel, int *ret_fd, bool *ret_opaque, struct err *err);

/* ---- making one ------------------------------------------------------------------- */

struct build_layer_writer;

/* `workers`: of the build. `files`: as above. */
int build_layer_begin(struct store *s, struct layer_workers *workers, struct layer_files *files,
		      struct build_layer_writer **ret_writer, struct err *err);
/* Bytes of the tar, in order; its two zero blocks too. Signature of run_sink's and copy's write. */
int build_layer_write(void *writer, struct bytes piece, struct err *err);
/* Ends the writer whatever comes of it. */
int build_layer_end(struct build_layer_writer *w, int64_t created_ns, struct cancel *cancel,
		    struct build_layer **ret_layer, struct err *err);
void build_layer_abandon(struct build_layer_writer *w); /* NULL is fine */

/* ---- trees ------------------------------------------------------------------------ */

/* Of `n` layers, lowest first, which are referenced; n may be 0. E_LIMIT past 500. */
int build_tree_new(struct build_layer *const *layers, size_t n, struct build_tree **ret_tree, struct err *err);
/* `t` with `l` on top. */
int build_tree_push(const struct build_tree *t, struct build_layer *l, struct build_tree **ret_tree, struct err *err);
struct build_tree *build_tree_ref(struct build_tree *t);
void build_tree_unref(struct build_tree *t); /* NULL is fine */
void build_tree_unrefp(struct build_tree **t);

size_t build_tree_count(const struct build_tree *t);
struct build_layer *build_tree_layer(const struct build_tree *t, size_t i); /* borrowed, 0 is the lowest */
/* Its chain ID; of no layers the sha256 of nothing. */
const struct digest *build_tree_chain(const struct build_tree *t);
/* EROFS images of all layers down to the first that hides those below, lowest first, in an
 * array and as descriptors that are the caller's. */
int build_tree_open(const struct build_tree *t, struct cancel *cancel, int **ret_fds, size_t *ret_n, struct err *err);

#endif
