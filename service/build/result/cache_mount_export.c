#include "service/build/result/cache_mount_export.h"

#include <fcntl.h>

#include "proto/runtime/clock.h"
#include "service/build/diff/changes.h"

enum { MODE = 0755 };

struct exporting_mounts {
	const struct result_request *r;
	struct layer_workers *workers;
	struct made_layer *layers;
	struct cached_step *steps;
	size_t n, max;
};

/* ---- one ------------------------------------------------------------------------- */

static int write_layer(struct exporting_mounts *x, int directory, struct build_layer **ret_layer, struct err *err)
{
	const struct image_service *service = x->r->service;
	CLEANUP(closep) int fd = openat(directory, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	static const uint8_t end[1024];
	struct build_layer_writer *w;
	struct changes c = { .upper = fd, .lower = -1, .write = build_layer_write };

	if (fd < 0)
		return fail_errno(err, "open a cache mount");
	if (build_layer_begin(service->store, x->workers, service->layer_files, &w, err) < 0)
		return err->code;
	c.arg = w;
	if (changes_write(&c, err) < 0 || build_layer_write(w, (struct bytes){ end, sizeof end }, err) < 0) {
		build_layer_abandon(w);
		return err->code;
	}
	return build_layer_end(w, clock_wall_ns(), x->r->cancel, ret_layer, err);
}

static int add(struct exporting_mounts *x, const struct cache_mount_request *request, const struct build_layer *layer,
	       struct err *err)
{
	const struct step_result *result = build_layer_result(layer);
	struct ingest *ingest = build_layer_ingest(layer);

	x->steps[x->n] = (struct cached_step){ .keys = { cache_mount_key(request) },
					       .n_keys = 1,
					       .diff_id = result->diff_id,
					       .created_ns = result->created_ns,
					       .description = format("cache mount %s", request->id) };
	if (!x->steps[x->n].description)
		return fail_nomem(err);
	x->layers[x->n++] = (struct made_layer){ .digest = result->blob,
						 .size = result->blob_size,
						 .facts = result->facts,
						 .created_ns = result->created_ns,
						 .ingest = ingest ? ingest_ref(ingest) : NULL };
	return OK;
}

static bool is_known(const struct exporting_mounts *x, const struct digest *key)
{
	for (size_t i = 0; i < x->n; i++)
		if (digest_eq(&x->steps[i].keys[0], key))
			return true;
	return false;
}

/* Nobody else is in it meanwhile, so that it does not change. */
static int export_mount(struct exporting_mounts *x, const struct cache_mount_request *request, struct err *err)
{
	struct digest key = cache_mount_key(request);
	CLEANUP(build_layer_unrefp) struct build_layer *layer = NULL;
	struct cache_mount *mount;
	bool is_new;
	int r;

	if (x->n == x->max || is_known(x, &key))
		return OK;
	if (cache_mount_enter(x->r->service->build.cache_mounts, request, x->r->cancel, &mount, &is_new, err) < 0)
		return err->code;
	r = is_new ? OK : write_layer(x, cache_mount_directory(mount), &layer, err);
	cache_mount_leave(mount);
	if (r != OK)
		return err_wrap(err, "export the cache mount '%s'", request->id);
	return layer ? add(x, request, layer, err) : OK;
}

/* ---- those of a build -------------------------------------------------------------- */

/* As the solver asks for it. */
static int export_command(struct exporting_mounts *x, const struct plan *plan, const struct run_command *run,
			  struct err *err)
{
	const char *space = plan_setting(plan, "BUILDKIT_CACHE_MOUNT_NS");

	for (size_t i = 0; i < run->n_mounts; i++) {
		const struct mount *m = &run->mounts[i].mount;
		CLEANUP(freep) char *id = NULL;
		struct cache_mount_request request = {
			.sharing = CACHE_LOCKED, .mode = m->has_mode ? m->mode : MODE, .uid = m->uid, .gid = m->gid
		};

		if (m->type != MOUNT_CACHE || run->mounts[i].stage != PLAN_NONE)
			continue;
		id = format("%s%s%s", space ? space : "", space ? "/" : "", m->id);
		if (!id)
			return fail_nomem(err);
		request.id = id;
		if (export_mount(x, &request, err) < 0)
			return err->code;
	}
	return OK;
}

static int export_built(struct exporting_mounts *x, const struct built *b, struct err *err)
{
	for (size_t i = 0; i < b->graph->n; i++) {
		const struct op *op = &b->graph->ops[i];

		if (op->kind == OP_RUN && export_command(x, b->plan, &op->step->run, err) < 0)
			return err->code;
	}
	return OK;
}

int cache_mounts_export(const struct result_request *r, struct made_layer *layers, struct cached_step *steps,
			size_t max, size_t *ret_n, struct err *err)
{
	struct exporting_mounts x = { .r = r, .layers = layers, .steps = steps, .max = max };
	int rc = layer_workers_new(r->service->worker_program, 0, &x.workers, err);

	for (size_t i = 0; rc == OK && i < r->n_built; i++)
		rc = export_built(&x, &r->built[i], err);
	layer_workers_unref(x.workers);
	*ret_n = x.n;
	return rc;
}
