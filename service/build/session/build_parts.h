/*
 * What all builds of the daemon stand on: made at its start, ended when no build runs any more.
 */
#ifndef SERVICE_BUILD_SESSION_BUILD_PARTS_H
#define SERVICE_BUILD_SESSION_BUILD_PARTS_H

#include "service/build/run/run.h"
#include "service/image/image_service.h"

struct build_parts_options {
	struct store *store;
	struct registry *registry;
	struct layer_files *layer_files;
	const char *worker_program;
	struct run_config run; /* without a workspace, which is made below the store's root */
	unsigned parallel;     /* as solver_options */
};

/* Removes what builds have left that were killed. The options' strings outlive it. */
int build_parts_open(const struct build_parts_options *options, struct build_parts *ret_parts, struct err *err);
void build_parts_close(struct build_parts *p); /* fine when it was never opened */

#endif
