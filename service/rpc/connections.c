#include "service/rpc/connections.h"

#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <sys/epoll.h>
#include <sys/resource.h>

#include "proto/runtime/clock.h"

enum { REST_MS = 5000, RANGE_MAX = 65536, CONNECTIONS_MAX = 4096 };

struct connection {
	struct connection_peer peer;
	int64_t free_at; /* closed: when the number may come again */
	int watch_fd;	 /* our duplicate, while open */
	bool open, known;
	bool used;	 /* a call came */
	bool busy, told; /* connections_send_goaway() */
};

struct connections {
	pthread_mutex_t mu;
	int epoll_fd;
	int base, count; /* numbers base … base + count - 1 */
	int next;	 /* index where the search goes on */
	unsigned max, open;
	struct connection *slots; /* count; guarded by mu */
};

/* Two descriptors for each connection, and the lower half for everybody else:
 * takes what the hard limit gives, up to RANGE_MAX. */
static int raise_file_limit(unsigned max, int *ret_top, struct err *err)
{
	struct rlimit limit;

	if (getrlimit(RLIMIT_NOFILE, &limit) < 0)
		return fail_errno(err, "read the limit of open files");
	if (limit.rlim_cur < RANGE_MAX && limit.rlim_cur < limit.rlim_max) {
		limit.rlim_cur = limit.rlim_max < RANGE_MAX ? limit.rlim_max : RANGE_MAX;
		if (setrlimit(RLIMIT_NOFILE, &limit) < 0)
			return fail_errno(err, "raise the limit of open files");
	}
	if (limit.rlim_cur / 4 < max)
		return fail(err, E_LIMIT,
			    "%u connections need a limit of %u open files, and it is %llu (ulimit -n, LimitNOFILE=)",
			    max, max * 4, (unsigned long long)limit.rlim_cur);
	*ret_top = limit.rlim_cur < RANGE_MAX ? (int)limit.rlim_cur : RANGE_MAX;
	return OK;
}

int connections_prepare(struct err *err)
{
	int top = RANGE_MAX, last, r = raise_file_limit(0, &top, err);

	if (r < 0)
		return r;
	last = fcntl(STDERR_FILENO, F_DUPFD_CLOEXEC, top - 1);
	if (last >= 0)
		close(last);
	return OK;
}

int connections_new(unsigned max, int epoll_fd, struct connections **ret_connections, struct err *err)
{
	struct connections *c;
	int top = RANGE_MAX, r;

	r = raise_file_limit(max, &top, err);
	if (r < 0)
		return r;
	c = calloc(1, sizeof *c);
	if (!c)
		return fail_nomem(err);
	c->epoll_fd = epoll_fd;
	c->base = top / 2;
	c->count = top - c->base;
	c->max = max ? max : (unsigned)(top / 4 < CONNECTIONS_MAX ? top / 4 : CONNECTIONS_MAX);
	c->slots = calloc((size_t)c->count, sizeof *c->slots);
	if (!c->slots) {
		free(c);
		return fail_nomem(err);
	}
	pthread_mutex_init(&c->mu, NULL);
	*ret_connections = c;
	return OK;
}

void connections_free(struct connections *c)
{
	if (!c)
		return;
	for (int i = 0; i < c->count; i++)
		if (c->slots[i].open)
			close(c->slots[i].watch_fd);
	pthread_mutex_destroy(&c->mu);
	free(c->slots);
	free(c);
}

/* With the lock held: a duplicate of fd under a rested number, or -1. The kernel
 * gives no number that is in use, and those that rest are skipped. */
static int numbered(struct connections *c, int fd, int64_t now)
{
	for (int tries = 0; tries < c->count; tries++) {
		struct connection *slot = &c->slots[c->next];
		int want = c->base + c->next, got;

		c->next = (c->next + 1) % c->count;
		if (slot->open || (slot->known && slot->free_at > now))
			continue;
		got = fcntl(fd, F_DUPFD_CLOEXEC, want);
		if (got == want)
			return got;
		if (got < 0)
			return -1;
		close(got); /* `want` is in use: gRPC still holds it, or somebody else */
	}
	errno = EMFILE;
	return -1;
}

