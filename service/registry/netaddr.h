/*
 * Classes of network addresses that decide what a server may send us to.
 *
 * A registry that is reached over the network must not make the daemon talk to
 * its own machine or to the metadata service of its cloud (registry-cri.md 5.2).
 */
#ifndef SERVICE_REGISTRY_NETADDR_H
#define SERVICE_REGISTRY_NETADDR_H

#include <sys/socket.h>

#include "proto/runtime/mem.h"

enum netaddr_class {
	NETADDR_ORDINARY,
	NETADDR_LOOPBACK,   /* and "this host": 0.0.0.0/8, :: */
	NETADDR_LINK_LOCAL, /* and the known metadata services outside of it */
};

enum { NETADDR_TEXT_MAX = 64 };

/* Addresses mapped into IPv6 count as what they carry. */
enum netaddr_class netaddr_class_of(const struct sockaddr *sa);

/* A host as in a URL: an address ("[::1]" too) or "localhost" and names under it;
 * every other name is ordinary until it is resolved. */
enum netaddr_class netaddr_class_of_host(const char *host);

/* "127.0.0.1:5000", "[::1]:5000"; out is returned. */
char *netaddr_text(const struct sockaddr *sa, char out[NETADDR_TEXT_MAX]);

/* A network in CIDR form; addresses alone are networks of one. */
struct network {
	int family; /* AF_INET, AF_INET6 */
	uint8_t bytes[16];
	unsigned bits;
};

bool network_parse(const char *text, struct network *ret_network);
/* Hosts that are names are in no network: DNS does not decide about trust. */
bool network_has_host(const struct network *n, const char *host);

#endif
