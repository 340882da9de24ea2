#include "service/layer/patience.h"

#include <assert.h>
#include <sys/eventfd.h>

#include "proto/runtime/clock.h"
#include "proto/runtime/mem.h"

int patience_init(struct patience *p, int64_t stall_ms, struct err *err)
{
	*p = (struct patience){ .stall_ms = stall_ms, .wake = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK) };
	patience_moved(p);
	return p->wake < 0 ? fail_errno(err, "make an event descriptor") : OK;
}

void patience_free(struct patience *p)
{
	closep(&p->wake);
	p->wake = -1;
}

void patience_moved(struct patience *p)
{
	p->moved_ms = clock_monotonic_ms();
}

static void wake(void *arg)
{
	const struct patience *p = arg;

	eventfd_write(p->wake, 1);
}

static int time_left(const struct patience *p)
{
	int64_t left = p->moved_ms + p->stall_ms - clock_monotonic_ms();

	return left < 0 ? 0 : left > INT32_MAX ? INT32_MAX : (int)left;
}

static int poll_once(struct pollfd *fds, nfds_t n, int ms, int *ret_ready, struct err *err)
{
	int ready = poll(fds, n, ms);

	if (ready < 0 && errno != EINTR)
		return fail_errno(err, "wait for imaged-layer");
	*ret_ready = ready > 0 ? ready : 0;
	return OK;
}

/* Until something is ready, the token fired, or the time is over. A call that a signal
 * cut short, and a token that fired, are looked at anew. */
static int poll_all(struct patience *p, struct pollfd *fds, nfds_t n, struct process *worker, struct cancel *cancel,
		    struct err *err)
{
	for (;;) {
		int ready = 0, rc = cancel_check(cancel, err);

		if (rc == OK)
			rc = poll_once(fds, n, worker ? time_left(p) : -1, &ready, err);
		if (rc != OK)
			return rc;
		if (fds[n - 1].revents)
			eventfd_read(p->wake, &(eventfd_t){ 0 });
		if (ready)
			return cancel_check(cancel, err);
		if (worker && !time_left(p)) {
			process_end(worker);
			return fail(err, E_WORKER,
				    "imaged-layer has stopped: it makes no progress though bytes are available");
		}
	}
}

int patience_poll(struct patience *p, struct pollfd *fds, nfds_t n, struct process *worker, struct cancel *cancel,
		  struct err *err)
{
	struct pollfd all[PATIENCE_FDS_MAX + 1];
	struct cancel_hook hook = { .fn = wake, .arg = p };
	int rc;

	assert(n <= PATIENCE_FDS_MAX);
	memcpy(all, fds, n * sizeof *fds);
	all[n] = (struct pollfd){ .fd = p->wake, .events = POLLIN };
	if (cancel)
		cancel_hook(cancel, &hook);
	rc = poll_all(p, all, n + 1, worker, cancel, err);
	if (cancel)
		cancel_unhook(cancel, &hook);
	memcpy(fds, all, n * sizeof *fds);
	return rc;
}
