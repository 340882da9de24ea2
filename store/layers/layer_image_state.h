/*
 * Inside of an image on its way in, and its names: for the files of this folder.
 */
#ifndef STORE_LAYERS_LAYER_IMAGE_STATE_H
#define STORE_LAYERS_LAYER_IMAGE_STATE_H

#include <stdatomic.h>

#include "store/internal.h"
#include "store/layers/layer_image.h"
#include "store/meta/meta.h"

enum { LAYER_PATH_MAX = 176 };

struct layer_image {
	struct store *store;
	int fd; /* -1: parked, or taken */
	bool sealed;
	atomic_uint commits; /* calls that put it into place now */
	/* In layers_fd; "": it has none. Parked ones have one, and all where the file system
	 * knows no unnamed files. */
	char name[32]; /* begins with the run of the store, whose others leave nothing of use */
	struct layer_image_facts facts;
};

enum { LAYER_NEW_PREFIX_MAX = 16 };

/* How the names of those begin that are on their way in: in this run, in any. */
char *layer_image_new_prefix(const struct store *s, char out[LAYER_NEW_PREFIX_MAX]);
static const char layer_image_new_prefix_of_any[] = "new-";

/* Sets `name` to one that nothing has; false when there is no random number. */
bool layer_image_choose_name(struct layer_image *i);

/* Of layer_image_commit.c. */
int layer_image_make_dirs(struct store *s, const struct digest *diff_id);
int layer_image_sync_dirs(struct store *s, const struct digest *diff_id);
int layer_image_put_record(struct meta_txn *t, const struct layer_image *i, const struct digest *diff_id,
			   struct err *err);

/* Relative to layers_fd: "sha256/ab/abcd….1", and its directory. */
char *layer_image_path(const struct digest *diff_id, uint32_t version, char out[LAYER_PATH_MAX]);
char *layer_image_shard(const struct digest *diff_id, char out[LAYER_PATH_MAX]);
/* The file's name without its directory; false for what is none of ours. */
bool layer_image_parse(const char *algorithm, const char *name, struct digest *ret_diff_id, uint32_t *ret_version);

#endif
