#include "service/metrics/endpoint.h"

#include <fcntl.h>
#include <microhttpd.h>
#include <stdio.h>

#include "service/rpc/address.h"
#include "service/rpc/socket_file.h"

#define METRICS_PATH "/metrics"
#define TEXT_PLAIN "text/plain; charset=utf-8"
#define TEXT_METRICS "text/plain; version=0.0.4; charset=utf-8"

enum { BACKLOG = 16, REQUEST_BYTES = 16 * 1024, ADDRESS_MAX = 512 };

struct metrics_endpoint {
	struct metrics_sources sources;
	struct socket_file file; /* of a unix socket; else its fd is -1 */
	struct MHD_Daemon *http;
	char url[ADDRESS_MAX];
};

/* ---- answers ---- */

static enum MHD_Result answer(struct MHD_Connection *connection, unsigned status, const char *type, char *owned,
			      size_t len)
{
	struct MHD_Response *response = MHD_create_response_from_buffer(len, owned, MHD_RESPMEM_MUST_FREE);
	enum MHD_Result result = MHD_NO;

	if (!response) {
		free(owned);
		return MHD_NO;
	}
	if (MHD_add_response_header(response, MHD_HTTP_HEADER_CONTENT_TYPE, type) == MHD_YES &&
	    (status != MHD_HTTP_METHOD_NOT_ALLOWED ||
	     MHD_add_response_header(response, MHD_HTTP_HEADER_ALLOW, "GET, HEAD") == MHD_YES))
		result = MHD_queue_response(connection, status, response);
	MHD_destroy_response(response);
	return result;
}

static enum MHD_Result say(struct MHD_Connection *connection, unsigned status, const char *text)
{
	char *copy = strdup(text);

	return copy ? answer(connection, status, TEXT_PLAIN, copy, strlen(text)) : MHD_NO;
}

static enum MHD_Result answer_metrics(const struct metrics_endpoint *e, struct MHD_Connection *connection)
{
	CLEANUP(buf_free) struct buf text = BUF_INIT(METRICS_TEXT_MAX);
	size_t len;

	metrics_collect(&e->sources, &text);
	len = text.len;
	if (!buf_ok(&text))
		return say(connection, MHD_HTTP_INTERNAL_SERVER_ERROR, "out of memory\n");
	return answer(connection, MHD_HTTP_OK, TEXT_METRICS, buf_take(&text), len);
}

/* Answered as soon as the headers are there: a body is not read, and costs the connection. */
static enum MHD_Result on_request(void *arg, struct MHD_Connection *connection, const char *path, const char *method,
				  UNUSED const char *version, UNUSED const char *body, UNUSED size_t *body_len,
				  UNUSED void **request)
{
	if (strcmp(method, MHD_HTTP_METHOD_GET) != 0 && strcmp(method, MHD_HTTP_METHOD_HEAD) != 0)
		return say(connection, MHD_HTTP_METHOD_NOT_ALLOWED, "only GET and HEAD\n");
	if (strcmp(path, METRICS_PATH) != 0)
		return say(connection, MHD_HTTP_NOT_FOUND, "metrics are at " METRICS_PATH "\n");
	return answer_metrics(arg, connection);
}

/* ---- where it listens ---- */

static int listen_unix(struct metrics_endpoint *e, const char *path, int *ret_fd, struct err *err)
{
	if (socket_file_bind(path, BACKLOG, &e->file, err) < 0)
		return err->code;
	snprintf(e->url, sizeof e->url, "unix://%s", path);
	*ret_fd = fcntl(e->file.fd, F_DUPFD_CLOEXEC, 0); /* libmicrohttpd closes its own */
	return *ret_fd < 0 ? fail_errno(err, "metrics socket %s", path) : OK;
}

static int listen_tcp(struct metrics_endpoint *e, const struct address *address, int *ret_fd, struct err *err)
{
	struct address_results results;
	int port = address->port;

	if (address_resolve(address, &results, err) < 0 ||
	    address_listen(results.host[0], &port, BACKLOG, ret_fd, err) < 0)
		return err->code;
	snprintf(e->url, sizeof e->url, "http://%s:%d" METRICS_PATH, results.host[0], port);
	return OK;
}

static int open_socket(struct metrics_endpoint *e, const char *text, int *ret_fd, struct err *err)
{
	CLEANUP(freep) char *full = format("%s%s", strstr(text, "://") ? "" : "tcp://", text);
	struct address address;

	if (!full)
		return fail_nomem(err);
	if (address_parse(full, &address, err) < 0)
		return err->code;
	switch (address.kind) {
	case ADDRESS_UNIX:
		return listen_unix(e, address.path, ret_fd, err);
	case ADDRESS_TCP:
		return listen_tcp(e, &address, ret_fd, err);
	case ADDRESS_FD:
		break;
	}
	return fail(err, E_INVALID, "metrics cannot be served on '%s': give HOST:PORT or unix:///PATH", text);
}

/* ---- life ---- */

static int start(struct metrics_endpoint *e, const char *address, struct err *err)
{
	CLEANUP(closep) int fd = -1;

	if (open_socket(e, address, &fd, err) < 0)
		return err_wrap(err, "metrics-listen");
	e->http = MHD_start_daemon(
		MHD_USE_EPOLL_INTERNAL_THREAD, 0, NULL, NULL, on_request, e, MHD_OPTION_LISTEN_SOCKET, fd,
		MHD_OPTION_CONNECTION_LIMIT, (unsigned)METRICS_CONNECTIONS, MHD_OPTION_CONNECTION_TIMEOUT,
		(unsigned)METRICS_IDLE_S, MHD_OPTION_CONNECTION_MEMORY_LIMIT, (size_t)REQUEST_BYTES, MHD_OPTION_END);
	if (!e->http)
		return fail(err, E_INTERNAL, "metrics-listen: no HTTP server can be started on %s", address);
	take_fd(&fd);
	return OK;
}

int metrics_endpoint_start(const char *address, const struct metrics_sources *sources,
			   struct metrics_endpoint **ret_endpoint, struct err *err)
{
	struct metrics_endpoint *e = calloc(1, sizeof *e);

	if (!e)
		return fail_nomem(err);
	e->sources = *sources;
	e->file.fd = -1;
	if (start(e, address, err) < 0) {
		metrics_endpoint_stop(e);
		return err->code;
	}
	*ret_endpoint = e;
	return OK;
}

void metrics_endpoint_stop(struct metrics_endpoint *e)
{
	if (!e)
		return;
	if (e->http)
		MHD_stop_daemon(e->http);
	if (e->file.fd >= 0)
		socket_file_close(&e->file);
	free(e);
}

const char *metrics_endpoint_url(const struct metrics_endpoint *e)
{
	return e->url;
}
