/*
 * CheckStore: compares blobs with their digests, records with their blobs, edges
 * with records. Reports only; a repair is the caller's (it knows registries):
 * content_quarantine(), fetch, content_commit().
 */
#ifndef STORE_CHECK_H
#define STORE_CHECK_H

#include "store/image/image.h"

enum finding_kind { /* as imaged.v1.CheckFinding.Kind */
		    FINDING_BLOB_DAMAGED = 1,
		    FINDING_BLOB_MISSING = 2,
		    FINDING_BLOB_UNREFERENCED = 3,
		    FINDING_RECORD_BROKEN = 4,
		    FINDING_LAYER_UNVERIFIED = 5,
};

struct finding {
	enum finding_kind kind;
	struct digest digest;
	const char *detail;
	const struct digest *images; /* configs */
	size_t n_images;
	const char *const *sources; /* domain/path, where it could come from */
	size_t n_sources;
	int64_t size; /* expected; -1 unknown */
	const char *media_type;
};

struct check_progress {
	int64_t blobs_checked, blobs_total, bytes_checked, bytes_total;
};

struct check {
	bool quick; /* sizes and records only */
	struct cancel *cancel;
	/* Either returns a negative code to end the check; what it has said in the
	 * caller's err stays. */
	int (*progress)(void *arg, const struct check_progress *p);
	int (*finding)(void *arg, const struct finding *f);
	void *arg;
};

int store_check(struct store *s, const struct check *c, struct check_progress *ret_totals, struct err *err);

#endif
