#include "service/layer/pipeline.h"

#include <assert.h>
#include <pthread.h>

#include "proto/runtime/mem.h"
#include "service/layer/tar_count.h"
#include "store/types/digest.h"

struct pipeline {
	pthread_t thread;
	pthread_mutex_t mu;
	pthread_cond_t submitted; /* or stop */
	pthread_cond_t taken;	  /* or running */

	/* guarded by mu; slots [taken_n, submitted_n) are the consumer's */
	uint64_t submitted_n, taken_n;
	size_t lens[PIPELINE_SLOTS];
	bool running, stop;
	struct err failure; /* of the consumer, for this layer */

	/* the consumer's while taken_n < submitted_n, else the producer's */
	bool counts_only;
	int stream;
	struct hasher hasher;
	struct tar_count count;

	uint8_t slots[PIPELINE_SLOTS][PIPELINE_SLOT_BYTES];
};

/* A reader that is gone has said why to who made the pipe. */
static void pass_on(struct pipeline *p, const uint8_t *data, size_t len)
{
	while (p->stream >= 0 && len) {
		ssize_t n = write(p->stream, data, len);

		if (n < 0 && errno != EINTR)
			p->stream = -1;
		if (n > 0) {
			data += n;
			len -= (size_t)n;
		}
	}
}

static int consume(struct pipeline *p, const uint8_t *data, size_t len, struct err *err)
{
	int rc;

	if (!p->counts_only)
		hasher_update(&p->hasher, data, len);
	rc = tar_count_feed(&p->count, data, len, err);
	if (rc == OK)
		pass_on(p, data, len);
	return rc;
}

/* Takes one slot; called and returns with the lock held. */
static void take_slot(struct pipeline *p)
{
	unsigned slot = p->taken_n % PIPELINE_SLOTS;
	bool failed = p->failure.code != OK;
	size_t len = p->lens[slot];
	struct err err = ERR_INIT;

	pthread_mutex_unlock(&p->mu);
	if (!failed)
		consume(p, p->slots[slot], len, &err);
	pthread_mutex_lock(&p->mu);
	if (err.code != OK)
		p->failure = err;
	p->taken_n++;
	pthread_cond_signal(&p->taken);
}

static void *consumer(void *arg)
{
	struct pipeline *p = arg;

	pthread_mutex_lock(&p->mu);
	p->running = true;
	pthread_cond_signal(&p->taken);
	while (!p->stop) {
		if (p->taken_n < p->submitted_n)
			take_slot(p);
		else
			pthread_cond_wait(&p->submitted, &p->mu);
	}
	pthread_mutex_unlock(&p->mu);
	return NULL;
}

/* A thread makes system calls of its own before it gets here, which the filter of
 * the sandbox does not know: they must be over when pipeline_new() returns. */
static void wait_until_running(struct pipeline *p)
{
	pthread_mutex_lock(&p->mu);
	while (!p->running)
		pthread_cond_wait(&p->taken, &p->mu);
	pthread_mutex_unlock(&p->mu);
}

int pipeline_new(struct pipeline **ret_pipeline, struct err *err)
{
	struct pipeline *p = calloc(1, sizeof *p);
	int number;

	if (!p)
		return fail_nomem(err);
	pthread_mutex_init(&p->mu, NULL);
	pthread_cond_init(&p->submitted, NULL);
	pthread_cond_init(&p->taken, NULL);
	number = pthread_create(&p->thread, NULL, consumer, p);
	if (number) {
		free(p);
		errno = number;
		return fail_errno(err, "start the hashing thread");
	}
	wait_until_running(p);
	*ret_pipeline = p;
	return OK;
}

void pipeline_free(struct pipeline *p)
{
	if (!p)
		return;
	pthread_mutex_lock(&p->mu);
	p->stop = true;
	pthread_cond_signal(&p->submitted);
	pthread_mutex_unlock(&p->mu);
	pthread_join(p->thread, NULL);
	tar_count_free(&p->count);
	pthread_cond_destroy(&p->taken);
	pthread_cond_destroy(&p->submitted);
	pthread_mutex_destroy(&p->mu);
	free(p);
}

void pipeline_freep(struct pipeline **p)
{
	pipeline_free(*p);
}

static int failure_of(const struct pipeline *p, struct err *err)
{
	return p->failure.code == OK ? OK : fail(err, p->failure.code, "%s", p->failure.text);
}

/* Waits until at most `pending` slots are the consumer's. */
static int wait_for(struct pipeline *p, uint64_t pending, struct err *err)
{
	int rc;

	pthread_mutex_lock(&p->mu);
	while (p->submitted_n - p->taken_n > pending)
		pthread_cond_wait(&p->taken, &p->mu);
	rc = failure_of(p, err);
	pthread_mutex_unlock(&p->mu);
	return rc;
}

void pipeline_begin(struct pipeline *p, const struct pipeline_layer *layer)
{
	pthread_mutex_lock(&p->mu);
	while (p->taken_n < p->submitted_n)
		pthread_cond_wait(&p->taken, &p->mu);
	p->failure = (struct err)ERR_INIT;
	p->counts_only = layer->counts_only;
	p->stream = layer->stream;
	hasher_init(&p->hasher, DIGEST_SHA256);
	tar_count_free(&p->count);
	tar_count_init(&p->count, layer->limits->entries, layer->limits->tar_bytes);
	pthread_mutex_unlock(&p->mu);
}

int pipeline_slot(struct pipeline *p, uint8_t **ret_data, struct err *err)
{
	int rc = wait_for(p, PIPELINE_SLOTS - 1, err);

	if (rc == OK)
		*ret_data = p->slots[p->submitted_n % PIPELINE_SLOTS]; /* only this thread changes submitted_n */
	return rc;
}

void pipeline_submit(struct pipeline *p, size_t len)
{
	assert(len <= PIPELINE_SLOT_BYTES);
	pthread_mutex_lock(&p->mu);
	p->lens[p->submitted_n % PIPELINE_SLOTS] = len;
	p->submitted_n++;
	pthread_cond_signal(&p->submitted);
	pthread_mutex_unlock(&p->mu);
}

int pipeline_drain(struct pipeline *p, struct err *err)
{
	return wait_for(p, 0, err);
}

int pipeline_finish(struct pipeline *p, struct pipeline_result *ret_result, struct err *err)
{
	int rc = pipeline_drain(p, err);

	if (rc == OK)
		rc = tar_count_finish(&p->count, err);
	if (rc != OK)
		return rc;
	*ret_result = (struct pipeline_result){
		.tar_bytes = p->count.offset,
		.files_bytes = p->count.files_bytes,
		.entries = p->count.entries,
		.end_mark = tar_count_at_end(&p->count),
	};
	if (!p->counts_only) {
		struct digest d = hasher_final(&p->hasher);

		memcpy(ret_result->diff_id, d.bytes, sizeof ret_result->diff_id);
	}
	return OK;
}
