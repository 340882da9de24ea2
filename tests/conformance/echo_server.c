/*
 * echo_server [--send-timeout MS] [--recv-timeout MS] [--grace MS] [--handlers N] [--queued N] [--pollers N]
 *             [--cert FILE --key FILE [--client-ca FILE]] ADDRESS…
 *
 * Serves echo.v1.EchoService until SIGTERM or SIGINT. Prints "listening on ADDRESS"
 * for each address and "ready"; failed calls go to stderr. TLS options hold for
 * the TCP addresses that follow them; "--plain" ends them.
 */
#include <signal.h>
#include <stdio.h>

#include "service/rpc/server.h"
#include "tests/conformance/echo_service.h"

struct setup {
	struct rpc_server_options options;
	struct rpc_server *server;
	struct rpc_tls tls;
};

static void log_failure(void *arg, const struct rpc_event *event)
{
	(void)arg;
	if (event->err)
		fprintf(stderr, "%s: %s: %s: %s\n", event->peer ? event->peer : "", event->method,
			err_reason(event->err->code), event->err->text);
}

static int64_t number(const char *text)
{
	return strtoll(text, NULL, 10);
}

/* Options of the server come before its first address. */
static bool server_option(struct rpc_server_options *o, const char *name, const char *value)
{
	if (!strcmp(name, "--send-timeout"))
		o->send_timeout_ms = number(value);
	else if (!strcmp(name, "--recv-timeout"))
		o->recv_timeout_ms = number(value);
	else if (!strcmp(name, "--grace"))
		o->grace_ms = number(value);
	else if (!strcmp(name, "--handlers"))
		o->handlers = (unsigned)number(value);
	else if (!strcmp(name, "--queued"))
		o->queued = (unsigned)number(value);
	else if (!strcmp(name, "--pollers"))
		o->pollers = (unsigned)number(value);
	else
		return false;
	return true;
}

static bool tls_option(struct rpc_tls *tls, const char *name, const char *value)
{
	if (!strcmp(name, "--cert"))
		tls->cert_file = value;
	else if (!strcmp(name, "--key"))
		tls->key_file = value;
	else if (!strcmp(name, "--client-ca"))
		tls->client_ca_file = value;
	else
		return false;
	tls->allow_anonymous = !tls->client_ca_file;
	return true;
}

static int create(struct setup *s, struct echo_service *service, struct err *err)
{
	struct rpc_binding binding = echo_service_binding(service);

	if (s->server)
		return OK;
	if (rpc_server_new(&s->options, log_failure, NULL, &s->server, err) < 0)
		return err->code;
	return rpc_server_add(s->server, &binding, err);
}

static int read_arguments(struct setup *s, struct echo_service *service, char **argv, struct err *err)
{
	for (; *argv; argv++) {
		if (!strcmp(*argv, "--plain")) {
			s->tls = (struct rpc_tls){ 0 };
		} else if (argv[1] &&
			   (server_option(&s->options, argv[0], argv[1]) || tls_option(&s->tls, argv[0], argv[1]))) {
			argv++;
		} else {
			if (create(s, service, err) < 0 || rpc_server_listen(s->server, *argv, &s->tls, err) < 0)
				return err->code;
		}
	}
	return s->server ? OK : fail(err, E_USAGE, "no address to listen on");
}

static void say_ready(const struct rpc_server *server)
{
	const char *const *addresses;
	size_t n = rpc_server_addresses(server, &addresses);

	for (size_t i = 0; i < n; i++)
		printf("listening on %s\n", addresses[i]);
	printf("ready\n");
	fflush(stdout);
}

int main(int argc, char **argv)
{
	struct echo_service service = { 0 };
	CLEANUP(rpc_server_freep) struct rpc_server *server = NULL;
	struct setup s = { 0 };
	struct err err = ERR_INIT;
	sigset_t signals;
	int got, r;

	(void)argc;
	sigemptyset(&signals);
	sigaddset(&signals, SIGTERM);
	sigaddset(&signals, SIGINT);
	pthread_sigmask(SIG_BLOCK, &signals, NULL);
	signal(SIGPIPE, SIG_IGN);
	r = read_arguments(&s, &service, argv + 1, &err);
	server = s.server;
	if (r == OK)
		r = rpc_server_start(server, &err);
	if (r < 0) {
		fprintf(stderr, "echo_server: %s\n", err.text);
		return 1;
	}
	say_ready(server);
	sigwait(&signals, &got);
	rpc_server_drain(server);
	return 0;
}
