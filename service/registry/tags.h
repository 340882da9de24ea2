/*
 * The tags of a repository: GET /v2/NAME/tags/list (OCI distribution-spec, listing
 * tags), page by page.
 *
 * A position is where the next tags begin. It can be handed out as a token, which is
 * signed: a client can give back only what this process gave it for this repository.
 *
 * Servers differ: some take no notice of `n` and `last` and send everything at once,
 * so a page is cut here and found again by its last tag.
 */
#ifndef SERVICE_REGISTRY_TAGS_H
#define SERVICE_REGISTRY_TAGS_H

#include "service/registry/names.h"
#include "service/registry/paging.h"

enum { TAGS_PAGE_MAX = 1000, TAGS_MAX = 1000 * 1000 };

/* Zeros: the first tag. */
struct tag_position {
	struct paging paging;
	uint64_t given; /* tags so far, <= TAGS_MAX */
	char *query;	/* of the registry's page; NULL: the first one */
	char *after;	/* of that page, what comes behind this tag; NULL: all */
};

void tag_position_free(struct tag_position *p); /* also the cleanup function */

/* The next tags, `limit` (1 to TAGS_PAGE_MAX) of them where there are so many, in the
 * registry's order; moves the position. *ret_more: these were not the last ones.
 * E_NOT_FOUND: "repository NAME not found: …"; E_DENIED; E_REGISTRY, E_BAD_CONTENT,
 * E_LIMIT for pages that are wrong or never end. */
int registry_tags(struct repository *r, struct tag_position *position, size_t limit, struct cancel *cancel,
		  struct names *ret_tags, bool *ret_more, struct err *err);

/* NULL: no memory. The caller frees. */
char *tag_position_token(const struct repository *r, const struct tag_position *position);
/* E_INVALID for what tag_position_token() did not give out. */
int tag_position_parse(const struct repository *r, const char *token, struct tag_position *ret_position,
		       struct err *err);

#endif
