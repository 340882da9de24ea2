/*
 * Records of indexes. An index is kept while a name has it as root (or a lease
 * holds it); its record lists which of its manifests are here.
 */
#ifndef STORE_IMAGE_IMAGE_INDEX_H
#define STORE_IMAGE_IMAGE_INDEX_H

#include "store/image/image.h"
#include "store/record.h"

struct digest_list {
	struct digest *items;
	size_t n, cap;
};

/* Once each; false without memory. */
bool digest_list_add(struct digest_list *l, const struct digest *d);
bool digest_list_has(const struct digest_list *l, const struct digest *d);
void digest_list_free(struct digest_list *l);

struct index_change {
	const struct digest *index, *manifest;	   /* the one that it lists from now on */
	const Imaged__Store__V1__IndexRecord *old; /* NULL: there is none */
	uint64_t revision;
	const char *media_type;
	int64_t size;
	char **sources;
	size_t n_sources;
};

/* As it is now; NULL and revision 0 when it is not there. */
int index_read(struct store *s, const struct digest *index, struct arena *a,
	       Imaged__Store__V1__IndexRecord **ret_record, uint64_t *ret_revision, struct err *err);

/* Two operations: the record and the edge of the manifest. */
int index_put(struct meta_txn *t, const struct index_change *c, struct arena *a, struct err *err);

/* Drops the record and the bytes if nothing needs them. Failures leave garbage for
 * gc_run(). Adds to *freed unless NULL. */
void index_release(struct store *s, const struct digest *index, int64_t *freed);

/* Takes a manifest that is no longer here out of the indexes that list it. */
void index_forget(struct store *s, const struct digest *manifest);

#endif
