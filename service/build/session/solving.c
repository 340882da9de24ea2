#include "service/build/session/solving.h"

#include "proto/runtime/clock.h"
#include "service/build/result/result.h"
#include "service/build/session/base_steps.h"
#include "service/build/session/debug_shell.h"
#include "service/build/session/prefetch.h"
#include "service/build/session/provenance.h"
#include "service/build/session/step_options.h"

struct solving {
	struct session *session;
	const struct definition *definition;
	struct front_end *fronts;
	size_t n;
	struct step_options options; /* of all platforms */
	struct base_steps *bases;    /* of each */
	struct solution *solutions;
	struct built *built;
	struct cache_imports *imports;
	struct cancel *cancel; /* fires with the session's, and when one platform has failed */
	struct cancel_hook hook;

	pthread_mutex_t mu; /* guards what follows */
	size_t failed;	    /* the first platform that did, when there is a failure */
	struct err failure;
};

/* ---- what the graphs stand on ------------------------------------------------------------- */

/* What no context was given for is one without files. */
static int load_empty(struct session *s, struct build_context **ret_context, struct err *err)
{
	const struct context_archive archive = {
		.store = s->service->store,
		.worker_program = s->service->worker_program,
		.cancel = s->cancel,
		.name = "",
	};
	CLEANUP(context_unpack_freep) struct archive_unpacking *u = NULL;

	if (context_unpack_begin(&archive, &u, err) < 0)
		return err->code;
	return context_unpack_end(u, ret_context, err);
}

static int load_context(struct front_end *f, const char *name, struct err *err)
{
	struct session_context *c = *name ? front_end_context(f, name) : session_context_named(f->session, "");

	if (!c)
		return *name ? fail(err, E_INTERNAL, "no context has the name %.128s", name) : OK;
	if (session_context_load(f->session, c, err) < 0)
		return err->code;
	return c->files || c->kind == SESSION_CONTEXT_IMAGE || c->kind == SESSION_CONTEXT_LAYOUT
		       ? OK
		       : load_empty(f->session, &c->files, err);
}

static int load_contexts(struct front_end *f, struct err *err)
{
	for (size_t i = 0; i < f->graph.n; i++)
		if (f->graph.ops[i].kind == OP_CONTEXT && load_context(f, f->graph.ops[i].name, err) < 0)
			return err->code;
	return OK;
}

/* ---- one platform --------------------------------------------------------------------------- */

struct inputs {
	struct build_tree **images; /* of each stage of the plan */
	size_t n_images;
	struct solve_context *contexts;
	size_t n_contexts;
	struct build_context *nothing;
};

static void inputs_free(struct inputs *in)
{
	for (size_t i = 0; i < in->n_images; i++)
		build_tree_unref(in->images[i]);
	free(in->images);
	free(in->contexts);
	build_context_close(in->nothing, NULL);
}

static int take_trees(struct front_end *f, struct inputs *in, struct err *err)
{
	in->images = calloc(f->plan.n + 1, sizeof(*in->images));
	if (!in->images)
		return fail_nomem(err);
	in->n_images = f->plan.n;
	for (size_t i = 0; i < f->plan.n; i++)
		if (f->bases[i] && base_image_tree(f->bases[i], &in->images[i], err) < 0)
			return err->code;
	return OK;
}

static void add_context(struct inputs *in, const char *name, const struct session_context *c)
{
	in->contexts[in->n_contexts++] = (struct solve_context){
		.name = name,
		.context = c->files,
		.ignore = c->ignore.n ? &c->ignore : NULL,
		.ignore_name = *c->message->ignore_name ? c->message->ignore_name : ".dockerignore",
	};
}

/* By the names that the operations have. */
static int take_contexts(struct front_end *f, struct inputs *in, struct err *err)
{
	in->contexts = calloc(f->graph.n + 1, sizeof *in->contexts);
	if (!in->contexts)
		return fail_nomem(err);
	for (size_t i = 0; i < f->graph.n; i++) {
		const struct op *op = &f->graph.ops[i];
		const struct session_context *c;

		if (op->kind != OP_CONTEXT)
			continue;
		c = *op->name ? front_end_context(f, op->name) : session_context_named(f->session, "");
		if (c && c->files)
			add_context(in, op->name, c);
		else if (!c && load_empty(f->session, &in->nothing, err) < 0)
			return err->code;
		else if (!c)
			in->contexts[in->n_contexts++] = (struct solve_context){ .name = "", .context = in->nothing };
	}
	return OK;
}

/* The same build as the last time is one of the same Dockerfile, context, target and platform. */
static struct digest explain_id(const struct front_end *f)
{
	const Imaged__V1__BuildStart *s = f->session->start;
	const Imaged__V1__BuildContext *c = s->context;
	char platform[PLATFORM_TEXT_MAX];
	const char *const texts[] = { s->dockerfile_name, s->target, platform_text(&f->platform, platform),
				      c && c->source_case == IMAGED__V1__BUILD_CONTEXT__SOURCE_URL ? c->url : "" };
	struct hasher h;

