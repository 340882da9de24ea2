/* RUN: the command, then the layer of what it changed. */
#include <dirent.h>
#include <fcntl.h>

#include "proto/runtime/clock.h"
#include "service/build/diff/tar_put.h"
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

/* Nothing was changed; known without a look at what is below. */
static bool is_unchanged(const struct step_run *r)
{
	int fd = openat(r->directory.fd, "upper", O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	DIR *dir = fd < 0 ? NULL : fdopendir(fd);
	struct dirent *e = NULL;
	size_t n = 0;

	if (!dir) {
		closep(&fd);
		return false;
	}
	for (errno = 0; n <= 2 && (e = readdir(dir)); n++)
		;
	closedir(dir);
	return !e && !errno && n == 2; /* "." and ".." */
}

static int write_changes(struct execution *x, struct step_run *r, struct build_layer_writer *w, struct err *err)
{
	static const uint8_t end_of_tar[TAR_PUT_END];
	const struct run_layer layer = { .root = &r->step.root };
	const struct run_sink sink = { .write = build_layer_write, .arg = w };

	if (is_unchanged(r))
		return build_layer_write(w, (struct bytes){ end_of_tar, sizeof end_of_tar }, err);
	return run_write_layer(&r->config, &layer, &sink, x->in->cancel, err);
}

static int take_layer(struct execution *x, struct step_run *r, int64_t created_ns, struct build_layer **ret_layer,
		      struct err *err)
{
	struct build_layer_writer *w;
	int rc;

	if (execution_begin_layer(x, &w, err) < 0)
		return err->code;
	rc = write_changes(x, r, w, err);
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
