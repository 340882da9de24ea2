/*
 * An answer that is not the wanted one, as an error in docker's words
 * (docker-cli.md 12) with our code.
 */
#ifndef SERVICE_REGISTRY_REFUSAL_H
#define SERVICE_REGISTRY_REFUSAL_H

#include "service/registry/request.h"

/* What was asked for: `ref` for a manifest, `blob` for a blob. */
struct wanted {
	const struct reference *ref;
	const struct digest *blob;
	bool push; /* in the words of a push, which are the registry's */
};

/* E_MANIFEST_UNKNOWN, E_NOT_FOUND, E_DENIED, E_RATE_LIMITED (with retry_after_ms),
 * E_UNSUPPORTED, E_REGISTRY for server errors, E_UNKNOWN for the rest. */
int refusal_of(const struct repository *r, const struct wanted *w, const struct reply *reply, struct err *err);

/* The same of an answer whose body was not taken. */
int refusal_of_answer(const struct repository *r, const struct wanted *w, struct answer *a, struct cancel *cancel,
		      struct err *err);

/* "404 Not Found"; only the number where it has no name. */
char *status_text(int status, char out[64]);

#endif
