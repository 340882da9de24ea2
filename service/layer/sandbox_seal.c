#include "service/layer/sandbox.h"

#include <errno.h>
#include <seccomp.h>
#include <stdbool.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "proto/runtime/mem.h"
#include "proto/runtime/sanitize.h"

enum { ANY_ARGUMENTS = 0 };

/* ---- resource limits --------------------------------------------------------- */

struct limit {
	__rlimit_resource_t resource;
	rlim_t value;
	bool not_sanitized; /* the sanitizers' shadow memory and reports do not fit in */
};

static const struct limit limits[] = {
	{ RLIMIT_CORE, 0, false },
	{ RLIMIT_NPROC, 0, true },
	{ RLIMIT_CPU, SANDBOX_CPU_SECONDS, false },
	{ RLIMIT_NOFILE, LAYER_SECOND_FD + 1, true }, /* stdio, the socket, a pipe, a file */
	{ RLIMIT_MEMLOCK, 0, false },
	{ RLIMIT_MSGQUEUE, 0, false },
};

/* An image is at most 16 TiB; the names of its files need not fit into less memory. */
static const struct limit image_limits[] = {
	{ RLIMIT_FSIZE, UINT64_C(1) << 44, true },
	{ RLIMIT_AS, UINT64_C(4) << 30, true },
};

static const struct limit other_limits[] = {
	{ RLIMIT_FSIZE, 0, true },
	{ RLIMIT_AS, UINT64_C(512) << 20, true }, /* a zstd window of 128 MiB, twice, and the libraries */
};

static int set_limit(const struct limit *l, struct err *err)
{
	struct rlimit set = { l->value, l->value }, old;

	if (SANITIZED && l->not_sanitized)
		return OK;
	if (getrlimit(l->resource, &old) < 0)
		return fail(err, E_WORKER, "sandbox: a resource limit cannot be read");
	if (old.rlim_max < set.rlim_max) /* who may not raise it must not try */
		set = (struct rlimit){ old.rlim_max, old.rlim_max };
	if (setrlimit(l->resource, &set) < 0)
		return fail(err, E_WORKER, "sandbox: a resource limit cannot be set: %s", strerrordesc_np(errno));
	return OK;
}

static int set_list(const struct limit *list, size_t n, struct err *err)
{
	int rc = OK;

	for (size_t i = 0; rc == OK && i < n; i++)
		rc = set_limit(&list[i], err);
	return rc;
}

static int set_limits(struct sandbox *s, enum sandbox_work work, struct err *err)
{
	int rc = set_list(limits, ARRAY_LEN(limits), err);

	if (rc == OK && work == SANDBOX_WRITES_IMAGES)
		rc = set_list(image_limits, ARRAY_LEN(image_limits), err);
	else if (rc == OK)
		rc = set_list(other_limits, ARRAY_LEN(other_limits), err);
	if (rc == OK)
		s->in_force |= SANDBOX_RLIMITS;
	return rc;
}

/* ---- system calls ------------------------------------------------------------ */

/* What every worker does: wait for another thread, take and give memory, end.
 * clock_gettime is for kernels without a vDSO. */
static const int allowed[] = {
	SCMP_SYS(close),	   SCMP_SYS(futex),	   SCMP_SYS(munmap),
	SCMP_SYS(mremap),	   SCMP_SYS(brk),	   SCMP_SYS(madvise),
	SCMP_SYS(clock_gettime),   SCMP_SYS(rt_sigreturn), SCMP_SYS(rt_sigprocmask),
	SCMP_SYS(restart_syscall), SCMP_SYS(exit),	   SCMP_SYS(exit_group),
};

/* What AddressSanitizer and ThreadSanitizer need to run and to report. */
static const int allowed_sanitized[] = {
	SCMP_SYS(read),		SCMP_SYS(write),       SCMP_SYS(openat),	  SCMP_SYS(open),
	SCMP_SYS(readlink),	SCMP_SYS(newfstatat),  SCMP_SYS(fstat),		  SCMP_SYS(stat),
	SCMP_SYS(getpid),	SCMP_SYS(gettid),      SCMP_SYS(tgkill),	  SCMP_SYS(sigaltstack),
	SCMP_SYS(rt_sigaction), SCMP_SYS(sched_yield), SCMP_SYS(getrusage),	  SCMP_SYS(prctl),
	SCMP_SYS(pipe),		SCMP_SYS(nanosleep),   SCMP_SYS(clock_nanosleep), SCMP_SYS(getrlimit),
	SCMP_SYS(prlimit64),	SCMP_SYS(lseek),       SCMP_SYS(mincore),	  SCMP_SYS(sched_getaffinity),
	SCMP_SYS(gettimeofday), SCMP_SYS(rseq),	       SCMP_SYS(set_robust_list),
};

