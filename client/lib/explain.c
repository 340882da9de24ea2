/*
 * Words for a connection that could not be made. gRPC says what happened in the
 * status text ("failed to connect to all addresses; last error: UNKNOWN: unix:…:
 * No such file or directory"); this table says what it means and what to do.
 */
#include <grp.h>
#include <stdio.h>
#include <sys/stat.h>

#include "client/lib/internal.h"

/* Which channels a row is for. */
enum { ON_UNIX = 1, ON_TCP = 2, ON_TLS = 4, ON_ANY = ON_UNIX | ON_TCP | ON_TLS };

struct row {
	const char *sign; /* in gRPC's text */
	int channels;
	const char *cause, *advice;
};

static const struct row rows[] = {
	{ "No such file or directory", ON_UNIX, "the socket does not exist",
	  "Is the daemon running, with this address as --listen?" },
	{ "Connection refused", ON_UNIX, "nothing listens on the socket", "Is the daemon running?" },
	{ "Connection refused", ON_TCP | ON_TLS, "connection refused",
	  "Is the daemon running, with this address as --listen?" },
	{ "DNS resolution failed", ON_TCP | ON_TLS, "the name of the host cannot be resolved",
	  "Check the address, or use the number of the host" },
	{ "certificate verify failed", ON_TLS, "the certificate of the server is not trusted",
	  "Use --tlscacert with the CA that signed it" },
	{ "is not in peer certificate", ON_TLS, "the certificate of the server is for another name than this host",
	  "Use the name that the certificate holds" },
	{ "wrong version number", ON_TLS, "the server does not speak TLS", "Leave out --tlscacert" },
	{ "empty address list", ON_TLS, /* gRPC drops an address that it cannot secure */
	  "a TLS file is not valid, or the key does not belong to the client certificate",
	  "Check --tlscacert, --tlscert and --tlskey" },
	{ "Received http2 header with status", ON_ANY, "what listens there is not a gRPC server", "Check the address" },
	{ "Failed parsing HTTP/2", ON_ANY, "what listens there is not a gRPC server", "Check the address" },
	{ "No route to host", ON_TCP | ON_TLS, "there is no route to the host", "Check the network and the address" },
	{ "Network is unreachable", ON_TCP | ON_TLS, "the network is unreachable",
	  "Check the network and the address" },
	{ "imed out", ON_ANY, "the server did not answer in time", "Check the address and the network" },
	{ "Socket closed", ON_TCP, "the server closed the connection",
	  "If it demands TLS, use --tlscacert with the CA that signed its certificate" },
	{ "Connection reset by peer", ON_TCP, "the server closed the connection",
	  "If it demands TLS, use --tlscacert with the CA that signed its certificate" },
	{ "Socket closed", ON_UNIX, "the server closed the connection at once",
	  "Is it imaged that listens there? Its log tells more" },
};

static int fail_connection(const struct rpc_channel *c, const char *cause, const char *advice, struct err *err)
{
	return fail(err, E_NO_DAEMON, "Cannot connect to imaged at %s: %s. %s", c->address, cause, advice);
}

static const char *socket_path(const struct rpc_channel *c)
{
	return c->address + strlen("unix://");
}

/* Names the group that may, where the socket has one. */
static int explain_denied(const struct rpc_channel *c, struct err *err)
{
	const char *advice = "Run it as root, with sudo";
	char text[256], buffer[4096];
	struct group entry, *group = NULL;
	struct stat st;

	if (stat(socket_path(c), &st) == 0 && st.st_gid != 0 && (st.st_mode & S_IWGRP) &&
	    getgrgid_r(st.st_gid, &entry, buffer, sizeof buffer, &group) == 0 && group) {
		snprintf(text, sizeof text, "Use sudo, or become a member of the group '%s'", group->gr_name);
		advice = text;
	}
	return fail_connection(c, "permission denied on the socket", advice, err);
}

/* TLS 1.3 lets the client finish its handshake before the server looks at the
 * client's certificate, so all that a client sees of a refusal is the end. */
static int explain_refused_certificate(const struct rpc_channel *c, struct err *err)
{
	if (!c->cert_file)
		return fail_connection(c,
				       "the server ended the TLS connection, most likely as it demands a client "
				       "certificate",
				       "Use --tlscert and --tlskey", err);
	return fail_connection(c,
			       "the server ended the TLS connection, most likely as it does not accept the client "
			       "certificate",
			       "Use one that the CA of the server signed, and that has not expired", err);
}

static int kind_of(const struct rpc_channel *c)
{
	return c->is_unix ? ON_UNIX : c->is_tls ? ON_TLS : ON_TCP;
}

static const struct row *find_row(const struct rpc_channel *c, const char *text)
{
	for (size_t i = 0; i < ARRAY_LEN(rows); i++)
		if ((rows[i].channels & kind_of(c)) && strstr(text, rows[i].sign))
			return &rows[i];
	return NULL;
}

static bool is_socket(const char *path)
{
	struct stat st;

	return stat(path, &st) < 0 || S_ISSOCK(st.st_mode);
}

static int explain_failed(const struct rpc_channel *c, struct err *err)
{
	char text[ERR_TEXT_MAX];
	const char *last;
	const struct row *row;

	memcpy(text, err->text, sizeof text);
	if (c->is_unix && strstr(text, "Permission denied"))
		return explain_denied(c, err);
	if (c->is_unix && !is_socket(socket_path(c)))
		return fail_connection(c, "this file is not a socket", "Check the address", err);
	row = find_row(c, text);
	if (row)
		return fail_connection(c, row->cause, row->advice, err);
	if (c->is_tls && (strstr(text, "Socket closed") || strstr(text, "Connection reset by peer")))
		return explain_refused_certificate(c, err);
	last = strstr(text, "last error: ");
	return fail_connection(c, last ? last + strlen("last error: ") : text, "Is the daemon running?", err);
}

static bool has_any(const char *text, const char *const *signs, size_t n)
{
	for (size_t i = 0; i < n; i++)
		if (strstr(text, signs[i]))
			return true;
	return false;
}

int client_explain_connection(const struct rpc_channel *c, struct err *err)
{
	static const char *const never[] = { "failed to connect to all addresses", "DNS resolution failed",
					     "empty address list", "Received http2 header with status" };
	static const char *const lost[] = { "Socket closed", "Connection reset by peer", "Broken pipe",
					    "keepalive watchdog timeout" };

	if (has_any(err->text, never, ARRAY_LEN(never)))
		return explain_failed(c, err);
	if (err->code == E_UNAVAILABLE && has_any(err->text, lost, ARRAY_LEN(lost)))
		return err_wrap(err, "the connection to imaged at %s was lost", c->address);
	return err->code;
}

int client_explain_silence(const struct rpc_channel *c, int64_t waited_ms, struct err *err)
{
	char cause[64];

	snprintf(cause, sizeof cause, "no answer within %.3g seconds", (double)waited_ms / 1000);
	return fail_connection(c, cause, "Is it imaged that listens there? Its log tells more", err);
}
