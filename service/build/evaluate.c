#include "service/build/evaluate.h"

#include "service/build/image_copy.h"
#include "service/build/quote.h"
#include "service/build/secret_name.h"
#include "service/build/set.h"
#include "store/types/path.h"

static const char default_path[] = "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/* ---- configurations ------------------------------------------------------------- */

static void image_freep(struct image_config **image)
{
	if (*image)
		image_config_free(*image);
	free(*image);
}

/* A file of a few bytes can ask for many copies of what is large. */
static int spend(struct evaluating *g, size_t bytes)
{
	g->spent += bytes;
	if (g->spent <= EVALUATION_BYTES_MAX)
		return OK;
	return fail(g->err, E_LIMIT, "the configurations of the stages are larger than %d bytes together",
		    EVALUATION_BYTES_MAX);
}

static int copy_image(struct evaluating *g, const struct image_config *from, struct image_config *to)
{
	size_t bytes;
	int r = image_copy(from, to, &bytes, g->err);

	return r == OK ? spend(g, bytes) : r;
}

/* Of FROM scratch. */
static int make_empty(const struct platform *platform, struct image_config *image, struct err *err)
{
	image->platform = *platform;
	image->config.present = true;
	return text_set(&image->config.working_dir, "/", err);
}

static bool has_path(const struct string_list *env)
{
	for (size_t i = 0; i < env->n; i++)
		if (!strncmp(env->items[i], "PATH=", 5))
			return true;
	return false;
}

/* What builds upon a configuration takes over is not all of it. */
static int inherit(struct evaluating *g, struct image_config *image)
{
	list_clear(&image->config.on_build);
	image->config.present = true;
	image->created.present = false;
	if (!has_path(&image->config.env))
		return list_append(&image->config.env, default_path, g->err);
	return OK;
}

static int base_image(struct evaluating *g, struct image_config *image)
{
	const struct plan_stage *s = g->stage;

	if (s->kind == PLAN_STAGE)
		return copy_image(g, g->stages[s->below].image, image);
	if (s->image)
		return copy_image(g, s->image, image);
	return make_empty(&g->plan->options->target_platform, image, g->err);
}

/* ---- history -------------------------------------------------------------------- */

static int add_history(struct evaluating *g, const char *created_by, bool empty_layer)
{
	struct image_config *image = g->to->image;
	struct history *history, *entry;

	if (image->n_history >= IMAGE_CONFIG_LIST_MAX)
		return fail(g->err, E_LIMIT, "an image's history has at most %d entries", IMAGE_CONFIG_LIST_MAX);
	if (spend(g, strlen(created_by)) < 0)
		return E_LIMIT;
	history = reallocarray(image->history, image->n_history + 1, sizeof *history);
	if (!history)
		return fail_nomem(g->err);
	image->history = history;
	entry = &history[image->n_history];
	*entry = (struct history){ .empty_layer = empty_layer,
				   .created_by = strdup(created_by),
				   .comment = strdup("buildkit.dockerfile.v0") };
	image->n_history++;
	return entry->created_by && entry->comment ? OK : fail_nomem(g->err);
}

/* ---- ARG ------------------------------------------------------------------------ */

static bool is_no_variable(const char *name)
{
	return !strcmp(name, "BUILDKIT_SBOM_SCAN_CONTEXT") || !strcmp(name, "BUILDKIT_SBOM_SCAN_STAGE");
}

/* From --build-arg, from its own default, or from before the first FROM. */
static int arg_value(struct evaluating *g, const struct instruction *i, const struct pair *arg, const char **ret_value)
{
	const struct plan_options *o = g->plan->options;
	const struct scope_arg *given = o->build_args ? scope_find(o->build_args, bytes_of(arg->key)) : NULL;

	*ret_value = NULL;
	if (given && given->value) {
		*ret_value = given->value;
		return OK;
	}
	if (arg->value)
		return evaluate_word(g, i, arg->value, ret_value);
	*ret_value = scope_value((void *)&g->plan->globals, bytes_of(arg->key));
	return OK;
}

