#include "service/build/session/front_end.h"

#include "service/build/epoch.h"
#include "service/build/session/layout.h"

/* ---- options ------------------------------------------------------------------------------ */

struct session_context *front_end_context(const struct front_end *f, const char *name)
{
	char platform[PLATFORM_TEXT_MAX], familiar[REFERENCE_TEXT_MAX];
	CLEANUP(freep) char *with_platform = format("%s::%s", name, platform_text(&f->platform, platform));
	struct session_context *c = with_platform ? session_context_named(f->session, with_platform) : NULL;
	struct reference ref;
	size_t len;

	if (!c)
		c = session_context_named(f->session, name);
	if (c || reference_parse(name, &ref, NULL) < 0)
		return c;
	/* A FROM may name an image in another form than the context does. */
	len = strlen(reference_familiar(&ref, familiar));
	if (len > strlen(":latest") && !strcmp(familiar + len - strlen(":latest"), ":latest"))
		familiar[len - strlen(":latest")] = 0;
	return session_context_named(f->session, familiar);
}

static bool has_context(void *front_end, const char *name)
{
	const struct front_end *f = front_end;
	char platform[PLATFORM_TEXT_MAX];
	CLEANUP(freep) char *with_platform = format("%s::%s", name, platform_text(&f->platform, platform));

	return *name && ((with_platform && session_context_named(f->session, with_platform)) ||
			 session_context_named(f->session, name));
}

/* Proxies of the client are arguments that nobody declares; what was given as one counts. */
static int take_arguments(struct front_end *f, struct err *err)
{
	const Imaged__V1__BuildStart *s = f->session->start;

	f->arguments.arena = &f->arena;
	for (size_t i = 0; i < s->n_arguments; i++)
		if (scope_put(&f->arguments, s->arguments[i]->name, s->arguments[i]->value, err) < 0)
			return err->code;
	for (size_t i = 0; i < s->n_proxies; i++)
		if (!scope_find(&f->arguments, bytes_of(s->proxies[i]->key)) &&
		    scope_put(&f->arguments, s->proxies[i]->key, s->proxies[i]->value, err) < 0)
			return err->code;
	return OK;
}

static int take_options(struct front_end *f, struct err *err)
{
	const Imaged__V1__BuildStart *s = f->session->start;

	f->options = (struct plan_options){
		.build_args = &f->arguments,
		.target = s->target,
		.target_platform = f->platform,
		.build_platform = f->build_platform,
		.all_stages = *s->call != 0,
		.has_context = has_context,
		.arg = f,
		.cancel = f->session->cancel,
	};
	return take_arguments(f, err);
}

/* ---- images ------------------------------------------------------------------------------- */

/* *ret_name: NULL when it comes from a layout of the client. */
static bool is_image(const struct front_end *f, const struct plan_stage *s, const char **ret_name)
{
	const struct session_context *c;

	*ret_name = s->base;
	if (s->kind == PLAN_IMAGE)
		return true;
	c = s->kind == PLAN_CONTEXT ? front_end_context(f, s->base) : NULL;
	if (!c || (c->kind != SESSION_CONTEXT_IMAGE && c->kind != SESSION_CONTEXT_LAYOUT))
		return false;
	*ret_name = c->kind == SESSION_CONTEXT_IMAGE ? c->target : NULL;
	return true;
}

static int want_layout(struct front_end *f, size_t stage, const struct platform *platform, struct err *err)
{
	struct digest manifest;

	if (layout_load(f->session, front_end_context(f, f->plan.stages[stage].base), platform, &manifest, err) < 0)
		return err->code;
	return base_images_want_stored(f->images, &manifest, platform, &f->bases[stage], err);
}

static int want_image(struct front_end *f, size_t stage, struct err *err)
{
	char text[PLATFORM_TEXT_MAX];
	struct platform platform;
	const char *name;

	if (f->bases[stage] || !f->plan.stages[stage].reachable || !is_image(f, &f->plan.stages[stage], &name))
		return OK;
	f->place = f->plan.stages[stage].place;
	if (platform_parse(plan_platform(&f->plan, stage, text), &platform, err) < 0)
		return err->code;
	return name ? base_images_want(f->images, name, &platform, &f->bases[stage], err)
		    : want_layout(f, stage, &platform, err);
}

/* All at once; what one of them leaves to be done may name others. */
static int want_images(struct front_end *f, struct err *err)
{
	for (size_t i = 0; i < f->plan.n; i++)
		if (want_image(f, i, err) < 0)
			return err->code;
	return OK;
}

static int take_image(struct front_end *f, size_t stage, struct err *err)
{
	struct plan_stage *s = &f->plan.stages[stage];

	f->place = s->place;
	return !f->bases[stage] || s->image ? OK : base_image_config(f->bases[stage], &s->image, err);
}

static int take_images(struct front_end *f, bool *ret_more, struct err *err)
{
	*ret_more = false;
	for (size_t i = 0; i < f->plan.n; i++) {
		struct plan_stage *s = &f->plan.stages[i];

		if (!s->reachable || s->triggers_fired)
			continue;
		*ret_more |= s->stage != NULL;
		if (take_image(f, i, err) < 0 || plan_fire_triggers(&f->plan, i, &f->place, err) < 0)
			return err->code;
	}
	return OK;
}

