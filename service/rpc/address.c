#include "service/rpc/address.h"

#include <arpa/inet.h>
#include <netdb.h>
#include <stdio.h>
#include <sys/socket.h>

enum { PORT_MAX = 65535 };

static const char *after(const char *text, const char *prefix)
{
	size_t n = strlen(prefix);

	return strncmp(text, prefix, n) ? NULL : text + n;
}

/* Decimal digits only, and nothing behind them. */
static bool parse_number(const char *text, long max, int *ret_number)
{
	char *end;
	long value;

	if (text[0] < '0' || text[0] > '9')
		return false;
	errno = 0;
	value = strtol(text, &end, 10);
	if (*end || errno || value > max)
		return false;
	*ret_number = (int)value;
	return true;
}

static bool parse_host_port(const char *text, struct address *a)
{
	const char *colon = strrchr(text, ':'), *host = text;
	size_t len;

	if (!colon || !parse_number(colon + 1, PORT_MAX, &a->port))
		return false;
	len = (size_t)(colon - text);
	if (len >= 2 && host[0] == '[' && host[len - 1] == ']') {
		host++;
		len -= 2;
	} else if (memchr(host, ':', len)) {
		return false; /* an IPv6 address needs brackets */
	}
	if (!len || len >= sizeof a->host)
		return false;
	snprintf(a->host, sizeof a->host, "%.*s", (int)len, host);
	return true;
}

int address_parse(const char *text, struct address *ret_address, struct err *err)
{
	struct address a = { .fd = -1 };
	const char *rest;
	bool good = false;

	if ((rest = after(text, "unix://"))) {
		a.kind = ADDRESS_UNIX;
		a.path = rest;
		good = rest[0] == '/';
	} else if ((rest = after(text, "tcp://"))) {
		a.kind = ADDRESS_TCP;
		good = parse_host_port(rest, &a);
	} else if ((rest = after(text, "fd://"))) {
		a.kind = ADDRESS_FD;
		good = parse_number(rest, INT32_MAX, &a.fd);
	}
	if (!good)
		return fail(err, E_INVALID,
			    "cannot listen on '%s': addresses are unix:///PATH, tcp://HOST:PORT or fd://N", text);
	*ret_address = a;
	return OK;
}

static bool is_loopback(const struct sockaddr *sa)
{
	if (sa->sa_family == AF_INET)
		return ntohl(((const struct sockaddr_in *)sa)->sin_addr.s_addr) >> 24 == IN_LOOPBACKNET;
	if (sa->sa_family == AF_INET6)
		return IN6_IS_ADDR_LOOPBACK(&((const struct sockaddr_in6 *)sa)->sin6_addr);
	return false;
}

static bool add_result(struct address_results *r, const struct addrinfo *info)
{
	char host[INET6_ADDRSTRLEN + 24]; /* with a scope */

	if (r->n == ADDRESS_RESULTS_MAX ||
	    getnameinfo(info->ai_addr, info->ai_addrlen, host, sizeof host, NULL, 0, NI_NUMERICHOST))
		return false;
	snprintf(r->host[r->n], sizeof r->host[r->n], info->ai_family == AF_INET6 ? "[%s]" : "%s", host);
	r->n++;
	r->all_loopback = r->all_loopback && is_loopback(info->ai_addr);
	return true;
}

int address_resolve(const struct address *address, struct address_results *ret_results, struct err *err)
{
	struct addrinfo hints = { .ai_socktype = SOCK_STREAM }, *list = NULL;
	struct address_results results = { .all_loopback = true };
	int rc = getaddrinfo(address->host, NULL, &hints, &list);
	bool good = rc == 0;

	for (const struct addrinfo *i = list; i && good; i = i->ai_next)
		good = add_result(&results, i);
	if (list)
		freeaddrinfo(list);
	if (rc)
		return fail(err, E_INVALID, "cannot listen on host '%s': %s", address->host, gai_strerror(rc));
	if (!good || !results.n)
		return fail(err, E_INVALID, "cannot listen on host '%s': it has no address that fits", address->host);
	*ret_results = results;
	return OK;
}

/* "[::1]" or "127.0.0.1" with a port. */
static bool fill_numeric(const char *numeric_host, int port, struct sockaddr_storage *ret_address, socklen_t *ret_len)
{
	struct addrinfo hints = { .ai_socktype = SOCK_STREAM, .ai_flags = AI_NUMERICHOST }, *list = NULL;
	char host[ADDRESS_TARGET_MAX];
	size_t len = strlen(numeric_host);

	if (len >= 2 && numeric_host[0] == '[')
		snprintf(host, sizeof host, "%.*s", (int)(len - 2), numeric_host + 1);
	else
		snprintf(host, sizeof host, "%s", numeric_host);
	if (getaddrinfo(host, NULL, &hints, &list))
		return false;
	memcpy(ret_address, list->ai_addr, list->ai_addrlen);
	*ret_len = list->ai_addrlen;
	freeaddrinfo(list);
	/* sin_port and sin6_port lie at the same place. */
	((struct sockaddr_in *)ret_address)->sin_port = htons((uint16_t)port);
	return true;
}

int address_listen(const char *numeric_host, int *port, int backlog, int *ret_fd, struct err *err)
{
	CLEANUP(closep) int fd = -1;
	struct sockaddr_storage address = { 0 };
	socklen_t len = 0;
	int one = 1;

	if (!fill_numeric(numeric_host, *port, &address, &len)) {
		errno = EADDRNOTAVAIL;
		return fail_errno(err, "cannot listen on %s:%d", numeric_host, *port);
	}
	fd = socket(address.ss_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd < 0 || setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one) < 0 ||
	    bind(fd, (struct sockaddr *)&address, len) < 0 || listen(fd, backlog) < 0 ||
	    getsockname(fd, (struct sockaddr *)&address, &len) < 0)
		return fail_errno(err, "cannot listen on %s:%d", numeric_host, *port);
	*port = ntohs(((const struct sockaddr_in *)&address)->sin_port);
	*ret_fd = take_fd(&fd);
	return OK;
}

const char *address_bind_problem(const char *numeric_host, int port)
{
	CLEANUP(closep) int fd = -1;

	return address_listen(numeric_host, &port, 1, &fd, NULL) == OK ? NULL : strerrordesc_np(errno);
}
