#include <assert.h>
#include <fcntl.h>
#include <sys/socket.h>

#include "proto/runtime/mem.h"
#include "service/layer/archive.h"
#include "service/layer/magic.h"
#include "service/layer/patience.h"
#include "service/layer/process.h"

enum { PIPE_BYTES = 1024 * 1024, STREAM_NUMBER = 1 };

struct inflate_filter {
	struct process process; /* ended after a failure */
	struct patience patience;
	struct layer_limits limits;
	int in, out;	   /* our ends; in is -1 after the end, or when the worker reads no more */
	bool ended;	   /* inflate_filter_end() */
	bool out_ended;	   /* the worker has closed its end */
	bool answered;	   /* RESULT came */
	uint64_t promised; /* bytes of the plain stream, by RESULT */
	uint64_t read;
};

/* ---- begin and end -------------------------------------------------------------- */

/* A pipe, larger where that is allowed, of which our end (0: read, 1: write) does not
 * wait. */
static int make_pipe(int ours, int *ret_ours, int *ret_theirs, struct err *err)
{
	int ends[2];

	if (pipe2(ends, O_CLOEXEC) < 0)
		return fail_errno(err, "make a pipe for imaged-layer");
	*ret_ours = ends[ours];
	*ret_theirs = ends[!ours];
	fcntl(*ret_ours, F_SETPIPE_SZ, PIPE_BYTES);
	return fcntl(*ret_ours, F_SETFL, O_NONBLOCK) < 0 ? fail_errno(err, "set up a pipe for imaged-layer") : OK;
}

static int start(struct inflate_filter *f, const char *program, const char *mode, struct err *err)
{
	struct layer_message m = layer_message_of(LAYER_FILTER, STREAM_NUMBER);
	CLEANUP(closep) int in = -1;
	CLEANUP(closep) int out = -1;
	int rc = make_pipe(1, &f->in, &in, err);

	if (rc == OK)
		rc = make_pipe(0, &f->out, &out, err);
	if (rc == OK)
		rc = process_start_as(program, &(struct process_role){ mode, in, out }, &f->process, err);
	if (rc != OK)
		return rc;
	m.u.filter.limits = f->limits;
	return process_send(&f->process, &m, -1, err);
}

static int new_filter(const char *program, const char *mode, const struct layer_policy *policy,
		      struct inflate_filter **ret_filter, struct err *err)
{
	CLEANUP(inflate_filter_freep) struct inflate_filter *f = calloc(1, sizeof *f);
	int rc;

	if (!f)
		return fail_nomem(err);
	f->process = (struct process)PROCESS_INIT;
	f->in = f->out = -1;
	f->limits = policy->limits;
	rc = patience_init(&f->patience, policy->stall_ms, err);
	if (rc == OK)
		rc = start(f, program, mode, err);
	if (rc != OK)
		return rc;
	*ret_filter = TAKE(f);
	return OK;
}

int inflate_filter_new(const char *program, const struct layer_policy *policy, struct inflate_filter **ret_filter,
		       struct err *err)
{
	return new_filter(program, WORKER_MODE_INFLATE, policy, ret_filter, err);
}

int untar_filter_new(const char *program, const struct layer_policy *policy, struct inflate_filter **ret_filter,
		     struct err *err)
{
	return new_filter(program, WORKER_MODE_UNTAR, policy, ret_filter, err);
}

static void close_input(struct inflate_filter *f)
{
	closep(&f->in);
	f->in = -1;
}

void inflate_filter_free(struct inflate_filter *f)
{
	if (!f)
		return;
	process_end(&f->process);
	close_input(f);
	closep(&f->out);
	patience_free(&f->patience);
	free(f);
}

void inflate_filter_freep(struct inflate_filter **f)
{
	inflate_filter_free(*f);
}

/* ---- from the worker ------------------------------------------------------------ */

static int take_result(struct inflate_filter *f, const struct layer_message *m, struct err *err)
{
	uint64_t bytes = m->u.result.tar_bytes;

	if (!f->ended || bytes > f->limits.tar_bytes || bytes < f->read)
		return process_fail_nonsense(&f->process, "a result that cannot be", err);
	f->answered = true;
	f->promised = bytes;
	return OK;
}

