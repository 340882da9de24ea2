#include "service/layer/workers.h"

#include <fcntl.h>
#include <inttypes.h>
#include <sys/socket.h>

#include "proto/runtime/mem.h"
#include "service/layer/archive_protocol.h"
#include "service/layer/erofs/writer.h"
#include "service/layer/magic.h"
#include "service/layer/patience.h"

enum {
	STEP_MIN = 1024 * 1024,
	STEPS_MAX = 128, /* AVAILABLE messages of one layer: they fit into the socket's queue */
	PIPE_BYTES = 1024 * 1024,
	LOOK_MESSAGES = 64, /* messages taken at a time: a worker cannot keep the thread busy */
};

enum job_state { JOB_QUEUED, JOB_RUNNING, JOB_DONE };

struct layer_job {
	struct layer_workers *workers; /* a reference */
	int fd;
	enum compression compression;
	uint64_t size;
	bool counts_only;
	struct digest digest; /* counts_only: of the file */
	int image;	      /* the caller's; -1: none is made */
	struct patience patience;
	struct waiter waiter; /* for a slot; it wakes the patience */

	enum job_state state;
	struct slot *slot; /* JOB_RUNNING: held */
	uint32_t number;   /* of the BEGIN */
	uint64_t available, next_look;
	uint64_t told; /* in the last AVAILABLE or END */
	bool told_end;
	uint64_t read, written; /* of the last PROGRESS */
	uint32_t image_number;	/* of the IMAGE */
	bool has_facts, has_image;

	/* JOB_DONE */
	struct err failure;
	struct layer_facts facts;
	struct layer_image_facts image_facts;
	uint64_t image_tar, image_entries; /* what the image's worker found in the tar */
};

/* ---- ends ---------------------------------------------------------------------- */

static void be_done(struct layer_job *j)
{
	if (j->slot)
		workers_give_back(j->workers, TAKE(j->slot));
	j->state = JOB_DONE;
}

/* A worker that writes an image nobody wants must not go on with it. */
static void drop_image(struct layer_job *j)
{
	if (j->slot && j->image >= 0 && !j->has_image)
		process_end(&j->slot->images);
}

static void be_failed(struct layer_job *j, const struct err *why)
{
	j->failure = *why;
	drop_image(j);
	be_done(j);
}

/* The worker cannot be trusted with anything any more. */
static void fail_worker(struct layer_job *j, const char *what)
{
	struct err why = ERR_INIT;

	process_end(&j->slot->process);
	fail(&why, E_WORKER, "imaged-layer %s", what);
	be_failed(j, &why);
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

static void begin(struct layer_job *j, struct slot *slot)
{
	struct err why = ERR_INIT;

	j->slot = slot;
	j->state = JOB_RUNNING;
	j->told = j->read = j->written = 0;
	j->told_end = j->has_facts = j->has_image = false;
	patience_moved(&j->patience);
	if (begin_on_slot(j, &why) != OK)
		be_failed(j, &why);
}

static void take_slot(struct layer_job *j)
{
	struct slot *slot = workers_take(j->workers, &j->waiter);

	j->state = JOB_QUEUED;
	if (slot)
		begin(j, slot);
}

/* AVAILABLE may be left out when the worker's queue is full; END may not. */
static void tell(struct layer_job *j)
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
		fail_worker(j, "does not take its messages");
	else if (rc != OK && rc != E_BUSY)
		be_failed(j, &why);
	else if (rc == OK) {
		j->told = j->available;
		j->told_end = end;
	}
}

/* Ends the layer on its worker, which goes on with the next one; one that does not
 * even take the message is ended. */
static void cancel_on_worker(struct layer_job *j)
{
	struct layer_message m = layer_message_of(LAYER_CANCEL, j->number);

	if (process_send(&j->slot->process, &m, -1, NULL) != OK)
		process_end(&j->slot->process);
}

/* ---- from the worker ------------------------------------------------------------- */

static void take_progress(struct layer_job *j, const struct layer_message *m)
{
	uint64_t read = m->u.progress.read, written = m->u.progress.written;

	if (read > j->told || read < j->read || written < j->written) {
		fail_worker(j, "speaks nonsense: progress that cannot be");
		return;
	}
	if (read > j->read || written > j->written)
		patience_moved(&j->patience);
	j->read = read;
	j->written = written;
}

/* Both have read the same bytes, and must have found the same in them. */
static void look_whether_done(struct layer_job *j)
{
	if (!j->has_facts || (j->image >= 0 && !j->has_image))
		return;
	if (j->image >= 0 &&
	    (j->image_tar != (uint64_t)j->facts.tar_size || j->image_entries != (uint64_t)j->facts.entries)) {
		process_end(&j->slot->images);
		fail_worker(j, "speaks nonsense: an image of another tar");
		return;
	}
	be_done(j);
}

static void take_result(struct layer_job *j, const struct layer_message *m)
{
	const struct layer_limits *limits = &workers_policy(j->workers)->limits;

	if (!j->told_end || m->u.result.tar_bytes > limits->tar_bytes || m->u.result.tar_bytes < j->written ||
	    (j->counts_only && m->u.result.tar_bytes != j->size) || m->u.result.files_bytes > layer_files_max ||
	    m->u.result.entries > limits->entries || m->u.result.entries > m->u.result.tar_bytes) {
		fail_worker(j, "speaks nonsense: a result that cannot be");
		return;
	}
	j->facts = (struct layer_facts){
		.diff_id.algorithm = DIGEST_SHA256,
		.tar_size = (int64_t)m->u.result.tar_bytes,
		.files_size = (int64_t)m->u.result.files_bytes,
		.end_mark = m->u.result.end_mark != 0,
		.entries = (int64_t)m->u.result.entries,
		.worker_version = LAYER_WORKER_VERSION,
	};
	if (j->counts_only)
		j->facts.diff_id = j->digest;
	else
		memcpy(j->facts.diff_id.bytes, m->u.result.diff_id, sizeof m->u.result.diff_id);
	j->has_facts = true;
	look_whether_done(j);
}

