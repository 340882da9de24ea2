#include "service/registry/netaddr.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdio.h>
#include <strings.h>

enum { V4_BITS = 32, V6_BITS = 128, V4_MAPPED_AT = 12 };

static enum netaddr_class class_of_v4(const uint8_t a[4])
{
	static const uint8_t metadata[][4] = { { 100, 100, 100, 200 }, { 192, 0, 0, 192 }, { 168, 63, 129, 16 } };

	if (a[0] == 127 || a[0] == 0)
		return NETADDR_LOOPBACK;
	if (a[0] == 169 && a[1] == 254)
		return NETADDR_LINK_LOCAL;
	for (size_t i = 0; i < ARRAY_LEN(metadata); i++)
		if (!memcmp(a, metadata[i], 4))
			return NETADDR_LINK_LOCAL;
	return NETADDR_ORDINARY;
}

/* IPv4 inside IPv6: mapped, compatible, and through a NAT64 gateway. */
static const uint8_t *embedded_v4(const uint8_t a[16])
{
	static const uint8_t mapped[12] = { [10] = 0xff, [11] = 0xff };
	static const uint8_t compatible[12] = { 0 };
	static const uint8_t nat64[12] = { 0x00, 0x64, 0xff, 0x9b };

	if (!memcmp(a, mapped, 12) || !memcmp(a, nat64, 12))
		return a + V4_MAPPED_AT;
	if (!memcmp(a, compatible, 12) && (a[12] || a[13] || a[14]))
		return a + V4_MAPPED_AT;
	return NULL;
}

static enum netaddr_class class_of_v6(const uint8_t a[16])
{
	static const uint8_t any[16] = { 0 }, loopback[16] = { [15] = 1 };
	static const uint8_t metadata[16] = { 0xfd, 0x00, 0x0e, 0xc2, [14] = 0x02, [15] = 0x54 };
	const uint8_t *v4 = embedded_v4(a);

	if (v4)
		return class_of_v4(v4);
	if (!memcmp(a, any, 16) || !memcmp(a, loopback, 16))
		return NETADDR_LOOPBACK;
	if ((a[0] == 0xfe && (a[1] & 0xc0) == 0x80) || !memcmp(a, metadata, 16))
		return NETADDR_LINK_LOCAL;
	return NETADDR_ORDINARY;
}

enum netaddr_class netaddr_class_of(const struct sockaddr *sa)
{
	if (sa->sa_family == AF_INET) {
		struct sockaddr_in in;

		memcpy(&in, sa, sizeof in);
		return class_of_v4((const uint8_t *)&in.sin_addr);
	}
	if (sa->sa_family == AF_INET6) {
		struct sockaddr_in6 in6;

		memcpy(&in6, sa, sizeof in6);
		return class_of_v6(in6.sin6_addr.s6_addr);
	}
	return NETADDR_LINK_LOCAL; /* no other family has business here */
}

/* The bytes of a literal address, with or without brackets. 0 when it is a name. */
static int literal(const char *host, uint8_t out[16])
{
	char bare[INET6_ADDRSTRLEN + 1];
	size_t len = strlen(host);

	if (len >= 2 && host[0] == '[' && host[len - 1] == ']') {
		host++;
		len -= 2;
	}
	if (len >= sizeof bare)
		return 0;
	memcpy(bare, host, len);
	bare[len] = 0;
	if (inet_pton(AF_INET, bare, out) == 1)
		return AF_INET;
	if (inet_pton(AF_INET6, bare, out) == 1)
		return AF_INET6;
	return 0;
}

static bool under_localhost(const char *host)
{
	static const char name[] = "localhost";
	size_t len = strlen(host), n = sizeof name - 1;

	if (len && host[len - 1] == '.')
		len--;
	if (len < n || strncasecmp(host + len - n, name, n) != 0)
		return false;
	return len == n || host[len - n - 1] == '.';
}

enum netaddr_class netaddr_class_of_host(const char *host)
{
	uint8_t a[16];

	switch (literal(host, a)) {
	case AF_INET:
		return class_of_v4(a);
	case AF_INET6:
		return class_of_v6(a);
	default:
		return under_localhost(host) ? NETADDR_LOOPBACK : NETADDR_ORDINARY;
	}
}

char *netaddr_text(const struct sockaddr *sa, char out[NETADDR_TEXT_MAX])
{
	char text[INET6_ADDRSTRLEN] = "?";

	out[0] = 0;
	if (sa->sa_family == AF_INET) {
		struct sockaddr_in in;

		memcpy(&in, sa, sizeof in);
		inet_ntop(AF_INET, &in.sin_addr, text, sizeof text);
		snprintf(out, NETADDR_TEXT_MAX, "%s:%u", text, ntohs(in.sin_port));
	} else if (sa->sa_family == AF_INET6) {
		struct sockaddr_in6 in6;

		memcpy(&in6, sa, sizeof in6);
		inet_ntop(AF_INET6, &in6.sin6_addr, text, sizeof text);
		snprintf(out, NETADDR_TEXT_MAX, "[%s]:%u", text, ntohs(in6.sin6_port));
	}
	return out;
}

static bool prefix_length(const char *text, unsigned max, unsigned *ret_bits)
{
	unsigned bits = 0;

	if (!*text || strlen(text) > 3)
		return false;
	for (; *text; text++) {
		if (*text < '0' || *text > '9')
			return false;
		bits = bits * 10 + (unsigned)(*text - '0');
	}
	*ret_bits = bits;
	return bits <= max;
}

bool network_parse(const char *text, struct network *ret_network)
{
	char host[INET6_ADDRSTRLEN + 1];
	const char *slash = strchr(text, '/');
	size_t len = slash ? (size_t)(slash - text) : strlen(text);
	struct network n = { 0 };

	if (len >= sizeof host)
		return false;
	memcpy(host, text, len);
	host[len] = 0;
	n.family = literal(host, n.bytes);
	if (!n.family)
		return false;
	n.bits = n.family == AF_INET ? V4_BITS : V6_BITS;
	if (slash && !prefix_length(slash + 1, n.bits, &n.bits))
		return false;
	*ret_network = n;
	return true;
}

bool network_has_host(const struct network *n, const char *host)
{
	uint8_t a[16] = { 0 };
	unsigned whole = n->bits / 8, rest = n->bits % 8;

	if (literal(host, a) != n->family || memcmp(a, n->bytes, whole) != 0)
		return false;
	return !rest || !((a[whole] ^ n->bytes[whole]) >> (8 - rest));
}
