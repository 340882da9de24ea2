/*
 * solve_run ROOT        builds Dockerfiles on a store without a client
 *
 * Reads requests, a JSON object a line, and answers with objects as things happen:
 *
 *   {"op": "image", "name": N, "tar": PATH}            a base of one layer, for builds that follow
 *   {"op": "build", "id": I, "dockerfile": TEXT, "context": PATH of a tar, "target", "args": {}, "no_cache",
 *    "no_cache_stages": [], "secrets": {}, "explain": TEXT, "network", "allow": [], "platform", "keep_failed"}
 *   {"op": "cancel", "id": I}
 *
 *   {"id": I, "vertex": NAME, "state": "begin", "done", "cached", "failed: …", "log: …", "changed: …"}
 *   {"id": I, "done": CHAIN, "layers": [DIGEST]} or {"id": I, "failed": REASON, "text", "lines"}
 *
 * IMAGED_LAYER and IMAGED_RUN name the programs. At the end of its input it waits for its builds.
 */
#include <fcntl.h>
#include <jansson.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <sys/stat.h>

#include "proto/runtime/clock.h"
#include "service/build/context/context_archive.h"
#include "service/build/solve/solve.h"

enum { BUILDS_MAX = 64, IMAGES_MAX = 16, LINE_MAX_ = 1 << 20, CHUNK = 1 << 20, ARENA_MAX_ = 128 << 20 };

struct image {
	char *name;
	struct build_tree *tree;
};

struct job {
	json_t *request;
	pthread_t thread;
	struct cancel *cancel;
};

static struct store *store;
static struct layer_files *files;
static struct solver *solver;
static struct run_config run;
static const char *worker_program;
static struct image images[IMAGES_MAX];
static size_t n_images;
static struct job jobs[BUILDS_MAX];
static size_t n_jobs;
static pthread_mutex_t output = PTHREAD_MUTEX_INITIALIZER;

static void say(json_t *o)
{
	char *line = json_dumps(o, JSON_COMPACT);

	pthread_mutex_lock(&output);
	if (line)
		puts(line);
	fflush(stdout);
	pthread_mutex_unlock(&output);
	free(line);
	json_decref(o);
}

static void die(const char *what, const struct err *err)
{
	fprintf(stderr, "solve_run: %s: %s\n", what, err->text);
	exit(1);
}

static const char *text_of(const json_t *o, const char *name)
{
	const char *text = json_string_value(json_object_get(o, name));

	return text ? text : "";
}

/* ---- progress --------------------------------------------------------------------- */

struct progress {
	int id;
};

struct vertex {
	int id;
	char *name;
};

static void say_vertex(const struct vertex *v, const char *state)
{
	say(json_pack("{si ss ss}", "id", v->id, "vertex", v->name, "state", state));
}

struct vertex *progress_begin(struct progress *p, const char *name, UNUSED const struct digest *id)
{
	struct vertex *v = calloc(1, sizeof *v);

	if (!v)
		return NULL;
	v->id = p->id;
	v->name = strdup(name);
	say_vertex(v, "begin");
	return v;
}

static void end(struct vertex *v, const char *state)
{
	if (!v)
		return;
	say_vertex(v, state);
	free(v->name);
	free(v);
}

void vertex_done(struct vertex *v)
{
	end(v, "done");
}

void vertex_cached(struct vertex *v)
{
	end(v, "cached");
}

void vertex_failed(struct vertex *v, const struct err *why)
{
	CLEANUP(freep) char *text = format("failed: %s", why->code == E_CANCELLED ? "CANCELED" : why->text);

	end(v, text ? text : "failed");
}

void vertex_log(struct vertex *v, bool is_stderr, struct bytes data)
{
	CLEANUP(freep)
	char *text = format("%s: %.*s", is_stderr ? "error" : "log", (int)data.len, (const char *)data.data);

	if (v && text)
		say_vertex(v, text);
}

bool vertex_has_room(UNUSED struct vertex *v, UNUSED int64_t wait_ms)
{
	return true;
}

void vertex_status(UNUSED struct vertex *v, UNUSED const char *what, UNUSED int64_t current, UNUSED int64_t total,
		   UNUSED bool done)
{
}

void vertex_changed(struct vertex *v, const char *const *what, size_t n)
{
	for (size_t i = 0; v && i < n; i++) {
		CLEANUP(freep) char *text = format("changed: %s", what[i]);

		if (text)
			say_vertex(v, text);
	}
}

