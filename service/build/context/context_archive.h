/*
 * An archive becomes a context: a tar, plain or compressed, from a client or the network. The
 * sandboxed worker reads it (service/layer/untar_format.h); the daemon sees names and bytes.
 *
 * Or it is a Dockerfile: what is neither compressed nor begins with a tar's header.
 *
 * Names are cleaned: "./" and a leading "/" say nothing, ".." that leads out is refused. The
 * last entry of a name counts, directories that are missing are made, 0755. A hard link is
 * one in the list where its target comes before it there, else a file with the same bytes.
 * Memory: 16 bytes for each entry, and a few buffers; names lie in a file meanwhile.
 *
 * All of it runs on the caller's thread. Failure: as the worker's (E_BAD_CONTENT, E_LIMIT,
 * E_WORKER), E_DISK_FULL, or what the source says.
 */
#ifndef SERVICE_BUILD_CONTEXT_CONTEXT_ARCHIVE_H
#define SERVICE_BUILD_CONTEXT_CONTEXT_ARCHIVE_H

#include "service/build/context/build_context.h"

enum { DOCKERFILE_BYTES_MAX = 2 * 1024 * 1024 };

struct archive_reader {
	/* The next bytes, borrowed until the next call: 1, 0 at the end, or a negative code. */
	int (*receive)(void *arg, struct bytes *ret_data, struct err *err);
	void *arg;
};

struct context_archive {
	struct store *store;
	const char *worker_program; /* imaged-layer */
	struct cancel *cancel;
	const char *name;   /* of the context */
	const char *subdir; /* only what is below it, without it; NULL or "": all. E_NOT_FOUND */
	bool with_owners;   /* build_context_owner() tells those of the archive */
};

/* Several archives in one: begin, then add as often as there are, then end. `prefix`: the
 * directory of the context that the archive's names are below; "" for the root. */
struct archive_unpacking;

int context_unpack_begin(const struct context_archive *a, struct archive_unpacking **ret_unpacking, struct err *err);
int context_unpack_add(struct archive_unpacking *u, const char *prefix, const struct archive_reader *from,
		       struct err *err);
int context_unpack_end(struct archive_unpacking *u, struct build_context **ret_context, struct err *err);
void context_unpack_free(struct archive_unpacking *u); /* NULL is fine */
void context_unpack_freep(struct archive_unpacking **u);

/* One. *ret_context, or NULL and the Dockerfile in `dockerfile`, which is emptied first; NULL there:
 * it must be a tar. */
int context_archive_read(const struct context_archive *a, const struct archive_reader *from, struct buf *dockerfile,
			 struct build_context **ret_context, struct err *err);

#endif
