#include "service/build/run/worker_process.h"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/socket.h>
#include <sys/wait.h>

#include "proto/runtime/spawn.h"

enum { END_PATIENCE_MS = 10 * 1000 };

/* ---- start -------------------------------------------------------------------------- */

static int spawn(const char *program, int socket, pid_t *ret_pid)
{
	/* newuidmap and erofsfuse are looked for there. */
	CLEANUP(freep)
	char *path = format("PATH=%s", getenv("PATH") ?: "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin");
	const struct spawn s = {
		.program = program,
		.argv = (const char *const[]){ program, NULL },
		.environment = (const char *const[]){ path, NULL },
		.fds = { -1, -1, -1, [RUN_SOCKET_FD] = socket },
		.n_fds = RUN_SOCKET_FD + 1,
		.group = SPAWN_OWN_GROUP,
	};

	return path ? spawn_program(&s, ret_pid) : ENOMEM;
}

static int send_gifts(int socket, const struct worker_gifts *g, struct err *err)
{
	CLEANUP(closep) int null = open("/dev/null", O_RDWR | O_CLOEXEC);
	CLEANUP(freep)
	int *fds = calloc(RUN_FD_LOWERS + g->n_lowers + plan_mount_fds(g->mounts, g->n_mounts, NULL), sizeof *fds);
	const int fixed[RUN_FD_LOWERS] = { [RUN_FD_PLAN] = g->plan,
					   [RUN_FD_OUT] = g->out,
					   [RUN_FD_ERRORS] = g->errors,
					   [RUN_FD_LAYER] = g->layer,
					   [RUN_FD_DIRECTORY] = g->directory };
	size_t n = 0;

	if (!fds)
		return fail_nomem(err);
	if (null < 0)
		return fail_errno(err, "open /dev/null");
	for (size_t i = 0; i < RUN_FD_LOWERS; i++)
		fds[n++] = fixed[i] >= 0 ? fixed[i] : null;
	for (size_t i = 0; i < g->n_lowers; i++)
		fds[n++] = g->lowers[i];
	n += plan_mount_fds(g->mounts, g->n_mounts, fds + n);
	return run_send_fds(socket, fds, n, err);
}

int worker_process_start(const char *program, const struct worker_gifts *g, struct worker_process *w, struct err *err)
{
	int sockets[2], number, rc;
	pid_t pid;

	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, sockets) < 0)
		return fail_errno(err, "make a socket for imaged-run");
	CLEANUP(closep) int ours = sockets[0];
	CLEANUP(closep) int theirs = sockets[1];

	number = spawn(program, theirs, &pid);
	if (number)
		return fail(err, E_WORKER, "cannot start %s: %s", program, strerrordesc_np(number));
	*w = (struct worker_process){ .pid = pid, .socket = take_fd(&ours), .init = -1 };
	rc = send_gifts(w->socket, g, err);
	if (rc != OK)
		worker_process_end(w);
	return rc;
}

/* ---- listen ---------------------------------------------------------------------------- */

void worker_process_stop(struct worker_process *w)
{
	if (!w->stopped)
		shutdown(w->socket, SHUT_WR);
	w->stopped = true;
}

static int reap(struct worker_process *w)
{
	int status = 0;

	while (waitpid(w->pid, &status, 0) < 0 && errno == EINTR)
		;
	w->pid = 0;
	return status;
}

/* The kernel kills the step when its supervisor is gone; its end is awaited. */
static void await_init(struct worker_process *w)
{
	struct pollfd wait = { .fd = w->init, .events = POLLIN };

	while (w->init >= 0 && poll(&wait, 1, END_PATIENCE_MS) < 0 && errno == EINTR)
		;
}

static void close_all(struct worker_process *w)
{
	closep(&w->socket);
	closep(&w->init);
	*w = (struct worker_process)WORKER_PROCESS_INIT;
}

static int fail_died(struct worker_process *w, struct err *err)
{
	int status;

	kill(w->pid, SIGKILL); /* it may only have closed its socket */
	status = reap(w);
	await_init(w);
	close_all(w);
	if (WIFSIGNALED(status))
		return fail(err, E_WORKER, "imaged-run was killed by SIG%s", sigabbrev_np(WTERMSIG(status)) ?: "?");
	return fail(err, E_WORKER, "imaged-run ended with exit code %d", WEXITSTATUS(status));
}

int worker_process_listen(struct worker_process *w, struct run_report *report, bool *ret_done, struct err *err)
{
	struct run_word word;
	int rc = run_receive_word(w->socket, &word, err);

	if (rc == E_UNAVAILABLE)
		return fail_died(w, err);
	if (rc != OK)
		return rc;
	*ret_done = word.is_report;
	if (word.is_report) {
		*report = word.report;
	} else {
		closep(&w->init);
		w->init = word.fd;
	}
	return OK;
}

void worker_process_end(struct worker_process *w)
{
	if (!w->pid)
		return;
	worker_process_stop(w);
	/* It has a step to end and mounts to leave first. */
	struct pollfd wait = { .fd = w->socket, .events = POLLHUP };

	while (poll(&wait, 1, END_PATIENCE_MS) < 0 && errno == EINTR)
		;
	if (!(wait.revents & POLLHUP))
		kill(w->pid, SIGKILL);
	reap(w);
	await_init(w);
	close_all(w);
}
