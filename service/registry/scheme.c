#include "service/registry/scheme.h"

#include "service/registry/netaddr.h"

void scheme_split_port(const char *authority, char host[SCHEME_HOST_MAX], const char **ret_port)
{
	const char *colon = strrchr(authority, ':'), *bracket = strchr(authority, ']');
	bool is_bare_ipv6 = authority[0] != '[' && colon && strchr(authority, ':') != colon;
	bool has_port = colon && !is_bare_ipv6 && (authority[0] != '[' || (bracket && colon > bracket));
	size_t len = has_port ? (size_t)(colon - authority) : strlen(authority);

	len = min_size(len, SCHEME_HOST_MAX - 1);
	memcpy(host, authority, len);
	host[len] = 0;
	*ret_port = has_port ? colon + 1 : "";
}

static struct scheme_rule http_only(const char *why)
{
	return (struct scheme_rule){ .why = why };
}

static struct scheme_rule https_then_http(const char *why)
{
	return (struct scheme_rule){ .https = true, .fallback = true, .why = why };
}

static struct scheme_rule rule_of_unsaid(const struct scheme_case *c, const char *host, const char *port)
{
	bool loopback = netaddr_class_of_host(host) == NETADDR_LOOPBACK;

	if (c->insecure && !strcmp(port, "80"))
		return http_only("it is listed as insecure, and port 80 is that of http");
	if (c->insecure)
		return https_then_http("it is listed as insecure");
	if (loopback && !strcmp(port, "80"))
		return http_only("it is on this machine, and port 80 is that of http");
	if (loopback && *port && strcmp(port, "443") != 0)
		return https_then_http("it is on this machine, with a port of its own");
	return (struct scheme_rule){ .https = true, .why = "" };
}

struct scheme_rule scheme_rule_of(const struct scheme_case *c)
{
	char host[SCHEME_HOST_MAX];
	const char *port;

	scheme_split_port(c->authority, host, &port);
	switch (c->said) {
	case SCHEME_HTTPS:
		return (struct scheme_rule){ .https = true, .why = "" };
	case SCHEME_HTTP:
		if (c->tls && strcmp(port, "80") != 0)
			return https_then_http("its URL says http, and TLS is set up for it");
		return http_only("its URL says http");
	default:
		return rule_of_unsaid(c, host, port);
	}
}
