#include "service/build/run/shell.h"

#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <sys/eventfd.h>
#include <sys/ioctl.h>
#include <sys/socket.h>

#include "proto/runtime/buf.h"
#include "service/build/run/cgroup_leftovers.h"
#include "service/build/run/plan.h"
#include "service/build/run/result.h"
#include "service/build/run/worker_process.h"

enum { PIECE = 64 << 10, END_OF_INPUT = 4 /* ^D */, END_AGAIN_MS = 200, SIZE_MAX_CELLS = UINT16_MAX };

/* ---- the caller's side ---------------------------------------------------------- */

struct run_terminal {
	pthread_mutex_t lock;
	int wake; /* eventfd */
	struct buf typed;
	unsigned columns, rows;
	bool is_resized, is_ended;
	bool owes_end; /* there was no room for it */
};

int run_terminal_new(unsigned columns, unsigned rows, struct run_terminal **ret_terminal, struct err *err)
{
	struct run_terminal *t = calloc(1, sizeof *t);
	int number;

	if (!t)
		return fail_nomem(err);
	*t = (struct run_terminal){ .wake = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK),
				    .typed = BUF_INIT(RUN_TERMINAL_TYPED_MAX),
				    .columns = columns,
				    .rows = rows,
				    .is_resized = true };
	number = t->wake < 0 ? errno : pthread_mutex_init(&t->lock, NULL);
	if (number) {
		closep(&t->wake);
		free(t);
		return fail(err, E_IO, "make a terminal for a step: %s", strerrordesc_np(number));
	}
	*ret_terminal = t;
	return OK;
}

void run_terminal_free(struct run_terminal *t)
{
	if (!t)
		return;
	pthread_mutex_destroy(&t->lock);
	closep(&t->wake);
	buf_free(&t->typed);
	free(t);
}

void run_terminal_freep(struct run_terminal **t)
{
	run_terminal_free(*t);
	*t = NULL;
}

int run_terminal_type(struct run_terminal *t, struct bytes data, struct err *err)
{
	bool fits;

	pthread_mutex_lock(&t->lock);
	fits = buf_append(&t->typed, data.data, data.len);
	t->typed.failed = false;
	pthread_mutex_unlock(&t->lock);
	eventfd_write(t->wake, 1);
	return fits ? OK
		    : fail(err, E_LIMIT, "more than %d bytes were typed that nobody reads", RUN_TERMINAL_TYPED_MAX);
}

void run_terminal_resize(struct run_terminal *t, unsigned columns, unsigned rows)
{
	pthread_mutex_lock(&t->lock);
	t->columns = columns;
	t->rows = rows;
	t->is_resized = true;
	pthread_mutex_unlock(&t->lock);
	eventfd_write(t->wake, 1);
}

/* With the lock. */
static void type_end(struct run_terminal *t)
{
	t->owes_end = !buf_putc(&t->typed, END_OF_INPUT);
	t->typed.failed = false;
}

void run_terminal_end(struct run_terminal *t)
{
	pthread_mutex_lock(&t->lock);
	t->is_ended = true;
	type_end(t);
	pthread_mutex_unlock(&t->lock);
	eventfd_write(t->wake, 1);
}

/* ---- the terminal's other side ------------------------------------------------------ */

struct shell {
	struct run_terminal *terminal;
	const struct run_output *out;
	struct worker_process *worker;
	struct cancel *cancel;
	int wake;    /* eventfd of the token */
	int console; /* where the master comes from, -1 after its end */
	int master;  /* -1: not yet, or not any more */
	bool is_reported;
	struct run_report *report;
	struct err failure; /* what ended it; the worker has been told to stop */
	uint8_t piece[PIECE];
};

static void end_worker(struct shell *s)
{
	worker_process_stop(s->worker);
}

