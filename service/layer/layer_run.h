/*
 * One layer in the worker: source → inflate → pipeline, within the limits of its
 * BEGIN.
 *
 * Runs on the worker's first thread, from a source_begin() that succeeded.
 */
#ifndef SERVICE_LAYER_LAYER_RUN_H
#define SERVICE_LAYER_LAYER_RUN_H

#include "service/layer/pipeline.h"
#include "service/layer/source.h"

/* Fills *ret_result, or fails: E_CANCELLED, E_UNAVAILABLE (the daemon has closed),
 * else what is to be said in FAILED. Sends PROGRESS on the way. */
int layer_run(struct source *source, struct pipeline *pipeline, struct pipeline_result *ret_result, struct err *err);

#endif
