/*
 * Addresses to listen on: "unix:///PATH", "tcp://HOST:PORT", "fd://N".
 */
#ifndef SERVICE_RPC_ADDRESS_H
#define SERVICE_RPC_ADDRESS_H

#include "proto/runtime/mem.h"

enum address_kind { ADDRESS_UNIX, ADDRESS_TCP, ADDRESS_FD };

enum { ADDRESS_HOST_MAX = 256, ADDRESS_RESULTS_MAX = 8, ADDRESS_TARGET_MAX = 80 };

struct address {
	enum address_kind kind;
	const char *path;	     /* ADDRESS_UNIX: points into the text */
	int fd;			     /* ADDRESS_FD */
	char host[ADDRESS_HOST_MAX]; /* ADDRESS_TCP: without brackets */
	int port;
};

/* E_INVALID, naming the address and the accepted forms. */
int address_parse(const char *text, struct address *ret_address, struct err *err);

/* What a host means: numeric hosts, so that what was checked is what is bound. */
struct address_results {
	char host[ADDRESS_RESULTS_MAX][ADDRESS_TARGET_MAX]; /* "127.0.0.1", "[::1]" */
	size_t n;
	bool all_loopback;
};

int address_resolve(const struct address *address, struct address_results *ret_results, struct err *err);

/* A listening socket. Port 0 becomes the one that the kernel chose. errno tells why not. */
int address_listen(const char *numeric_host, int *port, int backlog, int *ret_fd, struct err *err);

/* Why binding fails, by trying: a text for humans, or NULL when it works now. */
const char *address_bind_problem(const char *numeric_host, int port);

#endif
