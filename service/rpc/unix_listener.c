#include "service/rpc/unix_listener.h"

#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/un.h>

#include "proto/runtime/clock.h"
#include "service/rpc/socket_file.h"

enum { SOCKETS_MAX = 8, BACKLOG = 4096, EVENTS = 64, ACCEPTS_AT_ONCE = 64 };
enum { SHORTAGE_MS = 100, REPORT_MS = 10000 };
/* Tags of the epoll set: below SOCKETS_MAX a listening socket. */
enum { TAG_STOP = 1000, TAG_CONNECTION = 100000 };

struct unix_listener {
	struct unix_listener_options options;
	struct socket_file sockets[SOCKETS_MAX];
	size_t n_sockets;
	struct connections *connections;
	int epoll_fd, stop_fd;
	bool started; /* the thread runs */
	pthread_t thread;
	/* Of the accepting thread. */
	bool short_of_files; /* not listening for a moment */
	int64_t next_report;
};

static int watch(struct unix_listener *l, int fd, uint64_t tag, int op)
{
	struct epoll_event event = { .events = EPOLLIN, .data.u64 = tag };

	return epoll_ctl(l->epoll_fd, op, fd, &event);
}

static int open_fds(struct unix_listener *l, struct err *err)
{
	l->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
	if (l->epoll_fd < 0)
		return fail_errno(err, "create an epoll set");
	l->stop_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (l->stop_fd < 0)
		return fail_errno(err, "create an eventfd");
	if (watch(l, l->stop_fd, TAG_STOP, EPOLL_CTL_ADD) < 0)
		return fail_errno(err, "watch an eventfd");
	return connections_new(l->options.connections, l->epoll_fd, &l->connections, err);
}

int unix_listener_new(const struct unix_listener_options *options, struct unix_listener **ret_listener, struct err *err)
{
	struct unix_listener *l = calloc(1, sizeof *l);
	int r;

	if (!l)
		return fail_nomem(err);
	l->options = *options;
	l->epoll_fd = l->stop_fd = -1;
	r = open_fds(l, err);
	if (r < 0) {
		unix_listener_free(l);
		return r;
	}
	*ret_listener = l;
	return OK;
}

void unix_listener_free(struct unix_listener *l)
{
	if (!l)
		return;
	unix_listener_stop(l);
	connections_free(l->connections);
	closep(&l->stop_fd);
	closep(&l->epoll_fd);
	free(l);
}

static int room_for_one(const struct unix_listener *l, struct err *err)
{
	if (l->n_sockets < SOCKETS_MAX)
		return OK;
	return fail(err, E_LIMIT, "at most %d unix sockets can be listened on", SOCKETS_MAX);
}

int unix_listener_bind(struct unix_listener *l, const char *path, struct err *err)
{
	int r = room_for_one(l, err);

	if (r == OK)
		r = socket_file_bind(path, BACKLOG, &l->sockets[l->n_sockets], err);
	if (r < 0)
		return r;
	l->n_sockets++;
	return OK;
}

int unix_listener_adopt(struct unix_listener *l, int fd, char *ret_path, size_t size, struct err *err)
{
	int r = room_for_one(l, err);

	if (r == OK)
		r = socket_file_adopt(fd, &l->sockets[l->n_sockets], err);
	if (r < 0)
		return r;
	snprintf(ret_path, size, "%s", l->sockets[l->n_sockets].path);
	l->n_sockets++;
	return OK;
}

/* ---- the accepting thread ---- */

static void report(struct unix_listener *l, const struct err *err)
{
	int64_t now = clock_monotonic_ms();

	if (now < l->next_report)
		return;
	l->next_report = now + REPORT_MS;
	l->options.refuse(l->options.arg, err);
}

static void listen_again(struct unix_listener *l, bool on)
{
	for (size_t i = 0; i < l->n_sockets; i++)
		watch(l, l->sockets[i].fd, i, on ? EPOLL_CTL_ADD : EPOLL_CTL_DEL);
	l->short_of_files = !on;
}

/* Without files or memory accept() fails while the connection stays pending: to
 * try again at once would spin. */
static void accept_failed(struct unix_listener *l)
{
	struct err err = ERR_INIT;

	if (errno != EMFILE && errno != ENFILE && errno != ENOBUFS && errno != ENOMEM)
		return; /* nothing pending, or the client has gone already */
	fail_errno(&err, "accept a connection");
	report(l, &err);
	listen_again(l, false);
}

static void take_connection(struct unix_listener *l, int fd)
{
	enum rpc_role role = l->options.grants ? grants_role_of_socket(l->options.grants, fd) : RPC_ROLE_ADMIN;
	struct err err = ERR_INIT;
	int number;

	if (connections_add(l->connections, fd, role, TAG_CONNECTION, &number, &err) < 0)
		report(l, &err);
	else
		l->options.accept(l->options.arg, number);
}

static void accept_some(struct unix_listener *l, int listen_fd)
{
	for (int i = 0; i < ACCEPTS_AT_ONCE; i++) {
		int fd = accept4(listen_fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);

		if (fd < 0) {
			accept_failed(l);
			return;
		}
		take_connection(l, fd);
	}
}

/* False when the thread shall end. */
static bool handle(struct unix_listener *l, const struct epoll_event *event)
{
	uint64_t tag = event->data.u64;

	if (tag == TAG_STOP)
		return false;
	if (tag >= TAG_CONNECTION)
		connections_remove(l->connections, (int)(tag - TAG_CONNECTION));
	else if (!l->short_of_files)
		accept_some(l, l->sockets[tag].fd);
	return true;
}

static void *listen_main(void *arg)
{
	struct unix_listener *l = arg;
	struct epoll_event events[EVENTS];
	bool go_on = true;

	pthread_setname_np(pthread_self(), "rpc-accept");
	while (go_on) {
		int n = epoll_wait(l->epoll_fd, events, EVENTS, l->short_of_files ? SHORTAGE_MS : -1);

		for (int i = 0; i < n && go_on; i++)
			go_on = handle(l, &events[i]);
		if (go_on && l->short_of_files)
			listen_again(l, true);
	}
	return NULL;
}

int unix_listener_start(struct unix_listener *l, struct err *err)
{
	int rc;

	for (size_t i = 0; i < l->n_sockets; i++)
		if (watch(l, l->sockets[i].fd, i, EPOLL_CTL_ADD) < 0)
			return fail_errno(err, "watch the socket '%s'", l->sockets[i].path);
	rc = pthread_create(&l->thread, NULL, listen_main, l);
	if (rc) {
		errno = rc;
		return fail_errno(err, "start the accepting thread");
	}
	l->started = true;
	return OK;
}

void unix_listener_stop(struct unix_listener *l)
{
	uint64_t one = 1;

	if (l->started) {
		/* An eventfd at 0 takes a 1. */
		while (write(l->stop_fd, &one, sizeof one) < 0 && errno == EINTR)
			;
		pthread_join(l->thread, NULL);
		l->started = false;
	}
	while (l->n_sockets)
		socket_file_close(&l->sockets[--l->n_sockets]);
}

bool unix_listener_peer(struct unix_listener *l, int fd, struct connection_peer *ret_peer)
{
	return connections_find(l->connections, fd, ret_peer);
}

struct connections *unix_listener_connections(struct unix_listener *l)
{
	return l->connections;
}
