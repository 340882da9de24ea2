/*
 * The image that becomes of a build, for one output: an image for each platform, an index where
 * there are several. Layers of the base go as they came, those of the steps as plain tars unless a
 * registry or the user wants them otherwise.
 *
 *	made_begin → (made_rewrite_times) → made_configs → (made_compress) → made_documents →
 *	made_commit → used → made_end
 *
 * Everything of it is in the store, held by a lease, from made_commit() on; whoever publishes
 * it takes over the lease. One thread.
 */
#ifndef SERVICE_BUILD_RESULT_MADE_H
#define SERVICE_BUILD_RESULT_MADE_H

#include "service/build/result/annotations.h"
#include "service/build/result/result.h"

struct made_layer {
	struct digest digest;
	int64_t size;
	enum compression compression;
	bool foreign;
	bool above_base; /* of a step of this build */
	struct layer_facts facts;
	int64_t created_ns;    /* of the step */
	struct ingest *ingest; /* finished; NULL: it is in the store */
};

struct made_document {
	struct buf body;
	struct digest digest;
	struct ingest *ingest; /* until it is committed; NULL: it is here */
	const char *media_type;
};

struct made_image {
	const struct built *built;
	struct made_layer *layers;
	size_t n_layers;
	struct image_config image;
	struct made_document config, manifest;
	struct buf cache; /* of --cache-to type=inline, to go into the configuration; empty: none */
};

struct made {
	const struct result_request *r;
	struct arena *arena;
	bool docker_types;
	struct annotations annotations;
	struct made_image *images;
	size_t n;
	struct made_document index; /* empty unless has_index */
	bool has_index;
	struct lease_id lease;
	bool leased;
};

/* What leads to all of it: the index, or the one manifest. */
const struct made_document *made_root(const struct made *m);
/* The image of the service's own platform, else the first. */
struct made_image *made_chosen(const struct made *m);

/* Takes the layers of what was built. On failure too it is to be ended. */
int made_begin(const struct result_request *r, const Imaged__V1__BuildOutput *output, struct arena *a,
	       struct made *ret_made, struct err *err);
/* made_layers.c: times of files in the steps' layers that are later than SOURCE_DATE_EPOCH become it. */
int made_rewrite_times(struct made *m, struct err *err);
/* made_config.c */
int made_configs(struct made *m, struct err *err);
/* made_layers.c: plain ones; `force`: those too that are compressed in another way. */
int made_compress(struct made *m, enum compression wanted, int level, bool force, struct err *err);
/* made_documents.c: manifests, index. */
int made_documents(struct made *m, struct err *err);
int made_commit(struct made *m, struct err *err);
/* made_layers.c: after that, those that were made here are found by what they hold. */
int made_remember_layers(struct made *m, struct err *err);
/* Ends the lease, unless it was taken over, and collects what nothing needs. Also the cleanup function. */
void made_end(struct made *m);

/* OCI's or Docker's name for it. */
const char *made_layer_type(const struct made *m, const struct made_layer *l);
/* The body is whole. */
void made_document_finish(struct made_document *d);

#endif
