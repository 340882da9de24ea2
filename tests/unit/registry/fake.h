/*
 * A registry to be tested against: a small HTTP/1.1 server in this process, on
 * threads and a port of 127.0.0.1, whose answers a test writes, byte for byte when
 * it wants to lie. It counts connections and keeps the requests.
 *
 * The handler runs on the thread of the connection, one request at a time.
 */
#ifndef TESTS_UNIT_REGISTRY_FAKE_H
#define TESTS_UNIT_REGISTRY_FAKE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { FAKE_HEADERS_MAX = 16, FAKE_LOG_MAX = 4096 };

struct fake;
struct fake_conn;

struct fake_request {
	char method[8];
	char path[2048]; /* with the query */
	struct {
		char name[64], value[1024];
	} headers[FAKE_HEADERS_MAX];
	size_t n_headers;
	char body[4096]; /* NUL-terminated; of a long one nothing is read, and the connection ends */
	unsigned connection;
	unsigned number; /* of this request, from 1 */
};

typedef void fake_handler(struct fake_conn *c, const struct fake_request *q, void *arg);

enum fake_kind { FAKE_PLAIN, FAKE_TLS };

struct fake *fake_start(enum fake_kind kind, fake_handler *handler, void *arg);
void fake_stop(struct fake *f); /* NULL is fine */

unsigned fake_port(const struct fake *f);
const char *fake_authority(const struct fake *f); /* "127.0.0.1:PORT" */
unsigned fake_connections(struct fake *f);
/* Requests so far whose method and path begin so; "" is any. */
unsigned fake_count(struct fake *f, const char *method, const char *path);
/* The last of them; false when there is none. */
bool fake_last(struct fake *f, const char *method, const char *path, struct fake_request *ret);
const char *fake_header(const struct fake_request *q, const char *name); /* NULL: none */

/* A file with the certificate of all TLS fakes, which is its own CA, valid for
 * localhost and 127.0.0.1. */
const char *fake_ca_file(void);

/* Answers. `headers` are lines that end in \r\n; Content-Length is added. A HEAD gets no body. */
void fake_reply(struct fake_conn *c, const struct fake_request *q, int status, const char *headers, const void *body,
		size_t len);
void fake_text(struct fake_conn *c, const struct fake_request *q, int status, const char *headers, const char *body);
bool fake_send(struct fake_conn *c, const void *data, size_t len); /* raw */
bool fake_puts(struct fake_conn *c, const char *text);
void fake_hang_up(struct fake_conn *c); /* after the handler */
void fake_reset(struct fake_conn *c);	/* RST, not FIN */
void fake_stall(struct fake_conn *c);	/* until the peer goes away or the fake stops */

/* True on the threads of fakes: for tests that make the client's allocations fail. */
extern _Thread_local bool fake_thread;

/* A port that nobody listens at. */
unsigned free_port(void);

#endif
