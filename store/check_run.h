/*
 * One run of store_check(), for its files.
 */
#ifndef STORE_CHECK_RUN_H
#define STORE_CHECK_RUN_H

#include "store/check.h"
#include "store/image/image_index.h"

enum { CHECK_ARENA = 64 * 1024 * 1024 };

struct checking {
	struct store *store;
	const struct check *c;
	struct err *err;
	struct check_progress progress;
	size_t untold;			     /* bytes since progress was told */
	int r;				     /* of callbacks inside of visitors */
	struct digest_list damaged, missing; /* reported already */
	const struct digest *step;	     /* of whose result a finding is; NULL: of none */
};

int check_report(struct checking *w, enum finding_kind kind, const struct digest *d, const char *detail,
		 struct err *err);

int check_tell_progress(struct checking *w, struct err *err);

/* Images, indexes, names and the keys that lead to them. */
int check_records(struct checking *w, struct err *err);

/* Results of steps of builds. */
int check_steps(struct checking *w, struct err *err);

/* Images of layers: their records against their files. */
int check_layers(struct checking *w, struct err *err);

/* Which images need a blob, where it could come from, what it should be. */
int check_describe(struct store *s, const struct digest *d, struct arena *arena, struct finding *f, struct err *err);
/* Which images need a layer. */
int check_describe_layer(struct store *s, const struct digest *diff_id, struct arena *arena, struct finding *f,
			 struct err *err);

#endif
