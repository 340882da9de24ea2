/*
 * copy_layer FILE: executes one COPY, ADD or WORKDIR of a Dockerfile that a JSON file describes, for
 * tests/integration/test_build_copy.py.
 *
 * FILE: {"dockerfile", "step": which of the target's, "context": PATH of a tar, "ignore", "into": [PATH of images],
 *        "stages": {NUMBER or NAME: [PATH of images]}, "store": PATH, "worker": PATH, "now", "epoch", "out": PATH of
 * the tar that is made, "subtree": PATH, "mount": PATH: of the context or the stage "from" instead}
 *
 * Prints {"digests": [of each source], "identified": [digest and whether it was fetched, of URLs and their kin]} or
 * {"reason", "text"}.
 */
#include <fcntl.h>
#include <jansson.h>
#include <stdio.h>

#include "service/build/context/context_archive.h"
#include "service/build/copy/copy.h"
#include "service/build/copy/copy_sources.h"

enum { ARENA_MAX = 64 * 1024 * 1024, IMAGES_MAX = 512, SOURCES_MAX = 64 };

struct run {
	json_t *request, *digests, *identified;
	struct arena arena;
	struct plan_options options;
	struct lint lint;
	struct scope args;
	struct dockerfile file;
	struct plan plan;
	struct place place;
	struct evaluation evaluation;
	struct ignore ignore;
	struct store *store;
	struct registry *registry;
	struct step_cache *cache;
	struct build_context *context;
	struct tree_view *into;
	struct copy_files files[SOURCES_MAX];
	struct build_context *opened[SOURCES_MAX];
	struct tree_view *views[SOURCES_MAX];
	int out;
	struct err err;
};

static const char *text(const struct run *r, const char *key)
{
	const char *found = json_string_value(json_object_get(r->request, key));

	return found ? found : "";
}

static int put(void *arg, struct bytes piece, struct err *err)
{
	const struct run *r = arg;

	while (piece.len) {
		ssize_t n = write(r->out, piece.data, piece.len);

		if (n < 0)
			return fail_errno(err, "write the layer");
		piece = (struct bytes){ piece.data + n, piece.len - (size_t)n };
	}
	return OK;
}

/* ---- what it is made of ---------------------------------------------------------------- */

static int open_view(struct run *r, const json_t *paths, struct tree_view **ret_view)
{
	int fds[IMAGES_MAX];
	size_t n = json_array_size(paths);

	if (n > IMAGES_MAX)
		return fail(&r->err, E_LIMIT, "too many images");
	for (size_t i = 0; i < n; i++) {
		fds[i] = open(json_string_value(json_array_get(paths, i)), O_RDONLY | O_CLOEXEC);
		if (fds[i] < 0)
			abort();
	}
	return tree_view_open(fds, n, false, NULL, ret_view, &r->err);
}

struct reading {
	int fd;
	uint8_t piece[65536];
};

static int receive(void *reading, struct bytes *ret_data, struct err *err)
{
	struct reading *g = reading;
	ssize_t n = read(g->fd, g->piece, sizeof g->piece);

	if (n < 0)
		return fail_errno(err, "read");
	*ret_data = (struct bytes){ g->piece, (size_t)n };
	return n > 0;
}

static int open_context(struct run *r)
{
	const struct context_archive a = { .store = r->store, .worker_program = text(r, "worker"), .name = "" };
	CLEANUP(freep) struct reading *g = calloc(1, sizeof *g);
	const struct archive_reader from = { receive, g };
	int rc;

	g->fd = open(text(r, "context"), O_RDONLY | O_CLOEXEC);
	rc = g->fd < 0 ? fail_errno(&r->err, "open the context")
		       : context_archive_read(&a, &from, NULL, &r->context, &r->err);
	close(g->fd);
	return rc;
}

