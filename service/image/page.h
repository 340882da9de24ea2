/*
 * One page of images: the tokens between pages, and what fits into one reply.
 *
 * Order: page_open(), page_fill() with a visitor that asks page_has_room() and says
 * page_count(), page_next(). A token names where the page before ended, and carries
 * the order and a hash of the filter, so that it is refused where it does not belong.
 * No transaction outlives page_fill(): what changes between two pages is seen by the
 * second one.
 */
#ifndef SERVICE_IMAGE_PAGE_H
#define SERVICE_IMAGE_PAGE_H

#include "proto/runtime/cancel.h"
#include "store/image/image.h"

struct page {
	const char *method; /* that gives out the tokens */
	uint64_t filter;
	enum image_order order;
	struct buf after;   /* the key of the last one on it */
	size_t limit;	    /* items, at most */
	size_t n, bytes;    /* items so far, and their size on the wire */
	struct arena *step; /* while it is filled: for what the visitor looks at only */
	bool full;	    /* there is one more, which does not fit */
	bool more;
};

/* As requests give them; E_INVALID. page_close() in any case. */
int page_open(struct page *p, int32_t size, const char *token, struct err *err);
void page_close(struct page *p); /* also by CLEANUP */

/* Reads images and calls the visitor (as image_list() does) until the page is full or
 * there are no more. */
int page_fill(struct page *p, struct store *s, image_visit *visit, void *arg, struct cancel *cancel, struct err *err);

/* For the visitor: whether one more of that many bytes fits. When not it returns
 * page_end(), and the next page begins with this image. */
bool page_has_room(const struct page *p, size_t bytes);
void page_count(struct page *p, size_t bytes);
int page_end(struct page *p, struct err *err);

/* The token of the next page, "" after the last one; NULL: no memory. */
char *page_next(const struct page *p, struct arena *a);

#endif
