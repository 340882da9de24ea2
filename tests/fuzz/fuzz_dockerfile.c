/*
 * Input: a Dockerfile. It is parsed, planned and evaluated as a build of an image that
 * leaves triggers, with all its warnings. Whatever it holds: one of the codes that are
 * promised, no more than the memory that is, configurations that can be written, and
 * operations whose inputs come before them.
 */
#include "service/build/excerpt.h"
#include "service/build/graph.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void require(bool holds)
{
	if (!holds)
		abort();
}

/* E_BAD_CONTENT: a configuration that is larger than one may be. */
static int promised(int r, const struct err *err)
{
	require(r == OK || r == E_INVALID || r == E_LIMIT || r == E_NO_MEMORY || r == E_BAD_CONTENT ||
		r == E_INVALID_PLATFORM || r == E_INVALID_REFERENCE);
	require(r == OK || (err->code == r && *err->text));
	return r;
}

static const struct image_config *base_image(void)
{
	static const char json[] =
		"{\"config\":{\"Env\":[\"A=base\",\"PATH=/bin\"],\"OnBuild\":[\"RUN a $A\","
		"\"COPY --from=0 a b\",\"ENV B=$A\"],\"Shell\":[\"/bin/x\"],\"WorkingDir\":\"w/../v\"},"
		"\"rootfs\":{\"type\":\"layers\"}}";
	static struct image_config image;

	if (!image.config.present)
		require(image_config_parse(bytes_of(json), &image, NULL) == OK);
	return &image;
}

static bool has_context(void *arg, const char *name)
{
	(void)arg;
	return !strcmp(name, "ctx");
}

static void make_options(struct arena *a, struct scope *args, struct plan_options *o)
{
	args->arena = a;
	require(scope_put(args, "A", "argument", NULL) == OK && scope_put(args, "http_proxy", "p", NULL) == OK);
	*o = (struct plan_options){ .build_args = args, .target = "", .has_context = has_context };
	require(platform_parse("linux/amd64", &o->build_platform, NULL) == OK);
	require(platform_parse("linux/arm/v7", &o->target_platform, NULL) == OK);
}

static int fire_triggers(struct plan *p, struct place *place, struct err *err)
{
	int r = OK;

	for (bool more = true; more && r == OK;) {
		more = false;
		for (size_t i = 0; r == OK && i < p->n; i++) {
			if (!p->stages[i].reachable || p->stages[i].triggers_fired || !p->stages[i].stage)
				continue;
			more = true;
			if (p->stages[i].kind == PLAN_IMAGE)
				p->stages[i].image = base_image();
			r = promised(plan_fire_triggers(p, i, place, err), err);
		}
	}
	return r;
}

static void check_images(const struct plan *p, const struct evaluation *e)
{
	for (size_t i = 0; i < e->n; i++) {
		CLEANUP(buf_free) struct buf json = BUF_INIT(CONFIG_BYTES_MAX);

		require(!p->stages[i].reachable || !p->stages[i].stage || e->stages[i].image);
		if (!e->stages[i].image)
			continue;
		if (image_config_write(e->stages[i].image, &json, NULL) == OK)
			require(json.len > 0);
		for (size_t k = 0; k < e->stages[i].n_steps; k++)
			require(e->stages[i].steps[k].created_by && e->stages[i].steps[k].cwd[0] == '/');
	}
}

static void check_graph(const struct plan *p, const struct evaluation *e, struct arena *a)
{
	static const struct graph_options options;
	struct err err = ERR_INIT;
	struct graph g;

	if (promised(graph_make(p, e, &options, a, &g, &err), &err) < 0)
		return;
	require(g.target < g.n);
	for (size_t i = 0; i < g.n; i++)
		for (size_t k = 0; k < g.ops[i].n_inputs; k++)
			require(g.ops[i].inputs[k] < i);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const char ignored[] = "*.o\nsrc\n";
	CLEANUP(evaluation_free) struct evaluation e = { .n = 0 };
	CLEANUP(buf_free) struct buf excerpt = BUF_INIT(8 * 1024 * 1024);
	CLEANUP(arena_free) struct arena a;
	struct bytes text = { data, size };
	struct err err = ERR_INIT;
	struct scope args = { .n = 0 };
	struct plan_options options;
	struct dockerfile file;
	struct ignore ignore;
	struct place place;
	struct lint lint;
	struct plan plan;
	int r;

	arena_init(&a, DOCKERFILE_ARENA_MAX);
	lint = (struct lint){ .arena = &a };
	make_options(&a, &args, &options);
	require(ignore_parse(bytes_of(ignored), &a, &ignore, NULL) == OK);
	r = promised(dockerfile_parse(text, &a, &lint, &file, &place, &err), &err);
	if (r == OK)
		r = promised(plan_make(&file, &options, &a, &lint, &plan, &place, &err), &err);
	if (r == OK)
		r = fire_triggers(&plan, &place, &err);
	if (r == OK)
		r = promised(evaluate(&plan, &ignore, &a, &e, &place, &err), &err);
	if (r == OK) {
		check_images(&plan, &e);
		check_graph(&plan, &e, &a);
	} else {
		excerpt_write(text, "Dockerfile", place, &excerpt);
	}
	require(lint.n <= LINT_WARNINGS_MAX && a.used <= a.cap);
	return 0;
}