/* 0, or what libseccomp returns: -errno. */
static int allow_list(scmp_filter_ctx filter, const int *calls, size_t n)
{
	int rc = 0;

	for (size_t i = 0; i < n && !rc; i++)
		rc = seccomp_rule_add(filter, SCMP_ACT_ALLOW, calls[i], ANY_ARGUMENTS);
	return rc;
}

static int allow_without_exec(scmp_filter_ctx filter, int call)
{
	return seccomp_rule_add(filter, SCMP_ACT_ALLOW, call, 1, SCMP_A2(SCMP_CMP_MASKED_EQ, PROT_EXEC, 0));
}

static int allow_on(scmp_filter_ctx filter, int call, int fd)
{
	return seccomp_rule_add(filter, SCMP_ACT_ALLOW, call, 1, SCMP_A0(SCMP_CMP_EQ, (scmp_datum_t)fd, 0));
}

static int allow_work(scmp_filter_ctx filter, enum sandbox_work work)
{
	int rc = 0;

	if (work == SANDBOX_READS_FILES)
		rc = seccomp_rule_add(filter, SCMP_ACT_ALLOW, SCMP_SYS(pread64), ANY_ARGUMENTS);
	if (work == SANDBOX_READS_FILES && !SANITIZED) /* there all of read and write are allowed */
		rc = rc ?: allow_on(filter, SCMP_SYS(write), LAYER_FIRST_FD);
	if (work == SANDBOX_WRITES_IMAGES)
		rc = allow_on(filter, SCMP_SYS(pwrite64), LAYER_SECOND_FD)
			     ?: allow_on(filter, SCMP_SYS(sync_file_range), LAYER_SECOND_FD)
			     ?: allow_on(filter, SCMP_SYS(fadvise64), LAYER_SECOND_FD);
	if (work == SANDBOX_WRITES_IMAGES && !SANITIZED)
		rc = rc ?: allow_on(filter, SCMP_SYS(read), LAYER_FIRST_FD);
	if (work == SANDBOX_FILTERS && !SANITIZED)
		rc = allow_on(filter, SCMP_SYS(read), STDIN_FILENO) ?: allow_on(filter, SCMP_SYS(write), STDOUT_FILENO);
	return rc;
}

static int fill_filter(scmp_filter_ctx filter, int socket, enum sandbox_work work)
{
	int rc = seccomp_attr_set(filter, SCMP_FLTATR_CTL_TSYNC, 1);

	if (!rc)
		rc = seccomp_attr_set(filter, SCMP_FLTATR_ACT_BADARCH, SCMP_ACT_KILL_PROCESS);
	if (!rc)
		rc = allow_list(filter, allowed, ARRAY_LEN(allowed));
	if (!rc && SANITIZED)
		rc = allow_list(filter, allowed_sanitized, ARRAY_LEN(allowed_sanitized));
	if (!rc)
		rc = allow_without_exec(filter, SCMP_SYS(mmap));
	if (!rc)
		rc = allow_without_exec(filter, SCMP_SYS(mprotect));
	if (!rc)
		rc = allow_on(filter, SCMP_SYS(sendmsg), socket);
	if (!rc)
		rc = allow_on(filter, SCMP_SYS(recvmsg), socket);
	if (!rc)
		rc = allow_work(filter, work);
	return rc;
}

static void filter_release(scmp_filter_ctx *filter)
{
	if (*filter)
		seccomp_release(*filter);
}

static int filter_calls(struct sandbox *s, int socket, enum sandbox_work work, struct err *err)
{
	CLEANUP(filter_release) scmp_filter_ctx filter = seccomp_init(SCMP_ACT_KILL_PROCESS);
	int rc;

	if (!filter)
		return fail_nomem(err);
	rc = fill_filter(filter, socket, work);
	if (!rc)
		rc = seccomp_load(filter);
	if (rc)
		return fail(err, E_WORKER, "sandbox: the system-call filter cannot be set: %s", strerrordesc_np(-rc));
	s->in_force |= SANDBOX_SECCOMP;
	return OK;
}

int sandbox_seal(struct sandbox *s, int socket, enum sandbox_work work, struct err *err)
{
	int rc = set_limits(s, work, err);

	return rc == OK ? filter_calls(s, socket, work, err) : rc;
}
