/* RUN: the command, then the layer of what it changed. */
#include "proto/runtime/clock.h"
#include "service/build/solve/failed.h"

static int hear(void *arg, enum run_stream stream, struct bytes piece, UNUSED struct err *err)
{
	flight_log(arg, stream, piece);
	return OK;
}

/* In the words of BuildKit. */
static int fail_step(const struct run_step *step, const struct run_result *result, struct err *err)
{
	char text[ERR_TEXT_MAX];

	run_describe_failure(step, result, text, sizeof text);
	return fail(err, E_UNKNOWN, "%s", text);
}

/* What filled them is whole when the step could begin. */
static void keep_caches(struct step_run *r)
{
	for (size_t i = 0; i < r->n_held; i++)
		if (r->held[i].is_new)
			cache_mount_ready(r->held[i].cache);
}

static int run_command(struct execution *x, struct step_run *r, struct err *err)
{
	struct run_output out = { .write = hear, .arg = x->flight };
	struct run_result result;

	if (run_step(&r->config, &r->step, &out, x->in->cancel, &result, err) < 0)
		return err->code;
	keep_caches(r);
	return result.exit_code ? fail_step(&r->step, &result, err) : OK;
}

static int take_layer(struct execution *x, struct step_run *r, int64_t created_ns, struct build_layer **ret_layer,
		      struct err *err)
{
	struct run_layer layer = { .root = &r->step.root };
	struct build_layer_writer *w;
	struct run_sink sink = { .write = build_layer_write };
	int rc;

	if (execution_begin_layer(x, &w, err) < 0)
		return err->code;
	sink.arg = w;
	rc = run_write_layer(&r->config, &layer, &sink, x->in->cancel, err);
	if (rc == OK)
		return build_layer_end(w, created_ns, x->in->cancel, ret_layer, err);
	build_layer_abandon(w);
	return rc;
}

/* Of the build whose step failed first. */
static bool keep_failed(struct execution *x, const struct step_run *r)
{
	struct solving *b = x->in->op->build;
	struct solve_failed *f = b->request->keep_failed ? malloc(sizeof *f) : NULL;

	if (!f)
		return false;
	f->run = *r;
	f->run.step.root.id = f->run.directory.id;
	pthread_mutex_lock(&b->mu);
	if (b->solution->failed || b->stopping) {
		free(f);
		f = NULL;
	} else {
		b->solution->failed = f;
	}
	pthread_mutex_unlock(&b->mu);
	return f != NULL;
}

int execute_run(struct execution *x, struct build_layer **ret_layer, struct err *err)
{
	struct step_run r;
	int rc = step_run_open(x, &r, err);

	if (rc == OK)
		rc = run_command(x, &r, err);
	if (rc == OK)
		rc = take_layer(x, &r, clock_wall_ns(), ret_layer, err);
	if (rc != E_UNKNOWN || !keep_failed(x, &r))
		step_run_close(&r);
	return rc;
}
