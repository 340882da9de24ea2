/* What EXPOSE names: PORT, FIRST-LAST, each with "/tcp", "/udp" or "/sctp"; an address
 * and ports of the host before them are checked and mean nothing. Pure. */
#ifndef SERVICE_BUILD_PORTS_H
#define SERVICE_BUILD_PORTS_H

#include "proto/runtime/mem.h"

enum { PORT_TEXT_MAX = 16 };

struct port_range {
	uint16_t first, last; /* first <= last */
	const char *protocol; /* "tcp", "udp", "sctp" */
	bool has_host;	      /* an address or a port of the host stood before it */
	bool odd_case;	      /* the protocol was not in lower case */
};

/* E_INVALID in docker's words: "invalid containerPort: x", "invalid port: \"80/x\": invalid
 * proto: x". */
int port_range_parse(const char *spec, struct port_range *ret_range, struct err *err);

#endif
