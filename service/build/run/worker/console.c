#include "service/build/run/worker/console.h"

#include <poll.h>
#include <sys/pidfd.h>
#include <sys/socket.h>
#include <sys/un.h>

#include "proto/runtime/mem.h"

enum { NAME_BYTES = 256 }; /* what comes with the descriptor; nobody needs it */

int console_listen(const char *path, int *ret_listener, struct err *err)
{
	CLEANUP(closep) int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	struct sockaddr_un at = { .sun_family = AF_UNIX };
	int n = snprintf(at.sun_path, sizeof at.sun_path, "%s", path);

	if (n < 0 || (size_t)n >= sizeof at.sun_path)
		return fail(err, E_UNSUPPORTED,
			    "a terminal in a step needs a shorter path than '%s': put the store elsewhere", path);
	if (fd < 0 || bind(fd, (const struct sockaddr *)&at, sizeof at) < 0 || listen(fd, 1) < 0)
		return fail_errno(err, "listen at '%s'", path);
	*ret_listener = take_fd(&fd);
	return OK;
}

/* *ret_ready false: the runtime has ended. */
static int await(int listener, pid_t runtime, bool *ret_ready, struct err *err)
{
	CLEANUP(closep) int process = pidfd_open(runtime, 0);
	struct pollfd wait[] = { { .fd = listener, .events = POLLIN }, { .fd = process, .events = POLLIN } };

	if (process < 0)
		return fail_errno(err, "watch the OCI runtime");
	while (poll(wait, ARRAY_LEN(wait), -1) < 0)
		if (errno != EINTR)
			return fail_errno(err, "wait for the terminal of a step");
	*ret_ready = wait[0].revents;
	return OK;
}

static int receive(int connection, int *ret_fd, struct err *err)
{
	union {
		struct cmsghdr align;
		char bytes[CMSG_SPACE(sizeof(int))];
	} control;
	char name[NAME_BYTES];
	struct iovec part = { .iov_base = name, .iov_len = sizeof name };
	struct msghdr m = {
		.msg_iov = &part, .msg_iovlen = 1, .msg_control = control.bytes, .msg_controllen = sizeof control.bytes
	};
	const struct cmsghdr *c;
	ssize_t n;

	do
		n = recvmsg(connection, &m, MSG_CMSG_CLOEXEC);
	while (n < 0 && errno == EINTR);
	if (!n) /* its end: the command could not be started */
		return OK;
	c = n < 0 ? NULL : CMSG_FIRSTHDR(&m);
	if (!c || c->cmsg_level != SOL_SOCKET || c->cmsg_type != SCM_RIGHTS || c->cmsg_len != CMSG_LEN(sizeof *ret_fd))
		return fail(err, E_WORKER, "the OCI runtime did not hand over the terminal");
	memcpy(ret_fd, CMSG_DATA(c), sizeof *ret_fd);
	return OK;
}

int console_take(int listener, pid_t runtime, int *ret_fd, struct err *err)
{
	CLEANUP(closep) int connection = -1;
	bool is_ready = false;
	int rc = await(listener, runtime, &is_ready, err);

	*ret_fd = -1;
	if (rc != OK || !is_ready)
		return rc;
	connection = accept4(listener, NULL, NULL, SOCK_CLOEXEC);
	return connection < 0 ? fail_errno(err, "take the terminal of a step") : receive(connection, ret_fd, err);
}
