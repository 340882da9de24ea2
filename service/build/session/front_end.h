/*
 * The front end for one platform: from the Dockerfile to the graph of what is to be done,
 * with the configurations of the images that it stands on. Inside of this folder.
 */
#ifndef SERVICE_BUILD_SESSION_FRONT_END_H
#define SERVICE_BUILD_SESSION_FRONT_END_H

#include "service/build/graph.h"
#include "service/build/session/base_image.h"
#include "service/build/session/definition.h"

struct front_end {
	struct session *session;
	const struct definition *definition;
	struct base_images *images;
	struct platform platform, build_platform;
	struct arena arena;
	struct scope arguments;
	struct plan_options options;
	struct plan plan;
	struct base_image **bases; /* of each stage of the plan; NULL: it is no image */
	struct evaluation evaluation;
	struct graph_options graph_options;
	struct graph graph;
	bool has_epoch;
	int64_t epoch;
	struct place place; /* of the failure */
};

/* `lint`: NULL when another platform's front end has one. */
int front_end_run(struct front_end *f, struct lint *lint, struct err *err);
void front_end_free(struct front_end *f);

/* The context that an operation or a stage names; NULL: there is none. */
struct session_context *front_end_context(const struct front_end *f, const char *name);

#endif
