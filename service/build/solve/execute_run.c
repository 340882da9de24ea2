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

/* What a step may have is no measure for writing its layer, which is in the same cgroup. */
static bool has_limits(const struct run_limits *l)
{
	return l->memory || l->memory_swap || l->pids || l->cpu_quota;
}

/* The layer begins with its first piece: of a step that fails there is none. */
struct layer_of_step {
	struct execution *x;
	struct build_layer_writer *w;
};

static int take_piece(void *arg, struct bytes piece, struct err *err)
{
	struct layer_of_step *l = arg;

	if (!l->w && execution_begin_layer(l->x, &l->w, err) < 0)
		return err->code;
	return build_layer_write(l->w, piece, err);
}

static int run_command(struct execution *x, struct step_run *r, struct layer_of_step *l, struct err *err)
{
	const struct run_step_layer layer = { .sink = { .write = take_piece, .arg = l } };
	struct run_output out = { .write = hear, .arg = x->flight };
	struct run_result result;
	int rc;

	r->step.layer = has_limits(&r->step.limits) ? NULL : &layer;
	rc = run_step(&r->config, &r->step, &out, x->in->cancel, &result, err);
	r->step.layer = NULL;
	if (rc < 0)
		return rc;
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

/* Unless the step's process has written it. */
static int take_layer(struct step_run *r, struct layer_of_step *l, struct build_layer **ret_layer, struct err *err)
{
	int64_t created_ns = clock_wall_ns();
	int rc = OK;

	if (!l->w) {
		rc = execution_begin_layer(l->x, &l->w, err);
		if (rc == OK)
			rc = write_changes(l->x, r, l->w, err);
	}
	if (rc != OK)
		return rc;
	return build_layer_end(TAKE(l->w), created_ns, l->x->in->cancel, ret_layer, err);
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
	struct layer_of_step l = { .x = x };
	struct step_run r;
	int rc = step_run_open(x, &r, err);

	if (rc == OK)
		rc = run_command(x, &r, &l, err);
	if (rc == OK)
		rc = take_layer(&r, &l, ret_layer, err);
	if (l.w)
		build_layer_abandon(l.w);
	if (rc != E_UNKNOWN || !keep_failed(x, &r))
		step_run_close(&r);
	return rc;
}
