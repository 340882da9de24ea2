/*
 * Executes the graph of a build (service/build/graph.h): every operation that the target needs
 * once, those that do not need each other at the same time, and none whose result is known.
 *
 * An operation's key is made of what it does and of what its inputs turned out to be: the
 * chain of a tree below it, the contents that it takes of others (build.md 2.1). So what is
 * found is always what would have been made. Operations with the same key are executed once in
 * the whole daemon, whichever builds wait for them; one that ends early leaves them to the others.
 *
 * struct solver is the daemon's; a solve() belongs to its thread and starts others, which
 * have ended when it returns. Layers that were made are committed beside the steps that follow
 * (step_cache_put()), also when the build fails later; all are when solve() returns.
 */
#ifndef SERVICE_BUILD_SOLVE_SOLVE_H
#define SERVICE_BUILD_SOLVE_SOLVE_H

#include "service/build/copy/copy.h"
#include "service/build/graph.h"
#include "service/build/layers/build_tree.h"
#include "service/build/run/run.h"
#include "service/build/session/progress.h"
#include "service/registry/registry.h"
#include "store/cache/cache_mounts.h"

struct solver;

struct solver_options {
	struct store *store;
	struct registry *registry;
	struct layer_files *layer_files;
	struct step_cache *cache;
	struct cache_mounts *cache_mounts;
	const struct run_config *run;
	const char *worker_program; /* imaged-layer */
	unsigned parallel;	    /* operations at once in all builds together; 0: as many as fits the machine */
};

int solver_new(const struct solver_options *options, struct solver **ret_solver, struct err *err);
void solver_free(struct solver *s); /* NULL is fine; nothing is being solved */

/* A context as the graph names it. */
struct solve_context {
	const char *name; /* "": the main one */
	struct build_context *context;
	const struct ignore *ignore;
	const char *ignore_name;
};

struct solve_secret {
	const char *id;
	struct bytes value;
};

/* A forwarded agent: service/build/agents. */
struct build_agents;

/* Results that are elsewhere: asked when the cache has none. Pulls the layer. E_NOT_FOUND. */
struct cache_import {
	int (*find)(void *arg, const struct digest *key, struct cancel *cancel, struct build_layer **ret_layer,
		    struct err *err);
	void *arg;
};

struct solve_request {
	const struct plan *plan;
	const struct evaluation *evaluation;
	const struct graph *graph;
	struct build_tree *const
		*images; /* of each stage of the plan that is an image (or a context that is one); else NULL */
	const struct solve_context *contexts;
	size_t n_contexts;
	const struct solve_secret *secrets;
	size_t n_secrets;
	struct build_agents *agents; /* NULL: none */
	struct run_limits limits;
	const char *cgroup_parent;	/* NULL */
	const char *const *extra_hosts; /* as run.h */
	const char *network;		/* of RUN --network=default: "host" or "none"; NULL: host */
	const char *hostname;		/* NULL */
	bool allow_host_network, allow_insecure;
	bool no_cache;
	const char *const *no_cache_stages; /* names or indices; NULL-terminated, or NULL */
	bool has_epoch;
	int64_t epoch;
	bool explain;
	struct digest explain_id;    /* stands for "the same build as the last time": context, Dockerfile, target */
	void (*executes)(void *arg); /* a step is made, and was not found; from any thread; NULL: nobody asks */
	void *executes_arg;
	bool keep_failed; /* --debug-shell: solve_failed is filled in */
	const struct cache_import *imports;
	size_t n_imports;
	struct progress *progress;
	struct cancel *cancel;
};

/* For --cache-to: what was solved. */
struct solved_step {
	struct digest keys[STEP_KEYS_MAX];
	size_t n_keys;
	const struct op *op;
	struct build_layer *layer;
};

/* A RUN that failed, with what is needed to look at it: the root below it and its directory, its
 * mounts. Of its texts some are the request's: that, and what it names, lives as long. */
struct solve_failed;

/* For run_shell() (service/build/run/shell.h). */
const struct run_step *solve_failed_step(const struct solve_failed *f);
const struct run_config *solve_failed_config(const struct solve_failed *f);
/* Other builds wait for a cache of it (sharing=locked) as long as it lives. */
bool solve_failed_holds_up(const struct solve_failed *f);

struct solution {
	struct build_tree *tree; /* of the target */
	struct solved_step *steps;
	size_t n_steps;
	struct solution_pins *pins; /* what keeps the layers in the cache */
	struct solve_failed *failed;
	struct place place; /* of the failed instruction, for its excerpt; lines 0: none */
};

/* On failure too the solution is to be freed. E_UNKNOWN with BuildKit's words for a RUN that failed. */
int solve(struct solver *s, const struct solve_request *request, struct solution *ret_solution, struct err *err);
void solution_free(struct solution *s); /* also the cleanup function */

/* Removes what a process that was killed has left; at the daemon's start. */
void solver_sweep(struct solver *s);

#endif