/* A value stays when the name is declared once more without one. */
static int declare(struct evaluating *g, const char *name, const char *value)
{
	if (!value && scope_find(&g->to->args, bytes_of(name)))
		return OK;
	return scope_put(&g->to->args, name, value, g->err);
}

static int evaluate_arg(struct evaluating *g, const struct instruction *i)
{
	int r = OK;

	buf_puts(&g->created_by, "ARG");
	for (size_t k = 0; r == OK && k < i->n_pairs; k++) {
		const struct pair *arg = &i->pairs[k];
		const char *value;

		warn_secret(g->values.lint, i, arg->key);
		r = arg_value(g, i, arg, &value);
		if (r != OK)
			return r;
		buf_printf(&g->created_by, value ? " %s=%s" : " %s", arg->key, value);
		r = declare(g, arg->key, is_no_variable(arg->key) ? NULL : value);
	}
	g->env_changed = true;
	return r;
}

/* ---- steps ---------------------------------------------------------------------- */

int evaluate_word(struct evaluating *g, const struct instruction *i, const char *word, const char **ret_value)
{
	CLEANUP(buf_free) struct buf value = BUF_INIT(EXPANDED_MAX);
	int r = stage_expand(&g->values, i, word, &value, g->err);

	if (r != OK)
		return r;
	*ret_value = arena_string(g->arena, buf_text(&value));
	return *ret_value ? OK : fail_nomem(g->err);
}

int evaluate_file_name(struct evaluating *g, const char *written, const char **ret_name)
{
	CLEANUP(freep) char *rooted = format("/%s", written);
	CLEANUP(buf_free) struct buf path = BUF_INIT(EXPANDED_MAX);
	struct quoted quoted;

	if (!rooted || !path_clean(bytes_of(rooted), &path))
		return fail_nomem(g->err);
	if (!buf_text(&path)[1] || strchr(buf_text(&path) + 1, '/'))
		return fail(g->err, E_INVALID, "the here-document %s is no name of a file",
			    quote_short(written, &quoted));
	*ret_name = arena_string(g->arena, buf_text(&path) + 1);
	return *ret_name ? OK : fail_nomem(g->err);
}

static int keep(struct evaluating *g, const char *text, const char **ret_text)
{
	*ret_text = arena_string(g->arena, text ? text : "");
	return *ret_text ? OK : fail_nomem(g->err);
}

static int add_step(struct evaluating *g, const struct plan_command *c, enum step_kind kind, struct step **ret_step)
{
	const struct container_config *config = &g->to->image->config;
	struct step *s;

	if (arena_grow(g->arena, &g->to->steps, g->to->n_steps, &g->to->capacity, sizeof *g->to->steps, g->err) < 0)
		return E_NO_MEMORY;
	s = &g->to->steps[g->to->n_steps++];
	*s = (struct step){ .kind = kind, .instruction = c->instruction, .on_build = c->on_build };
	*ret_step = s;
	if (keep(g, config->user, &s->user) < 0)
		return E_NO_MEMORY;
	return keep(g, config->working_dir && *config->working_dir ? config->working_dir : "/", &s->cwd);
}

/* The line with its values, as BuildKit shows it: what a shell will read keeps its quotes
 * and what only the shell knows. */
static int expand_line(struct evaluating *g, const struct step *s, struct buf *out)
{
	bool run = s->kind == STEP_RUN;
	const struct expand_rules rules = { .escape = g->values.escape, .keep_quotes = run, .keep_unset = run };
	const struct variables v = { .get = stage_value, .arg = &g->values, .steps = &g->values.steps };
	const char *code = s->instruction->code;

	if (expand(code, &rules, &v, out, NULL) < 0) {
		buf_reset(out);
		buf_puts(out, code);
	}
	for (size_t i = 0; i < out->len && !is_blank((char)out->data[i]); i++)
		if (out->data[i] >= 'a' && out->data[i] <= 'z')
			out->data[i] = (uint8_t)(out->data[i] - 0x20);
	return spend(g, out->len);
}