static void set_size(struct shell *s)
{
	struct run_terminal *t = s->terminal;
	struct winsize size;
	bool is_new;

	pthread_mutex_lock(&t->lock);
	is_new = t->is_resized && t->columns && t->rows;
	t->is_resized = false;
	size = (struct winsize){ .ws_col = (unsigned short)min_size(t->columns, SIZE_MAX_CELLS),
				 .ws_row = (unsigned short)min_size(t->rows, SIZE_MAX_CELLS) };
	pthread_mutex_unlock(&t->lock);
	if (is_new)
		ioctl(s->master, TIOCSWINSZ, &size);
}

/* The first of the console's socket; later its end. */
static void take_master(struct shell *s)
{
	struct run_word word;
	struct err why = ERR_INIT;

	if (run_receive_word(s->console, &word, &why) != OK) {
		close(take_fd(&s->console));
		return;
	}
	if (word.is_report || s->master >= 0) {
		closep(&word.fd);
		return;
	}
	s->master = word.fd;
	fcntl(s->master, F_SETFL, O_RDWR | O_NONBLOCK);
	set_size(s);
}

static bool is_later(int number)
{
	return number == EAGAIN || number == EINTR;
}

/* EIO: no process has the terminal open any more. */
static void read_master(struct shell *s)
{
	ssize_t n = read(s->master, s->piece, sizeof s->piece);

	if (n < 0 && is_later(errno))
		return;
	if (n <= 0)
		close(take_fd(&s->master));
	else if (s->failure.code == OK &&
		 s->out->write(s->out->arg, RUN_STDOUT, (struct bytes){ s->piece, (size_t)n }, &s->failure) != OK)
		end_worker(s);
}

static void write_master(struct shell *s)
{
	struct run_terminal *t = s->terminal;
	struct buf *typed = &t->typed;
	ssize_t n;

	pthread_mutex_lock(&t->lock);
	n = typed->len ? write(s->master, typed->data, typed->len) : 0;
	if (n > 0) {
		memmove(typed->data, typed->data + n, typed->len - (size_t)n);
		typed->len -= (size_t)n;
		if (t->owes_end)
			type_end(t);
	}
	pthread_mutex_unlock(&t->lock);
}

static bool has_typed(struct shell *s)
{
	bool has;

	pthread_mutex_lock(&s->terminal->lock);
	has = s->terminal->typed.len;
	pthread_mutex_unlock(&s->terminal->lock);
	return has;
}

static int patience(struct shell *s)
{
	bool ended;

	pthread_mutex_lock(&s->terminal->lock);
	ended = s->terminal->is_ended;
	pthread_mutex_unlock(&s->terminal->lock);
	return ended && s->master >= 0 ? END_AGAIN_MS : -1;
}

static void serve_master(struct shell *s, short events)
{
	if (events & POLLOUT)
		write_master(s);
	if (events & (POLLIN | POLLHUP | POLLERR))
		read_master(s);
}

/* ---- the loop --------------------------------------------------------------------------- */

static void on_cancel(void *arg)
{
	eventfd_write(*(int *)arg, 1);
}

static void check_cancel(struct shell *s)
{
	eventfd_t count;

	eventfd_read(s->wake, &count);
	if (s->failure.code == OK && cancel_check(s->cancel, &s->failure) != OK)
		end_worker(s);
}

static void hear_worker(struct shell *s)
{
	struct err why = ERR_INIT;

	if (worker_process_listen(s->worker, s->report, &s->is_reported, &why) == OK)
		return;
	s->is_reported = true;
	if (s->failure.code == OK)
		s->failure = why;
}

static void hear_terminal(struct shell *s)
{
	eventfd_t count;

	eventfd_read(s->terminal->wake, &count);
	if (s->master >= 0)
		set_size(s);
}

static void serve(struct shell *s, const struct pollfd wait[])
{
	if (wait[0].revents)
		take_master(s);
	if (wait[1].revents)
		serve_master(s, wait[1].revents);
	if (wait[2].revents)
		hear_worker(s);
	if (wait[3].revents)
		check_cancel(s);
	if (wait[4].revents)
		hear_terminal(s);
}

