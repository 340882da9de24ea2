/*
 * A walk over pages that a server chains: it must end. Pages are counted, and a chain
 * that bites its tail is found (Brent's algorithm) with one remembered page, so that
 * the walk fits into a page token. Pure values.
 */
#ifndef SERVICE_REGISTRY_PAGING_H
#define SERVICE_REGISTRY_PAGING_H

#include "proto/runtime/mem.h"

enum { PAGES_MAX = 2000 };

/* Zeros at the first page. */
struct paging {
	uint64_t remembered; /* hash of a page's query */
	uint32_t pages;	     /* followed so far */
	uint32_t until;	     /* the page that will be remembered next */
};

/* Goes on to the page of that query. E_REGISTRY when it was there before, E_LIMIT
 * after PAGES_MAX pages. */
int paging_follow(struct paging *p, const char *query, struct err *err);

#endif
