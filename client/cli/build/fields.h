/*
 * Values of options that are lists of their own: "type=local,dest=out", one line of
 * comma-separated values (RFC 4180), each KEY=VALUE. Pure.
 */
#ifndef CLIENT_CLI_BUILD_FIELDS_H
#define CLIENT_CLI_BUILD_FIELDS_H

#include "proto/runtime/arena.h"

enum { FIELDS_MAX = 64 };

struct field {
	char *key;   /* in lower case */
	char *value; /* NULL: there is no "=" */
};

struct fields {
	struct field items[FIELDS_MAX];
	size_t n;
};

/* In the arena. E_INVALID in Go's words, E_LIMIT. */
int fields_parse(const char *text, struct arena *a, struct fields *ret_fields, struct err *err);
/* The last one's value; NULL: there is none. */
const char *fields_get(const struct fields *f, const char *key);
/* "1", "true", … E_INVALID: "invalid value for KEY: …"; absent: `otherwise`. */
int fields_bool(const struct fields *f, const char *key, bool otherwise, bool *ret_value, struct err *err);

#endif