/* " (first line...)" of a script. */
static void put_summary(const struct instruction *i, struct buf *out)
{
	struct bytes text = bytes_trim(bytes_of(i->files[0].content));
	size_t len = bytes_find(text, '\n');
	struct bytes line = bytes_first(text, len);

	line.len -= line.len && line.data[line.len - 1] == '\r';
	buf_puts(out, " (");
	buf_append(out, line.data, line.len);
	buf_puts(out, len < text.len ? "...)" : ")");
}

static int finish_step(struct evaluating *g, struct step *s)
{
	CLEANUP(buf_free) struct buf text = BUF_INIT(2 * EXPANDED_MAX);

	if (!buf_ok(&g->created_by))
		return fail(g->err, E_LIMIT, "an entry of the history is larger than %d bytes", CREATED_BY_MAX);
	if (keep(g, buf_text(&g->created_by), &s->created_by) < 0)
		return E_NO_MEMORY;
	if (expand_line(g, s, &text) < 0)
		return E_LIMIT;
	if (s->kind == STEP_RUN && s->run.single_document)
		put_summary(s->instruction, &text);
	return keep(g, buf_ok(&text) ? buf_text(&text) : s->instruction->code, &s->text);
}

/* A directory is made, but for the root. */
static int evaluate_workdir(struct evaluating *g, const struct plan_command *c, bool *ret_layer)
{
	struct step *s;
	int r = instruction_apply(c->instruction, &g->values, g->err);

	*ret_layer = r == OK && strcmp(g->to->image->config.working_dir, "/") != 0;
	if (!*ret_layer)
		return r;
	r = add_step(g, c, STEP_WORKDIR, &s);
	return r == OK ? finish_step(g, s) : r;
}

static int evaluate_files(struct evaluating *g, const struct plan_command *c)
{
	bool run = c->instruction->kind == INSTRUCTION_RUN;
	struct step *s;
	int r = add_step(g, c, run ? STEP_RUN : STEP_COPY, &s);

	if (r == OK)
		r = run ? evaluate_run(g, c, s) : evaluate_copy(g, c, s);
	if (r != OK)
		return r;
	buf_puts(&g->created_by, " # buildkit");
	return finish_step(g, s);
}

/* ---- instructions ---------------------------------------------------------------- */

static int evaluate_one(struct evaluating *g, const struct plan_command *c, bool *ret_layer)
{
	switch (c->instruction->kind) {
	case INSTRUCTION_RUN:
	case INSTRUCTION_COPY:
	case INSTRUCTION_ADD:
		*ret_layer = true;
		return evaluate_files(g, c);
	case INSTRUCTION_WORKDIR:
		return evaluate_workdir(g, c, ret_layer);
	case INSTRUCTION_ARG:
		return evaluate_arg(g, c->instruction);
	case INSTRUCTION_ENV:
		g->env_changed = true;
		/* fallthrough */
	default:
		return instruction_apply(c->instruction, &g->values, g->err);
	}
}

static int evaluate_command(struct evaluating *g, const struct plan_command *c)
{
	bool layer = false;
	int r;

	buf_reset(&g->created_by);
	g->values.created_by = &g->created_by;
	r = evaluate_one(g, c, &layer);
	if (r == OK && !buf_ok(&g->created_by))
		return fail(g->err, E_LIMIT, "an entry of the history is larger than %d bytes", CREATED_BY_MAX);
	if (r != OK || c->instruction->kind == INSTRUCTION_ONBUILD)
		return r;
	return add_history(g, buf_text(&g->created_by), !layer);
}

/* ---- stages ---------------------------------------------------------------------- */

static int take_from_below(struct evaluating *g)
{
	const struct evaluated_stage *below;

	g->to->args.arena = g->arena;
	if (g->stage->kind != PLAN_STAGE)
		return OK;
	below = &g->stages[g->stage->below];
	g->to->workdir_set = below->workdir_set;
	return scope_copy(&g->to->args, &below->args, g->err);
}

static int begin_stage(struct evaluating *g)
{
	CLEANUP(image_freep) struct image_config *image = calloc(1, sizeof *image);
	int r = image ? base_image(g, image) : fail_nomem(g->err);

	if (r == OK)
		r = inherit(g, image);
	if (r == OK)
		r = take_from_below(g);
	if (r != OK)
		return r;
	g->to->image = TAKE(image);
	stage_init(&g->values, g->to->image, g->plan->file->escape);
	g->values.building = true;
	g->values.args = &g->to->args;
	g->values.lint = g->plan->lint;
	g->values.workdir_set = g->to->workdir_set;
	g->env_changed = true;
	return OK;
}

