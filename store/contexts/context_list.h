/*
 * The list of a build context: its entries, in order, as one immutable file that is mapped
 * for reading. Memory does not grow with it but by 4 bytes for each entry while it is being
 * written; a list of any size costs nothing to open.
 *
 *   writer:  context_list_begin(), context_list_add() for each entry as it comes from
 *            outside, context_list_end() gives the list and its digest
 *   reader:  an index is a place in the list; what is below a path is a range of them
 *
 * What a list promises: paths are sound and strictly in order, what a path lies in has an
 * entry and is a directory, hard links lead to earlier regular files of the same size.
 *
 * Threads: a writer belongs to one; a list is for any, and reference-counted.
 * Failure: E_INVALID for what cannot be in a list, E_LIMIT, E_DISK_FULL, E_IO.
 */
#ifndef STORE_CONTEXTS_CONTEXT_LIST_H
#define STORE_CONTEXTS_CONTEXT_LIST_H

#include "store/contexts/context_file.h"
#include "store/types/context_entry.h"

enum {
	CONTEXT_ENTRIES_MAX = 4 * 1024 * 1024,
	CONTEXT_NO_ENTRY = UINT32_MAX,
};

/* Entries from `begin` up to but without `end`. */
struct context_range {
	uint32_t begin, end;
};

struct context_list;
struct context_list_writer;

/* ---- writing -------------------------------------------------------------------- */

/* `directory`: as context_file_create(). */
int context_list_begin(struct store *s, const char *directory, struct context_list_writer **ret_writer,
		       struct err *err);
void context_list_abandon(struct context_list_writer *w); /* NULL is fine */
void context_list_abandonp(struct context_list_writer **w);

int context_list_add(struct context_list_writer *w, const struct context_entry *e, struct err *err);
uint32_t context_list_written(const struct context_list_writer *w);
/* The writer is of no more use but to be abandoned. */
int context_list_end(struct context_list_writer *w, struct context_list **ret_list, struct err *err);

/* ---- reading -------------------------------------------------------------------- */

/* One that a record names. E_NOT_FOUND: it is gone; E_CORRUPT: it is not the one. */
int context_list_open(struct store *s, const char *directory, uint64_t number, const struct digest *digest,
		      struct context_list **ret_list, struct err *err);
struct context_list *context_list_ref(struct context_list *l);
void context_list_unref(struct context_list *l); /* NULL is fine */
void context_list_unrefp(struct context_list **l);

uint32_t context_list_count(const struct context_list *l);
const struct digest *context_list_digest(const struct context_list *l);
int64_t context_list_bytes(const struct context_list *l);
struct context_file *context_list_file(struct context_list *l);

/* Without xattrs, which are read by context_xattrs_next(). Borrowed from the list. */
struct context_entry context_list_entry(const struct context_list *l, uint32_t index);
struct bytes context_list_path(const struct context_list *l, uint32_t index);
uint32_t context_list_mode(const struct context_list *l, uint32_t index);
struct bytes context_list_xattrs(const struct context_list *l, uint32_t index);
/* The entry whose bytes these are: itself, or what it is a hard link of. */
uint32_t context_list_source(const struct context_list *l, uint32_t index);

/* CONTEXT_NO_ENTRY when there is none. */
uint32_t context_list_find(const struct context_list *l, struct bytes path);
/* The entry of the path, if it has one, and all below it; empty when there is nothing. "" is
 * the whole list. */
struct context_range context_list_range(const struct context_list *l, struct bytes path);
/* The first entry behind it and all that is below it: in one directory, the next one. */
uint32_t context_list_skip(const struct context_list *l, uint32_t index);

/* What a path leads to that a Dockerfile names: links on the way are followed, the last one
 * too with follow_last, and nothing leads out of the context ("/" and ".." end at its root).
 * CONTEXT_NO_ENTRY: the root itself. E_NOT_FOUND; E_LIMIT: too many links, too long a path. */
int context_list_resolve(const struct context_list *l, struct bytes path, bool follow_last, uint32_t *ret_index,
			 struct err *err);

#endif
