/*
 * The daemon's side of imaged-layer: workers of one pull.
 *
 * A `struct layer_workers` starts at most one process per core, when a layer needs
 * one, and gives each one layer after another; it belongs to one pull (and the
 * transfers that the pull began), never to two images. A worker that dies, says
 * nonsense or passes a limit fails its layer with E_WORKER, E_BAD_CONTENT or
 * E_LIMIT and a reason, and is replaced for the next one.
 *
 * Threads: workers from any thread; a layer_job belongs to one thread, which feeds
 * it while it fetches and then waits for its result. There is no thread inside: a
 * job moves when its thread calls layer_job_available() or layer_job_finish(), so
 * one thread must not wait in finish() for a job while it holds another one that
 * it does not feed (max 1: the other one may have the only worker). Several jobs of
 * whole files are held safely when they are finished in the order they were started
 * in: that is the order in which they get workers.
 */
#ifndef SERVICE_LAYER_LAYER_H
#define SERVICE_LAYER_LAYER_H

#include "proto/runtime/cancel.h"
#include "service/layer/protocol.h"
#include "store/types/layer_facts.h"
#include "store/types/manifest.h"

struct layer_workers;
struct layer_job;

/* What a layer may cost. */
struct layer_policy {
	struct layer_limits limits;
	struct layer_image_limits image_limits;
	int64_t stall_ms; /* a worker that has bytes and makes nothing of them for so long is ended */
};

/* 512 GiB of tar, 1 : 400, 10 million entries, a zstd window of 128 MiB, 60 s; images of
 * 512 GiB, 1 GiB of memory for their names, 64 KiB of xattrs for each entry. */
struct layer_policy layer_policy_default(void);

/* `program`: path of imaged-layer. max 0: one per core. */
int layer_workers_new(const char *program, unsigned max, struct layer_workers **ret_workers, struct err *err);
/* Before the first job. */
void layer_workers_set_policy(struct layer_workers *w, const struct layer_policy *policy);
/* Before the first job: starts one process ahead, so that it is ready when the first
 * layer comes. What fails here is told by that layer's job. */
void layer_workers_start(struct layer_workers *w);
struct layer_workers *layer_workers_ref(struct layer_workers *w);
void layer_workers_unref(struct layer_workers *w); /* NULL is fine; the last one ends the processes */
void layer_workers_unrefp(struct layer_workers **w);

/* Takes `fd` (a read-only descriptor of the blob's file), also on failure. Does not
 * wait: a job for which no worker is free is queued and catches up from the file.
 * compression: a hint, the layer's first bytes decide. size: of the blob. E_WORKER
 * when no worker can be started. */
int layer_job_start(struct layer_workers *w, int fd, enum compression compression, int64_t size,
		    struct layer_job **ret_job, struct err *err);

/* The same with a blob that is all there. Of a plain tar the digest is the diff ID, so
 * that it is not hashed again. */
int layer_job_start_whole(struct layer_workers *w, int fd, const struct digest *digest, int64_t size,
			  struct layer_job **ret_job, struct err *err);

/* The same as both, and makes the layer's EROFS image (erofs/writer.h) in `image`, a file
 * for reading and writing, which stays the caller's and open until the job is freed; what
 * is in it is lost. A layer of which no image can be made fails, with its reason. */
int layer_job_start_image(struct layer_workers *w, int fd, int image, enum compression compression, int64_t size,
			  struct layer_job **ret_job, struct err *err);
int layer_job_start_whole_image(struct layer_workers *w, int fd, int image, const struct digest *digest, int64_t size,
				struct layer_job **ret_job, struct err *err);

/* So many bytes of the file are there. Cheap; tells the worker now and then. */
void layer_job_available(struct layer_job *j, int64_t bytes);
/* The bytes before were not good: the job begins again at 0, also after it failed. */
void layer_job_restart(struct layer_job *j);
/* Moves the job as far as it goes without waiting: takes a worker that became free, and
 * what its own has said. For a thread that holds several. */
void layer_job_look(struct layer_job *j);
/* The layer's failure as far as it is known by now, so that the rest of a bad blob
 * need not be fetched; OK when there is none. Does not wait. */
int layer_job_check(struct layer_job *j, struct err *err);
/* All `size` bytes are there: waits for the result. E_BAD_CONTENT: damaged,
 * truncated or no tar; E_LIMIT; E_UNSUPPORTED: another compression; E_WORKER; or
 * the cancel token's code. */
int layer_job_finish(struct layer_job *j, struct cancel *cancel, struct layer_facts *ret_facts, struct err *err);

/* Bytes of the layer's tar, as far as can be told by now: about what its image takes. */
int64_t layer_job_expected(const struct layer_job *j);

/* After layer_job_finish() of a job that made an image: what its worker says, to be
 * believed after layer_image_accept(). */
const struct layer_image_facts *layer_job_image(const struct layer_job *j);

/* Takes `image`, a finished image, and gives a read-only descriptor of the same file, when
 * nobody can write to it any more and it is sound (erofs/check.h). E_CORRUPT, E_WORKER:
 * a process still has it open for writing; E_IO; the token's code. */
int layer_image_accept(int image, const struct layer_image_facts *facts, struct cancel *cancel, int *ret_fd,
		       struct err *err);

void layer_job_free(struct layer_job *j); /* cancels what still runs; NULL is fine */
void layer_job_freep(struct layer_job **j);

/* Starts a worker, reads READY, ends it: how the sandbox looks on this machine,
 * e.g. "uid,seccomp,rlimits,no-new-privs". For GetInfo and for a clear error at
 * the daemon's start when the program is missing. */
int layer_probe(const char *program, char *ret_sandbox, size_t size, struct err *err);

#endif
