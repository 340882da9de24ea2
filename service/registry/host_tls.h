/*
 * Authorities and client certificates of one host, read from files once and shared
 * by the requests that use them. Immutable; the last who lets go wipes the keys.
 *
 * libcurl compares these bytes before it reuses a connection or a TLS session, so
 * connections made with other files are never mixed up (http_exchange.c).
 */
#ifndef SERVICE_REGISTRY_HOST_TLS_H
#define SERVICE_REGISTRY_HOST_TLS_H

#include <stdatomic.h>

#include "proto/runtime/buf.h"

struct host_client {
	char *cert_file, *key_file; /* key_file NULL: cert_file holds both */
};

struct host_identity {
	struct buf cert, key; /* PEM; the certificate with its chain */
};

struct host_tls {
	atomic_uint refs;
	struct buf authorities; /* PEM, trusted beside the system's; may be empty */
	struct host_identity *identities;
	size_t n_identities;
};

struct host_tls_files {
	char *const *ca_files;
	size_t n_ca_files;
	const struct host_client *clients;
	size_t n_clients;
};

/* E_BAD_CONTENT names the file that cannot be read or is no use. *ret_tls is NULL when
 * there are no files. */
int host_tls_load(const struct host_tls_files *files, struct host_tls **ret_tls, struct err *err);
struct host_tls *host_tls_ref(struct host_tls *t); /* NULL is fine */
void host_tls_unref(struct host_tls *t);

/* A small file as a whole: E_BAD_CONTENT when it cannot be read or is longer than the
 * buffer's maximum; *ret_exists (may be NULL, then it must) tells whether there is one. */
int host_file_read(const char *file, struct buf *out, bool *ret_exists, struct err *err);

#endif
