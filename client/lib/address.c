#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>

#include "client/lib/internal.h"

#define MACHINE_SOCKET "/run/imaged/imaged.sock"

static bool starts_with(const char *text, const char *prefix)
{
	return !strncmp(text, prefix, strlen(prefix));
}

static int fail_address(const char *address, const char *what, struct err *err)
{
	return fail(err, E_USAGE, "invalid address \"%s\": %s; use unix:///PATH or tcp://HOST:PORT", address, what);
}

static int unix_target(const char *address, const char *path, char **ret_target, struct err *err)
{
	if (path[0] != '/' || !path[1])
		return fail_address(address, "the path of the socket must be absolute", err);
	if (strlen(path) >= sizeof((struct sockaddr_un *)0)->sun_path)
		return fail_address(address, "the path of the socket is longer than 107 bytes", err);
	if (strpbrk(path, "%?#"))
		return fail_address(address, "the path of the socket holds one of the characters % ? #", err);
	*ret_target = format("unix:%s", path);
	return *ret_target ? OK : fail_nomem(err);
}

static bool is_port(const char *text)
{
	unsigned port = 0;

	if (!*text || strlen(text) > 5)
		return false;
	for (; *text; text++) {
		if (*text < '0' || *text > '9')
			return false;
		port = port * 10 + (unsigned)(*text - '0');
	}
	return port > 0 && port <= 65535;
}

/* A name, an IPv4 address, or an IPv6 address in brackets. */
static bool is_host(const char *host, size_t len)
{
	static const char letters[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789.-_";

	if (len > 2 && host[0] == '[' && host[len - 1] == ']')
		return strspn(host + 1, "0123456789abcdefABCDEF:.") == len - 2;
	return len > 0 && strspn(host, letters) == len;
}

static int tcp_target(const char *address, const char *rest, char **ret_target, struct err *err)
{
	const char *colon = strrchr(rest, ':');

	if (!colon || !is_port(colon + 1))
		return fail_address(address, "the port must be a number from 1 to 65535", err);
	if (!is_host(rest, (size_t)(colon - rest)))
		return fail_address(address, "the host is not valid", err);
	*ret_target = format("dns:///%s", rest);
	return *ret_target ? OK : fail_nomem(err);
}

int client_address_target(const char *address, char **ret_target, bool *ret_is_unix, struct err *err)
{
	*ret_is_unix = starts_with(address, "unix://");
	if (*ret_is_unix)
		return unix_target(address, address + strlen("unix://"), ret_target, err);
	if (starts_with(address, "tcp://"))
		return tcp_target(address, address + strlen("tcp://"), ret_target, err);
	return fail_address(address, "the scheme is neither unix nor tcp", err);
}

/* Where the daemon of a user listens who does not say otherwise. */
static char *own_socket(void)
{
	const char *dir = secure_getenv("XDG_RUNTIME_DIR");
	const char *home = secure_getenv("HOME");

	if (dir && *dir)
		return format("%s/imaged/imaged.sock", dir);
	return home && *home ? format("%s/.local/run/imaged/imaged.sock", home) : strdup(MACHINE_SOCKET);
}

/* A program with raised privileges does not let its user's environment choose. */
char *client_address_default(void)
{
	const char *host = secure_getenv("IMAGED_HOST");
	CLEANUP(freep) char *path = NULL;
	struct stat st;

	if (host && *host)
		return strdup(host);
	if (geteuid()) {
		path = own_socket();
		if (!path)
			return NULL;
	}
	return format("unix://%s", path && stat(path, &st) == 0 ? path : MACHINE_SOCKET);
}