void progress_warning(UNUSED struct progress *p, UNUSED const Imaged__V1__BuildWarning *warning)
{
}

/* ---- images ------------------------------------------------------------------------ */

static void add_image(const json_t *o)
{
	CLEANUP(layer_workers_unrefp) struct layer_workers *workers = NULL;
	CLEANUP(build_layer_unrefp) struct build_layer *layer = NULL;
	CLEANUP(closep) int fd = open(text_of(o, "tar"), O_RDONLY | O_CLOEXEC);
	CLEANUP(freep) uint8_t *buffer = malloc(CHUNK);
	struct build_layer_writer *w;
	struct err err = ERR_INIT;
	ssize_t n;

	if (n_images == IMAGES_MAX || !buffer || layer_workers_new(worker_program, 1, &workers, &err) < 0 ||
	    build_layer_begin(store, workers, files, &w, &err) < 0)
		die("image", &err);
	while ((n = read(fd, buffer, CHUNK)) > 0)
		if (build_layer_write(w, (struct bytes){ buffer, (size_t)n }, &err) < 0)
			die("image", &err);
	if (build_layer_end(w, 0, NULL, &layer, &err) < 0 ||
	    build_tree_new(&layer, 1, &images[n_images].tree, &err) < 0)
		die("image", &err);
	images[n_images++].name = strdup(text_of(o, "name"));
}

static struct build_tree *find_image(const char *name)
{
	for (size_t i = 0; i < n_images; i++)
		if (!strcmp(images[i].name, name))
			return images[i].tree;
	return NULL;
}

/* ---- contexts ------------------------------------------------------------------------ */

struct file {
	int fd;
	uint8_t *buffer;
};

static int receive(void *arg, struct bytes *ret_data, struct err *err)
{
	struct file *f = arg;
	ssize_t n = read(f->fd, f->buffer, CHUNK);

	if (n < 0)
		return fail_errno(err, "read the context");
	*ret_data = (struct bytes){ f->buffer, (size_t)n };
	return n > 0;
}

static int open_context(const char *path, struct cancel *cancel, struct build_context **ret_context, struct err *err)
{
	CLEANUP(closep) int fd = open(path, O_RDONLY | O_CLOEXEC);
	CLEANUP(freep) uint8_t *buffer = malloc(CHUNK);
	struct file file = { fd, buffer };
	const struct archive_reader from = { .receive = receive, .arg = &file };
	const struct context_archive a = {
		.store = store, .worker_program = worker_program, .cancel = cancel, .name = ""
	};

	if (fd < 0 || !buffer)
		return fail_errno(err, "open '%s'", path);
	return context_archive_read(&a, &from, NULL, ret_context, err);
}

/* ---- a build ---------------------------------------------------------------------------- */

struct build {
	const json_t *o;
	struct cancel *cancel;
	struct progress progress;
	struct arena arena;
	struct lint lint;
	struct scope args;
	struct dockerfile file;
	struct plan_options options;
	struct plan plan;
	struct image_config config; /* of all images */
	struct evaluation evaluation;
	struct graph graph;
	struct build_tree **trees;
	struct build_context *context;
	struct solve_secret *secrets;
	struct solve_context named;
	struct place place;
};

static void free_build(struct build *b)
{
	build_context_close(b->context, NULL);
	evaluation_free(&b->evaluation);
	image_config_free(&b->config);
	arena_free(&b->arena);
}

static int set_options(struct build *b, struct err *err)
{
	const char *key;
	json_t *value;

	b->args.arena = &b->arena;
	json_object_foreach(json_object_get(b->o, "args"), key,
			    value) if (scope_put(&b->args, key, json_string_value(value), err) < 0) return err->code;
	b->options = (struct plan_options){ .build_args = &b->args,
					    .target = text_of(b->o, "target"),
					    .target_platform = platform_host(),
					    .build_platform = platform_host() };
	return *text_of(b->o, "platform") ? platform_parse(text_of(b->o, "platform"), &b->options.target_platform, err)
					  : OK;
}

