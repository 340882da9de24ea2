/*
 * URLs: one parser (libcurl's), one builder, one way to show them.
 *
 * Only http and https, never with user and password in them. Pure values.
 */
#ifndef SERVICE_REGISTRY_URL_H
#define SERVICE_REGISTRY_URL_H

#include "proto/runtime/buf.h"

enum { URL_MAX = 16 * 1024 };

struct url {
	char *text; /* whole and normal, without a fragment */
	bool https;
	char *host; /* lower case; IPv6 in brackets */
	uint16_t port;
};

/* E_INVALID with the reason; the message shows no query. */
int url_parse(const char *text, struct url *ret_url, struct err *err);
/* A Location header or a realm, seen from `base`. */
int url_resolve(const struct url *base, const char *location, struct url *ret_url, struct err *err);
void url_free(struct url *u); /* also the cleanup function */

bool url_same_origin(const struct url *a, const struct url *b);

/* Appends the text with everything but unreserved characters as %XX. */
bool url_encode(struct buf *out, const char *text);
/* Appends "?name=value" or "&name=value", encoded, to a URL in the buffer. */
bool url_add_query(struct buf *url, const char *name, const char *value);

/* Without query, fragment, user and control characters; NULL without memory. */
char *url_for_display(const char *url);
/* With "xxxxx" in place of what a user proves himself by, for where all the rest is to be seen; NULL without
 * memory. */
char *url_masked(const char *url);
/* `Get "URL"` of a request, as Go words it in messages; NULL without memory. */
char *url_request_shown(const char *method, const char *url);
/* The same with its query and all else, for URLs that hold no secret. */
char *url_request_whole(const char *method, const char *url);

#endif
