/*
 * COPY, ADD and WORKDIR, executed: which files a step takes, what its cache key says of
 * them, and the layer that they make (build.md 1.3, 2.1, 2.4).
 *
 * Nothing is mounted: the tree that the files go into is read through its layers' EROFS images
 * (service/tree/view.h), and the layer is written as a tar, the same bytes for the same input. Links
 * in the destination's path lead within the tree, never out of it. URLs, git repositories
 * and here-documents are contexts of their own by then (copy_sources.h).
 *
 * One thread for each call. Failure: E_NOT_FOUND, E_INVALID in BuildKit's words ("/x: not found",
 * with why, when .dockerignore has it); what the context says.
 */
#ifndef SERVICE_BUILD_COPY_COPY_H
#define SERVICE_BUILD_COPY_COPY_H

#include "service/build/context/build_context.h"
#include "service/build/evaluate.h"
#include "service/tree/view.h"
#include "store/types/ignore.h"

/* Where the files of one source are: one of both. Borrowed. */
struct copy_files {
	struct build_context *context;
	struct tree_view *view;	     /* of a stage or an image */
	const struct ignore *ignore; /* of the context, for messages; NULL */
	const char *ignore_name;     /* ".dockerignore" */
};

struct copy_job {
	const struct copy_step *step;
	const struct copy_files *files; /* one for each of the step's sources */
	struct tree_view *into;		/* NULL: nothing is there (FROM scratch, --link) */
	int64_t now_ns;			/* time of directories that are made on the way */
	bool has_epoch;			/* then it is this one, in seconds */
	int64_t epoch;
	struct store *store; /* for archives that are unpacked */
	const char *worker_program;
	struct cancel *cancel;
};

/* What the selected files of one source are, for the step's key: names relative to it and contents;
 * no times, no owners of a context's files. Of a context it waits until their bytes are here. */
int copy_source_digest(const struct copy_job *j, size_t source, struct digest *ret_digest, struct err *err);

/* What the key of a mount says of what is below a path of a context or a tree. */
int copy_mount_digest(const struct copy_files *files, const char *path, struct cancel *cancel,
		      struct digest *ret_digest, struct err *err);

typedef int copy_write(void *arg, struct bytes piece, struct err *err);

/* The layer as a tar, to its end. */
int copy_layer(const struct copy_job *j, copy_write *write, void *arg, struct err *err);

/* A part of a context, or of a tree, as a layer of its own at the same path: what a RUN's bind
 * mount of it stands on. A file or a directory with all below it. */
int copy_subtree_layer(const struct copy_files *files, const char *path, struct cancel *cancel, copy_write *write,
		       void *arg, struct err *err);

/* WORKDIR: the directory and those above it that are missing; owned by `user` ("" for root), whom
 * the tree's passwd and group tell. An empty layer when it is there. */
struct directory_job {
	const char *path, *user;
	struct tree_view *into;
	int64_t now_ns;
	bool has_epoch;
	int64_t epoch;
	struct cancel *cancel;
};

int directory_layer(const struct directory_job *j, copy_write *write, void *arg, struct err *err);

#endif
