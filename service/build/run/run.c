#include "service/build/run/run.h"

#include <fcntl.h>
#include <sys/stat.h>

#include "service/build/run/cgroup_leftovers.h"
#include "service/build/run/plan.h"
#include "service/build/run/pump.h"
#include "service/build/run/result.h"
#include "service/build/run/worker_process.h"

enum { LAYER_PIPE_BYTES = 1 << 20 };

static int open_pipe(int *ret_ours, int *ret_theirs, struct err *err)
{
	int ends[2];

	if (pipe2(ends, O_CLOEXEC) < 0)
		return fail_errno(err, "make a pipe for a step");
	*ret_ours = ends[0];
	*ret_theirs = ends[1];
	return OK;
}

static void close_gifts(struct worker_gifts *g)
{
	closep(&g->out);
	closep(&g->errors);
	closep(&g->layer);
}

/* Runs one imaged-run to its end. The ends of pipes in `g` are closed: they must be nobody else's. */
static int execute(const struct run_config *c, struct worker_gifts *g, const struct pump *pump, struct cancel *cancel,
		   struct run_report *report, struct err *err)
{
	CLEANUP(worker_process_end) struct worker_process w = WORKER_PROCESS_INIT;
	int rc = cancel_check(cancel, err);

	if (rc == OK)
		rc = worker_process_start(c->program, g, &w, err);
	close_gifts(g);
	if (rc == OK)
		rc = pump_run(pump, &w, cancel, report, err);
	if (rc == OK && report->code != OK)
		return fail(err, report->code, "%s", report->text);
	return rc;
}

/* Fewer turns of two processes; or not. */
static int open_layer_pipe(int *ret_ours, int *ret_theirs, struct err *err)
{
	int rc = open_pipe(ret_ours, ret_theirs, err);

	if (rc == OK)
		fcntl(*ret_ours, F_SETPIPE_SZ, LAYER_PIPE_BYTES);
	return rc;
}

static int open_pipes(const struct run_step *step, int from[PUMP_STREAMS], struct worker_gifts *g, struct err *err)
{
	int rc = open_pipe(&from[PUMP_OUT], &g->out, err);

	if (rc == OK)
		rc = open_pipe(&from[PUMP_ERRORS], &g->errors, err);
	if (rc == OK && step->layer)
		rc = open_layer_pipe(&from[PUMP_LAYER], &g->layer, err);
	return rc;
}

static void close_pipes(struct pump *p)
{
	for (size_t i = 0; i < PUMP_STREAMS; i++)
		closep(&p->from[i]);
}

int run_step(const struct run_config *c, const struct run_step *step, const struct run_output *out,
	     struct cancel *cancel, struct run_result *ret_result, struct err *err)
{
	CLEANUP(closep) int plan = -1;
	CLEANUP(close_pipes)
	struct pump pump = { .from = { -1, -1, -1 }, .out = out, .layer = step->layer ? &step->layer->sink : NULL };
	struct run_report report = { .version = 0 };
	struct worker_gifts g = { .out = -1,
				  .errors = -1,
				  .layer = -1,
				  .directory = step->root.directory,
				  .lowers = step->root.lowers,
				  .n_lowers = step->root.n_lowers,
				  .mounts = step->mounts,
				  .n_mounts = step->n_mounts };
	int rc = plan_of_step(c, step, NULL, &plan, err);

	if (rc == OK)
		rc = open_pipes(step, pump.from, &g, err);
	if (rc != OK) {
		close_gifts(&g);
		return rc;
	}
	g.plan = plan;
	rc = execute(c, &g, &pump, cancel, &report, err);
	/* A supervisor that died without a report could not do it itself. */
	if (!report.version)
		cgroup_leftovers_remove(c->cgroup_parent, step->root.id);
	if (rc == OK)
		*ret_result = result_of_report(&report);
	return rc;
}

int run_write_layer(const struct run_config *c, const struct run_layer *layer, const struct run_sink *sink,
		    struct cancel *cancel, struct err *err)
{
	CLEANUP(closep) int plan = -1;
	CLEANUP(close_pipes) struct pump pump = { .from = { -1, -1, -1 }, .layer = sink };
	struct run_report report;
	struct worker_gifts g = { .out = -1,
				  .errors = -1,
				  .layer = -1,
				  .directory = layer->root->directory,
				  .lowers = layer->root->lowers,
				  .n_lowers = layer->root->n_lowers };
	int rc = plan_of_layer(c, layer, &plan, err);

	if (rc == OK)
		rc = open_layer_pipe(&pump.from[PUMP_LAYER], &g.layer, err);
	if (rc != OK)
		return rc;
	g.plan = plan;
	return execute(c, &g, &pump, cancel, &report, err);
}

int run_remove(const struct run_config *c, int directory, struct err *err)
{
	CLEANUP(closep) int plan = -1;
	struct run_report report;
	struct worker_gifts g = { .out = -1, .errors = -1, .layer = -1, .directory = directory };
	int rc = plan_of_removal(c, &plan, err);

	if (rc != OK)
		return rc;
	g.plan = plan;
	return execute(c, &g, &(struct pump){ .from = { -1, -1, -1 } }, NULL, &report, err);
}

int run_sweep(const struct run_config *c, const char *prefix, unsigned *ret_removed, struct err *err)
{
	int rc = plan_check_cgroup_parent(c->cgroup_parent, err);

	if (rc == OK)
		*ret_removed = cgroup_leftovers_sweep(c->cgroup_parent, prefix);
	return rc;
}

void run_forget_parent(const char *cgroup_parent)
{
	if (plan_check_cgroup_parent(cgroup_parent, NULL) == OK)
		cgroup_leftovers_forget(cgroup_parent);
}

void run_sweep_step(const char *cgroup_parent, const char *id)
{
	if (plan_check_cgroup_parent(cgroup_parent, NULL) != OK)
		return;
	cgroup_leftovers_remove(cgroup_parent, id);
	cgroup_leftovers_forget(cgroup_parent);
}

/* ---- words ------------------------------------------------------------------------------- */

static const char single_id_note[] =
	" (this daemon has no root and no ranges in /etc/subuid and /etc/subgid: in its build "
	"steps only the id 0 exists, and chown to others fails)";

/* The arguments, joined by blanks. */
static void join(const char *const *args, char *out, size_t size)
{
	size_t at = 0;

	out[0] = 0;
	for (; *args && at < size; args++)
		at += (size_t)snprintf(out + at, size - at, "%s%s", at ? " " : "", *args);
}

int run_describe_failure(const struct run_step *step, const struct run_result *r, char *out, size_t size)
{
	char command[512];

	join(step->args, command, sizeof command);
	return snprintf(out, size, "process \"%s\" did not complete successfully: %s%s%sexit code: %d%s", command,
			r->message, r->message[0] ? ": " : "",
			r->out_of_memory ? "out of memory (its limit was reached): " : "", r->exit_code,
			r->single_id ? single_id_note : "");
}
