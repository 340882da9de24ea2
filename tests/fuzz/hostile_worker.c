#include "tests/fuzz/hostile_worker.h"

#include <fcntl.h>
#include <sys/socket.h>

#include "service/layer/archive_protocol.h"

enum { NO_PROCESS = 1 };

struct hostile hostile = { .socket = -1, .in = -1, .out = -1, .images = -1 };

void hostile_close_one(int *fd)
{
	if (*fd >= 0)
		close(take_fd(fd));
}

static void close_last(void)
{
	hostile_close_one(&hostile.socket);
	hostile_close_one(&hostile.in);
	hostile_close_one(&hostile.out);
}

void hostile_close(void)
{
	close_last();
	hostile_close_one(&hostile.images);
	hostile.as_images = false;
}

/* ---- in the place of process.c ------------------------------------------------- */

int process_start_as(const char *program UNUSED, const struct process_role *role, struct process *ret_process,
		     struct err *err)
{
	int pair[2];

	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) < 0)
		return fail_errno(err, "socketpair");
	*ret_process = (struct process){ .pid = NO_PROCESS, .socket = pair[0], .errors = -1 };
	if (role->mode && !strcmp(role->mode, WORKER_MODE_EROFS)) {
		hostile_close_one(&hostile.images);
		hostile.images = pair[1];
		return OK;
	}
	close_last();
	hostile.socket = pair[1];
	if (role->in >= 0)
		hostile.in = fcntl(role->in, F_DUPFD_CLOEXEC, 3);
	if (role->out >= 0)
		hostile.out = fcntl(role->out, F_DUPFD_CLOEXEC, 3);
	if (hostile.out >= 0)
		fcntl(hostile.out, F_SETFL, O_NONBLOCK);
	return OK;
}

void process_end(struct process *p)
{
	if (p->pid)
		close(p->socket);
	*p = (struct process)PROCESS_INIT;
}

int process_fail_died(struct process *p, struct err *err)
{
	process_end(p);
	return fail(err, E_WORKER, "imaged-layer died");
}

/* ---- what it says ------------------------------------------------------------ */

void take(struct input *in, void *out, size_t len)
{
	size_t n = in->len < len ? in->len : len;

	memset(out, 0, len);
	if (n)
		memcpy(out, in->data, n);
	in->data += n;
	in->len -= n;
}

uint8_t take_byte(struct input *in)
{
	uint8_t b;

	take(in, &b, 1);
	return b;
}

void say(const void *packet, size_t len)
{
	int socket = hostile.as_images ? hostile.images : hostile.socket;

	if (socket >= 0)
		send(socket, packet, len, MSG_DONTWAIT | MSG_NOSIGNAL);
}

void say_raw(struct input *in)
{
	uint8_t packet[300];
	size_t len = take_byte(in) + (take_byte(in) & 1) * 40;

	take(in, packet, len);
	say(packet, len);
}
