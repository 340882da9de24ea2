/*
 * Who may call what: grants give roles to callers, and every method names the role that it
 * needs (imaged/v1/options.proto). A caller has the highest role of the grants that fit; one
 * whom none fits may only ask for the health. On unix sockets whoever could open the socket is
 * admin, until a grant speaks of unix sockets (uid, gid or unix); on TCP nobody is anything.
 *
 * A grant is ROLE:WHO, as "write:gid=docker". ROLE is read, write or admin, and WHO one of
 *   unix           whoever could open the socket
 *   uid=, gid=     the user, or one of the groups, at the other end: a number or a name
 *   certificate    whoever shows a certificate of the client authorities
 *   cn=            its common name
 *   dns=, email=, uri=, ip=   one of its subject alternative names of that kind
 *   spiffe=        its SPIFFE ID (the certificate's only URI)
 *   anonymous      over TCP without a certificate
 * In names '*' stands for one character or more, but for none that ends a part of the name, so
 * that a pattern has as many parts as what it fits: '.' in dns, '.' and '@' in email, '/' in
 * uri and spiffe, and all three in cn.
 *
 * Immutable after grants_new(): any thread may ask.
 */
#ifndef SERVICE_RPC_GRANTS_H
#define SERVICE_RPC_GRANTS_H

#include "service/rpc/call.h"

struct grants;

/* E_INVALID names the grant and what is wrong, such as a user that this machine does not have. */
int grants_new(const char *const *texts, size_t n, struct grants **ret_grants, struct err *err);
void grants_free(struct grants *all);

/* Whoever is at the other end of a connected unix socket. NONE when that cannot be read. */
enum rpc_role grants_role_of_socket(const struct grants *all, int fd);

/* The caller over TCP. */
enum rpc_role grants_role_of_tcp(const struct grants *all, const struct identity *who);

/* Whether a grant lets anybody in over TCP. */
bool grants_open_tcp(const struct grants *all);

/* "read" */
const char *grants_role_name(enum rpc_role role);

/* How a '*' is read: exposed for tests. `stops` are the characters that it does not stand for. */
bool grant_fits(const char *pattern, const char *name, const char *stops);

#endif
