/*
 * One RUN step, executed: an overlay over the layers of its root, an OCI runtime on it,
 * and the layer that its changes make. build.md 3 and 2.4 are the specification.
 *
 * Each call starts a process `imaged-run` of its own, which is the only one to mount, to
 * make cgroups and to look into the root file system; all of it in a mount and a PID
 * namespace of its own. So that nothing of a step outlives it: whoever dies, by whatever
 * signal (the step, the runtime, imaged-run, the daemon), the kernel ends the rest. Only an empty
 * cgroup can be left, when daemon and imaged-run are killed at once: run_sweep().
 *
 * As root, the step gets a cgroup (limits, devices, what it used). Without privileges it runs in a
 * user namespace: with the ranges of /etc/subuid and /etc/subgid where newuidmap and newgidmap
 * are there, else as one single id; what that cannot do fails with E_UNSUPPORTED and says why. Its layers have to be
 * EROFS images (erofsfuse mounts them in the namespace, so that their ids are right there) or directories of the user.
 *
 * The directory of a step is the caller's, on a file system that can be an overlay's upper
 * (not an overlay itself), one for each step: `upper` is made in it (its content becomes the layer),
 * `work` and `scratch`. run_remove() empties it, also of what other ids own.
 *
 * Threads: any; a call belongs to its thread, which must live until it returns.
 */
#ifndef SERVICE_BUILD_RUN_RUN_H
#define SERVICE_BUILD_RUN_RUN_H

#include "proto/runtime/cancel.h"
#include "proto/runtime/mem.h"

enum {
	RUN_ID_MAX = 64,
	RUN_LAYERS_MAX = 500, /* overlay's */
	RUN_MOUNTS_MAX = 1024,
	RUN_ARGS_MAX = 1 << 20, /* bytes of args and env, each */
};

/* The machine's part; outlives the calls. */
struct run_config {
	const char *program;	   /* path of imaged-run */
	const char *workspace;	   /* an empty directory; mounted on, but only in namespaces of the steps */
	const char *runtime;	   /* path of crun or runc; NULL: the first of them in a usual place */
	const char *cgroup_parent; /* NULL: "imaged" */
	bool single_id;		   /* without privileges: one id, though /etc/subuid gives more */
};

/* Where the root file system comes from. */
struct run_root {
	const char *id;	   /* [a-z0-9-], one step's at a time of all daemons with this cgroup_parent (E_CONFLICT) */
	const int *lowers; /* the uppermost first: directories, detached mounts, EROFS images */
	size_t n_lowers;   /* 0: scratch */
	int directory;	   /* of the step */
};

enum run_mount_type {
	RUN_BIND, /* source, or part of a tree: a directory or file; what is written to a writable one is thrown away */
	RUN_CACHE,  /* source: a directory, written to */
	RUN_TMPFS,  /* size: bytes, or 0 */
	RUN_FILE,   /* content: a secret, a script; never on a disk */
	RUN_SOCKET, /* source: a unix socket, opened with O_PATH */
};

struct run_mount {
	enum run_mount_type type;
	const char *target; /* absolute and clean */
	int source;	    /* -1 where there is none */
	bool writable;	    /* RUN_BIND, RUN_CACHE */
	bool fill;	    /* RUN_CACHE: the directory is empty, and begins with a copy of the part of a tree; when the
				  step was not run it may be half of one */
	/* A part of a tree, of a stage or an image: in place of a RUN_BIND's source, for `fill`. */
	const char *path;  /* absolute; links in it lead within the tree. NULL: no tree */
	const int *layers; /* as run_root's lowers */
	size_t n_layers;   /* at most RUN_LAYERS_MAX */
	uint64_t size;
	struct bytes content;
	uint32_t mode, uid, gid; /* of a RUN_FILE */
};

struct run_ulimit {
	const char *name; /* as in docker: nofile */
	uint64_t soft, hard;
};

/* 0 or NULL: none. */
struct run_limits {
	int64_t memory, memory_swap;   /* bytes; swap counts memory in, -1 is unlimited */
	int64_t cpu_quota, cpu_period; /* microseconds */
	int64_t cpu_shares;
	const char *cpuset_cpus, *cpuset_mems;
	int64_t pids;
	uint64_t shm_size;
	const struct run_ulimit *ulimits;
	size_t n_ulimits;
};

