/*
 * All that builds keep for those to come, as one: results of steps, cache mounts, and what is
 * here of clients' contexts. For those who list it and who look after its size.
 *
 * Threads: any.
 */
#ifndef STORE_CACHE_BUILD_CACHE_H
#define STORE_CACHE_BUILD_CACHE_H

#include "store/cache/cache_mounts.h"
#include "store/cache/step_cache.h"
#include "store/contexts/contexts.h"

/* Borrowed; NULL ones are passed over. */
struct build_cache {
	struct step_cache *steps;
	struct cache_mounts *mounts;
	struct contexts *contexts;
};

enum build_cache_part { BUILD_CACHE_STEPS, BUILD_CACHE_MOUNTS, BUILD_CACHE_CONTEXTS };

/* What one is listed by: the parts follow each other, each in the order of its keys. */
struct build_cache_place {
	enum build_cache_part part;
	struct digest key;
};

struct build_cache_item {
	struct build_cache_place place;
	const char *kind;	 /* "regular", "source.local", "internal", "exec.cachemount" */
	const char *description; /* borrowed until the visit ends */
	int64_t bytes;		 /* of a layer that another result has too: told with the first only */
	bool shared;		 /* an image of the store has it too */
	bool in_use;
	int64_t created_ns, last_used_ns, use_count;
};

typedef bool build_cache_visit(void *arg, const struct build_cache_item *item); /* false stops */

/* All behind `after`, which need not be there; NULL: all. */
int build_cache_each(const struct build_cache *c, const struct build_cache_place *after, struct cancel *cancel,
		     build_cache_visit *visit, void *arg, struct err *err);

/* Bytes are of what no image shares. */
struct build_cache_totals {
	int64_t count, in_use, bytes, in_use_bytes;
};

int build_cache_totals(const struct build_cache *c, struct cancel *cancel, struct build_cache_totals *ret_totals,
		       struct err *err);

struct build_cache_limits {
	bool all;		  /* also results that images share, and contexts */
	const char *const *kinds; /* only these; n_kinds 0: any */
	size_t n_kinds;
	int64_t unused_since; /* only what was last used before (ns since 1970); 0: any */
	int64_t max_bytes;    /* of that the longest unused, until no more is left (of all); < 0: all of it */
	bool dry_run;
	build_cache_visit *visit; /* each that went, or would go; NULL */
	void *arg;
	struct cancel *cancel;
};

/* What is in use stays. *ret_freed: also of what went before a failure. */
int build_cache_prune(const struct build_cache *c, const struct build_cache_limits *limits, int64_t *ret_freed,
		      struct err *err);

#endif
