/*
 * Whether a registry is asked over https or http (registry-cri.md 1.3, "http
 * fallback"; the cases are those of containerd). A pure decision.
 *
 * http is possible only where somebody said so, for hosts that are listed as
 * insecure, and for loopback with a port that is not https's. Where TLS is set up as
 * well, or nobody said which of the two it is, https is asked first, and http only
 * when nobody answers there or the peer does not speak TLS; port 80 is http.
 */
#ifndef SERVICE_REGISTRY_SCHEME_H
#define SERVICE_REGISTRY_SCHEME_H

#include "proto/runtime/mem.h"

enum scheme_said { SCHEME_UNSAID, SCHEME_HTTP, SCHEME_HTTPS };

struct scheme_case {
	const char *authority; /* HOST[:PORT], lower case */
	enum scheme_said said;
	bool tls;      /* authorities, a client certificate, or skip_verify were set for it */
	bool insecure; /* it is in the list of insecure registries */
};

struct scheme_rule {
	bool https;	 /* asked first */
	bool fallback;	 /* then http */
	const char *why; /* http may be used: a reason for people; else "" */
};

struct scheme_rule scheme_rule_of(const struct scheme_case *c);

enum { SCHEME_HOST_MAX = 256 };

/* "[::1]:5000" → "[::1]" and "5000"; an empty port where there is none. The authority
 * is shorter than SCHEME_HOST_MAX. */
void scheme_split_port(const char *authority, char host[SCHEME_HOST_MAX], const char **ret_port);

#endif
