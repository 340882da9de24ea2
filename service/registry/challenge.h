/*
 * WWW-Authenticate (RFC 9110, 11.6.1): what a registry wants to see.
 *
 * One header may hold several challenges and one challenge several parameters,
 * both parted by commas, and values may hold commas inside quotes; so the text is
 * read with a cursor over (pointer, length) and never split. Pure values.
 */
#ifndef SERVICE_REGISTRY_CHALLENGE_H
#define SERVICE_REGISTRY_CHALLENGE_H

#include "proto/runtime/mem.h"

enum auth_scheme {
	AUTH_NONE,
	AUTH_OTHER, /* Negotiate and whatever else: skipped */
	AUTH_BASIC,
	AUTH_BEARER,
};

enum {
	CHALLENGE_REALM_MAX = 1024,
	CHALLENGE_SERVICE_MAX = 256,
	CHALLENGE_SCOPE_MAX = 2048,
	CHALLENGE_ERROR_MAX = 64,
	CHALLENGES_MAX = 16, /* of one response */
};

struct challenge {
	enum auth_scheme scheme;
	char realm[CHALLENGE_REALM_MAX];
	char service[CHALLENGE_SERVICE_MAX];
	char scope[CHALLENGE_SCOPE_MAX];
	char error[CHALLENGE_ERROR_MAX];
};

struct challenge_cursor {
	struct bytes rest;
};

/* The next challenge of a header: 1, 0 at the end, E_INVALID when the rest cannot be
 * read (an open quote, a missing comma, a parameter twice, a value that is too
 * long): nothing behind that point is trusted. */
int challenge_next(struct challenge_cursor *c, struct challenge *ret_challenge, struct err *err);

/* The one to answer, of all headers of a response: the first Bearer, else the
 * first Basic. A header that cannot be read counts up to its mistake. False when
 * there is none. */
bool challenge_choose(const struct bytes *headers, size_t n, struct challenge *ret_challenge);

#endif
