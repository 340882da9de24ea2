/*
 * A planned build with all its values (build.md 1.2, 1.3, 2.3): each stage's
 * configuration, its history, and the steps that make its files, in order.
 *
 *	plan_make(...); images and triggers as plan.h says
 *	r = evaluate(&plan, ignore, a, &build, &place, err);
 *	... build.stages[plan.target].image, .steps ...
 *	evaluation_free(&build);
 *
 * Nothing is run or read. Stages that are not reachable have no image and no steps.
 *
 * Pure; one thread. Configurations are on the heap (evaluation_free()), steps in the
 * arena, which lives longer. E_INVALID in BuildKit's words, about *ret_place; E_LIMIT, E_NO_MEMORY.
 */
#ifndef SERVICE_BUILD_EVALUATE_H
#define SERVICE_BUILD_EVALUATE_H

#include "service/build/apply.h"
#include "service/build/git_ref.h"
#include "service/build/plan.h"
#include "service/build/proxies.h"
#include "store/types/ignore.h"

/* Of all configurations together: each stage has what the one below has. */
enum { EVALUATION_BYTES_MAX = 64 * 1024 * 1024 };

enum step_kind {
	STEP_COPY, /* COPY, ADD */
	STEP_RUN,
	STEP_WORKDIR, /* a directory */
};

/* From where a source of COPY or ADD comes. */
enum source_kind {
	SOURCE_CONTEXT,
	SOURCE_STAGE, /* or an image or a named context */
	SOURCE_URL,
	SOURCE_GIT,
	SOURCE_FILE, /* a here-document */
};

struct copy_source {
	enum source_kind kind;
	const char *path;    /* of SOURCE_CONTEXT and SOURCE_STAGE: begins with '/'; of SOURCE_FILE, SOURCE_URL: the
				name that the file gets */
	const char *pattern; /* with --parents: what is kept of the path; else "" */
	bool required;	     /* with --parents: it must be there */
	size_t stage;	     /* of SOURCE_STAGE */
	const char *url;     /* of SOURCE_URL */
	struct git_ref git;  /* of SOURCE_GIT */
	const char *content; /* of SOURCE_FILE */
};

struct copy_step {
	struct copy_source *sources;
	size_t n_sources;
	const char *destination; /* absolute; a '/' at its end is kept */
	const char *chown, *chmod, *checksum;
	bool add, link, parents;
	enum tristate unpack, keep_git_dir;
	struct string_list excludes;
};

struct run_command_mount {
	struct mount mount; /* with `target`, `id` and `env` as they are used */
	size_t stage;	    /* of MOUNT_BIND, MOUNT_CACHE; PLAN_NONE: the build context, or nothing (cache) */
	bool has_target;    /* a secret may be only a variable */
};

struct run_command {
	struct string_list args;
	const char *script_name; /* mounted at /dev/pipes/; "" when there is none */
	const char *script;
	bool single_document; /* a here-document is all of the command */
	struct run_command_mount *mounts;
	size_t n_mounts;
	const char *network, *security;
	const struct device *devices;
	size_t n_devices;
	struct string_list env;	    /* NAME=value: of the image, then of ARGs */
	struct string_list proxies; /* likewise, behind them: no part of what the step is */
};

struct step {
	enum step_kind kind;
	const struct instruction *instruction;
	bool on_build;
	const char *created_by;
	const char *text; /* as it is shown: "RUN echo $A" with A's value */
	const char *user; /* "" for root */
	const char *cwd;  /* of STEP_WORKDIR: the directory itself */
	struct copy_step copy;
	struct run_command run;
};

struct evaluated_stage {
	struct image_config *image; /* on the heap; NULL: the stage is not needed */
	struct step *steps;
	size_t n_steps, capacity;
	struct scope args;
	bool workdir_set;
};

struct evaluation {
	struct evaluated_stage *stages; /* as in the plan; on the heap */
	size_t n;
};

int evaluate(const struct plan *p, const struct ignore *ignore, struct arena *a, struct evaluation *ret_evaluation,
	     struct place *ret_place, struct err *err);
void evaluation_free(struct evaluation *e); /* also the cleanup function */

/* ---- private to evaluate*.c ------------------------------------------------- */

/* One stage that is being evaluated. */
struct evaluating {
	const struct plan *plan;
	const struct ignore *ignore;
	struct arena *arena;
	struct evaluated_stage *stages, *to; /* all of them, and this one */
	const struct plan_stage *stage;
	size_t index;
	struct build_stage values;
	struct buf created_by;
	struct string_list proxies;
	struct string_list env; /* as the last RUN had it */
	const char *args_text;	/* likewise: "|2 A=1 B=2 " */
	bool env_changed;
	size_t spent; /* of EVALUATION_BYTES_MAX */
	struct err *err;
};

/* In the arena. */
int evaluate_word(struct evaluating *g, const struct instruction *i, const char *word, const char **ret_value);
/* Of a here-document that becomes a file: the name below a directory of its own. E_INVALID: there it is none, or in
 * another directory. */
int evaluate_file_name(struct evaluating *g, const char *written, const char **ret_name);
int evaluate_copy(struct evaluating *g, const struct plan_command *c, struct step *s);
int evaluate_run(struct evaluating *g, const struct plan_command *c, struct step *s);

#endif
