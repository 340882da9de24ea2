/*
 * Lists of what refers to a document: signatures, attestations, bills of materials
 * (OCI distribution-spec 1.1, "Listing Referrers" and "Referrers Tag Schema"). The list
 * is an index whose entries carry an artifact type and annotations.
 *
 * Read as strictly as manifests (manifest.h). Pure values, no I/O; results own their
 * memory.
 */
#ifndef STORE_TYPES_REFERRERS_H
#define STORE_TYPES_REFERRERS_H

#include "proto/runtime/buf.h"
#include "store/types/manifest.h"
#include "store/types/reference.h"

struct annotation {
	char *key, *value;
};

struct referrer {
	struct descriptor descriptor;
	char *artifact_type; /* never NULL, may be "" */
	struct annotation *annotations;
	size_t n_annotations;
};

struct referrers {
	struct referrer *items;
	size_t n; /* <= INDEX_ENTRIES_MAX */
};

/* Appends a page's entries; those of another type than `artifact_type` (NULL: any) are
 * left out. E_BAD_CONTENT, E_LIMIT; then the list is as it was. */
int referrers_add(struct referrers *list, struct bytes index, const char *artifact_type, struct err *err);
void referrers_free(struct referrers *list); /* also the cleanup function */

/* The tag that stands for a digest where a registry has no list: "sha256-…", algorithm
 * cut at 32 characters and the hex digits at 64. */
char *referrers_tag(const struct digest *subject, char out[REFERENCE_TAG_MAX + 1]);

/* The index of that tag with one more entry, for a manifest that has a subject; the
 * other entries stay as they are. `index` is empty when there is none yet. Nothing is
 * written to `out` when the manifest is listed already (*ret_listed). */
int referrers_index_add(struct bytes index, struct bytes manifest, const struct digest *digest, struct buf *out,
			bool *ret_listed, struct err *err);

#endif
