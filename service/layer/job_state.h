/*
 * One layer job, for its files: job_begin.c gives the layer to the workers and takes it
 * away from them, job_answers.c believes what they say or does not, job.c is who asks.
 */
#ifndef SERVICE_LAYER_JOB_STATE_H
#define SERVICE_LAYER_JOB_STATE_H

#include "proto/runtime/mem.h"
#include "service/layer/patience.h"
#include "service/layer/workers.h"

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
	uint64_t image_read;	/* of the last PROGRESS of its worker */
	bool has_facts, has_image;
	bool image_failed; /* at the end of its stream: why that ended is the other worker's to say */
	struct err image_failure;

	/* JOB_DONE */
	struct err failure;
	struct layer_facts facts;
	struct layer_image_facts image_facts;
	uint64_t image_tar, image_entries; /* what the image's worker found in the tar */
};

/* ---- job_begin.c ------------------------------------------------------------------- */

/* Takes a slot and begins, or queues. Failures are the job's own. */
void job_take_slot(struct layer_job *j);
void job_begin(struct layer_job *j, struct slot *slot);
/* How much of the blob is there. */
void job_tell(struct layer_job *j);

/* Ends the layer on its worker, which goes on with the next one; one that does not even
 * take the message is ended. */
void job_cancel_on_worker(struct layer_job *j);
/* A worker that writes an image nobody wants must not go on with it. */
void job_drop_image(struct layer_job *j);

void job_be_done(struct layer_job *j); /* gives the slot back */
void job_be_failed(struct layer_job *j, const struct err *why);
/* The worker cannot be trusted with anything any more. */
void job_fail_worker(struct layer_job *j, const char *what);

/* Its worker has yet to answer. */
static inline bool job_awaits_image(const struct layer_job *j)
{
	return j->image >= 0 && !j->has_image && !j->image_failed;
}

/* ---- job_answers.c ----------------------------------------------------------------- */

/* What there is of messages, up to a bound; does not wait. */
void job_listen_to_worker(struct layer_job *j);
void job_listen_to_images(struct layer_job *j);

#endif
