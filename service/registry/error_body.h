/*
 * What a registry says about a failure, made fit for a message.
 *
 * The body may be the distribution-spec's JSON, another JSON (token servers), text,
 * HTML, or anything hostile: it is bounded, control characters and broken UTF-8
 * are replaced, and the queries of URLs (they may be signed) are cut out.
 */
#ifndef SERVICE_REGISTRY_ERROR_BODY_H
#define SERVICE_REGISTRY_ERROR_BODY_H

#include "proto/runtime/mem.h"

enum {
	ERROR_BODY_MAX = 64 * 1024, /* read from the wire */
	ERROR_CODE_MAX = 64,
	ERROR_TEXT_MAX = 512,
};

struct error_body {
	char code[ERROR_CODE_MAX]; /* of the first error, as sent: "MANIFEST_UNKNOWN"; or "" */
	/* "manifest unknown: no such tag", several joined by "; "; "" when the body
	 * says nothing that a person could read. */
	char text[ERROR_TEXT_MAX];
};

void error_body_parse(struct bytes body, struct error_body *ret_error);

/* How many bytes the first character takes; 0 for what is no text: broken UTF-8, C1
 * controls, marks that turn the direction of writing. ASCII controls count as text. */
size_t text_character(struct bytes b);

/* The bytes as one line of clean text; out is returned. */
char *text_clean(struct bytes in, char *out, size_t max);

#endif
