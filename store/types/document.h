/*
 * What kind of document a JSON object is, and that it is of one kind only
 * (CVE-2021-41190). Private to store/types.
 */
#ifndef STORE_TYPES_DOCUMENT_H
#define STORE_TYPES_DOCUMENT_H

#include "store/types/descriptor.h"

/* As document_kind(), for a document that is open. */
int document_classify(const struct jnode *root, const char *content_type, enum media_kind *ret_kind, struct err *err);

/* The members that manifests and indexes share, beside annotations. */
struct document_common {
	struct digest subject;	   /* unset when there is none */
	const char *artifact_type; /* borrowed; "" when there is none */
};

int document_read_common(const struct jnode *root, struct document_common *ret_common, struct err *err);

#endif
