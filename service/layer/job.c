#include <fcntl.h>

#include "service/layer/job_state.h"
#include "service/layer/magic.h"

enum {
	STEP_MIN = 1024 * 1024,
	STEPS_MAX = 128, /* AVAILABLE messages of one layer: they fit into the socket's queue */
};

/* ---- moving on ------------------------------------------------------------------ */

void layer_job_look(struct layer_job *j)
{
	if (j->state == JOB_QUEUED) {
		struct slot *slot = workers_granted(j->workers, &j->waiter);

		if (slot)
			job_begin(j, slot);
	}
	if (j->state == JOB_RUNNING)
		job_tell(j);
	job_listen_to_worker(j);
	job_listen_to_images(j);
}

/* ---- the job's life -------------------------------------------------------------- */

static bool is_read_only(int fd)
{
	int flags = fcntl(fd, F_GETFL);

	return flags >= 0 && (flags & O_ACCMODE) == O_RDONLY;
}

static uint64_t step(const struct layer_job *j)
{
	uint64_t step = j->size / STEPS_MAX;

	return step < STEP_MIN ? STEP_MIN : step;
}

void layer_job_available(struct layer_job *j, int64_t bytes)
{
	uint64_t now_there = bytes < 0 ? 0 : (uint64_t)bytes;

	if (now_there <= j->available)
		return;
	j->available = now_there < j->size ? now_there : j->size;
	if (j->available < j->next_look && j->available < j->size)
		return;
	j->next_look = j->available + step(j);
	layer_job_look(j);
}

/* NULL: err says why. */
static struct layer_job *new_job(struct layer_workers *w, int fd, int image, int64_t size, struct err *err)
{
	CLEANUP(closep) int owned = fd;
	CLEANUP(layer_job_freep) struct layer_job *j = NULL;

	if (!is_read_only(fd) || size < 0) {
		fail(err, E_INTERNAL, "a layer is given to imaged-layer by a read-only descriptor and its size");
		return NULL;
	}
	j = calloc(1, sizeof *j);
	if (!j) {
		fail_nomem(err);
		return NULL;
	}
	j->workers = layer_workers_ref(w);
	j->fd = take_fd(&owned);
	j->size = (uint64_t)size;
	j->image = image;
	if (patience_init(&j->patience, workers_policy(w)->stall_ms, err) < 0)
		return NULL;
	j->waiter.wake = j->patience.wake;
	return TAKE(j);
}

static int start(struct layer_job *j, struct err *err)
{
	job_take_slot(j);
	return j->state == JOB_DONE ? fail(err, j->failure.code, "%s", j->failure.text) : OK;
}

int layer_job_start_image(struct layer_workers *w, int fd, int image, enum compression compression, int64_t size,
			  struct layer_job **ret_job, struct err *err)
{
	CLEANUP(layer_job_freep) struct layer_job *j = new_job(w, fd, image, size, err);

	if (!j)
		return err->code;
	j->compression = compression;
	if (start(j, err) < 0)
		return err->code;
	*ret_job = TAKE(j);
	return OK;
}

int layer_job_start(struct layer_workers *w, int fd, enum compression compression, int64_t size,
		    struct layer_job **ret_job, struct err *err)
{
	return layer_job_start_image(w, fd, -1, compression, size, ret_job, err);
}

int layer_job_start_whole_image(struct layer_workers *w, int fd, int image, const struct digest *digest, int64_t size,
				struct layer_job **ret_job, struct err *err)
{
	CLEANUP(layer_job_freep) struct layer_job *j = new_job(w, fd, image, size, err);
	enum inflate_format format = INFLATE_PLAIN;

	if (!j || magic_of_file(fd, &format, err) < 0)
		return err->code;
	j->counts_only = format == INFLATE_PLAIN && digest->algorithm == DIGEST_SHA256;
	j->digest = *digest;
	if (start(j, err) < 0)
		return err->code;
	layer_job_available(j, size);
	*ret_job = TAKE(j);
	return OK;
}

int layer_job_start_whole(struct layer_workers *w, int fd, const struct digest *digest, int64_t size,
			  struct layer_job **ret_job, struct err *err)
{
	return layer_job_start_whole_image(w, fd, -1, digest, size, ret_job, err);
}

const struct layer_image_facts *layer_job_image(const struct layer_job *j)
{
	return &j->image_facts;
}

int64_t layer_job_expected(const struct layer_job *j)
{
	if (j->has_facts)
		return j->facts.tar_size;
	if (j->counts_only || !j->read || j->written <= j->read)
		return (int64_t)j->size;
	return (int64_t)((double)j->size * ((double)j->written / (double)j->read));
}

void layer_job_restart(struct layer_job *j)
{
	j->available = j->next_look = 0;
	j->failure = (struct err)ERR_INIT;
	if (j->state == JOB_DONE) {
		job_take_slot(j);
	} else if (j->state == JOB_RUNNING) {
		if (!j->has_facts)
			job_cancel_on_worker(j);
		process_end(&j->slot->images); /* it writes to the same file */
		job_begin(j, j->slot);
	}
}

int layer_job_check(struct layer_job *j, struct err *err)
{
	job_listen_to_worker(j);
	job_listen_to_images(j);
	return j->failure.code == OK ? OK : fail(err, j->failure.code, "%s", j->failure.text);
}

/* ---- waiting --------------------------------------------------------------------- */

/* Waits for the worker, a slot (for others' work, without an end), or a cancel. */
static int wait_for_event(struct layer_job *j, struct cancel *cancel, struct err *err)
{
	struct slot *slot = j->state == JOB_RUNNING ? j->slot : NULL;
	struct process *worker = !slot ? NULL : j->has_facts ? &slot->images : &slot->process;
	struct pollfd sockets[] = {
		{ .fd = slot && !j->has_facts ? slot->process.socket : -1, .events = POLLIN },
		{ .fd = slot && job_awaits_image(j) ? slot->images.socket : -1, .events = POLLIN },
	};
	struct err why = ERR_INIT;
	int rc = patience_poll(&j->patience, sockets, ARRAY_LEN(sockets), worker, cancel, &why);

	if (rc != E_WORKER)
		return rc == OK ? OK : fail(err, rc, "%s", why.text);
	job_be_failed(j, &why);
	return OK;
}

static int wait_until_done(struct layer_job *j, struct cancel *cancel, struct err *err)
{
	int rc = OK;

	patience_moved(&j->patience);
	layer_job_look(j);
	while (rc == OK && j->state != JOB_DONE) {
		rc = wait_for_event(j, cancel, err);
		if (rc == OK)
			layer_job_look(j);
	}
	return rc;
}

int layer_job_finish(struct layer_job *j, struct cancel *cancel, struct layer_facts *ret_facts, struct err *err)
{
	int rc;

	j->available = j->size;
	rc = wait_until_done(j, cancel, err);
	if (rc == OK)
		rc = layer_job_check(j, err);
	if (rc == OK)
		*ret_facts = j->facts;
	return rc;
}

void layer_job_free(struct layer_job *j)
{
	if (!j)
		return;
	if (j->state == JOB_RUNNING) {
		if (!j->has_facts)
			job_cancel_on_worker(j);
		job_drop_image(j);
		job_be_done(j);
	}
	workers_forget(j->workers, &j->waiter);
	closep(&j->fd);
	patience_free(&j->patience);
	layer_workers_unref(j->workers);
	free(j);
}

void layer_job_freep(struct layer_job **j)
{
	layer_job_free(*j);
}
