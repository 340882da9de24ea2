#include "service/layer/process.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <sys/pidfd.h>
#include <sys/socket.h>
#include <sys/wait.h>

#include "proto/runtime/mem.h"

enum { EXIT_PATIENCE_MS = 1000, FIRST_CLOSED_FD = LAYER_SOCKET_FD + 1 };

/* ---- start ------------------------------------------------------------------- */

/* Makes a descriptor that dup2 onto 0 to 3 cannot overwrite before its turn. */
static int above_targets(int *fd, struct err *err)
{
	int moved;

	if (*fd >= FIRST_CLOSED_FD)
		return OK;
	moved = fcntl(*fd, F_DUPFD_CLOEXEC, FIRST_CLOSED_FD);
	if (moved < 0)
		return fail_errno(err, "duplicate a descriptor");
	close(*fd);
	*fd = moved;
	return OK;
}

/* What the process gets; none is below FIRST_CLOSED_FD. */
struct gifts {
	int in, out; /* -1: /dev/null */
	int errors, socket;
};

/* All of these return 0 or an errno. */
static int place_input(posix_spawn_file_actions_t *actions, const struct gifts *g)
{
	if (g->in >= 0)
		return posix_spawn_file_actions_adddup2(actions, g->in, STDIN_FILENO);
	return posix_spawn_file_actions_addopen(actions, STDIN_FILENO, "/dev/null", O_RDWR, 0);
}

static int place_descriptors(posix_spawn_file_actions_t *actions, const struct gifts *g)
{
	int number = place_input(actions, g);

	if (!number)
		number = posix_spawn_file_actions_adddup2(actions, g->out >= 0 ? g->out : STDIN_FILENO, STDOUT_FILENO);
	if (!number)
		number = posix_spawn_file_actions_adddup2(actions, g->errors, STDERR_FILENO);
	if (!number)
		number = posix_spawn_file_actions_adddup2(actions, g->socket, LAYER_SOCKET_FD);
	if (!number)
		number = posix_spawn_file_actions_addclosefrom_np(actions, FIRST_CLOSED_FD);
	return number;
}

/* Default signals, none blocked, and a process group of its own: a terminal's ^C is
 * for the daemon, which still wants to drain. */
static int set_attributes(posix_spawnattr_t *attr)
{
	sigset_t all, none;
	int number;

	sigfillset(&all);
	sigemptyset(&none);
	number = posix_spawnattr_setsigdefault(attr, &all);
	if (!number)
		number = posix_spawnattr_setsigmask(attr, &none);
	if (!number)
		number = posix_spawnattr_setpgroup(attr, 0);
	if (!number)
		number = posix_spawnattr_setflags(attr, POSIX_SPAWN_SETSIGDEF | POSIX_SPAWN_SETSIGMASK |
								POSIX_SPAWN_SETPGROUP);
	return number;
}

static int spawn(const char *program, const char *mode, const struct gifts *g, pid_t *ret_pid)
{
	char *argv[] = { (char *)program, (char *)mode, NULL }, *environment[] = { NULL };
	posix_spawn_file_actions_t actions;
	posix_spawnattr_t attr;
	int number = posix_spawn_file_actions_init(&actions);

	if (number)
		return number;
	number = posix_spawnattr_init(&attr);
	if (!number) {
		number = place_descriptors(&actions, g);
		if (!number)
			number = set_attributes(&attr);
		if (!number)
			number = posix_spawn(ret_pid, program, &actions, &attr, argv, environment);
		posix_spawnattr_destroy(&attr);
	}
	posix_spawn_file_actions_destroy(&actions);
	return number;
}

/* A copy that is above the targets, or -1 for none. */
static int copy_above(int fd, int *ret_fd, struct err *err)
{
	*ret_fd = fd < 0 ? -1 : fcntl(fd, F_DUPFD_CLOEXEC, FIRST_CLOSED_FD);
	return fd >= 0 && *ret_fd < 0 ? fail_errno(err, "duplicate a descriptor") : OK;
}

int process_start_as(const char *program, const struct process_role *role, struct process *ret_process, struct err *err)
{
	CLEANUP(closep) int in = -1;
	CLEANUP(closep) int out = -1;
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

	if (above_targets(&theirs, err) != OK || above_targets(&errors_theirs, err) != OK ||
	    copy_above(role->in, &in, err) != OK || copy_above(role->out, &out, err) != OK)
		return err ? err->code : E_IO;
	number = spawn(program, role->mode, &(struct gifts){ in, out, errors_theirs, theirs }, &pid);
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

	describe_end(status, by_itself, end, sizeof end);
	read_errors(p->errors, errors, sizeof errors);
	close_all(p);
	return fail(err, E_WORKER, "imaged-layer %s%s", end, errors);
}
