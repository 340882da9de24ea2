#include "service/build/session/build_parts.h"

#include <sys/stat.h>

#include "service/build/context/context_git.h"
#include "service/build/session/used_images.h"
#include "service/build/solve/solve.h"

/* What steps are started with, for the daemon's life. */
struct build_base {
	struct run_config run;
	char *workspace;
};

static void base_free(struct build_base *b)
{
	if (!b)
		return;
	free(b->workspace);
	free(b);
}

/* An empty directory, which steps mount on in their own namespaces. */
static int make_workspace(struct build_base *b, struct store *s, struct err *err)
{
	CLEANUP(freep) char *builds = format("%s/builds", store_root(s));

	b->workspace = format("%s/builds/workspace", store_root(s));
	if (!builds || !b->workspace)
		return fail_nomem(err);
	if ((mkdir(builds, 0700) < 0 && errno != EEXIST) || (mkdir(b->workspace, 0700) < 0 && errno != EEXIST))
		return fail_errno(err, "directory %s of builds", b->workspace);
	b->run.workspace = b->workspace;
	return OK;
}

static int make_base(const struct build_parts_options *o, struct build_parts *p, struct err *err)
{
	p->base = calloc(1, sizeof *p->base);
	if (!p->base)
		return fail_nomem(err);
	p->base->run = o->run;
	return make_workspace(p->base, o->store, err);
}

static int make_solver(const struct build_parts_options *o, struct build_parts *p, struct err *err)
{
	const struct solver_options options = {
		.store = o->store,
		.registry = o->registry,
		.layer_files = o->layer_files,
		.cache = p->step_cache,
		.cache_mounts = p->cache_mounts,
		.run = &p->base->run,
		.worker_program = o->worker_program,
		.parallel = o->parallel,
	};

	return solver_new(&options, &p->solver, err);
}

/* What cannot be removed is no reason not to build. */
static void sweep(const struct build_parts_options *o, struct build_parts *p)
{
	context_git_sweep(o->store);
	solver_sweep(p->solver);
}

int build_parts_open(const struct build_parts_options *o, struct build_parts *ret_parts, struct err *err)
{
	struct build_parts p = { .contexts = NULL };

	if (make_base(o, &p, err) < 0 || contexts_new(o->store, &p.contexts, err) < 0 ||
	    step_cache_new(o->store, &p.step_cache, err) < 0 || cache_mounts_new(o->store, &p.cache_mounts, err) < 0 ||
	    make_solver(o, &p, err) < 0) {
		build_parts_close(&p);
		return err->code;
	}
	p.used_images = used_images_new();
	sweep(o, &p);
	*ret_parts = p;
	return OK;
}

void build_parts_close(struct build_parts *p)
{
	solver_free(p->solver);
	cache_mounts_free(p->cache_mounts);
	step_cache_free(p->step_cache);
	contexts_free(p->contexts);
	base_free(p->base);
	used_images_free(p->used_images);
	*p = (struct build_parts){ .contexts = NULL };
}