enum run_network { RUN_NETWORK_HOST, RUN_NETWORK_NONE /* loopback only */ };

struct run_sink {
	int (*write)(void *arg, struct bytes piece, struct err *err);
	void *arg;
};

/* The layer of a step that ended with 0, written by the process that ran it (run_write_layer() needs one of its own).
 */
struct run_step_layer {
	const int64_t *latest; /* as run_layer's */
	struct run_sink sink;
};

struct run_step {
	struct run_root root;
	const char *const *args; /* NULL-terminated */
	const char *const *env;	 /* NAME=VALUE; PATH and HOME are added when missing */
	const char *cwd;	 /* made when missing; NULL: / */
	const char *user;	 /* USER[:GROUP] as in a Dockerfile; NULL: root */
	const char *hostname;	 /* NULL: buildkitsandbox, which cache keys of peers contain */
	enum run_network network;
	bool insecure;			/* RUN --security=insecure */
	const char *const *extra_hosts; /* "NAME:IP"; NULL: none */
	const struct run_mount *mounts;
	size_t n_mounts;
	struct run_limits limits;
	const int *oom_score;		    /* NULL: the daemon's */
	const struct run_step_layer *layer; /* NULL: it is not wanted, or later */
};

enum run_stream { RUN_STDOUT = 1, RUN_STDERR = 2 };

/* What the step writes, as it comes, in pieces of at most 64 KiB; the step waits while this runs. A
 * code other than OK ends the step and is the call's result. */
struct run_output {
	int (*write)(void *arg, enum run_stream stream, struct bytes piece, struct err *err);
	void *arg;
};

struct run_result {
	int exit_code;	     /* as a shell tells it: 128 + n when signal n ended it */
	int signal;	     /* that signal, or 0 */
	bool out_of_memory;  /* a process of the step was killed for its memory limit */
	int64_t memory_peak; /* bytes; 0 when unknown */
	int64_t cpu_us;
	bool single_id;	   /* without root: no id but 0 was there, so that chown to others failed */
	char message[256]; /* why the command could not be started (exit code 126 or 127); "" else */
};

/* OK whatever the exit code is. E_INVALID: the step asks for what the root has not (a
 * user); E_NOT_FOUND: for a path that a mount's tree has not; E_UNSUPPORTED: for what this machine cannot; the
 * token's code: cancelled. */
int run_step(const struct run_config *c, const struct run_step *step, const struct run_output *out,
	     struct cancel *cancel, struct run_result *ret_result, struct err *err);

/* How a step that failed is told to the user: `process "/bin/sh -c X" did not complete
 * successfully: exit code: 3`. */
int run_describe_failure(const struct run_step *step, const struct run_result *r, char *out, size_t size);

/* ---- its layer -------------------------------------------------------------------- */

struct run_layer {
	const struct run_root *root; /* the step's, after it ended */
	const int64_t *latest;	     /* no time in the layer is later (seconds since 1970); NULL: as they are */
};

/* Its changes as an uncompressed OCI layer, the same bytes for the same tree: build.md 2.4. */
int run_write_layer(const struct run_config *c, const struct run_layer *layer, const struct run_sink *sink,
		    struct cancel *cancel, struct err *err);

/* ---- what is left ----------------------------------------------------------------- */

/* Empties the directory of a step. */
int run_remove(const struct run_config *c, int directory, struct err *err);

/* Removes a cgroup that was made because a client named it, and those above it, unless there are steps in them. */
void run_forget_parent(const char *cgroup_parent);
/* The cgroup of one step that does not run any more, and that parent as run_forget_parent() does. */
void run_sweep_step(const char *cgroup_parent, const char *id);

/* Removes the cgroups that steps have left whose ids begin so, and which no daemon has any more; at the daemon's
 * start. How many. */
int run_sweep(const struct run_config *c, const char *prefix, unsigned *ret_removed, struct err *err);

#endif