static void warn_platform(const struct evaluating *g)
{
	const struct platform *wanted = &g->plan->options->target_platform, *is = &g->to->image->platform;
	struct platform given;
	char a[PLATFORM_TEXT_MAX], b[PLATFORM_TEXT_MAX];

	if (g->stage->kind != PLAN_IMAGE || !g->stage->image || !*is->os || !*is->architecture)
		return;
	if (*g->stage->platform && platform_parse(g->stage->platform, &given, NULL) == OK)
		wanted = &given;
	if (!strcmp(wanted->os, is->os) && !strcmp(wanted->architecture, is->architecture))
		return;
	lint_warn(g->plan->lint, NULL, LINT_INVALID_BASE_IMAGE_PLATFORM, g->stage->place,
		  "Base image %s was pulled with platform \"%s\", expected \"%s\" for current build", g->stage->base,
		  platform_text(is, a), platform_text(wanted, b));
}

/* The working directory of the image below may be written in any way. */
static int clean_workdir(struct evaluating *g)
{
	CLEANUP(buf_free) struct buf clean = BUF_INIT(2 * EXPANDED_MAX);
	char **dir = &g->to->image->config.working_dir;

	if (!*dir || !**dir)
		return OK;
	if (stage_path(&g->values, *dir, &clean, g->err) < 0)
		return g->err->code;
	return text_set(dir, buf_text(&clean), g->err);
}

static int evaluate_stage(struct evaluating *g, struct place *ret_place)
{
	int r = cancel_check(g->plan->options->cancel, g->err);

	if (r == OK)
		r = begin_stage(g);
	if (r == OK)
		warn_platform(g);
	if (r == OK)
		r = clean_workdir(g);
	for (size_t i = 0; r == OK && i < g->stage->n_commands; i++) {
		*ret_place = g->stage->commands[i].instruction->place;
		r = cancel_check(g->plan->options->cancel, g->err);
		if (r == OK)
			r = evaluate_command(g, &g->stage->commands[i]);
	}
	g->to->workdir_set = g->values.workdir_set;
	return r;
}

static int evaluate_reachable(const struct plan *p, const struct ignore *ignore, struct arena *a, struct evaluation *e,
			      struct place *ret_place, struct err *err)
{
	struct evaluating g = { .plan = p, .ignore = ignore, .arena = a, .stages = e->stages, .err = err };
	int r = OK;

	g.created_by = (struct buf)BUF_INIT(CREATED_BY_MAX);
	r = proxies_of(p->options->build_args, a, &g.proxies, err);
	for (size_t i = 0; r == OK && i < p->n; i++) {
		if (!p->stages[i].reachable || !p->stages[i].stage)
			continue;
		g.to = &e->stages[i];
		g.stage = &p->stages[i];
		g.index = i;
		*ret_place = p->stages[i].place;
		r = evaluate_stage(&g, ret_place);
	}
	buf_free(&g.created_by);
	return r;
}

void evaluation_free(struct evaluation *e)
{
	for (size_t i = 0; i < e->n; i++)
		image_freep(&e->stages[i].image);
	free(e->stages);
	*e = (struct evaluation){ .n = 0 };
}

int evaluate(const struct plan *p, const struct ignore *ignore, struct arena *a, struct evaluation *ret_evaluation,
	     struct place *ret_place, struct err *err)
{
	CLEANUP(evaluation_free) struct evaluation e = { .n = 0 };
	struct err ignored = ERR_INIT;
	int r;

	e.stages = calloc(p->n, sizeof *e.stages);
	if (!e.stages)
		return fail_nomem(err);
	e.n = p->n;
	err = err ? err : &ignored;
	r = arena_verdict(a, evaluate_reachable(p, ignore, a, &e, ret_place, err), err);
	if (r == OK)
		*ret_evaluation = TAKE(e);
	return r;
}
