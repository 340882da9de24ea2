/*
 * CheckStore: compares blobs with their digests, records with their blobs, edges
 * with records, images of layers with their records. Reports only; a repair is the
 * caller's (it knows registries, and what makes images): content_quarantine(), fetch,
 * content_commit(); layer_image_replace() or layer_image_drop(); what builds keep is
 * forgotten instead (cache/step_cache.h).
 */
#ifndef STORE_CHECK_H
#define STORE_CHECK_H

#include "store/image/image.h"
#include "store/layers/layer_image.h"

enum finding_kind { /* as imaged.v1.CheckFinding.Kind */
		    FINDING_BLOB_DAMAGED = 1,
		    FINDING_BLOB_MISSING = 2,
		    FINDING_BLOB_UNREFERENCED = 3,
		    FINDING_RECORD_BROKEN = 4,
		    FINDING_LAYER_UNVERIFIED = 5,
		    FINDING_LAYER_IMAGE_DAMAGED = 6,
		    FINDING_LAYER_IMAGE_MISSING = 7,
};

struct finding {
	enum finding_kind kind;
	struct digest digest; /* of an image of a layer: the diff ID */
	const char *detail;
	const struct digest *images; /* configs */
	size_t n_images;
	const char *const *sources; /* domain/path, where it could come from */
	size_t n_sources;
	int64_t size; /* expected; -1 unknown */
	const char *media_type;
	const struct layer_image_entry *layer_image; /* of FINDING_LAYER_IMAGE_…; else NULL */
	const struct digest *step; /* the key of the result of a build's step that it is about; or NULL */
};

struct check_progress {
	int64_t blobs_checked, blobs_total, bytes_checked, bytes_total;
	int64_t layer_images_checked, layer_bytes_checked, layer_bytes_total;
};

/* How far whoever looks into a layer's image has come. */
struct check_step {
	int (*tell)(void *arg, size_t bytes, struct err *err);
	void *arg;
};

struct check {
	bool quick; /* sizes and records only; of images of layers also `look_into` */
	struct cancel *cancel;
	/* Either returns a negative code to end the check; what it has said in the
	 * caller's err stays. */
	int (*progress)(void *arg, const struct check_progress *p);
	int (*finding)(void *arg, const struct finding *f);
	/* Looks into the file of an image that is as long as its record says. E_CORRUPT: it is
	 * damaged, and how; other codes end the check. NULL: files are not looked into. */
	int (*look_into)(void *arg, const struct layer_image_entry *i, int fd, const struct check_step *step,
			 struct err *err);
	void *arg;
};

int store_check(struct store *s, const struct check *c, struct check_progress *ret_totals, struct err *err);

#endif