static int evaluate_all(struct run *r)
{
	int rc = dockerfile_parse(bytes_of(text(r, "dockerfile")), &r->arena, &r->lint, &r->file, &r->place, &r->err);

	if (rc == OK)
		rc = plan_make(&r->file, &r->options, &r->arena, &r->lint, &r->plan, &r->place, &r->err);
	if (rc == OK)
		rc = evaluate(&r->plan, NULL, &r->arena, &r->evaluation, &r->place, &r->err);
	return rc;
}

static int open_stage(struct run *r, size_t i, size_t stage)
{
	const json_t *stages = json_object_get(r->request, "stages");
	char number[24];
	int rc;

	snprintf(number, sizeof number, "%zu", stage);
	rc = open_view(r, json_object_get(stages, number), &r->views[i]);
	r->files[i].view = r->views[i];
	return rc;
}

static int open_source(struct run *r, const struct copy_step *step, size_t i)
{
	const struct copy_source *s = &step->sources[i];
	const struct source_env env = {
		.store = r->store,
		.registry = r->registry,
		.cache = r->cache,
		.no_cache = json_is_true(json_object_get(r->request, "no_cache")),
		.worker_program = text(r, "worker"),
		.epoch = json_integer_value(json_object_get(r->request, "epoch")),
		.has_epoch = json_object_get(r->request, "epoch") != NULL,
	};
	char shown[DIGEST_TEXT_MAX];
	struct digest what;
	int rc;

	if (s->kind == SOURCE_STAGE)
		return open_stage(r, i, s->stage);
	if (s->kind == SOURCE_CONTEXT) {
		r->files[i] = (struct copy_files){ .context = r->context,
						   .ignore = r->ignore.n ? &r->ignore : NULL,
						   .ignore_name = ".dockerignore" };
		return OK;
	}
	rc = source_identify(&env, s, step, &what, &r->opened[i], &r->err);
	if (rc == OK)
		json_array_append_new(r->identified,
				      json_pack("[s,b]", digest_text(&what, shown), r->opened[i] != NULL));
	if (rc == OK && !r->opened[i])
		rc = source_open(&env, s, step, &r->opened[i], &r->err);
	r->files[i].context = r->opened[i];
	return rc;
}

/* ---- the step --------------------------------------------------------------------------- */

static void add_digest(struct run *r, const struct digest *d)
{
	char shown[DIGEST_TEXT_MAX];

	json_array_append_new(r->digests, json_string(digest_text(d, shown)));
}

static int copy(struct run *r, const struct copy_step *step)
{
	const struct copy_job job = {
		.step = step,
		.files = r->files,
		.into = r->into,
		.now_ns = json_integer_value(json_object_get(r->request, "now")) * 1000000000,
		.has_epoch = json_object_get(r->request, "epoch") != NULL,
		.epoch = json_integer_value(json_object_get(r->request, "epoch")),
		.store = r->store,
		.worker_program = text(r, "worker"),
	};
	int rc = step->n_sources > SOURCES_MAX ? fail(&r->err, E_LIMIT, "too many sources") : OK;

	for (size_t i = 0; rc == OK && i < step->n_sources; i++)
		rc = open_source(r, step, i);
	for (size_t i = 0; rc == OK && i < step->n_sources; i++) {
		struct digest d;

		rc = copy_source_digest(&job, i, &d, &r->err);
		if (rc == OK)
			add_digest(r, &d);
	}
	return rc == OK ? copy_layer(&job, put, r, &r->err) : rc;
}

static int make_directory(struct run *r, const struct step *s)
{
	const struct directory_job job = {
		.path = s->cwd,
		.user = s->user,
		.into = r->into,
		.now_ns = json_integer_value(json_object_get(r->request, "now")) * 1000000000,
		.has_epoch = json_object_get(r->request, "epoch") != NULL,
		.epoch = json_integer_value(json_object_get(r->request, "epoch")),
	};

	return directory_layer(&job, put, r, &r->err);
}