	hasher_init(&h, DIGEST_SHA256);
	for (size_t i = 0; i < ARRAY_LEN(texts); i++)
		hasher_update(&h, texts[i], strlen(texts[i]) + 1);
	if (c && c->source_case == IMAGED__V1__BUILD_CONTEXT__SOURCE_DIRECTORY)
		hasher_update(&h, c->directory->id.data, c->directory->id.len);
	return hasher_final(&h);
}

static void fill_request(struct solving *g, size_t which, const struct inputs *in, struct solve_request *r)
{
	struct session *s = g->session;
	struct front_end *f = &g->fronts[which];
	const Imaged__V1__BuildStart *start = s->start;

	*r = (struct solve_request){
		.plan = &f->plan,
		.evaluation = &f->evaluation,
		.graph = &f->graph,
		.images = in->images,
		.contexts = in->contexts,
		.n_contexts = in->n_contexts,
		.secrets = g->options.secrets,
		.n_secrets = start->n_secrets,
		.agents = s->agents,
		.limits = g->options.limits,
		.cgroup_parent = f->graph_options.cgroup_parent ? f->graph_options.cgroup_parent
								: s->service->build.cgroup_parent,
		.extra_hosts = g->options.extra_hosts,
		.network = f->graph_options.network,
		.hostname = f->graph_options.hostname,
		.allow_host_network = g->options.allow_host_network,
		.allow_insecure = g->options.allow_insecure,
		.no_cache = start->no_cache,
		.no_cache_stages = g->options.no_cache_stages,
		.has_epoch = f->has_epoch,
		.epoch = f->epoch,
		.explain = start->explain,
		.explain_id = explain_id(f),
		.executes = base_steps_needed,
		.executes_arg = &g->bases[which],
		.keep_failed = start->debug_shell,
		.progress = s->progress,
		.cancel = g->cancel,
	};
	r->imports = cache_imports_all(g->imports, &r->n_imports);
}

static int solve_one(struct solving *g, size_t which, struct err *err)
{
	struct front_end *f = &g->fronts[which];
	CLEANUP(inputs_free) struct inputs in = { .n_images = 0 };
	struct solve_request request;
	int r;

	if (take_trees(f, &in, err) < 0 || take_contexts(f, &in, err) < 0)
		return err->code;
	fill_request(g, which, &in, &request);
	r = solve(g->session->service->build.solver, &request, &g->solutions[which], err);
	base_steps_end(&g->bases[which], r < 0);
	return r;
}

/* ---- all of them ---------------------------------------------------------------------------- */

static void fail_all(struct solving *g, size_t which, const struct err *why)
{
	pthread_mutex_lock(&g->mu);
	if (g->failure.code == OK) {
		g->failed = which;
		g->failure = *why;
	}
	pthread_mutex_unlock(&g->mu);
	cancel_fire(g->cancel, E_CANCELLED);
}

struct platform_thread {
	struct solving *solving;
	size_t which;
	pthread_t thread;
	bool started;
};

static void *solve_platform(void *arg)
{
	const struct platform_thread *t = arg;
	struct err err = ERR_INIT;

	if (solve_one(t->solving, t->which, &err) < 0)
		fail_all(t->solving, t->which, &err);
	return NULL;
}

/* The first one on this thread, the others beside it: what they share is made once. */
static int solve_platforms(struct solving *g, struct err *err)
{
	CLEANUP(freep) struct platform_thread *threads = calloc(g->n, sizeof *threads);

	if (!threads)
		return fail_nomem(err);
	for (size_t i = 0; i < g->n; i++)
		threads[i] = (struct platform_thread){ .solving = g, .which = i };
	for (size_t i = 1; i < g->n; i++)
		threads[i].started = !pthread_create(&threads[i].thread, NULL, solve_platform, &threads[i]);
	solve_platform(&threads[0]);
	for (size_t i = 1; i < g->n; i++)
		if (threads[i].started)
			pthread_join(threads[i].thread, NULL);
		else
			solve_platform(&threads[i]);
	return OK;
}

static int fail_solving(struct solving *g, struct err *err)
{
	const struct solution *s = &g->solutions[g->failed];

	if (g->failure.code == E_CANCELLED && cancel_check(g->session->cancel, err) < 0)
		return err->code;
	*err = g->failure;
	definition_tell_place(g->session, g->definition, s->place, err);
	if (s->failed)
		debug_shell_run(g->session, s, &g->fronts[g->failed].evaluation);
	return err->code;
}

/* ---- results ------------------------------------------------------------------------------- */

/* Of the image at the bottom of the stages that the target is built on. */
static const struct image_config *base_config(const struct plan *p)
{
	const struct plan_stage *s = &p->stages[p->target];

	while (s->kind == PLAN_STAGE)
		s = &p->stages[s->below];
	return s->image;
}

