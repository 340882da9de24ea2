/*
 * The worker's second thread: hashes and counts the tar stream while the first one
 * reads and inflates. Between them a ring of PIPELINE_SLOTS buffers.
 *
 * One layer: pipeline_begin(), then for each piece pipeline_slot() and
 * pipeline_submit(), then pipeline_finish(). The ring is the only thing that both
 * threads touch at a time, under its lock; a slot's bytes belong to the producer
 * from pipeline_slot() to pipeline_submit(), to the consumer after that.
 *
 * When the consumer fails (a broken tar, too many entries) it goes on taking
 * buffers and drops them, so the producer never waits for nothing; it learns of it
 * at the next pipeline_slot(). Bytes are judged in the stream's order: a failure
 * of the consumer is always about earlier bytes than one of the producer.
 *
 * The thread lives as long as the pipeline: in imaged-layer it is made before the
 * system-call filter, which allows no further one.
 */
#ifndef SERVICE_LAYER_PIPELINE_H
#define SERVICE_LAYER_PIPELINE_H

#include <stdbool.h>
#include <stddef.h>

#include "service/layer/protocol.h"

enum { PIPELINE_SLOTS = 4, PIPELINE_SLOT_BYTES = 256 * 1024 };

struct pipeline;

struct pipeline_result {
	uint8_t diff_id[32];
	uint64_t tar_bytes, files_bytes, entries;
	bool end_mark;
};

int pipeline_new(struct pipeline **ret_pipeline, struct err *err);
void pipeline_free(struct pipeline *p); /* joins the thread */
void pipeline_freep(struct pipeline **p);

struct pipeline_layer {
	const struct layer_limits *limits;
	bool counts_only; /* it is not hashed, the result's diff_id is 0 */
	int stream;	  /* the bytes are also written there, until nobody reads them; -1: nowhere */
};

/* Begins a layer. Whatever an earlier one left unfinished is dropped. The stream is the
 * caller's, and is not used any more after pipeline_drain(), pipeline_finish(). */
void pipeline_begin(struct pipeline *p, const struct pipeline_layer *layer);

/* A buffer of PIPELINE_SLOT_BYTES; waits until one is free. Fails with what the
 * consumer found. */
int pipeline_slot(struct pipeline *p, uint8_t **ret_data, struct err *err);
/* Hands the buffer over, `len` bytes of it. */
void pipeline_submit(struct pipeline *p, size_t len);

/* Waits until everything submitted has been taken; fails with what the consumer
 * found. */
int pipeline_drain(struct pipeline *p, struct err *err);
/* The stream has ended. */
int pipeline_finish(struct pipeline *p, struct pipeline_result *ret_result, struct err *err);

#endif