static int plan(struct build *b, struct err *err)
{
	static const char config[] = "{\"architecture\":\"amd64\",\"os\":\"linux\",\"config\":{\"Env\":["
				     "\"PATH=/usr/bin:/bin\"]},\"rootfs\":{\"type\":\"layers\",\"diff_ids\":[]}}";

	b->lint.arena = &b->arena;
	if (set_options(b, err) < 0 || image_config_parse(bytes_of(config), &b->config, err) < 0 ||
	    dockerfile_parse(bytes_of(text_of(b->o, "dockerfile")), &b->arena, &b->lint, &b->file, &b->place, err) <
		    0 ||
	    plan_make(&b->file, &b->options, &b->arena, &b->lint, &b->plan, &b->place, err) < 0)
		return err->code;
	b->trees = arena_array(&b->arena, b->plan.n + 1, sizeof(struct build_tree *));
	for (size_t i = 0; i < b->plan.n; i++) {
		if (b->plan.stages[i].kind != PLAN_IMAGE || !b->plan.stages[i].reachable)
			continue;
		b->plan.stages[i].image = &b->config;
		b->trees[i] = find_image(b->plan.stages[i].base);
		if (!b->trees[i])
			return fail(err, E_NOT_FOUND, "no image %s", b->plan.stages[i].base);
	}
	return OK;
}

static int make_graph(struct build *b, struct err *err)
{
	struct ignore ignore = { .n = 0 };
	struct digest *found = arena_array(&b->arena, b->plan.n + 1, sizeof *found);
	struct graph_options options = { .images = found };

	for (size_t i = 0; i < b->plan.n; i++)
		if (b->trees[i])
			found[i] = *build_tree_chain(b->trees[i]);
	if (evaluate(&b->plan, &ignore, &b->arena, &b->evaluation, &b->place, err) < 0)
		return err->code;
	return graph_make(&b->plan, &b->evaluation, &options, &b->arena, &b->graph, err);
}

static bool allows(const struct build *b, const char *what)
{
	const json_t *list = json_object_get(b->o, "allow");

	for (size_t i = 0; i < json_array_size(list); i++)
		if (!strcmp(json_string_value(json_array_get(list, i)), what))
			return true;
	return false;
}

static void take_secrets(struct build *b, struct solve_request *q)
{
	json_t *all = json_object_get(b->o, "secrets"), *value;
	const char *key;

	b->secrets = arena_array(&b->arena, json_object_size(all) + 1, sizeof *b->secrets);
	json_object_foreach(all, key, value)
		b->secrets[q->n_secrets++] = (struct solve_secret){ key, bytes_of(json_string_value(value)) };
	q->secrets = b->secrets;
}

static const char *const *list_of(struct build *b, const char *name)
{
	const json_t *list = json_object_get(b->o, name);
	const char **all = arena_array(&b->arena, json_array_size(list) + 1, sizeof *all);

	for (size_t i = 0; i < json_array_size(list); i++)
		all[i] = json_string_value(json_array_get(list, i));
	return all;
}

static struct solve_request request_of(struct build *b)
{
	struct solve_request q = {
		.plan = &b->plan,
		.evaluation = &b->evaluation,
		.graph = &b->graph,
		.images = b->trees,
		.network = *text_of(b->o, "network") ? text_of(b->o, "network") : NULL,
		.allow_host_network = allows(b, "network.host"),
		.allow_insecure = allows(b, "security.insecure"),
		.no_cache = json_is_true(json_object_get(b->o, "no_cache")),
		.no_cache_stages = list_of(b, "no_cache_stages"),
		.explain = *text_of(b->o, "explain"),
		.keep_failed = json_is_true(json_object_get(b->o, "keep_failed")),
		.progress = &b->progress,
		.cancel = b->cancel,
	};

	if (q.explain)
		digest_of(DIGEST_SHA256, bytes_of(text_of(b->o, "explain")), &q.explain_id);
	if (b->context) {
		b->named = (struct solve_context){ .name = "", .context = b->context };
		q.contexts = &b->named;
		q.n_contexts = 1;
	}
	take_secrets(b, &q);
	return q;
}

static void say_done(const struct build *b, const struct solution *s, int64_t ms)
{
	json_t *layers = json_array();
	char text[DIGEST_TEXT_MAX];

	for (size_t i = 0; i < build_tree_count(s->tree); i++) {
		const struct step_result *r = build_layer_result(build_tree_layer(s->tree, i));

		json_array_append_new(layers, json_string(digest_text(&r->blob, text)));
	}
	say(json_pack("{si ss so si}", "id", b->progress.id, "done", digest_text(build_tree_chain(s->tree), text),
		      "layers", layers, "ms", (int)ms));
}