static int take_message(struct inflate_filter *f, const struct layer_message *m, struct err *err)
{
	if (m->layer != STREAM_NUMBER)
		return process_fail_nonsense(&f->process, "an answer to a stream that it does not have", err);
	switch (m->type) {
	case LAYER_RESULT:
		return take_result(f, m, err);
	case LAYER_FAILED:
		return process_fail_told(&f->process, m->u.failed.code, m->u.failed.text, err);
	default:
		return process_fail_nonsense(&f->process, "a message that is not for a stream", err);
	}
}

/* Takes READY and the answer when they are there; nothing follows the answer. */
static int look(struct inflate_filter *f, struct err *err)
{
	struct err why = ERR_INIT;
	struct layer_message m;
	int rc;

	if (!f->process.pid)
		return fail(err, E_WORKER, "imaged-layer has been ended by an earlier failure");
	if (f->answered)
		return OK;
	rc = process_receive(&f->process, MSG_DONTWAIT, &m, &why);
	if (rc == E_BUSY)
		return OK;
	return rc == OK ? take_message(f, &m, err) : fail(err, rc, "%s", why.text);
}

/* ---- the stream ----------------------------------------------------------------- */

int inflate_filter_write(struct inflate_filter *f, const void *data, size_t len, size_t *ret_taken, struct err *err)
{
	ssize_t n;
	int rc = look(f, err);

	assert(!f->ended);
	if (rc != OK)
		return rc;
	*ret_taken = 0;
	if (!f->process.ready || f->in < 0 || !len)
		return OK;
	do
		n = write(f->in, data, len);
	while (n < 0 && errno == EINTR);
	if (n < 0 && errno == EPIPE)
		close_input(f); /* it says why over the socket */
	else if (n < 0 && errno != EAGAIN)
		return fail_errno(err, "write to imaged-layer");
	*ret_taken = n > 0 ? (size_t)n : 0;
	return OK;
}

void inflate_filter_end(struct inflate_filter *f)
{
	f->ended = true;
	close_input(f);
}

static int finish(struct inflate_filter *f, size_t *ret_len, struct err *err)
{
	f->out_ended = true;
	if (!f->answered)
		return fail(err, E_BUSY, "the answer of imaged-layer is not there yet");
	if (f->promised != f->read)
		return process_fail_nonsense(&f->process, "a stream of another length than its result", err);
	*ret_len = 0;
	return OK;
}

static int count(struct inflate_filter *f, size_t len, size_t *ret_len, struct err *err)
{
	f->read += len;
	if (f->read > f->limits.tar_bytes || (f->answered && f->read > f->promised))
		return process_fail_nonsense(&f->process, "a stream that is too long", err);
	*ret_len = len;
	return OK;
}

/* What it has written comes before what it says: a failure is of what follows. */
int inflate_filter_read(struct inflate_filter *f, void *data, size_t size, size_t *ret_len, struct err *err)
{
	bool was_ready = f->process.ready && f->process.pid;
	ssize_t n = -1;
	int rc;

	if (was_ready) {
		do
			n = read(f->out, data, size);
		while (n < 0 && errno == EINTR);
		if (n < 0 && errno != EAGAIN)
			return fail_errno(err, "read from imaged-layer");
	}
	if (n > 0)
		return count(f, (size_t)n, ret_len, err);
	rc = look(f, err);
	if (rc != OK)
		return rc;
	if (!was_ready || n < 0)
		return fail(err, E_BUSY, "imaged-layer has nothing yet");
	return finish(f, ret_len, err);
}

int inflate_filter_wait(struct inflate_filter *f, struct cancel *cancel, struct err *err)
{
	bool ready = f->process.ready;
	struct pollfd events[] = {
		{ .fd = f->answered ? -1 : f->process.socket, .events = POLLIN },
		{ .fd = ready && !f->out_ended ? f->out : -1, .events = POLLIN },
		{ .fd = ready ? f->in : -1, .events = POLLOUT },
	};
	int rc;

	if (!f->process.pid || (f->answered && f->out_ended))
		return OK; /* the next call tells */
	patience_moved(&f->patience);
	rc = patience_poll(&f->patience, events, ARRAY_LEN(events), &f->process, cancel, err);
	if (rc == OK && events[2].revents & POLLERR)
		close_input(f); /* the reason is on its way; there is no room to wait for */
	return rc;
}
