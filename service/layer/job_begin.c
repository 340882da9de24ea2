#include <fcntl.h>
#include <unistd.h>

#include "service/layer/archive_protocol.h"
#include "service/layer/job_state.h"
#include "service/metrics/counters.h"

enum { PIPE_BYTES = 1024 * 1024 };

/* ---- ends ---------------------------------------------------------------------- */

void job_be_done(struct layer_job *j)
{
	if (j->slot)
		workers_give_back(j->workers, TAKE(j->slot));
	j->state = JOB_DONE;
}

void job_drop_image(struct layer_job *j)
{
	if (j->slot && j->image >= 0 && !j->has_image)
		process_end(&j->slot->images);
}

void job_be_failed(struct layer_job *j, const struct err *why)
{
	j->failure = *why;
	job_drop_image(j);
	job_be_done(j);
}

void job_fail_worker(struct layer_job *j, const char *what)
{
	struct err why = ERR_INIT;

	metric_add(METRIC_WORKER_FAILURES, 1);
	process_end(&j->slot->process);
	fail(&why, E_WORKER, "imaged-layer %s", what);
	job_be_failed(j, &why);
}

/* ---- the image ------------------------------------------------------------------- */

static int send_stream(struct process *p, uint32_t number, int fd, struct err *err)
{
	struct layer_message m = layer_message_of(LAYER_STREAM, number);

	return process_send(p, &m, fd, err);
}

static int send_image(struct layer_job *j, int stream, struct err *err)
{
	struct process *p = &j->slot->images;
	struct layer_message m = layer_message_of(LAYER_IMAGE, ++p->layers);
	int rc = send_stream(p, m.layer, stream, err);

	m.u.image.limits = workers_policy(j->workers)->image_limits;
	j->image_number = m.layer;
	j->image_read = 0;
	return rc == OK ? process_send(p, &m, j->image, err) : rc;
}

/* Once more with a new process when the old one died between two layers. */
static int begin_image(struct layer_job *j, int stream, struct err *err)
{
	static const struct process_role role = { .mode = WORKER_MODE_EROFS, .in = -1, .out = -1 };
	struct process *p = &j->slot->images;
	int rc;

	if (ftruncate(j->image, 0) < 0)
		return fail_errno(err, "empty the layer's image");
	if (p->pid && send_image(j, stream, err) == OK)
		return OK;
	process_end(p);
	rc = process_start_as(workers_program(j->workers), &role, p, err);
	return rc == OK ? send_image(j, stream, err) : rc;
}

static int make_pipe(int ends[2], struct err *err)
{
	if (pipe2(ends, O_CLOEXEC) < 0)
		return fail_errno(err, "make a pipe for imaged-layer");
	fcntl(ends[1], F_SETPIPE_SZ, PIPE_BYTES); /* a smaller one works too */
	return OK;
}

/* ---- to the worker --------------------------------------------------------------- */

/* stream: the pipe's end for the layer's tar, or -1. */
static int send_begin(struct layer_job *j, int stream, struct err *err)
{
	struct process *p = &j->slot->process;
	struct layer_message m = layer_message_of(LAYER_BEGIN, ++p->layers);
	int rc = stream >= 0 ? send_stream(p, m.layer, stream, err) : OK;

	m.u.begin.compression = j->compression;
	m.u.begin.counts_only = j->counts_only;
	m.u.begin.limits = workers_policy(j->workers)->limits;
	j->number = p->layers;
	return rc == OK ? process_send(p, &m, j->fd, err) : rc;
}

/* Once more with a new process when the old one died between two layers. */
static int begin_layer(struct layer_job *j, int stream, struct err *err)
{
	struct process *p = &j->slot->process;
	int rc = p->pid ? send_begin(j, stream, err) : E_WORKER;

	if (rc == OK)
		return OK;
	process_end(p);
	rc = process_start(workers_program(j->workers), p, err);
	return rc == OK ? send_begin(j, stream, err) : rc;
}

/* The pipe's ends are the workers' alone, so that each sees when the other one is gone. */
static int begin_on_slot(struct layer_job *j, struct err *err)
{
	int ends[2], rc;

	if (j->image < 0)
		return begin_layer(j, -1, err);
	rc = make_pipe(ends, err);
	if (rc != OK)
		return rc;
	rc = begin_image(j, ends[0], err);
	close(ends[0]);
	if (rc == OK)
		rc = begin_layer(j, ends[1], err);
	close(ends[1]);
	return rc;
}

void job_begin(struct layer_job *j, struct slot *slot)
{
	struct err why = ERR_INIT;

	j->slot = slot;
	j->state = JOB_RUNNING;
	j->told = j->read = j->written = 0;
	j->told_end = j->has_facts = j->has_image = j->image_failed = false;
	patience_moved(&j->patience);
	if (begin_on_slot(j, &why) != OK)
		job_be_failed(j, &why);
}

void job_take_slot(struct layer_job *j)
{
	struct slot *slot = workers_take(j->workers, &j->waiter);

	j->state = JOB_QUEUED;
	if (slot)
		job_begin(j, slot);
}

/* AVAILABLE may be left out when the worker's queue is full; END may not. */
void job_tell(struct layer_job *j)
{
	bool end = j->available == j->size;
	struct layer_message m = layer_message_of(end ? LAYER_END : LAYER_AVAILABLE, j->number);
	struct err why = ERR_INIT;
	int rc;

	if (j->told_end || (!end && j->available == j->told))
		return;
	m.u.available.bytes = j->available;
	rc = process_send(&j->slot->process, &m, -1, &why);
	if (rc == E_BUSY && end)
		job_fail_worker(j, "does not take its messages");
	else if (rc != OK && rc != E_BUSY)
		job_be_failed(j, &why);
	else if (rc == OK) {
		j->told = j->available;
		j->told_end = end;
	}
}

void job_cancel_on_worker(struct layer_job *j)
{
	struct layer_message m = layer_message_of(LAYER_CANCEL, j->number);

	if (process_send(&j->slot->process, &m, -1, NULL) != OK)
		process_end(&j->slot->process);
}
