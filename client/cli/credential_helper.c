#include "client/cli/credential_helper.h"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <sys/pidfd.h>
#include <sys/socket.h>
#include <sys/wait.h>

#include "proto/runtime/clock.h"

extern char **environ;

int64_t credential_helper_timeout_ms = HELPER_TIMEOUT_MS;

struct helper {
	const char *program;
	pid_t pid;
	int to, from; /* its stdin and stdout */
	int64_t deadline;
};

static void close_fd(int *fd)
{
	if (*fd >= 0)
		close(*fd);
	*fd = -1;
}

static int spawn_with(struct helper *h, const char *verb, int in, int out)
{
	char *argv[] = { (char *)h->program, (char *)verb, NULL };
	posix_spawn_file_actions_t actions;
	posix_spawnattr_t attributes;
	sigset_t defaults;
	int r = posix_spawn_file_actions_init(&actions);

	if (r)
		return r;
	r = posix_spawnattr_init(&attributes);
	if (r) {
		posix_spawn_file_actions_destroy(&actions);
		return r;
	}
	sigemptyset(&defaults);
	sigaddset(&defaults, SIGPIPE);
	posix_spawnattr_setsigdefault(&attributes, &defaults);
	posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETSIGDEF);
	r = posix_spawn_file_actions_adddup2(&actions, in, STDIN_FILENO);
	if (!r)
		r = posix_spawn_file_actions_adddup2(&actions, out, STDOUT_FILENO);
	if (!r)
		r = posix_spawnp(&h->pid, h->program, &actions, &attributes, argv, environ);
	posix_spawnattr_destroy(&attributes);
	posix_spawn_file_actions_destroy(&actions);
	return r;
}

static int start(struct helper *h, const char *verb, struct err *err)
{
	int in[2], out[2] = { -1, -1 }, r;

	/* A socket, as writing to one that is closed can be asked to raise no signal. */
	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, in) < 0)
		return fail_errno(err, "start %s", h->program);
	if (pipe2(out, O_CLOEXEC) < 0) {
		fail_errno(err, "start %s", h->program);
		close_fd(&in[0]);
		close_fd(&in[1]);
		return err->code;
	}
	r = spawn_with(h, verb, in[0], out[1]);
	close_fd(&in[0]);
	close_fd(&out[1]);
	h->to = in[1];
	h->from = out[0];
	if (!r)
		return OK;
	close_fd(&h->to);
	close_fd(&h->from);
	errno = r;
	return fail_errno(err, "start %s", h->program);
}

/* Input is shorter than a socket holds, so this does not block. */
static void send_input(struct helper *h, const char *input)
{
	size_t len = strlen(input);

	while (len) {
		ssize_t n = send(h->to, input, len, MSG_NOSIGNAL);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0) /* it does not want to read: its answer tells */
			break;
		input += n;
		len -= (size_t)n;
	}
	close_fd(&h->to);
}

/* Until the descriptor is readable; false: not before the deadline. */
static bool wait_readable(const struct helper *h, int fd)
{
	struct pollfd p = { .fd = fd, .events = POLLIN };
	int ready;

	do {
		int64_t left = h->deadline - clock_monotonic_ms();

		ready = left > 0 ? poll(&p, 1, (int)left) : 0;
	} while (ready < 0 && errno == EINTR);
	return ready != 0;
}

static int fail_late(const struct helper *h, struct err *err)
{
	return fail(err, E_DEADLINE, "%s gave no answer within %lld seconds", h->program,
		    (long long)credential_helper_timeout_ms / 1000);
}

static int receive(struct helper *h, struct buf *out, struct err *err)
{
	for (;;) {
		ssize_t n;
		char *room;

		if (!wait_readable(h, h->from))
			return fail_late(h, err);
		room = buf_reserve(out, 4096);
		if (!room)
			return fail(err, E_LIMIT, "%s answers more than %d bytes", h->program, HELPER_OUTPUT_MAX);
		n = read(h->from, room, 4096);
		if (n < 0 && errno != EINTR)
			return fail_errno(err, "read from %s", h->program);
		if (n == 0)
			return OK;
		if (n > 0) {
			out->len += (size_t)n;
			room[n] = 0;
		}
	}
}

/* It may close its output and go on. */
static int await_end(const struct helper *h, struct err *err)
{
	CLEANUP(closep) int fd = pidfd_open(h->pid, 0);

	return fd < 0 || wait_readable(h, fd) ? OK : fail_late(h, err);
}

/* What it ended with, or why it is ended here: `r` is what became of its answer. */
static int finish(const struct helper *h, int r, int *ret_status, struct err *err)
{
	if (r == OK)
		r = await_end(h, err);
	if (r != OK)
		kill(h->pid, SIGKILL);
	while (waitpid(h->pid, ret_status, 0) < 0)
		if (errno != EINTR)
			return r != OK ? r : fail_errno(err, "wait for %s", h->program);
	return r;
}

static bool says_not_found(const char *text)
{
	return strstr(text, "credentials not found") || strstr(text, "no usernames for") ||
	       strstr(text, "no credentials server URL");
}

/* It becomes part of a program's name. */
static bool is_name(const char *name)
{
	static const char allowed[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-";

	return *name && !name[strspn(name, allowed)];
}

int credential_helper_run(const char *name, const char *verb, const char *input, struct buf *out, struct err *err)
{
	CLEANUP(freep) char *program = format("docker-credential-%s", name);
	struct helper h = { .program = program, .to = -1, .from = -1 };
	int r, status = 0;

	if (!program)
		return fail_nomem(err);
	if (!is_name(name) || strlen(input) > HELPER_INPUT_MAX)
		return fail(err, E_INVALID, "credential helper '%s' cannot be used", name);
	h.deadline = clock_monotonic_ms() + credential_helper_timeout_ms;
	r = start(&h, verb, err);
	if (r)
		return r;
	send_input(&h, input);
	r = receive(&h, out, err);
	close_fd(&h.from);
	r = finish(&h, r, &status, err);
	if (r)
		return r;
	if (WIFEXITED(status) && !WEXITSTATUS(status))
		return OK;
	if (says_not_found(buf_text(out)))
		return fail(err, E_NOT_FOUND, "%s holds no such credentials", program);
	return fail(err, E_IO, "%s %s failed: %.*s", program, verb, (int)strcspn(buf_text(out), "\r\n"), buf_text(out));
}
