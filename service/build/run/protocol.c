#include "service/build/run/protocol.h"

#include <sys/socket.h>
#include <sys/uio.h>

#include "proto/runtime/mem.h"

/* In front of descriptors: how many there are in all, and with this frame. */
struct frame {
	uint32_t version, total, here;
};

union control {
	struct cmsghdr align;
	char bytes[CMSG_SPACE(RUN_FRAME_FDS * sizeof(int))];
};

/* ---- frames ------------------------------------------------------------------- */

static int send_frame(int socket, const void *data, size_t len, const int *fds, size_t n, struct err *err)
{
	union control control = { 0 };
	struct iovec part = { .iov_base = (void *)data, .iov_len = len };
	struct msghdr m = { .msg_iov = &part, .msg_iovlen = 1 };
	ssize_t sent;

	if (n) {
		m.msg_control = control.bytes;
		m.msg_controllen = CMSG_SPACE(n * sizeof *fds);
		*CMSG_FIRSTHDR(&m) = (struct cmsghdr){ CMSG_LEN(n * sizeof *fds), SOL_SOCKET, SCM_RIGHTS };
		memcpy(CMSG_DATA(CMSG_FIRSTHDR(&m)), fds, n * sizeof *fds);
	}
	do
		sent = sendmsg(socket, &m, MSG_NOSIGNAL);
	while (sent < 0 && errno == EINTR);
	return sent < 0 ? fail(err, E_WORKER, "send to imaged-run: %s", strerrordesc_np(errno)) : OK;
}

/* The descriptors of a frame, into `fds`; those beyond `max` are closed. */
static size_t take_fds(struct msghdr *m, int *fds, size_t max)
{
	size_t n = 0;

	for (struct cmsghdr *c = CMSG_FIRSTHDR(m); c; c = CMSG_NXTHDR(m, c)) {
		size_t here = c->cmsg_level == SOL_SOCKET && c->cmsg_type == SCM_RIGHTS
				      ? (c->cmsg_len - CMSG_LEN(0)) / sizeof(int)
				      : 0;

		for (size_t i = 0; i < here; i++) {
			int fd;

			memcpy(&fd, CMSG_DATA(c) + i * sizeof fd, sizeof fd);
			if (n < max)
				fds[n++] = fd;
			else
				close(fd);
		}
	}
	return n;
}

static void close_fds(const int *fds, size_t n)
{
	for (size_t i = 0; i < n; i++)
		close(fds[i]);
}

/* Bytes that came; 0 at the end of the stream. E_WORKER. */
static int receive_frame(int socket, void *data, size_t size, int *fds, size_t *ret_fds, size_t *ret_len,
			 struct err *err)
{
	union control control;
	struct iovec part = { .iov_base = data, .iov_len = size };
	struct msghdr m = {
		.msg_iov = &part, .msg_iovlen = 1, .msg_control = control.bytes, .msg_controllen = sizeof control.bytes
	};
	ssize_t got;

	do
		got = recvmsg(socket, &m, MSG_CMSG_CLOEXEC);
	while (got < 0 && errno == EINTR);
	if (got < 0)
		return fail(err, E_WORKER, "receive from the other side: %s", strerrordesc_np(errno));
	*ret_fds = take_fds(&m, fds, RUN_FRAME_FDS);
	*ret_len = (size_t)got;
	if (!(m.msg_flags & (MSG_TRUNC | MSG_CTRUNC)))
		return OK;
	close_fds(fds, *ret_fds);
	return fail(err, E_WORKER, "a frame of the run protocol that is too long");
}

/* ---- descriptors ---------------------------------------------------------------- */

int run_send_fds(int socket, const int *fds, size_t n, struct err *err)
{
	if (n > RUN_FDS_MAX)
		return fail(err, E_LIMIT, "a step of %zu layers and mounts; at most %d are possible", n, RUN_FDS_MAX);
	for (size_t at = 0; at < n;) {
		size_t here = n - at < RUN_FRAME_FDS ? n - at : RUN_FRAME_FDS;
		const struct frame f = { RUN_PROTOCOL_VERSION, (uint32_t)n, (uint32_t)here };
		int rc = send_frame(socket, &f, sizeof f, fds + at, here, err);

		if (rc != OK)
			return rc;
		at += here;
	}
	return OK;
}

/* One frame of them, behind the `at` there are. The first says how many there will be. */
static int receive_some(int socket, int *all, size_t *at, size_t *total, struct err *err)
{
	struct frame f;
	int fds[RUN_FRAME_FDS];
	size_t n, len;
	int rc = receive_frame(socket, &f, sizeof f, fds, &n, &len, err);

	if (rc != OK)
		return rc;
	if (len == sizeof f && !*at)
		*total = f.total;
	if (len != sizeof f || f.version != RUN_PROTOCOL_VERSION || f.total != *total || *total > RUN_FDS_MAX ||
	    f.here != n || !n || n > *total - *at) {
		close_fds(fds, n);
		return fail(err, E_WORKER, "a frame of the run protocol that says nonsense");
	}
	memcpy(all + *at, fds, n * sizeof *fds);
	*at += n;
	return OK;
}

int run_receive_fds(int socket, int **ret_fds, size_t *ret_n, struct err *err)
{
	CLEANUP(freep) int *all = calloc(RUN_FDS_MAX, sizeof *all);
	size_t at = 0, total = 1;

	if (!all)
		return fail_nomem(err);
	while (at < total) {
		int rc = receive_some(socket, all, &at, &total, err);

		if (rc != OK) {
			close_fds(all, at);
			return rc;
		}
	}
	*ret_n = total;
	*ret_fds = TAKE(all);
	return OK;
}

/* ---- the worker's words ----------------------------------------------------------- */

int run_send_descriptor(int socket, int fd, struct err *err)
{
	const struct frame f = { RUN_PROTOCOL_VERSION, 1, 1 };

	return send_frame(socket, &f, sizeof f, &fd, 1, err);
}

int run_send_report(int socket, const struct run_report *report, struct err *err)
{
	return send_frame(socket, report, sizeof *report, NULL, 0, err);
}

int run_receive_word(int socket, struct run_word *ret_word, struct err *err)
{
	struct run_report r;
	int fds[RUN_FRAME_FDS];
	size_t n, len;
	int rc = receive_frame(socket, &r, sizeof r, fds, &n, &len, err);

	if (rc != OK)
		return rc;
	if (!len)
		return fail(err, E_UNAVAILABLE, "imaged-run has ended");
	if (len == sizeof(struct frame) && r.version == RUN_PROTOCOL_VERSION && n == 1) {
		*ret_word = (struct run_word){ .fd = fds[0] };
		return OK;
	}
	close_fds(fds, n);
	if (len != sizeof r || r.version != RUN_PROTOCOL_VERSION || n)
		return fail(err, E_WORKER, "imaged-run speaks nonsense: %zu bytes that are no report", len);
	r.text[sizeof r.text - 1] = 0;
	*ret_word = (struct run_word){ .report = r, .is_report = true, .fd = -1 };
	return OK;
}

void run_report_of_err(const struct err *err, struct run_report *ret_report)
{
	*ret_report = (struct run_report){ .version = RUN_PROTOCOL_VERSION, .code = err->code };
	snprintf(ret_report->text, sizeof ret_report->text, "%.*s", (int)sizeof ret_report->text - 1, err->text);
}
