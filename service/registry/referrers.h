/*
 * What refers to a manifest in a repository: the referrers API of OCI distribution-spec
 * 1.1, or the tag ALGORITHM-HEX where the registry has none.
 *
 * All pages are read, of which at most REFERRERS_PAGES_MAX and MANIFEST_BYTES_MAX in all
 * are taken; the next page is asked for only where the list itself is.
 */
#ifndef SERVICE_REGISTRY_REFERRERS_H
#define SERVICE_REGISTRY_REFERRERS_H

#include "service/registry/registry.h"
#include "store/types/referrers.h"

enum { REFERRERS_PAGES_MAX = 100 };

enum referrers_source { REFERRERS_API, REFERRERS_TAG };

/* Those of one type, or all for NULL. A subject that nothing refers to, and one that the
 * registry does not have, has an empty list. The caller frees the list. */
int registry_referrers(struct repository *r, const struct digest *subject, const char *artifact_type,
		       struct cancel *cancel, struct referrers *ret_list, enum referrers_source *ret_source,
		       struct err *err);

/* Lists a manifest that the repository has under the tag of its subject, for a registry
 * that does not do so itself. Read, added to and written again until it is seen there,
 * since others may write at the same time; it is never listed twice. */
int registry_list_referrer(struct repository *r, const struct digest *subject, struct bytes manifest,
			   const struct digest *digest, struct cancel *cancel, struct err *err);

#endif
