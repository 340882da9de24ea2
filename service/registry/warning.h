/*
 * What a registry wants its users to know: `Warning: 299 - "TEXT"` (OCI distribution-spec,
 * warnings; RFC 7234, 5.5). Shown, never acted on.
 *
 * Texts are collected for a repository as answers come, each once, WARNINGS_MAX bytes in
 * all; what does not fit is left out.
 *
 * Threads: any.
 */
#ifndef SERVICE_REGISTRY_WARNING_H
#define SERVICE_REGISTRY_WARNING_H

#include <pthread.h>

#include "proto/runtime/buf.h"
#include "service/registry/http.h"

enum { WARNINGS_MAX = 4096 };

struct warnings {
	pthread_mutex_t mu;
	struct buf lines; /* mu: each with a newline at its end */
};

void warnings_init(struct warnings *w);
void warnings_destroy(struct warnings *w);
void warnings_take(struct warnings *w, const struct http_response *response);
/* As one line, "; " between them, so many as fit. "" when there are none. */
char *warnings_text(struct warnings *w, char *out, size_t size);

/* The text of a header's value, cleaned; false when it is no warning 299 with a text. */
bool warning_parse(const char *value, char *out, size_t size);

#endif
