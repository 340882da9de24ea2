/*
 * Inside of a layer of a build, for the files of this folder.
 */
#ifndef SERVICE_BUILD_LAYERS_BUILD_LAYER_STATE_H
#define SERVICE_BUILD_LAYERS_BUILD_LAYER_STATE_H

#include <pthread.h>
#include <stdatomic.h>

#include "service/build/layers/build_tree.h"

struct build_layer {
	atomic_uint refs;
	struct step_result result;
	struct layer_files *files;
	pthread_mutex_t mu; /* guards both: they go when the layer has come into the store */
	struct ingest *ingest;
	struct layer_image *image;
};

/* Takes neither; NULL when memory is short. */
struct build_layer *build_layer_new(struct layer_files *files, const struct step_result *result);

#endif
