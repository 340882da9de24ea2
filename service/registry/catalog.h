/*
 * The repositories of a registry: GET /v2/_catalog, which is outside of the
 * distribution-spec and often switched off, page by page.
 */
#ifndef SERVICE_REGISTRY_CATALOG_H
#define SERVICE_REGISTRY_CATALOG_H

#include "service/registry/names.h"

enum { CATALOG_NAMES_MAX = 200 * 1000 };

/* How well a name of the catalog fits a word. */
enum catalog_rank { CATALOG_IS, CATALOG_ENDS, CATALOG_HOLDS, CATALOG_LACKS };

enum catalog_rank catalog_rank(const char *name, const char *word);

/* All names that hold the word (ASCII letters of both cases are equal), in the
 * registry's order; names that are no repositories are passed over. *ret_whole: the
 * catalog was seen to its end; a longer one than CATALOG_NAMES_MAX is not.
 * *ret_status: of the answer that was not 200, then the list is empty; else 200.
 * `registry` has the scope SCOPE_CATALOG. E_REGISTRY, E_BAD_CONTENT, E_UNAUTHENTICATED. */
int registry_catalog(struct repository *registry, const char *word, struct cancel *cancel, struct names *ret_names,
		     bool *ret_whole, int *ret_status, struct err *err);

#endif
