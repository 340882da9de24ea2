/*
 * The tar of a layer, entry by entry as they are told: headers by service/build/diff/tar_put.h, bytes streamed,
 * later names of a file as links to the first (build.md 2.4).
 *
 * One thread. E_UNSUPPORTED: a name that layers cannot have.
 */
#ifndef SERVICE_BUILD_COPY_LAYER_OUT_H
#define SERVICE_BUILD_COPY_LAYER_OUT_H

#include "service/build/copy/owner.h"
#include "service/build/copy/source.h"
#include "service/tree/hard_links.h"

struct layer_out {
	copy_write *write;
	void *arg;
	struct cancel *cancel;
	struct buf out, name, target;
	struct hard_links links;
	struct arena arena; /* of one entry */
};

void layer_out_init(struct layer_out *o, copy_write *write, void *arg, struct cancel *cancel);
void layer_out_free(struct layer_out *o);

/* A directory that is made. */
int layer_out_directory(struct layer_out *o, struct bytes path, uint32_t mode, const struct copy_owner *owner,
			int64_t mtime, struct err *err);
/* An entry under `path`, which is not empty, with all that it has. `number`: of those entries of which
 * the same file of a source is to be one file. */
int layer_out_entry(struct layer_out *o, struct bytes path, const struct source_entry *e, uint64_t number,
		    struct err *err);
/* The end of the tar. */
int layer_out_end(struct layer_out *o, struct err *err);

#endif
