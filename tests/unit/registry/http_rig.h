/*
 * The HTTP client beside a server that answers as a test says.
 */
#ifndef TESTS_UNIT_REGISTRY_HTTP_RIG_H
#define TESTS_UNIT_REGISTRY_HTTP_RIG_H

#include <stdatomic.h>

#include "service/registry/http.h"
#include "tests/unit/registry/fake.h"
#include "tests/unit/types/unit.h"

enum { BIG = 8 * 1024 * 1024 };

struct http_rig {
	struct http_client *client;
	struct fake *fake;
	struct err err;
	enum http_failure failed;
};

struct http_rig http_rig_start(fake_handler *handler, const void *arg, struct http_options o);
void http_rig_stop(struct http_rig *r);

int open_with(struct http_rig *r, struct http_request q, const char *path, struct cancel *cancel,
	      struct http_exchange **ret);
struct http_exchange *opened(struct http_rig *r, const char *path); /* GET, which must succeed */
int body_of(struct http_rig *r, struct http_exchange *x, struct buf *b);

/* ---- handlers: what the server answers ----------------------------------------- */

fake_handler hello, big;
fake_handler say, say_and_stall; /* the text of `arg`, then the end or nothing */

extern atomic_size_t endless_sent;
fake_handler endless;

#endif
