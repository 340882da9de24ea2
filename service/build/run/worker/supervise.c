#include "service/build/run/worker/supervise.h"

#include <fcntl.h>
#include <linux/sched.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#include "proto/runtime/codec.h"
#include "service/build/run/worker/attach.h"
#include "service/build/run/worker/cgroup.h"
#include "service/build/run/worker/id_map.h"
#include "service/build/run/worker/step.h"
#include "service/build/run/worker/ulimits.h"

static const char default_parent[] = "imaged";

/* Holds all of one step. */
struct supervisor {
	int socket;
	int *fds;
	size_t n_fds;
	struct arena arena;
	void *wire; /* the plan's bytes, mapped */
	size_t wire_len;
	struct step_plan plan;
	struct cgroup cgroup;
	bool has_cgroup;
	pid_t pid; /* of the step's first process; 0: none */
	int pidfd;
	int talk; /* our end of its socket */
};

/* ---- plan ------------------------------------------------------------------------- */

static int map_plan(struct supervisor *s, struct err *err)
{
	struct stat st;

	if (fstat(s->fds[RUN_FD_PLAN], &st) < 0)
		return fail_errno(err, "look at the plan of a step");
	if (st.st_size <= 0 || st.st_size > RUN_PLAN_MAX)
		return fail(err, E_WORKER, "a plan of %lld bytes", (long long)st.st_size);
	s->wire_len = (size_t)st.st_size;
	s->wire = mmap(NULL, s->wire_len, PROT_READ, MAP_PRIVATE, s->fds[RUN_FD_PLAN], 0);
	if (s->wire != MAP_FAILED)
		return OK;
	s->wire = NULL;
	return fail_errno(err, "read the plan of a step");
}

static int string_of(struct supervisor *s, ProtobufCBinaryData b, const char **ret_text, struct err *err)
{
	*ret_text = arena_bytes(&s->arena, (struct bytes){ b.data, b.len });
	return *ret_text ? OK : fail_nomem(err);
}

static int unpack_plan(struct supervisor *s, struct err *err)
{
	ProtobufCMessage *m;
	int rc = map_plan(s, err);

	if (rc != OK)
		return rc;
	/* A secret is a copy in the arena: once as wire, once as a field. */
	arena_init(&s->arena, codec_arena_cap(s->wire_len) + 2 * s->wire_len + 4 * PATH_MAX);
	rc = codec_unpack(&imaged__run__run_plan__descriptor, (struct bytes){ s->wire, s->wire_len }, &s->arena, &m,
			  err);
	if (rc != OK)
		return rc;
	s->plan.plan = (Imaged__Run__RunPlan *)m;
	s->plan.fds = s->fds;
	s->plan.n_fds = s->n_fds;
	s->plan.is_root = geteuid() == 0;
	rc = string_of(s, s->plan.plan->workspace, &s->plan.workspace, err);
	if (rc == OK)
		rc = string_of(s, s->plan.plan->id, &s->plan.id, err);
	return rc == OK ? step_check(&s->plan, err) : rc;
}

static int receive_plan(struct supervisor *s, struct err *err)
{
	int rc = run_receive_fds(s->socket, &s->fds, &s->n_fds, err);

	if (rc != OK)
		return rc;
	return s->n_fds < RUN_FD_LOWERS ? fail(err, E_WORKER, "a step of %zu descriptors", s->n_fds)
					: unpack_plan(s, err);
}

static bool is_image(int fd)
{
	struct stat st;

	return !fstat(fd, &st) && S_ISREG(st.st_mode);
}

/* An image of a layer is opened, and not mounted from where it is. */
static int prepare_layers(int *fds, size_t n, struct err *err)
{
	int rc = OK;

	for (size_t i = 0; rc == OK && i < n; i++)
		if (!is_image(fds[i]))
			rc = attach_prepare(&fds[i], err);
	return rc;
}

static int prepare_sources(struct supervisor *s, struct err *err)
{
	const Imaged__Run__RunStep *step = s->plan.plan->step;
	int *fds = s->fds + RUN_FD_LOWERS + s->plan.plan->lowers - 1; /* they count from 1 */
	int rc = OK;

	for (size_t i = 0; step && rc == OK && i < step->n_mounts; i++) {
		const Imaged__Run__RunMount *m = step->mounts[i];

		if (m->source)
			rc = attach_prepare(&fds[m->source], err);
		if (rc == OK && m->layers)
			rc = prepare_layers(&fds[m->first_layer], m->layers, err);
	}
	return rc;
}