/* Of the context, or of the stage 0. */
static int part(struct run *r, const char *path, bool as_layer)
{
	struct digest d;
	int rc = OK;

	if (json_object_get(r->request, "stages"))
		rc = open_stage(r, 0, 0);
	else
		r->files[0].context = r->context;
	if (rc == OK)
		rc = copy_mount_digest(&r->files[0], path, NULL, &d, &r->err);
	if (rc == OK)
		add_digest(r, &d);
	return rc == OK && as_layer ? copy_subtree_layer(&r->files[0], path, NULL, put, r, &r->err) : rc;
}

static int step(struct run *r)
{
	const struct evaluated_stage *stage;
	size_t i = (size_t)json_integer_value(json_object_get(r->request, "step"));

	if (json_object_get(r->request, "subtree"))
		return part(r, text(r, "subtree"), true);
	if (evaluate_all(r) != OK)
		return r->err.code;
	stage = &r->evaluation.stages[r->plan.target];
	if (i >= stage->n_steps)
		return fail(&r->err, E_INVALID, "the target has %zu steps", stage->n_steps);
	return stage->steps[i].kind == STEP_COPY ? copy(r, &stage->steps[i].copy) : make_directory(r, &stage->steps[i]);
}

/* ---- the program ---------------------------------------------------------------------------- */

static int run(struct run *r)
{
	const struct registry_options registry = { .http = { .user_agent = "imaged" } };
	int rc = store_open(text(r, "store"), &r->store, &r->err);

	if (rc == OK)
		rc = registry_new(&registry, &r->registry, &r->err);
	if (rc == OK)
		rc = step_cache_new(r->store, &r->cache, &r->err);
	if (rc == OK)
		rc = ignore_parse(bytes_of(text(r, "ignore")), &r->arena, &r->ignore, &r->err);
	if (rc == OK && *text(r, "context"))
		rc = open_context(r);
	if (rc == OK && json_object_get(r->request, "into"))
		rc = open_view(r, json_object_get(r->request, "into"), &r->into);
	return rc == OK ? step(r) : rc;
}

static void close_all(struct run *r)
{
	for (size_t i = 0; i < SOURCES_MAX; i++) {
		build_context_close(r->opened[i], NULL);
		tree_view_close(r->views[i]);
	}
	tree_view_close(r->into);
	build_context_close(r->context, NULL);
	evaluation_free(&r->evaluation);
	step_cache_free(r->cache);
	registry_free(r->registry);
	store_close(r->store);
	arena_free(&r->arena);
	close(r->out);
}

static void say(struct run *r, int rc)
{
	json_t *answer = rc == OK ? json_pack("{s:O, s:O}", "digests", r->digests, "identified", r->identified)
				  : json_pack("{s:s, s:s}", "reason", err_reason(rc), "text", r->err.text);

	json_dumpf(answer, stdout, JSON_COMPACT);
	putchar('\n');
	json_decref(answer);
	json_decref(r->digests);
	json_decref(r->identified);
	json_decref(r->request);
}

int main(int argc, char **argv)
{
	static struct run r = { .err = ERR_INIT };
	int rc;

	r.request = argc == 2 ? json_load_file(argv[1], 0, NULL) : NULL;
	if (!r.request) {
		fputs("usage: copy_layer FILE\n", stderr);
		return 64;
	}
	arena_init(&r.arena, ARENA_MAX);
	r.args.arena = r.lint.arena = &r.arena;
	r.options = (struct plan_options){ .build_args = &r.args, .target = "" };
	platform_parse("linux/amd64", &r.options.build_platform, NULL);
	platform_parse("linux/amd64", &r.options.target_platform, NULL);
	r.digests = json_array();
	r.identified = json_array();
	r.out = open(text(&r, "out"), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
	rc = r.out < 0 ? fail_errno(&r.err, "open the output") : run(&r);
	close_all(&r);
	say(&r, rc);
	return 0;
}