/* Until nobody of the worker's is there to send a terminal, and nothing is left to read of one. */
static int loop(struct shell *s, struct err *err)
{
	while (!s->is_reported || s->console >= 0 || s->master >= 0) {
		short events = s->master >= 0 && has_typed(s) ? POLLIN | POLLOUT : POLLIN;
		struct pollfd wait[] = {
			{ .fd = s->console, .events = POLLIN },
			{ .fd = s->master, .events = events },
			{ .fd = s->is_reported ? -1 : s->worker->socket, .events = POLLIN },
			{ .fd = s->wake, .events = POLLIN },
			{ .fd = s->terminal->wake, .events = POLLIN },
		};

		int n = poll(wait, ARRAY_LEN(wait), patience(s));

		if (n < 0 && errno != EINTR)
			return fail_errno(err, "watch a shell");
		if (n > 0)
			serve(s, wait);
		else if (!n && !has_typed(s))
			run_terminal_end(s->terminal);
	}
	return OK;
}

static int watch(struct shell *s, struct err *err)
{
	CLEANUP(closep) int wake = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	struct cancel_hook hook = { .fn = on_cancel, .arg = &wake };
	int rc;

	if (wake < 0)
		return fail_errno(err, "create an eventfd");
	s->wake = wake;
	if (s->cancel)
		cancel_hook(s->cancel, &hook);
	rc = loop(s, err);
	if (s->cancel)
		cancel_unhook(s->cancel, &hook);
	closep(&s->console);
	closep(&s->master);
	if (rc == OK && s->failure.code != OK)
		return fail(err, s->failure.code, "%s", s->failure.text);
	if (rc == OK && s->report->code != OK)
		return fail(err, s->report->code, "%s", s->report->text);
	return rc;
}

/* ---- all ----------------------------------------------------------------------------------- */

/* The worker's process, with the console's other end; ours is *ret_console. */
static int start(const struct run_config *c, const struct run_step *step, int plan, struct worker_process *w,
		 int *ret_console, struct err *err)
{
	int ends[2], rc;

	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends) < 0)
		return fail_errno(err, "make a socket for a terminal");
	rc = worker_process_start(c->program,
				  &(struct worker_gifts){ .plan = plan,
							  .layer = -1,
							  .out = ends[1],
							  .errors = -1,
							  .directory = step->root.directory,
							  .lowers = step->root.lowers,
							  .n_lowers = step->root.n_lowers,
							  .mounts = step->mounts,
							  .n_mounts = step->n_mounts },
				  w, err);
	close(ends[1]);
	if (rc == OK)
		*ret_console = ends[0];
	else
		close(ends[0]);
	return rc;
}

static int plan(const struct run_config *c, const struct run_step *step, struct run_terminal *t, int *ret_plan,
		struct err *err)
{
	struct plan_terminal size;

	pthread_mutex_lock(&t->lock);
	size = (struct plan_terminal){ t->columns, t->rows };
	pthread_mutex_unlock(&t->lock);
	return plan_of_step(c, step, &size, ret_plan, err);
}

int run_shell(const struct run_config *c, const struct run_step *step, struct run_terminal *t,
	      const struct run_output *out, struct cancel *cancel, struct run_result *ret_result, struct err *err)
{
	CLEANUP(worker_process_end) struct worker_process w = WORKER_PROCESS_INIT;
	CLEANUP(freep) struct shell *s = calloc(1, sizeof *s);
	CLEANUP(closep) int memfd = -1;
	struct run_report report = { .version = 0 };
	int rc = s ? cancel_check(cancel, err) : fail_nomem(err);

	if (rc == OK)
		rc = plan(c, step, t, &memfd, err);
	if (rc != OK)
		return rc;
	*s = (struct shell){ .terminal = t,
			     .out = out,
			     .worker = &w,
			     .cancel = cancel,
			     .console = -1,
			     .master = -1,
			     .report = &report };
	rc = start(c, step, memfd, &w, &s->console, err);
	if (rc == OK)
		rc = watch(s, err);
	/* A supervisor that died without a report could not do it itself. */
	if (!report.version)
		cgroup_leftovers_remove(c->cgroup_parent, step->root.id);
	if (rc == OK)
		*ret_result = result_of_report(&report);
	return rc;
}