static int prepare_mounts(struct supervisor *s, struct err *err)
{
	int rc;

	if (!s->plan.is_root || s->plan.plan->remove)
		return OK;
	rc = attach_prepare(&s->fds[RUN_FD_DIRECTORY], err);
	if (rc == OK)
		rc = prepare_layers(s->fds + RUN_FD_LOWERS, s->plan.plan->lowers, err);
	return rc == OK ? prepare_sources(s, err) : rc;
}

/* ---- cgroup --------------------------------------------------------------------------- */

static bool has_limits(const Imaged__Run__RunLimits *l)
{
	return l && (l->memory || l->memory_swap || l->cpu_quota || l->cpu_period || l->cpu_shares ||
		     l->cpuset_cpus.len || l->cpuset_mems.len || l->pids);
}

static int check_without_root(const Imaged__Run__RunStep *step, struct err *err)
{
	if (has_limits(step->limits))
		return fail(
			err, E_UNSUPPORTED,
			"limits of memory, processors and processes need cgroups, which a daemon without root has not");
	if (step->is_runc)
		return fail(
			err, E_UNSUPPORTED,
			"runc makes cgroups, which a daemon without root has not: install crun for its build steps");
	return ulimits_check(step->limits, err);
}

static int make_cgroup(struct supervisor *s, struct err *err)
{
	const Imaged__Run__RunStep *step = s->plan.plan->step;
	const char *parent = default_parent;
	int rc = OK;

	if (!step)
		return OK;
	if (!s->plan.is_root)
		return check_without_root(step, err);
	if (s->plan.plan->cgroup_parent.len)
		rc = string_of(s, s->plan.plan->cgroup_parent, &parent, err);
	s->has_cgroup = true;
	if (rc == OK)
		rc = cgroup_make(parent, s->plan.id, step->limits, &s->cgroup, err);
	return rc == OK && !step->insecure ? cgroup_restrict_devices(&s->cgroup, err) : rc;
}

/* ---- the first process ------------------------------------------------------------------ */

/* Says how it went, in the words of the report. */
static void report_and_exit(const struct step_plan *p, int talk)
{
	struct run_report report = { .version = RUN_PROTOCOL_VERSION };
	struct err err = ERR_INIT;

	if (step_run(p, &report, &err) != OK)
		run_report_of_err(&err, &report);
	report.single_id = p->single_id;
	run_send_report(talk, &report, NULL);
	_exit(0);
}

/* Whether the other side's end is still open. */
static bool is_connected(int talk)
{
	char byte;

	return recv(talk, &byte, sizeof byte, MSG_PEEK | MSG_DONTWAIT) < 0 && errno == EAGAIN;
}

/* In its namespaces. Nothing begins before the supervisor says so: ids and cgroups are its. It
 * may have said so and died before this process asked for its death's signal: hence the second look. */
static void be_init(const struct supervisor *s, int talk)
{
	struct step_plan plan = s->plan;
	bool single = false;

	if (prctl(PR_SET_PDEATHSIG, SIGKILL) < 0 || read(talk, &single, sizeof single) != sizeof single ||
	    !is_connected(talk))
		_exit(1);
	plan.single_id = single;
	/* Of the step's cgroup: so that it sees no other. */
	if (s->has_cgroup)
		unshare(CLONE_NEWCGROUP);
	report_and_exit(&plan, talk);
}

static pid_t clone_init(struct supervisor *s, bool into_cgroup)
{
	struct clone_args args = {
		.flags = CLONE_NEWNS | CLONE_NEWPID | CLONE_PIDFD | (s->plan.is_root ? 0 : CLONE_NEWUSER) |
			 (into_cgroup ? CLONE_INTO_CGROUP : 0),
		.pidfd = (uint64_t)(uintptr_t)&s->pidfd,
		.exit_signal = SIGCHLD,
		.cgroup = into_cgroup ? (uint64_t)s->cgroup.unified.dir : 0,
	};

	return (pid_t)syscall(SYS_clone3, &args, sizeof args);
}

