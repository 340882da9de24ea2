/*
 * A publication under way (publish.c), and the record that it writes
 * (publish_record.c).
 */
#ifndef STORE_IMAGE_PUBLISHING_H
#define STORE_IMAGE_PUBLISHING_H

#include "store/image/image_index.h"

typedef Imaged__Store__V1__ImageRecord image_record;

/* One publication, prepared once and tried until nobody interferes. */
struct publishing {
	struct store *store;
	const struct publication *p;
	struct digest config;
	bool has_index;
	struct digest *blobs; /* all that the image needs: manifest, config, layers, index */
	size_t n_blobs;
	struct digest *chains; /* one for each layer */
	char (*names)[REFERENCE_TEXT_MAX];
	const struct lease_id *lease;
	struct lease_id own_lease;
	struct meta_txn *txn;
	/* of one try */
	uint64_t image_revision, guard_revision;
	bool changed;
	/* Where the names led before: indexes that may be garbage now. */
	struct digest_list old_roots;
};

/* The record of the image; it borrows from the publication, from `old` (NULL: there
 * was none) and from the arena. */
int publish_fill_record(const struct publishing *w, const image_record *old, struct arena *a, image_record *record,
			struct err *err);

/* Where this came from first, then what was known before. */
bool publish_fill_sources(const char *source, char *const *old, size_t n_old, struct arena *a, char ***ret_sources,
			  size_t *ret_n);

#endif