static void take_failed(struct layer_job *j, const struct layer_message *m)
{
	char text[LAYER_TEXT_MAX];
	struct err why = ERR_INIT;

	layer_text_clean(m->u.failed.text, sizeof m->u.failed.text, text, sizeof text);
	fail(&why, m->u.failed.code, "%s", text);
	be_failed(j, &why);
}

static void take_message(struct layer_job *j, const struct layer_message *m)
{
	if (m->layer < j->number)
		return; /* of a layer that was cancelled */
	if (m->layer > j->number || j->has_facts) {
		fail_worker(j, "speaks nonsense: an answer to a layer that it does not have");
		return;
	}
	switch (m->type) {
	case LAYER_PROGRESS:
		take_progress(j, m);
		break;
	case LAYER_RESULT:
		take_result(j, m);
		break;
	case LAYER_FAILED:
		take_failed(j, m);
		break;
	default:
		fail_worker(j, "speaks nonsense: it cancelled a layer by itself");
		break;
	}
}

/* What there is of messages, up to a bound. */
static void listen_to_worker(struct layer_job *j)
{
	for (int i = 0; i < LOOK_MESSAGES && j->state == JOB_RUNNING && !j->has_facts; i++) {
		struct err why = ERR_INIT;
		struct layer_message m;
		int rc = process_receive(&j->slot->process, MSG_DONTWAIT, &m, &why);

		if (rc == E_BUSY)
			return;
		if (rc == OK)
			take_message(j, &m);
		else
			be_failed(j, &why);
	}
}

/* ---- from the image's worker ------------------------------------------------------- */

/* The layer is not worth more work either. */
static void fail_image(struct layer_job *j, const struct err *why)
{
	if (!j->has_facts)
		cancel_on_worker(j);
	be_failed(j, why);
}

static void take_imaged(struct layer_job *j, const struct layer_message *m)
{
	const struct layer_image_limits *limits = &workers_policy(j->workers)->image_limits;
	struct err why = ERR_INIT;

	if (m->u.imaged.image_bytes > limits->image_bytes || m->u.imaged.entries > limits->entries) {
		fail(&why, E_WORKER, "imaged-layer speaks nonsense: an image that cannot be");
		fail_image(j, &why);
		return;
	}
	j->image_facts = (struct layer_image_facts){
		.image_size = (int64_t)m->u.imaged.image_bytes,
		.inodes = (int64_t)m->u.imaged.inodes,
		.root_is_opaque = m->u.imaged.root_is_opaque,
		.writer_version = EROFS_WRITER_VERSION,
	};
	j->image_tar = m->u.imaged.tar_bytes;
	j->image_entries = m->u.imaged.entries;
	j->has_image = true;
	patience_moved(&j->patience);
	look_whether_done(j);
}

static void take_image_message(struct layer_job *j, const struct layer_message *m)
{
	struct err why = ERR_INIT;

	if (m->layer == j->image_number && m->type == LAYER_PROGRESS) {
		patience_moved(&j->patience);
	} else if (m->layer == j->image_number && m->type == LAYER_IMAGED) {
		take_imaged(j, m);
	} else if (m->layer == j->image_number && m->type == LAYER_FAILED) {
		char text[LAYER_TEXT_MAX];

		layer_text_clean(m->u.failed.text, sizeof m->u.failed.text, text, sizeof text);
		fail(&why, m->u.failed.code, "%s", text);
		fail_image(j, &why);
	} else {
		fail(&why, E_WORKER, "imaged-layer speaks nonsense: an answer to an image that it does not make");
		fail_image(j, &why);
	}
}

static void listen_to_images(struct layer_job *j)
{
	for (int i = 0; i < LOOK_MESSAGES && j->state == JOB_RUNNING && j->image >= 0 && !j->has_image; i++) {
		struct err why = ERR_INIT;
		struct layer_message m;
		int rc = process_receive(&j->slot->images, MSG_DONTWAIT, &m, &why);

		if (rc == E_BUSY)
			return;
		if (rc == OK)
			take_image_message(j, &m);
		else
			fail_image(j, &why);
	}
}

void layer_job_look(struct layer_job *j)
{
	if (j->state == JOB_QUEUED) {
		struct slot *slot = workers_granted(j->workers, &j->waiter);

		if (slot)
			begin(j, slot);
	}
	if (j->state == JOB_RUNNING)
		tell(j);
	listen_to_worker(j);
	listen_to_images(j);
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
	take_slot(j);
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
		take_slot(j);
	} else if (j->state == JOB_RUNNING) {
		if (!j->has_facts)
			cancel_on_worker(j);
		process_end(&j->slot->images); /* it writes to the same file */
		begin(j, j->slot);
	}
}

int layer_job_check(struct layer_job *j, struct err *err)
{
	listen_to_worker(j);
	listen_to_images(j);
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
		{ .fd = slot && j->image >= 0 && !j->has_image ? slot->images.socket : -1, .events = POLLIN },
	};
	struct err why = ERR_INIT;
	int rc = patience_poll(&j->patience, sockets, ARRAY_LEN(sockets), worker, cancel, &why);

	if (rc != E_WORKER)
		return rc == OK ? OK : fail(err, rc, "%s", why.text);
	be_failed(j, &why);
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
			cancel_on_worker(j);
		drop_image(j);
		be_done(j);
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
