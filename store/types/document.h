/*
 * What kind of document a JSON object is, and that it is of one kind only
 * (CVE-2021-41190). Private to store/types.
 */
#ifndef STORE_TYPES_DOCUMENT_H
#define STORE_TYPES_DOCUMENT_H

#include "store/types/descriptor.h"

/* As document_kind(), for a document that is open. */
int document_classify(const struct jnode *root, const char *content_type, enum media_kind *ret_kind, struct err *err);

/* The members that manifests and indexes share: subject, annotations, artifactType. The
 * last one is borrowed; "" when it is not there. */
int document_check_common(const struct jnode *root, const char **ret_artifact_type, struct err *err);

#endif
