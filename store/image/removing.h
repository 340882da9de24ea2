/*
 * A removal that was decided: what goes, and how it goes (remove.c decides,
 * remove_run.c does).
 */
#ifndef STORE_IMAGE_REMOVING_H
#define STORE_IMAGE_REMOVING_H

#include "store/image/image_index.h"
#include "store/image/rehearsal.h"

struct removing {
	struct store *store;
	struct removal *r;
	struct arena arena; /* of the image, the names and the rest */
	struct image image;
	struct digest config;
	uint64_t *revisions; /* of the c keys of image.manifests, read before the names */
	char **names;	     /* to be untagged, in docker's order */
	size_t n_names;
	bool delete_image;
	bool has_children; /* others were made from it */
	bool has_parent;
	struct digest parent;	  /* what it was made from */
	bool visited;		  /* something was removed and reported */
	struct digest_list roots; /* indexes that the names led to */
	struct digest_list blobs; /* that may be garbage afterwards */
};

/* OK, or E_ABORTED: the image changed, decide again. */
int removing_run(struct removing *w, struct err *err);
/* Reports the same, and changes nothing but the rehearsal. */
int removing_try(struct removing *w, struct err *err);

/* The top layers' chains that only this image uses: from the top, in the arena. */
struct unused_chain {
	char text[DIGEST_TEXT_MAX];
	int64_t size;
};

int removing_chains(struct removing *w, struct unused_chain **ret_chains, size_t *ret_n, struct err *err);
/* All blobs of all manifests, and the roots of the names, into the lists. */
int removing_collect(struct removing *w, struct err *err);
int removing_report(struct removing *w, enum removed_kind kind, const char *value, int64_t size, struct err *err);
int removing_report_image(struct removing *w, const struct unused_chain *chains, size_t n, struct err *err);

/* ---- dry runs ------------------------------------------------------------- */

/* From now on what the removal would take is gone. */
int rehearsal_take(struct rehearsal *h, const struct removing *w, struct err *err);
/* Whether an image that is left has it. */
int rehearsal_chain_is_used(struct rehearsal *h, const struct digest *chain, bool *ret_used, struct err *err);

#endif
