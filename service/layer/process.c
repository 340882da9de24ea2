#include "service/layer/process.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/pidfd.h>
#include <sys/socket.h>
#include <sys/wait.h>

#include "proto/runtime/mem.h"
#include "proto/runtime/spawn.h"
#include "service/metrics/counters.h"

enum { EXIT_PATIENCE_MS = 1000 };

/* ---- start ------------------------------------------------------------------- */

int process_start_as(const char *program, const struct process_role *role, struct process *ret_process, struct err *err)
{
	static const char *const environment[] = { NULL };
	int sockets[2], errors[2], number;
	pid_t pid;

	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, sockets) < 0)
		return fail_errno(err, "make a socket for imaged-layer");
	CLEANUP(closep) int ours = sockets[0];
	CLEANUP(closep) int theirs = sockets[1];
	if (pipe2(errors, O_CLOEXEC | O_NONBLOCK) < 0)
		return fail_errno(err, "make a pipe for imaged-layer");
	CLEANUP(closep) int errors_ours = errors[0];
	CLEANUP(closep) int errors_theirs = errors[1];

	const struct spawn s = {
		.program = program,
		.argv = (const char *const[]){ program, role->mode, NULL },
		.environment = environment,
		.fds = { role->in, role->out, errors_theirs, [LAYER_SOCKET_FD] = theirs },
		.n_fds = LAYER_SOCKET_FD + 1,
		.group = SPAWN_OWN_GROUP,
	};
	number = spawn_program(&s, &pid);
	metric_add(number ? METRIC_WORKER_FAILURES : METRIC_WORKER_STARTS, 1);
	if (number)
		return fail(err, E_WORKER, "cannot start %s: %s", program, strerrordesc_np(number));
	*ret_process = (struct process){ .pid = pid, .socket = take_fd(&ours), .errors = take_fd(&errors_ours) };
	return OK;
}

/* ---- end --------------------------------------------------------------------- */

static int reap(pid_t pid)
{
	int status = 0;

	while (waitpid(pid, &status, 0) < 0 && errno == EINTR)
		;
	return status;
}

static void close_all(struct process *p)
{
	close(p->socket);
	close(p->errors);
	*p = (struct process)PROCESS_INIT;
}

void process_end(struct process *p)
{
	if (!p->pid)
		return;
	kill(p->pid, SIGKILL);
	reap(p->pid);
	close_all(p);
}

/* Its socket has closed, so it is about to be a zombie; one that is not soon is
 * killed. Returns whether it ended by itself. */
static bool await_exit(pid_t pid)
{
	CLEANUP(closep) int fd = pidfd_open(pid, 0);
	struct pollfd wait = { .fd = fd, .events = POLLIN };

	if (fd >= 0 && poll(&wait, 1, EXIT_PATIENCE_MS) == 1)
		return true;
	kill(pid, SIGKILL);
	return false;
}

static void describe_end(int status, bool by_itself, char *out, size_t size)
{
	if (!by_itself)
		snprintf(out, size, "closed its socket without ending");
	else if (WIFEXITED(status))
		snprintf(out, size, "ended with exit code %d", WEXITSTATUS(status));
	else if (WTERMSIG(status) == SIGSYS)
		snprintf(out, size, "was killed by its system-call filter (SIGSYS)");
	else if (WTERMSIG(status) == SIGKILL)
		snprintf(out, size, "was killed (SIGKILL), perhaps for lack of memory");
	else
		snprintf(out, size, "was killed by SIG%s", sigabbrev_np(WTERMSIG(status)) ?: "?");
}

/* What it left on its standard error, on one line: ": TEXT" or "". */
static void read_errors(int fd, char *out, size_t size)
{
	char raw[LAYER_TEXT_MAX];
	ssize_t n = read(fd, raw, sizeof raw);

	while (n > 0 && raw[n - 1] == '\n')
		n--;
	out[0] = 0;
	if (n <= 0)
		return;
	out[0] = ':';
	out[1] = ' ';
	layer_text_clean(raw, (size_t)n, out + 2, size - 2);
}

int process_fail_died(struct process *p, struct err *err)
{
	char end[96], errors[LAYER_TEXT_MAX + 4];
	bool by_itself = await_exit(p->pid);
	int status = reap(p->pid);

	metric_add(METRIC_WORKER_FAILURES, 1);
	describe_end(status, by_itself, end, sizeof end);
	read_errors(p->errors, errors, sizeof errors);
	close_all(p);
	return fail(err, E_WORKER, "imaged-layer %s%s", end, errors);
}
