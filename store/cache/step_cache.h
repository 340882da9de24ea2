/*
 * What steps of builds made, kept for builds to come (build.md 2; DESIGN.md 7).
 *
 * A result is one layer, found by the keys of its step (service/build/graph.h: a step may
 * have several, of which the first is the one that it is listed by). Its blob, its record
 * (image.h) and its image (layer_image.h) are in the store, kept by a lease that lives as
 * long as the result's record does. A note is a few bytes under a key: what a URL was last
 * time, when an image with this configuration was made.
 *
 *   ROOT's local space    keys.h
 *
 * step_cache_put() is where layers of builds become durable: many at once, off the path of
 * the steps. Until then they live in their builds alone, and a process that dies loses them.
 *
 * A result that was found or put is pinned: it is not pruned before step_cache_unpin(). Pins
 * are of this process; images that were published keep their blobs by themselves.
 *
 * Threads: any.
 */
#ifndef STORE_CACHE_STEP_CACHE_H
#define STORE_CACHE_STEP_CACHE_H

#include "proto/runtime/arena.h"
#include "store/content/ingest.h"
#include "store/layers/layer_image.h"

struct step_cache;

enum {
	STEP_KEYS_MAX = 4,
	STEP_TEXT_MAX = 4096, /* of a description */
	STEP_NOTE_MAX = 64 * 1024,
	STEP_NOTE_DAYS = 30, /* at least so long they are kept */
};

struct step_result {
	struct digest diff_id;
	struct digest blob; /* the diff ID's, since the tar is plain; another one where it came from a registry */
	int64_t blob_size;
	const char *media_type; /* static */
	struct layer_facts facts;
	int64_t created_ns; /* when the step ended: history's `created` */
};

int step_cache_new(struct store *s, struct step_cache **ret_cache, struct err *err);
void step_cache_free(struct step_cache *c); /* NULL is fine; no pins are left */

/* ---- of builds -------------------------------------------------------------------- */

/* Pins it. E_NOT_FOUND also when its layer is not whole any more. Notes that it was used. */
int step_cache_find(struct step_cache *c, const struct digest *key, struct step_result *ret_result, struct err *err);
void step_cache_unpin(struct step_cache *c, const struct digest *key);

struct step_made {
	struct digest keys[STEP_KEYS_MAX];
	size_t n_keys;
	struct step_result result;
	struct ingest *ingest;	   /* finished; NULL: the blob is here */
	struct layer_image *image; /* sealed; NULL: it is here, or none is wanted */
	const char *description;   /* "[build 2/5] RUN make" */
	const char *kind;	   /* "regular", "source.local", "internal": static */
};

/* Commits blobs, images, records, then the results; all are pinned by their first key
 * afterwards. First keys of one call differ. One that is there by a first key already is
 * replaced; its layer stays as long as that key is pinned. Those of one call share their
 * fsyncs. E_DISK_FULL, E_IO: none of the results is there. */
int step_cache_put(struct step_cache *c, const struct step_made *made, size_t n, struct err *err);

/* `out` is emptied first. E_NOT_FOUND. */
int step_cache_note(struct step_cache *c, const struct digest *key, struct buf *out, struct err *err);
struct step_note {
	struct digest key;
	struct bytes value;
};
int step_cache_put_notes(struct step_cache *c, const struct step_note *notes, size_t n, struct err *err);

/* ---- of those who look after it --------------------------------------------------- */

struct step_usage {
	struct digest key; /* the first */
	struct step_result result;
	const char *description, *kind; /* borrowed until the visit ends */
	int64_t bytes;			/* its blob and its layer's image */
	bool shared;			/* an image of the store has the blob too: removing the result frees nothing */
	int64_t last_used_ns, use_count;
	bool in_use; /* pinned */
};

typedef bool step_visit(void *arg, const struct step_usage *usage); /* false stops */

/* In the order of their keys, those behind `after`; NULL: all. */
int step_cache_each(struct step_cache *c, const struct digest *after, step_visit *visit, void *arg, struct err *err);
int step_cache_count(struct step_cache *c, int64_t *ret_count, struct err *err);
/* Whether no result before this one has its blob too: with it the blob's bytes are counted. */
int step_cache_counts(struct step_cache *c, const struct step_usage *usage, bool *ret_counts, struct err *err);

/* Bytes are of what no image shares, each blob once. */
struct step_totals {
	int64_t count, bytes;
	int64_t in_use, in_use_bytes;
};

int step_cache_totals(struct step_cache *c, struct step_totals *ret_totals, struct err *err);

struct step_limits {
	const char *const *kinds; /* only these; n_kinds 0: any */
	size_t n_kinds;
	bool all;	      /* also those that an image shares: only the record goes */
	int64_t unused_since; /* only those last used before (ns since 1970); 0: any */
	int64_t max_bytes;    /* of them the longest unused, until no more is left (of all); < 0: all of them */
	bool dry_run;
	step_visit *visit; /* each that went, or would go; NULL */
	void *arg;
	struct cancel *cancel;
};

/* Pinned ones stay. Of notes those go that were not used for as long as the oldest result left,
 * at least 30 days. */
int step_cache_prune(struct step_cache *c, const struct step_limits *limits, int64_t *ret_freed, struct err *err);

/* For the check: the result goes, those with this blob go. E_NOT_FOUND: there is none; E_BUSY:
 * it is pinned. */
int step_cache_forget(struct step_cache *c, const struct digest *key, struct err *err);
int step_cache_forget_blob(struct step_cache *c, const struct digest *blob, struct err *err);

#endif
