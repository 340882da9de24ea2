#include "service/build/run/pump.h"

#include <poll.h>
#include <sys/eventfd.h>

enum { PIECE = 64 << 10 };

struct pumping {
	const struct pump *pump;
	struct worker_process *worker;
	struct cancel *cancel;
	int wake; /* eventfd of the token */
	bool open[PUMP_STREAMS];
	bool reported;
	struct run_report *report;
	struct err failure; /* what ended it; the worker has been told to stop */
	uint8_t piece[PIECE];
};

static void on_cancel(void *arg)
{
	eventfd_write(*(int *)arg, 1);
}

static void stop(struct pumping *p)
{
	worker_process_stop(p->worker);
}

/* What comes after a failure is read, so that nobody is held up, and thrown away. */
static void hand_over(struct pumping *p, unsigned stream, size_t n)
{
	const struct run_output *out = p->pump->out;
	const struct bytes piece = { p->piece, n };
	int rc;

	if (p->failure.code != OK)
		return;
	if (stream == PUMP_LAYER)
		rc = p->pump->layer->write(p->pump->layer->arg, piece, &p->failure);
	else
		rc = out->write(out->arg, stream == PUMP_OUT ? RUN_STDOUT : RUN_STDERR, piece, &p->failure);
	if (rc != OK)
		stop(p);
}

static void read_some(struct pumping *p, unsigned stream)
{
	ssize_t n = read(p->pump->from[stream], p->piece, sizeof p->piece);

	if (n < 0 && errno == EINTR)
		return;
	if (n <= 0)
		p->open[stream] = false;
	else
		hand_over(p, stream, (size_t)n);
}

static void listen_once(struct pumping *p)
{
	struct err why = ERR_INIT;

	if (worker_process_listen(p->worker, p->report, &p->reported, &why) == OK)
		return;
	/* Its pipes are closed by everybody who had them, as nobody of it lives. */
	p->reported = true;
	if (p->failure.code == OK)
		p->failure = why;
}

static void check_cancel(struct pumping *p)
{
	eventfd_t count;

	eventfd_read(p->wake, &count);
	if (p->failure.code == OK && cancel_check(p->cancel, &p->failure) != OK)
		stop(p);
}

/* Until the report is there and nothing is left in the pipes: no process of the step lives
 * then that could hold them open. */
static int loop(struct pumping *p, struct err *err)
{
	while (!p->reported || p->open[PUMP_OUT] || p->open[PUMP_ERRORS] || p->open[PUMP_LAYER]) {
		struct pollfd wait[PUMP_STREAMS + 2] = {
			[PUMP_STREAMS] = { .fd = p->reported ? -1 : p->worker->socket, .events = POLLIN },
			[PUMP_STREAMS + 1] = { .fd = p->wake, .events = POLLIN },
		};

		for (unsigned i = 0; i < PUMP_STREAMS; i++)
			wait[i] = (struct pollfd){ .fd = p->open[i] ? p->pump->from[i] : -1, .events = POLLIN };

		if (poll(wait, ARRAY_LEN(wait), -1) < 0) {
			if (errno == EINTR)
				continue;
			return fail_errno(err, "watch a step");
		}
		if (wait[PUMP_STREAMS + 1].revents)
			check_cancel(p);
		for (unsigned i = 0; i < PUMP_STREAMS; i++)
			if (wait[i].revents)
				read_some(p, i);
		if (wait[PUMP_STREAMS].revents)
			listen_once(p);
	}
	return OK;
}

int pump_run(const struct pump *p, struct worker_process *w, struct cancel *cancel, struct run_report *report,
	     struct err *err)
{
	CLEANUP(freep) struct pumping *running = calloc(1, sizeof *running);
	CLEANUP(closep) int wake = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	struct cancel_hook hook = { .fn = on_cancel, .arg = &wake };
	int rc;

	if (!running)
		return fail_nomem(err);
	if (wake < 0)
		return fail_errno(err, "create an eventfd");
	*running = (struct pumping){ .pump = p, .worker = w, .cancel = cancel, .wake = wake, .report = report };
	for (unsigned i = 0; i < PUMP_STREAMS; i++)
		running->open[i] = p->from[i] >= 0;
	if (cancel)
		cancel_hook(cancel, &hook);
	rc = loop(running, err);
	if (cancel)
		cancel_unhook(cancel, &hook);
	if (rc == OK && running->failure.code != OK) {
		*err = running->failure;
		return err->code;
	}
	return rc;
}