static int resolve(struct front_end *f, struct err *err)
{
	for (bool more = true; more;) {
		if (want_images(f, err) < 0)
			return err->code;
		if (take_images(f, &more, err) < 0)
			return err->code;
	}
	session_contexts_tell_ignore(f->session);
	return OK;
}

/* ---- time --------------------------------------------------------------------------------- */

static int epoch_of_context(struct front_end *f, const char *name, struct err *err)
{
	struct session_context *c = *name ? front_end_context(f, name) : session_context_named(f->session, "");

	if (!c || c->kind != SESSION_CONTEXT_GIT)
		return fail(err, E_INVALID,
			    "invalid SOURCE_DATE_EPOCH: the context %.128s is no git repository, whose commit would "
			    "tell the time",
			    name);
	if (session_context_load(f->session, c, err) < 0)
		return err->code;
	f->has_epoch = true;
	f->epoch = c->commit_s;
	return OK;
}

static int take_epoch(struct front_end *f, struct err *err)
{
	struct epoch e;

	if (epoch_of(&f->plan, &e, err) < 0)
		return err->code;
	if (e.kind == EPOCH_CONTEXT || e.kind == EPOCH_SOURCE)
		return epoch_of_context(f, e.kind == EPOCH_SOURCE ? e.source : "", err);
	f->has_epoch = e.kind == EPOCH_SECONDS;
	f->epoch = e.seconds;
	return OK;
}

/* ---- the graph ---------------------------------------------------------------------------- */

static int take_graph_options(struct front_end *f, struct err *err)
{
	const Imaged__V1__BuildStart *s = f->session->start;
	const Imaged__V1__StepLimits *limits = s->limits;
	struct graph_options *o = &f->graph_options;
	struct digest *images = arena_array(&f->arena, f->plan.n, sizeof *images);
	char **hosts = arena_array(&f->arena, s->n_extra_hosts + 1, sizeof *hosts);
	const char *parent = limits ? limits->cgroup_parent : "";

	parent += strspn(parent, "/"); /* from a hierarchy's root on, with or without a slash */
	if (!images || !hosts)
		return fail_nomem(err);
	for (size_t i = 0; i < f->plan.n; i++)
		if (f->bases[i] && f->plan.stages[i].image)
			images[i] = *base_image_digest(f->bases[i]);
	for (size_t i = 0; i < s->n_extra_hosts; i++)
		hosts[i] = s->extra_hosts[i]->name;
	*o = (struct graph_options){
		.images = images,
		.network = *s->network && strcmp(s->network, "default") != 0 ? s->network : NULL,
		.hostname = plan_setting(&f->plan, "BUILDKIT_SANDBOX_HOSTNAME"),
		.cgroup_parent = *parent ? parent : NULL,
		.host_names = { .present = true, .items = hosts, .n = s->n_extra_hosts },
		.shm_size = limits ? limits->shm_bytes : 0,
		.show_platform = s->n_platforms > 1,
		.has_epoch = f->has_epoch,
		.epoch = f->epoch,
	};
	if (limits)
		o->ulimits = (struct string_list){ .present = true, .items = limits->ulimits, .n = limits->n_ulimits };
	return OK;
}

/* Images that only COPY --from or a mount names: their configuration is of no interest, but
 * which they are is part of the keys. */
static int take_foreign(struct front_end *f, struct err *err)
{
	for (size_t i = 0; i < f->plan.n; i++)
		if (f->plan.stages[i].reachable && take_image(f, i, err) < 0)
			return err->code;
	return OK;
}

static int make_graph(struct front_end *f, struct err *err)
{
	struct session_context *c = session_context_named(f->session, "");
	const struct ignore *ignore = c && c->ignore.n ? &c->ignore : NULL;

	if (evaluate(&f->plan, ignore, &f->arena, &f->evaluation, &f->place, err) < 0)
		return err->code;
	f->place = (struct place){ .first = 0 };
	if (take_epoch(f, err) < 0 || take_graph_options(f, err) < 0)
		return err->code;
	return graph_make(&f->plan, &f->evaluation, &f->graph_options, &f->arena, &f->graph, err);
}

/* ---- the whole ---------------------------------------------------------------------------- */

int front_end_run(struct front_end *f, struct lint *lint, struct err *err)
{
	int r;

	arena_init(&f->arena, DOCKERFILE_ARENA_MAX);
	f->bases = calloc(PLAN_STAGES_MAX, sizeof(*f->bases));
	if (!f->bases)
		return fail_nomem(err);
	r = take_options(f, err);
	if (r == OK)
		r = plan_make(&f->definition->file, &f->options, &f->arena, lint, &f->plan, &f->place, err);
	if (r == OK)
		r = resolve(f, err);
	if (r == OK)
		r = take_foreign(f, err);
	return r == OK ? make_graph(f, err) : r;
}

void front_end_free(struct front_end *f)
{
	evaluation_free(&f->evaluation);
	free(f->bases);
	arena_free(&f->arena);
}
