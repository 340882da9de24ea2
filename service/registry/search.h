/*
 * Images by a word. Three places know some (registry-cri.md 1.1):
 *
 *   index      GET /v1/search of Docker Hub's index, and of registries that have it
 *   Hub API    the newer, undocumented search of hub.docker.com, version 4, else 3
 *   catalog    of a registry without an index: names of its catalog that hold the word
 *
 * Docker Hub is asked without credentials: everybody sees the same there. Other
 * registries get the caller's, when they ask for them.
 */
#ifndef SERVICE_REGISTRY_SEARCH_H
#define SERVICE_REGISTRY_SEARCH_H

#include "service/registry/host.h"
#include "service/registry/registry.h"

enum {
	SEARCH_LIMIT_MAX = 100,
	SEARCH_LIMIT_DEFAULT = 25,
	SEARCH_TERM_MAX = 512,
	SEARCH_BYTES_MAX = 4 * 1024 * 1024, /* of an answer */
	SEARCH_NAME_MAX = 512,
	SEARCH_DESCRIPTION_MAX = 16 * 1024,
	SEARCH_WARNING_MAX = 5 * 1024,
};

enum search_source { SEARCH_INDEX, SEARCH_HUB_API, SEARCH_CATALOG };

struct search_result {
	char *name, *description; /* UTF-8; never NULL */
	int64_t stars, pulls;
	bool official, automated;
};

struct search_query {
	const char *term; /* WORD, or HOST[:PORT]/WORD */
	unsigned limit;	  /* 1 to SEARCH_LIMIT_MAX */
	bool hub_api;	  /* for Docker Hub */
	bool index_only;  /* no catalog */
	const struct credentials *credentials;
};

struct search_results {
	struct search_result *items;
	size_t n; /* <= limit */
	enum search_source source;
	char host[HOST_AUTHORITY_MAX]; /* that answered */
	char warning[SEARCH_WARNING_MAX];
};

void search_results_free(struct search_results *r); /* also the cleanup function */

/* In the order of the source; of a catalog, full matches first. Errors in docker's
 * words: E_INVALID_REFERENCE for a term with a scheme, E_REGISTRY "Unexpected status
 * code N", E_BAD_CONTENT "error decoding registry search results: …". */
int registry_search(struct registry *r, const struct search_query *q, struct cancel *cancel,
		    struct search_results *ret_results, struct err *err);

#endif