static int start_init(struct supervisor *s, struct err *err)
{
	int pair[2];
	pid_t pid;

	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) < 0)
		return fail_errno(err, "make a socket for a step");
	pid = clone_init(s, s->has_cgroup);
	if (!pid) {
		close(pair[0]);
		close(s->socket);
		be_init(s, pair[1]);
	}
	close(pair[1]);
	s->talk = pair[0];
	if (pid < 0)
		return fail(err, E_UNSUPPORTED, "make %snamespaces for a build step: %s",
			    s->plan.is_root ? "" : "user ", strerrordesc_np(errno));
	s->pid = pid;
	return OK;
}

static int let_go(struct supervisor *s, struct err *err)
{
	bool single = false;
	int rc = s->has_cgroup ? cgroup_enter_v1(&s->cgroup, s->pid, err) : OK;

	if (rc == OK && !s->plan.is_root)
		rc = id_map_apply(s->pid, s->plan.plan->single_id, &single, err);
	if (rc != OK)
		return rc;
	return write(s->talk, &single, sizeof single) == sizeof single ? OK : fail_errno(err, "start a step");
}

/* ---- watch ---------------------------------------------------------------------------------- */

/* Whatever comes from the daemon now is the end of its stream. */
static int await_end(struct supervisor *s, struct err *err)
{
	struct pollfd wait[] = { { .fd = s->socket, .events = POLLIN | POLLRDHUP },
				 { .fd = s->pidfd, .events = POLLIN } };

	while (poll(wait, ARRAY_LEN(wait), -1) < 0)
		if (errno != EINTR)
			return fail_errno(err, "watch a step");
	if (wait[1].revents)
		return OK;
	return fail(err, E_CANCELLED, "the step was ended");
}

/* Its PID namespace is empty when this returns. */
static int reap(struct supervisor *s)
{
	int status = 0;

	if (!s->pid)
		return 0;
	syscall(SYS_pidfd_send_signal, s->pidfd, SIGKILL, NULL, 0);
	while (waitpid(s->pid, &status, 0) < 0 && errno == EINTR)
		;
	s->pid = 0;
	return status;
}

static int take_report(struct supervisor *s, int status, struct run_report *report, struct err *err)
{
	struct run_word word;
	struct err why = ERR_INIT;

	if (run_receive_word(s->talk, &word, &why) == OK && word.is_report) {
		*report = word.report;
		return OK;
	}
	if (s->has_cgroup)
		cgroup_read_usage(&s->cgroup, report);
	if (report->oom_kills)
		return fail(err, E_NO_MEMORY, "the memory limit of the step does not even let it be set up");
	return fail(err, E_WORKER, "the step's first process was killed (%s)",
		    WIFSIGNALED(status) ? sigdescr_np(WTERMSIG(status)) : "no signal");
}

static int run(struct supervisor *s, struct run_report *report, struct err *err)
{
	int status, rc = receive_plan(s, err);

	if (rc == OK)
		rc = prepare_mounts(s, err);
	if (rc == OK)
		rc = make_cgroup(s, err);
	if (rc == OK)
		rc = start_init(s, err);
	if (rc == OK)
		rc = run_send_descriptor(s->socket, s->pidfd, err);
	if (rc == OK)
		rc = let_go(s, err);
	if (rc == OK)
		rc = await_end(s, err);
	status = reap(s);
	if (rc == OK)
		rc = take_report(s, status, report, err);
	if (rc == OK && s->has_cgroup)
		cgroup_read_usage(&s->cgroup, report);
	return rc;
}

static void clean_up(struct supervisor *s)
{
	if (s->has_cgroup)
		cgroup_remove(&s->cgroup);
	closep(&s->talk);
	closep(&s->pidfd);
	arena_free(&s->arena);
	if (s->wire)
		munmap(s->wire, s->wire_len);
	free(s->fds); /* the process ends now, and with it what they are of */
}

int supervise(int socket, struct err *err)
{
	struct supervisor s = { .socket = socket, .cgroup = CGROUP_INIT, .pidfd = -1, .talk = -1 };
	struct run_report report = { .version = RUN_PROTOCOL_VERSION };
	struct err why = ERR_INIT;

	if (run(&s, &report, &why) != OK)
		run_report_of_err(&why, &report);
	clean_up(&s);
	return run_send_report(socket, &report, err);
}
