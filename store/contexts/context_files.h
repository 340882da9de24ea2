/*
 * What is known of the files of one list: for each regular file, once its bytes are here,
 * where they are and what their sha256 is. What is known never changes; so builds that share
 * the list read while one adds. A file of which nobody can tell whether it is still the same
 * ("unsettled") is known to the builds that share this and to no later one.
 *
 * Threads: any; reference-counted.
 */
#ifndef STORE_CONTEXTS_CONTEXT_FILES_H
#define STORE_CONTEXTS_CONTEXT_FILES_H

#include "store/contexts/context_list.h"
#include "store/contexts/context_pack.h"

/* On the disk as here, one for each entry; zeros for what is not known. Aligned, so that
 * none lies in two sectors. */
struct context_place {
	uint8_t sha256[32]; /* of the bytes */
	uint64_t offset;    /* in the pack */
	uint64_t xattrs_at; /* packed, in the pack */
	uint32_t xattrs_len;
	uint32_t flags; /* enum context_place_flag */
	uint8_t unused[8];
};

_Static_assert(sizeof(struct context_place) == 64, "a place is part of one sector");

enum context_place_flag { CONTEXT_KNOWN = 1, CONTEXT_UNSETTLED = 2 };

struct context_files {
	struct context_list *list;
	struct context_pack *pack;
	struct context_file file;	    /* of places */
	const struct context_place *places; /* mapped; NULL: the list is empty */
	pthread_mutex_t mu;		    /* guards places and the rest */
	uint64_t live;			    /* bytes of what is known */
	bool changed;			    /* something is known that no record tells */
	bool has_unsettled;
	atomic_uint refs;
};

/* Takes the list; nothing is known but what `before`, which may be NULL, knows of the same
 * files (the same path, size and stamp). */
int context_files_new(struct store *s, const char *directory, struct context_list *list, struct context_files *before,
		      struct context_files **ret_files, struct err *err);
/* Those of a record. Takes list and pack. What lies behind the pack's end is forgotten. */
int context_files_open(struct store *s, const char *directory, uint64_t number, struct context_list *list,
		       struct context_pack *pack, struct context_files **ret_files, struct err *err);
/* Of a pack and a list that are one build's own, without a name. Takes both; nothing is
 * known. */
int context_files_of_pack(struct store *s, struct context_list *list, struct context_pack *pack,
			  struct context_files **ret_files, struct err *err);
struct context_files *context_files_ref(struct context_files *f);
void context_files_unref(struct context_files *f); /* NULL is fine */
void context_files_unrefp(struct context_files **f);

/* False when the bytes are not here. Hard links are what they are links of. */
bool context_files_get(struct context_files *f, uint32_t index, struct context_place *ret_place);

/* What is now in the pack, of the `n` entries from `index` on; what is known already stays as
 * it is. */
int context_files_put(struct context_files *f, uint32_t index, const struct context_place *places, size_t n,
		      struct err *err);

/* ---- for the files of this folder --------------------------------------------------- */

/* Fills the places of a new one. */
int context_files_carry(struct context_files *from, struct context_files *to, struct err *err);

#endif
