/* Which daemon, how to reach it, and what to say when it cannot be reached. */
#include <netdb.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>

#include "client/cli/cli.h"
#include "client/cli/context.h"
#include "client/cli/docker_config.h"
#include "imaged/v1/image_service.rpc.h"

#define DEFAULT_TCP "tcp://localhost:2375"

const struct rpc_call_options *cli_call_options(void)
{
	static const struct rpc_call_options none;

	return &none;
}

/* ---- configuration -------------------------------------------------------- */

const char *cli_config_dir(struct cli *cli, char out[4096])
{
	const char *dir = cli->global.config_dir, *home = getenv("HOME");

	if (!dir || !*dir)
		dir = getenv("DOCKER_CONFIG");
	if (dir && *dir)
		snprintf(out, 4096, "%s", dir);
	else
		snprintf(out, 4096, "%s/.docker", home ? home : "");
	return out;
}

struct docker_config *cli_config(struct cli *cli)
{
	CLEANUP(freep) char *warning = NULL;
	char dir[4096];

	if (cli->config)
		return cli->config;
	cli->config = docker_config_load(cli_config_dir(cli, dir), &warning);
	if (!cli->config) {
		cli_warn("out of memory\n");
		exit(1);
	}
	if (warning)
		cli_warn("%s\n", warning);
	return cli->config;
}

/* ---- address -------------------------------------------------------------- */

static int choose_address(struct cli *cli, struct err *err)
{
	const char *given = cli->global.host;
	CLEANUP(freep) char *host = NULL;

	if (!(given && *given) && context_host(cli, &host, err))
		return err->code;
	if (!host)
		host = given && *given ? strdup(given) : client_address_default();
	if (!host)
		return fail_nomem(err);
	if (strncmp(host, "unix://", 7) && strncmp(host, "tcp://", 6))
		return fail(err, E_NO_DAEMON,
			    "Failed to initialize: unable to resolve %s endpoint: invalid bind address format: %s",
			    cli_is_docker(cli) ? "docker" : "imaged", host);
	cli->address = strcmp(host, "tcp://") != 0 ? TAKE(host) : strdup(DEFAULT_TCP);
	return cli->address ? OK : fail_nomem(err);
}

/* ---- TLS ------------------------------------------------------------------ */

/* A file given by a flag, or the one in the configuration directory if TLS was
 * asked for and it is there. */
static char *tls_file(struct cli *cli, const char *given, const char *name, bool required)
{
	char dir[4096];
	struct stat st;
	char *path;

	if (given)
		return strdup(given);
	path = format("%s/%s", cli_config_dir(cli, dir), name);
	if (path && !required && stat(path, &st) < 0) {
		free(path);
		path = NULL;
	}
	return path;
}

static int open_channel(struct cli *cli, struct err *err)
{
	const struct global_options *g = &cli->global;
	bool tls = g->tls || g->tlsverify || g->tlscacert || g->tlscert || g->tlskey;
	CLEANUP(freep) char *ca = tls ? tls_file(cli, g->tlscacert, "ca.pem", true) : NULL;
	CLEANUP(freep) char *cert = tls ? tls_file(cli, g->tlscert, "cert.pem", g->tlskey != NULL) : NULL;
	CLEANUP(freep) char *key = tls ? tls_file(cli, g->tlskey, "key.pem", g->tlscert != NULL) : NULL;
	CLEANUP(freep) struct rpc_header *headers = NULL;
	struct rpc_channel_options options = {
		.address = cli->address,
		.ca_file = ca,
		.cert_file = cert && key ? cert : NULL,
		.key_file = cert && key ? key : NULL,
		.service_config = imaged__v1__image_service__rpc.service_config,
	};
	int r;

	if (g->tlscert && !g->tlskey && !cert)
		return fail_nomem(err);
	if (!cli_is_docker(cli)) /* which says nothing */
		signals_say(isatty(STDERR_FILENO) ? "\ncanceled\n" : "canceled\n");
	r = docker_config_headers(cli_config(cli), &headers, &options.n_headers, err);
	if (r)
		return r;
	options.headers = headers;
	r = rpc_channel_open(&options, &cli->channel, err);
	if (r == E_USAGE) /* not a usage error of the command: exit status 1 */
		err->code = E_NO_DAEMON;
	return r ? E_NO_DAEMON : OK;
}

static int fail_unreachable(const struct cli *cli, struct err *err)
{
	return fail(err, E_NO_DAEMON, "Cannot connect to the %s daemon at %s. Is the %s daemon running?",
		    cli_is_docker(cli) ? "Docker" : "imaged", cli->address, cli_is_docker(cli) ? "docker" : "imaged");
}

/* A socket that is not there needs no gRPC to find out. */
static bool socket_is_missing(const char *address)
{
	struct stat st;

	return !strncmp(address, "unix://", 7) && stat(address + 7, &st) < 0 && errno == ENOENT;
}

int cli_channel(struct cli *cli, struct rpc_channel **ret_channel, struct err *err)
{
	int r = OK;

	if (!cli->channel)
		r = cli->address ? OK : choose_address(cli, err);
	if (!r && !cli->channel)
		r = socket_is_missing(cli->address) ? fail_unreachable(cli, err) : open_channel(cli, err);
	if (!r)
		*ret_channel = cli->channel;
	return r;
}

/* ---- unreachable ---------------------------------------------------------- */

static int try_connect(int family, const struct sockaddr *address, socklen_t len)
{
	CLEANUP(closep) int fd = socket(family, SOCK_STREAM | SOCK_CLOEXEC, 0);

	if (fd < 0)
		return errno;
	return connect(fd, address, len) < 0 ? errno : 0;
}

static int try_unix(const char *path)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };

	if (strlen(path) >= sizeof address.sun_path)
		return ENAMETOOLONG;
	memcpy(address.sun_path, path, strlen(path) + 1);
	return try_connect(AF_UNIX, (struct sockaddr *)&address, sizeof address);
}

static int try_tcp(const char *host_port)
{
	struct addrinfo hints = { .ai_socktype = SOCK_STREAM }, *found = NULL;
	const char *colon = strrchr(host_port, ':');
	CLEANUP(freep) char *host = colon ? strndup(host_port, (size_t)(colon - host_port)) : NULL;
	int number = EINVAL;
	char *name = host;

	if (!host)
		return number;
	if (*name == '[' && name[strlen(name) - 1] == ']') {
		name[strlen(name) - 1] = 0;
		name++;
	}
	if (getaddrinfo(name, colon + 1, &hints, &found))
		return number;
	for (struct addrinfo *a = found; a; a = a->ai_next)
		number = try_connect(a->ai_family, a->ai_addr, a->ai_addrlen);
	freeaddrinfo(found);
	return number;
}

/* Whether nothing listens there: then docker's words fit. What else went wrong
 * (permissions, TLS, another server) the library's text tells better. */
static bool nothing_listens(const char *address)
{
	int number = !strncmp(address, "unix://", 7) ? try_unix(address + 7) : try_tcp(address + 6);

	return number == ENOENT || number == ENOTDIR || number == ECONNREFUSED;
}

void cli_explain(const struct cli *cli, struct err *err)
{
	if (err->code != E_NO_DAEMON || !cli->address || !cli->channel || !nothing_listens(cli->address))
		return;
	fail_unreachable(cli, err);
}
