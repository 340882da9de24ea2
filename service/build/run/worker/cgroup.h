/*
 * The cgroup of a step: made before its first process, removed after its last one.
 *
 * It always has one in the cgroup v2 hierarchy, which every kernel can mount beside v1
 * ones: for its devices (a BPF program), for what it used, to kill what is left. Limits go
 * there where v2 has the controller; on hosts with v1 hierarchies, into cgroups of the same name
 * there. Hierarchies that are not mounted in the usual place, or read-only, are reached by mounts of
 * our own that are nowhere. The OCI runtime is told to leave cgroups alone.
 *
 * The directories are locked (flock) by the step's supervisor and first process, so that nobody who looks for
 * what killed steps have left takes those of steps that go on, of this daemon or another one.
 *
 * Belongs to one thread.
 */
#ifndef SERVICE_BUILD_RUN_WORKER_CGROUP_H
#define SERVICE_BUILD_RUN_WORKER_CGROUP_H

#include "service/build/run/plan.pb-c.h"
#include "service/build/run/protocol.h"

enum { CGROUP_PATH_MAX = 512, CGROUP_V1_MAX = 4 };

/* A cgroup in one hierarchy. */
struct cgroup_place {
	int root; /* the hierarchy's */
	int dir;
	bool is_v1;
};

struct cgroup {
	char path[CGROUP_PATH_MAX]; /* PARENT/ID, below the root */
	struct cgroup_place unified;
	struct cgroup_place v1[CGROUP_V1_MAX];
	size_t n_v1;
	int memory; /* directory whose files tell of memory; borrowed, -1: none */
};

#define CGROUP_INIT                                        \
	{                                                  \
		.unified = { -1, -1, false }, .memory = -1 \
	}

/* E_UNSUPPORTED names what this machine cannot limit. */
int cgroup_make(const char *parent, const char *id, const Imaged__Run__RunLimits *limits, struct cgroup *c,
		struct err *err);
/* Only what the step may use of devices; insecure steps do without. */
int cgroup_restrict_devices(const struct cgroup *c, struct err *err);
/* Where clone3() puts the first process: the v2 directory; v1 has to be entered. */
int cgroup_enter_v1(const struct cgroup *c, pid_t pid, struct err *err);
void cgroup_read_usage(const struct cgroup *c, struct run_report *r);
/* Kills what is left in it, waits for its end and removes it; also the cleanup function. */
void cgroup_remove(struct cgroup *c);

/* Removes PARENT/ID below a hierarchy's root, whoever made it. True: it is gone. */
bool cgroup_remove_at(int root, const char *path);
/* The same, unless the step that made it is still there. */
bool cgroup_remove_unused(int root, const char *path);
/* Removes PATH, and those above it, as far as they are empty and were made for steps. */
void cgroup_remove_made(int root, const char *path);
/* A hierarchy as a descriptor of its root: v2 with NULL, else a v1 one by its controllers as
 * /proc/self/cgroup names them. -1 with errno. */
int cgroup_open_hierarchy(const char *controllers);

#endif
