/*
 * The worker that misbehaves as its name says, under its names.
 */
#ifndef TESTS_UNIT_LAYER_BAD_WORKERS_H
#define TESTS_UNIT_LAYER_BAD_WORKERS_H

#include "tests/unit/layer/craft.h"

enum { SHORT_STALL_MS = 300, LONG_STALL_MS = 60000, RUNAWAY_MS = 30000 };

/* Group set-up and tear-down: the folder of the names. */
int bad_workers_setup(void **state);
int bad_workers_teardown(void **state);

/* The path of the worker that behaves so; remove it with unlink(). */
void bad_worker_path(const char *way, char *path, size_t size);

#endif
