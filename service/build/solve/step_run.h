/*
 * A RUN as service/build/run takes it, with all that it stands on: the directory of the step,
 * its root, mounts, caches, secrets and agents, held until step_run_close().
 */
#ifndef SERVICE_BUILD_SOLVE_STEP_RUN_H
#define SERVICE_BUILD_SOLVE_STEP_RUN_H

#include "service/build/solve/execute.h"

/* What one mount holds. */
struct held_mount {
	char *path;
	int *layers; /* of a tree, the uppermost first */
	size_t n_layers;
	struct cache_mount *cache; /* NULL: none, or a mount before it holds it */
	bool is_locked;		   /* nobody else has the cache meanwhile */
	bool is_new;		   /* and the cache begins with a part of a tree */
	struct agent_socket *socket;
	bool skipped; /* what is not there and need not be */
};

struct step_run {
	struct solver *solver;
	struct run_config config;
	struct run_step step; /* its texts are the request's */
	struct step_directory directory;
	int *lowers;
	size_t n_lowers;
	struct run_mount *mounts;
	struct held_mount *held; /* of each --mount */
	size_t n_held;
	const char **args;
	const char **env;
	char *script_path; /* of a here-document */
	char **made_env;   /* those of `env` that are this one's: NULL-terminated */
};

/* E_DENIED: the build may not do what the step asks for, also when it was done before. */
int step_run_check(const struct solve_request *q, const struct run_command *c, struct err *err);

/* Of one that was checked. E_UNSUPPORTED, E_NOT_FOUND: what the step asks for is not given here. */
int step_run_open(struct execution *x, struct step_run *r, struct err *err);
void step_run_close(struct step_run *r); /* also of a half-opened one */

/* ---- private to step_*.c -------------------------------------------------------- */

/* Layers as build_tree_open() lists them, for an overlay: the uppermost first. */
void turn_round(int *fds, size_t n);

/* Mounts, in their order, and a here-document's script; `secret` variables go into the environment. */
int step_run_add_mounts(struct execution *x, struct step_run *r, struct err *err);
int step_run_add_env(struct step_run *r, char *made, struct err *err); /* takes `made`, NULL for no memory */

#endif
