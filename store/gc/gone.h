/*
 * What is to be taken as gone although it is there: images, indexes and names that removals
 * which only say what they would do have taken. Memory grows with them. One thread at a time.
 */
#ifndef STORE_GC_GONE_H
#define STORE_GC_GONE_H

#include "store/types/digest_set.h"

struct gone_name;

struct gone {
	struct digest_set records; /* of manifests and indexes; and configurations, which have none */
	struct gone_name *names;
};

/* A canonical reference. E_NO_MEMORY. */
int gone_add_name(struct gone *g, const char *name, struct err *err);

/* NULL: nothing is gone. */
bool gone_has_name(const struct gone *g, const char *name);
bool gone_has_record(const struct gone *g, const struct digest *d);

void gone_free(struct gone *g);

#endif
