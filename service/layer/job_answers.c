#include <sys/socket.h>

#include "service/layer/erofs/writer.h"
#include "service/layer/job_state.h"

enum { LOOK_MESSAGES = 64 /* messages taken at a time: a worker cannot keep the thread busy */ };

/* ---- from the worker ------------------------------------------------------------- */

static void take_progress(struct layer_job *j, const struct layer_message *m)
{
	uint64_t read = m->u.progress.read, written = m->u.progress.written;

	if (read > j->told || read < j->read || written < j->written) {
		job_fail_worker(j, "speaks nonsense: progress that cannot be");
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
	if (j->has_facts && j->image_failed) {
		job_be_failed(j, &j->image_failure);
		return;
	}
	if (!j->has_facts || (j->image >= 0 && !j->has_image))
		return;
	if (j->image >= 0 &&
	    (j->image_tar != (uint64_t)j->facts.tar_size || j->image_entries != (uint64_t)j->facts.entries)) {
		process_end(&j->slot->images);
		job_fail_worker(j, "speaks nonsense: an image of another tar");
		return;
	}
	job_be_done(j);
}

static void take_result(struct layer_job *j, const struct layer_message *m)
{
	const struct layer_limits *limits = &workers_policy(j->workers)->limits;

	if (!j->told_end || m->u.result.tar_bytes > limits->tar_bytes || m->u.result.tar_bytes < j->written ||
	    (j->counts_only && m->u.result.tar_bytes != j->size) || m->u.result.files_bytes > layer_files_max ||
	    m->u.result.entries > limits->entries || m->u.result.entries > m->u.result.tar_bytes) {
		job_fail_worker(j, "speaks nonsense: a result that cannot be");
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
	job_be_failed(j, &why);
}

static void take_message(struct layer_job *j, const struct layer_message *m)
{
	if (m->layer < j->number)
		return; /* of a layer that was cancelled */
	if (m->layer > j->number || j->has_facts) {
		job_fail_worker(j, "speaks nonsense: an answer to a layer that it does not have");
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
		job_fail_worker(j, "speaks nonsense: it cancelled a layer by itself");
		break;
	}
}

void job_listen_to_worker(struct layer_job *j)
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
			job_be_failed(j, &why);
	}
}

/* ---- from the image's worker ------------------------------------------------------- */

/* The layer is not worth more work either. */
static void fail_image(struct layer_job *j, const struct err *why)
{
	if (!j->has_facts)
		job_cancel_on_worker(j);
	job_be_failed(j, why);
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

/* Who only says that it goes on does not. */
static void take_image_progress(struct layer_job *j, uint64_t read)
{
	struct err why = ERR_INIT;

	if (read < j->image_read) {
		fail(&why, E_WORKER, "imaged-layer speaks nonsense: progress that cannot be");
		fail_image(j, &why);
		return;
	}
	if (read > j->image_read)
		patience_moved(&j->patience);
	j->image_read = read;
}

/* A stream that ends too early ends so because its tar does, or because who writes it has died. */
static void take_image_failed(struct layer_job *j, const struct layer_message *m)
{
	char text[LAYER_TEXT_MAX];
	struct err why = ERR_INIT;

	layer_text_clean(m->u.failed.text, sizeof m->u.failed.text, text, sizeof text);
	fail(&why, m->u.failed.code, "%s", text);
	if (j->has_facts || !m->u.failed.at_end) {
		fail_image(j, &why);
		return;
	}
	j->image_failed = true;
	j->image_failure = why;
}

static void take_image_message(struct layer_job *j, const struct layer_message *m)
{
	struct err why = ERR_INIT;

	if (m->layer == j->image_number && m->type == LAYER_PROGRESS) {
		take_image_progress(j, m->u.progress.read);
	} else if (m->layer == j->image_number && m->type == LAYER_IMAGED) {
		take_imaged(j, m);
	} else if (m->layer == j->image_number && m->type == LAYER_FAILED) {
		take_image_failed(j, m);
	} else {
		fail(&why, E_WORKER, "imaged-layer speaks nonsense: an answer to an image that it does not make");
		fail_image(j, &why);
	}
}

void job_listen_to_images(struct layer_job *j)
{
	for (int i = 0; i < LOOK_MESSAGES && j->state == JOB_RUNNING && job_awaits_image(j); i++) {
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