static void say_failed(const struct build *b, const struct place *place, const struct err *err)
{
	say(json_pack("{si ss ss s[ii]}", "id", b->progress.id, "failed", err_reason(err->code), "text", err->text,
		      "lines", place->first, place->last));
}

static int prepare(struct build *b, struct err *err)
{
	if (plan(b, err) < 0 || make_graph(b, err) < 0)
		return err->code;
	return *text_of(b->o, "context") ? open_context(text_of(b->o, "context"), b->cancel, &b->context, err) : OK;
}

static void *build(void *arg)
{
	struct job *j = arg;
	struct build b = { .o = j->request,
			   .cancel = j->cancel,
			   .progress.id = (int)json_integer_value(json_object_get(j->request, "id")) };
	CLEANUP(solution_free) struct solution solution = { .n_steps = 0 };
	struct solve_request q;
	struct err err = ERR_INIT;
	int64_t began;

	arena_init(&b.arena, ARENA_MAX_);
	if (prepare(&b, &err) < 0) {
		say_failed(&b, &b.place, &err);
		free_build(&b);
		return NULL;
	}
	q = request_of(&b);
	began = clock_monotonic_ms();
	if (solve(solver, &q, &solution, &err) < 0)
		say_failed(&b, &solution.place, &err);
	else
		say_done(&b, &solution, clock_monotonic_ms() - began);
	solution_free(&solution);
	free_build(&b);
	return NULL;
}

/* ---- requests ------------------------------------------------------------------------------ */

static void begin(json_t *o)
{
	struct job *j = &jobs[n_jobs];

	if (n_jobs == BUILDS_MAX)
		exit(2);
	*j = (struct job){ .request = json_incref(o), .cancel = cancel_new() };
	if (pthread_create(&j->thread, NULL, build, j))
		exit(2);
	n_jobs++;
}

static void cancel(const json_t *o)
{
	json_int_t id = json_integer_value(json_object_get(o, "id"));

	for (size_t i = 0; i < n_jobs; i++)
		if (json_integer_value(json_object_get(jobs[i].request, "id")) == id)
			cancel_fire(jobs[i].cancel, E_CANCELLED);
}

static void answer(json_t *o)
{
	const char *op = text_of(o, "op");

	if (!strcmp(op, "image"))
		add_image(o);
	else if (!strcmp(op, "build"))
		begin(o);
	else if (!strcmp(op, "cancel"))
		cancel(o);
}

static void read_requests(void)
{
	static char line[LINE_MAX_];

	while (fgets(line, sizeof line, stdin)) {
		json_t *o = json_loads(line, 0, NULL);

		if (!o)
			exit(2);
		answer(o);
		json_decref(o);
	}
}

static void end_jobs(void)
{
	for (size_t i = 0; i < n_jobs; i++) {
		pthread_join(jobs[i].thread, NULL);
		cancel_unref(jobs[i].cancel);
		json_decref(jobs[i].request);
	}
	for (size_t i = 0; i < n_images; i++) {
		build_tree_unref(images[i].tree);
		free(images[i].name);
	}
}

int main(int argc, char **argv)
{
	CLEANUP(freep) char *workspace = NULL;
	struct cache_mounts *mounts = NULL;
	struct step_cache *cache = NULL;
	struct err err = ERR_INIT;

	if (argc != 2)
		return 2;
	worker_program = getenv("IMAGED_LAYER");
	workspace = format("%s.workspace", argv[1]);
	mkdir(workspace, 0700);
	signal(SIGPIPE, SIG_IGN);
	run = (struct run_config){ .program = getenv("IMAGED_RUN"),
				   .workspace = workspace,
				   .cgroup_parent = "imaged-solve" };
	if (store_open(argv[1], &store, &err) < 0 || layer_files_new(store, worker_program, &files, &err) < 0 ||
	    step_cache_new(store, &cache, &err) < 0 || cache_mounts_new(store, &mounts, &err) < 0 ||
	    solver_new(&(struct solver_options){ .store = store,
						 .layer_files = files,
						 .cache = cache,
						 .cache_mounts = mounts,
						 .run = &run,
						 .worker_program = worker_program },
		       &solver, &err) < 0)
		die("start", &err);
	solver_sweep(solver);
	say(json_pack("{ss}", "ready", argv[1]));
	read_requests();
	end_jobs();
	solver_free(solver);
	cache_mounts_free(mounts);
	step_cache_free(cache);
	layer_files_free(files);
	store_close(store);
	return 0;
}