static void set(struct connections *c, int number, int watch_fd, const struct connection_peer *peer)
{
	c->slots[number - c->base] =
		(struct connection){ .peer = *peer, .watch_fd = watch_fd, .open = true, .known = true };
	c->open++;
}

static int watch(struct connections *c, int watch_fd, uint64_t tag)
{
	/* EPOLLHUP, which is always reported: both directions are shut down. */
	struct epoll_event event = { .events = EPOLLONESHOT, .data.u64 = tag };

	return epoll_ctl(c->epoll_fd, EPOLL_CTL_ADD, watch_fd, &event);
}

static int add_locked(struct connections *c, int *fd, enum rpc_role role, uint64_t tag_base, int *ret_number,
		      struct err *err)
{
	struct connection_peer peer = { .role = role };
	socklen_t len = sizeof peer.cred;
	int number;

	if (c->open >= c->max)
		return fail(err, E_BUSY, "%u connections are open, which is the limit", c->open);
	if (getsockopt(*fd, SOL_SOCKET, SO_PEERCRED, &peer.cred, &len) < 0)
		return fail_errno(err, "read the credentials of a peer");
	number = numbered(c, *fd, clock_monotonic_ms());
	if (number < 0)
		return fail_errno(err, "number a connection");
	if (watch(c, *fd, tag_base + (uint64_t)number) < 0) {
		close(number);
		return fail_errno(err, "watch a connection");
	}
	set(c, number, take_fd(fd), &peer);
	*ret_number = number;
	return OK;
}

int connections_add(struct connections *c, int fd, enum rpc_role role, uint64_t tag_base, int *ret_number,
		    struct err *err)
{
	CLEANUP(closep) int owned = fd;
	int r;

	pthread_mutex_lock(&c->mu);
	r = add_locked(c, &owned, role, tag_base, ret_number, err);
	pthread_mutex_unlock(&c->mu);
	return r;
}

void connections_remove(struct connections *c, int number)
{
	int watch_fd = -1;

	pthread_mutex_lock(&c->mu);
	if (number >= c->base && number < c->base + c->count && c->slots[number - c->base].open) {
		struct connection *slot = &c->slots[number - c->base];

		watch_fd = slot->watch_fd;
		slot->open = false;
		slot->free_at = clock_monotonic_ms() + REST_MS;
		c->open--;
	}
	pthread_mutex_unlock(&c->mu);
	if (watch_fd >= 0)
		close(watch_fd);
}

bool connections_find(struct connections *c, int number, struct connection_peer *ret_peer)
{
	bool known;

	pthread_mutex_lock(&c->mu);
	known = number >= c->base && number < c->base + c->count && c->slots[number - c->base].known;
	if (known) {
		c->slots[number - c->base].used = true;
		*ret_peer = c->slots[number - c->base].peer;
	}
	pthread_mutex_unlock(&c->mu);
	return known;
}

/* ---- drain ---- */

void connections_mark_busy(struct connections *c, int number)
{
	pthread_mutex_lock(&c->mu);
	if (number >= c->base && number < c->base + c->count)
		c->slots[number - c->base].busy = true;
	pthread_mutex_unlock(&c->mu);
}

/* The highest stream there is: calls that are on their way are answered. */
static bool send_goaway(int fd)
{
	static const uint8_t frame[] = { 0, 0, 8, 7, 0, 0, 0, 0, 0, 0x7f, 0xff, 0xff, 0xff, 0, 0, 0, 0 };

	return send(fd, frame, sizeof frame, MSG_DONTWAIT | MSG_NOSIGNAL) == sizeof frame;
}

static bool is_there(int fd)
{
	struct pollfd p = { .fd = fd };

	return poll(&p, 1, 0) == 0; /* else POLLHUP, which is always reported */
}

unsigned connections_send_goaway(struct connections *c)
{
	unsigned there = 0;

	pthread_mutex_lock(&c->mu);
	for (int i = 0; i < c->count; i++) {
		struct connection *slot = &c->slots[i];

		if (slot->open && slot->used && !slot->told && !slot->busy)
			slot->told = send_goaway(slot->watch_fd);
		slot->busy = false;
		there += slot->open && slot->told && is_there(slot->watch_fd);
	}
	pthread_mutex_unlock(&c->mu);
	return there;
}
