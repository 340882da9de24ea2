/*
 * Which stages a build needs, and what each stands on (build.md 1.2, 1.3, 2.2): names and
 * indices become edges, ARGs before the first FROM become values, what the target does not
 * reach is left out.
 *
 *	r = plan_make(&file, &options, a, lint, &plan, &place, err);
 *	for each stage that is reachable, of kind PLAN_IMAGE and has no image:
 *		stage->image = its configuration;
 *		r = plan_fire_triggers(&plan, stage, &place, err);	may reach further stages
 *
 * Pure; in the arena. E_INVALID in BuildKit's words, about *ret_place: "circular dependency
 * detected on stage: x"; E_LIMIT, E_NO_MEMORY.
 */
#ifndef SERVICE_BUILD_PLAN_H
#define SERVICE_BUILD_PLAN_H

#include "proto/runtime/cancel.h"
#include "service/build/dockerfile.h"
#include "service/build/scope.h"
#include "store/types/platform.h"

enum plan_kind {
	PLAN_SCRATCH, /* FROM scratch: nothing */
	PLAN_STAGE,   /* FROM another stage */
	PLAN_IMAGE,
	PLAN_CONTEXT, /* a named context stands in for it */
};

enum { PLAN_STAGES_MAX = 10 * 1000 };

#define PLAN_NONE SIZE_MAX

struct plan_command {
	const struct instruction *instruction;
	bool on_build;	 /* the image below left it */
	size_t *sources; /* COPY --from: one; RUN: one for each mount; PLAN_NONE: the build context */
	size_t n_sources;
};

struct plan_stage {
	const struct stage *stage; /* NULL: an image that COPY --from or a mount names */
	const char *name;	   /* "stage-1" when it has none; "" of the only stage, without mounts */
	enum plan_kind kind;
	const char *base;     /* the image or the context, without variables */
	size_t below;	      /* of PLAN_STAGE */
	const char *platform; /* of FROM, without variables; "" */
	struct place place;
	struct plan_command *commands;
	size_t n_commands;
	bool replaced; /* a named context has the stage's name: nothing of it is built */
	bool reachable;
	bool triggers_fired;
	const struct image_config *image; /* of PLAN_IMAGE, PLAN_CONTEXT: the caller's; NULL: none yet */
};

struct plan_options {
	const struct scope *build_args; /* --build-arg; those without a value are left out */
	const char *target;		/* "": the last stage */
	struct platform target_platform, build_platform;
	bool all_stages; /* whatever the target reaches: for checks */
	/* Whether a named context of this name was given; NULL: none was. */
	bool (*has_context)(void *arg, const char *name);
	void *arg;
	struct cancel *cancel; /* NULL: none */
};

struct plan {
	const struct dockerfile *file;
	const struct plan_options *options;
	struct arena *arena;
	struct lint *lint;
	struct scope globals; /* what FROM sees: of the platforms, and of ARGs */
	struct plan_stage *stages;
	size_t n, capacity; /* those of the file come first */
	size_t target;
};

/* All pointers are kept. */
int plan_make(const struct dockerfile *f, const struct plan_options *options, struct arena *a, struct lint *lint,
	      struct plan *ret_plan, struct place *ret_place, struct err *err);

/* The instructions that the stage's image, or the stage below, left to it go in front of
 * its own. */
int plan_fire_triggers(struct plan *p, size_t stage, struct place *ret_place, struct err *err);

/* What a name that the builder itself heeds (SOURCE_DATE_EPOCH, BUILDKIT_SANDBOX_HOSTNAME)
 * was given: by --build-arg, or an ARG before the first FROM. NULL: nothing, or an empty
 * default. */
const char *plan_setting(const struct plan *p, const char *name);

/* For which platform a stage is built: FROM's, that of the stage below, or the target's. */
const char *plan_platform(const struct plan *p, size_t stage, char out[PLATFORM_TEXT_MAX]);

#endif
