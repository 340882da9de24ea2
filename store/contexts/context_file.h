/*
 * One file of a context, in ROOT/contexts: named HEX/NUMBER.KIND, with HEX the sha256 of the
 * context's id, or without a name where it belongs to one build alone. A file that is not
 * kept goes with its struct.
 *
 * One thread at a time, but context_file_write(), which is for any.
 */
#ifndef STORE_CONTEXTS_CONTEXT_FILE_H
#define STORE_CONTEXTS_CONTEXT_FILE_H

#include "store/internal.h"

enum { CONTEXT_FILE_PATH_MAX = 64 + 1 + 16 + 8 + 1 };

struct context_file {
	struct store *store;
	int fd;
	uint64_t number;
	char path[CONTEXT_FILE_PATH_MAX]; /* relative to contexts_fd; "": it has none */
	bool kept;
};

/* clang-format off */
#define CONTEXT_FILE_INIT { .fd = -1 }
/* clang-format on */

/* `directory`: HEX, or NULL for a file without a name. */
int context_file_create(struct store *s, const char *directory, const char *kind, struct context_file *ret_file,
			struct err *err);
/* One that a record names, which is kept. E_NOT_FOUND. */
int context_file_open(struct store *s, const char *directory, const char *kind, uint64_t number,
		      struct context_file *ret_file, struct err *err);
void context_file_close(struct context_file *f);

int context_file_write(const struct context_file *f, const void *data, size_t len, uint64_t offset, struct err *err);

/* The first `len` bytes, read-only and shared: what is written shows. len > 0. */
int context_file_map(const struct context_file *f, size_t len, const void **ret_map, struct err *err);
int context_file_size(const struct context_file *f, int64_t *ret_size, struct err *err);

#endif
