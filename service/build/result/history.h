/*
 * When what an image's history tells of was made (build.md 2.3). An entry with a layer has the
 * time of its layer, so that a build that finds all of them gives the same image; one without has
 * that of the entry before it: of the base, where it is the first, else of the first layer.
 * SOURCE_DATE_EPOCH stands for all of them. What the base's history says stays.
 *
 * Pure. OK, E_NO_MEMORY, E_LIMIT, or E_INTERNAL where entries and layers do not fit.
 */
#ifndef SERVICE_BUILD_RESULT_HISTORY_H
#define SERVICE_BUILD_RESULT_HISTORY_H

#include "store/types/image_config.h"

struct history_times {
	const struct image_config *base; /* whose entries come first; NULL */
	const int64_t *layers;		 /* when each layer above the base was made, ns since 1970; 0: unknown */
	size_t n_layers;
	struct timestamp all;	/* SOURCE_DATE_EPOCH; absent: none */
	struct timestamp first; /* where nothing tells a time */
};

/* Fills in the entries' times and the configuration's. Both are absent where nothing tells a
 * time. The base's entries are made to fit its layers, as BuildKit does it: those too many count
 * as empty, from the first on, and what is missing is added behind them. *ret_from: the first entry
 * above the base. Once for a configuration. */
int history_complete(struct image_config *c, const struct history_times *t, size_t *ret_from, struct err *err);
/* The times of a complete one again, as by what is known now. */
void history_date(struct image_config *c, size_t from, const struct history_times *t);

struct timestamp timestamp_of_ns(int64_t ns);

#endif
