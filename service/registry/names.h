/*
 * The lists of names that registries give: {"tags": […]}, {"repositories": […]}.
 * A list owns its strings; names_free() frees them.
 */
#ifndef SERVICE_REGISTRY_NAMES_H
#define SERVICE_REGISTRY_NAMES_H

#include "service/registry/request.h"

enum {
	NAMES_BYTES_MAX = 8 * 1024 * 1024, /* of one page on the wire */
	NAMES_MAX = 100 * 1000,		   /* of one list */
};

struct names {
	char **items;
	size_t n;
};

void names_free(struct names *names); /* also the cleanup function */
/* Takes the text over; false: no memory, and it is the caller's still. */
bool names_push(struct names *names, char *text);

/* The strings of an array member; absent and null are an empty list. E_BAD_CONTENT
 * names the member; no text of the document enters the message. */
int names_parse(struct bytes json, const char *member, struct names *ret_names, struct err *err);

/* One page: GET PATH?QUERY. */
struct name_page {
	struct names names;
	char *next; /* query of the next page; NULL: this was the last one */
};

void name_page_free(struct name_page *p); /* also the cleanup function */

/* ret_reply holds the answer, whose status is perhaps not 200: then the page is empty. */
int name_page_get(struct repository *r, const char *path, const char *query, const char *member, struct cancel *cancel,
		  struct name_page *ret_page, struct reply *ret_reply, struct err *err);

#endif
