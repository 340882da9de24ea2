#include "service/build/ports.h"

#include <arpa/inet.h>
#include <strings.h>

#include "service/build/quote.h"

static bool take_port(const char **p, const char *end, uint16_t *ret_port)
{
	uint32_t port = 0;
	const char *begin = *p;

	for (; *p < end && **p >= '0' && **p <= '9'; (*p)++) {
		port = port * 10 + (uint32_t)(**p - '0');
		if (port > UINT16_MAX)
			return false;
	}
	*ret_port = (uint16_t)port;
	return *p > begin;
}

/* "80" or "80-90" */
static bool parse_range(const char *from, const char *to, uint16_t *ret_first, uint16_t *ret_last)
{
	if (!take_port(&from, to, ret_first))
		return false;
	*ret_last = *ret_first;
	if (from < to && *from == '-') {
		from++;
		if (!take_port(&from, to, ret_last))
			return false;
	}
	return from == to && *ret_first <= *ret_last;
}

static int invalid_port(const char *spec, struct err *err)
{
	struct quoted quoted;

	return err_wrap(err, "invalid port: %s", quote_short(spec, &quoted));
}

static int parse_protocol(const char *text, struct port_range *range, struct err *err)
{
	static const char *const known[] = { "tcp", "udp", "sctp" };
	size_t len = strlen(text);

	for (size_t i = 0; i < ARRAY_LEN(known); i++)
		if (!len || !strcasecmp(text, known[i])) {
			range->protocol = known[i];
			range->odd_case = len && strcmp(text, known[i]) != 0;
			return OK;
		}
	return fail(err, E_INVALID, "invalid proto: %.*s", (int)(len < 64 ? len : 64), text);
}

static int check_address(const char *from, const char *to, struct err *err)
{
	char text[INET6_ADDRSTRLEN + 1];
	struct in6_addr address;
	size_t len;

	if (to - from >= 2 && *from == '[' && to[-1] == ']') {
		from++;
		to--;
	}
	len = (size_t)(to - from);
	if (len < sizeof text) {
		memcpy(text, from, len);
		text[len] = 0;
		if (inet_pton(AF_INET, text, &address) == 1 || inet_pton(AF_INET6, text, &address) == 1)
			return OK;
	}
	return fail(err, E_INVALID, "invalid IP address: %.*s", (int)(len < 64 ? len : 64), from);
}

/* The colon before `end`, or NULL. */
static const char *colon_before(const char *begin, const char *end)
{
	while (end > begin)
		if (*--end == ':')
			return end;
	return NULL;
}

/* What stands before the container's port: "[IP:][PORTS]", up to `end`. The host may have
 * a range for one port of the container, but not one of another size for several. */
static int check_host(const char *spec, const char *end, const struct port_range *range, struct err *err)
{
	const char *colon = colon_before(spec, end), *ports = colon ? colon + 1 : spec;
	unsigned width = (unsigned)(range->last - range->first);
	uint16_t first = 0, last = 0;
	int len = (int)(end - ports < 64 ? end - ports : 64);

	if (colon && colon > spec && check_address(spec, colon, err) < 0)
		return E_INVALID;
	if (ports == end)
		return OK;
	if (!parse_range(ports, end, &first, &last))
		return fail(err, E_INVALID, "invalid hostPort: %.*s", len, ports);
	if (width && width != (unsigned)(last - first))
		return fail(err, E_INVALID, "invalid ranges specified for container and host Ports: %.*s and %.*s",
			    (int)strcspn(end + 1, "/"), end + 1, len, ports);
	return OK;
}

int port_range_parse(const char *spec, struct port_range *ret_range, struct err *err)
{
	const char *colon = strrchr(spec, ':'), *port = colon ? colon + 1 : spec;
	size_t len = strcspn(port, "/");
	struct port_range range = { .has_host = colon && colon > spec };

	if (!len) {
		fail(err, E_INVALID, "no port specified");
		return invalid_port(spec, err);
	}
	if (parse_protocol(port[len] ? port + len + 1 : "", &range, err) < 0)
		return invalid_port(spec, err);
	if (!parse_range(port, port + len, &range.first, &range.last))
		return fail(err, E_INVALID, "invalid containerPort: %.*s", (int)(len < 64 ? len : 64), port);
	if (colon && check_host(spec, colon, &range, err) < 0)
		return E_INVALID;
	*ret_range = range;
	return OK;
}
