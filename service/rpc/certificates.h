/*
 * The PEM files of TLS: the certificate, its key, and the authorities of clients. What
 * OpenSSL can tell before gRPC sees them is told here, by file name: gRPC would only say
 * that something failed.
 */
#ifndef SERVICE_RPC_CERTIFICATES_H
#define SERVICE_RPC_CERTIFICATES_H

#include "service/rpc/server.h"

/* A file's text, NUL-terminated. */
struct pem {
	char *text;
	size_t len;
};

struct certificates {
	struct pem cert, key, ca; /* of ca the text is NULL when clients need no certificate */
};

/* E_INVALID names the file and what is wrong. */
int certificates_read(const struct rpc_tls *tls, struct certificates *ret_certificates, struct err *err);

/* Whether they can be served: all whole, none of ours expired, the key the certificate's. */
int certificates_check(const struct rpc_tls *tls, const struct certificates *c, struct err *err);

bool certificates_equal(const struct certificates *a, const struct certificates *b);

/* Wipes the key; also the cleanup function. */
void certificates_free(struct certificates *c);

#endif