static void fill_built(struct solving *g, size_t which)
{
	struct front_end *f = &g->fronts[which];

	g->built[which] = (struct built){
		.platform = f->platform,
		.config = f->evaluation.stages[f->plan.target].image,
		.base = base_config(&f->plan),
		.solution = &g->solutions[which],
		.plan = &f->plan,
		.graph = &f->graph,
	};
}

static int export(struct solving *g, struct arena *a, Imaged__V1__BuildDone *done, struct err *err)
{
	struct session *s = g->session;
	CLEANUP(freep) char *provenance = NULL;
	struct result_request request = {
		.service = s->service,
		.start = s->start,
		.built = g->built,
		.n_built = g->n,
		.has_epoch = g->fronts[0].has_epoch,
		.epoch = g->fronts[0].epoch,
		.build_id = s->log ? build_log_id(s->log) : "",
		.started_ns = s->started_ns,
		.cache = s->service->build.step_cache,
		.peer = { .send = session_send, .arg = s },
		.progress = s->progress,
		.cancel = s->cancel,
	};

	if (provenance_make(g->fronts, g->n, &provenance, err) < 0)
		return err->code;
	request.provenance = provenance;
	return result_export(&request, a, done, err);
}

/* ---- the whole ----------------------------------------------------------------------------- */

static int solve_all(struct solving *g, struct err *err)
{
	if (solve_platforms(g, err) < 0)
		return err->code;
	if (g->failure.code != OK)
		return fail_solving(g, err);
	for (size_t i = 0; i < g->n; i++)
		fill_built(g, i);
	return OK;
}

/* Contexts that bring caches, by their names. One that cannot be had is as one that is not there. */
static int take_cache_contexts(struct session *s, struct solve_context *to, size_t *ret_n, struct err *err)
{
	for (size_t i = 0; i < s->start->n_cache_from; i++) {
		const char *name = s->start->cache_from[i]->context;
		struct session_context *c = *name ? session_context_named(s, name) : NULL;

		if (!c || session_context_load(s, c, NULL) < 0 || !c->files)
			continue;
		to[(*ret_n)++] = (struct solve_context){ .name = name, .context = c->files };
	}
	return cancel_check(s->cancel, err);
}

static int open_imports(struct solving *g, struct err *err)
{
	struct session *s = g->session;
	CLEANUP(freep) struct solve_context *contexts = calloc(s->start->n_cache_from + 1, sizeof *contexts);
	size_t n = 0;

	if (!contexts)
		return fail_nomem(err);
	if (!s->start->n_cache_from)
		return OK;
	if (take_cache_contexts(s, contexts, &n, err) < 0)
		return err->code;
	return cache_imports_open(s->service, s->start, contexts, n, s->service->layer_files, s->progress, s->cancel,
				  &g->imports, err);
}

static void fire(void *cancel)
{
	cancel_fire(cancel, E_CANCELLED);
}

static int prepare(struct solving *g, struct err *err)
{
	struct session *s = g->session;

	g->solutions = calloc(g->n, sizeof *g->solutions);
	g->built = calloc(g->n, sizeof *g->built);
	g->bases = calloc(g->n, sizeof *g->bases);
	g->cancel = cancel_new();
	if (!g->solutions || !g->built || !g->bases || !g->cancel)
		return fail_nomem(err);
	g->hook = (struct cancel_hook){ .fn = fire, .arg = g->cancel };
	cancel_hook(s->cancel, &g->hook);
	if (step_options_make(s, &g->options, err) < 0)
		return err->code;
	for (size_t i = 0; i < g->n; i++) {
		base_steps_begin(&g->bases[i], &g->fronts[i], s->progress, s->service->build.used_images);
		if (load_contexts(&g->fronts[i], err) < 0)
			return err->code;
	}
	return open_imports(g, err);
}

static void release(struct solving *g)
{
	if (g->hook.fn)
		cancel_unhook(g->session->cancel, &g->hook);
	cancel_unref(g->cancel);
	pthread_mutex_destroy(&g->mu);
	for (size_t i = 0; g->solutions && i < g->n; i++)
		solution_free(&g->solutions[i]);
	free(g->solutions);
	free(g->built);
	free(g->bases);
	cache_imports_close(g->imports);
}

int solve_and_export(struct session *s, const struct definition *d, struct front_end *fronts, size_t n, struct arena *a,
		     Imaged__V1__BuildDone *done, struct err *err)
{
	struct solving g = { .session = s, .definition = d, .fronts = fronts, .n = n };
	struct prefetch *prefetch = NULL;
	int r;

	pthread_mutex_init(&g.mu, NULL);
	r = prepare(&g, err);
	if (r == OK)
		r = prefetch_start(s, fronts, n, &prefetch, err);
	if (r == OK)
		r = solve_all(&g, err);
	if (r < 0)
		cancel_fire(s->cancel, E_CANCELLED);
	prefetch_end(prefetch);
	if (r == OK)
		r = export(&g, a, done, err);
	release(&g);
	return r;
}
