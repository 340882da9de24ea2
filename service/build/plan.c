#include "service/build/plan.h"

#include "service/build/globals.h"
#include "service/build/number.h"
#include "service/build/plan_edges.h"
#include "service/build/plan_lint.h"
#include "service/build/quote.h"
#include "service/build/suggest.h"
#include "store/types/reference.h"

/* ---- stages by name ------------------------------------------------------------- */

static bool same_name(const char *a, const char *b)
{
	return bytes_are_nocase(bytes_of(a), b);
}

/* The last one of that name among the first `n`; PLAN_NONE. */
static size_t find_stage(const struct plan *p, const char *name, size_t n)
{
	while (n-- > 0) {
		const struct stage *s = p->stages[n].stage;

		if (s && *s->from->from.name && same_name(s->from->from.name, name))
			return n;
	}
	return PLAN_NONE;
}

static int add_stage(struct plan *p, const struct plan_stage *stage, size_t *ret_index, struct err *err)
{
	if (p->n >= PLAN_STAGES_MAX)
		return fail(err, E_LIMIT, "a build has at most %d stages", PLAN_STAGES_MAX);
	if (arena_grow(p->arena, &p->stages, p->n, &p->capacity, sizeof *p->stages, err) < 0)
		return E_NO_MEMORY;
	p->stages[p->n] = *stage;
	*ret_index = p->n++;
	return OK;
}

static bool has_context(const struct plan *p, const char *name)
{
	char text[REFERENCE_TEXT_MAX];
	struct reference ref;
	size_t len;

	if (!p->options->has_context || same_name(name, "scratch") || same_name(name, "context"))
		return false;
	if (p->options->has_context(p->options->arg, name))
		return true;
	if (reference_parse(name, &ref, NULL) < 0)
		return false;
	reference_familiar(&ref, text);
	len = strlen(text);
	if (len > 7 && !strcmp(text + len - 7, ":latest"))
		text[len - 7] = 0;
	return p->options->has_context(p->options->arg, text);
}

/* ---- FROM ----------------------------------------------------------------------- */

static int check_image_name(const char *base, struct err *err)
{
	struct err why = ERR_INIT;
	struct reference ignored;
	struct quoted quoted;

	if (reference_parse(base, &ignored, &why) == OK)
		return OK;
	return fail(err, E_INVALID, "failed to parse stage name %s: %.512s", quote_short(base, &quoted), why.text);
}

/* What the base is, among the stages that come before. */
static int choose_base(struct plan *p, struct plan_stage *s, struct err *err)
{
	size_t below = find_stage(p, s->base, p->n);

	if (below != PLAN_NONE) {
		s->kind = PLAN_STAGE;
		s->below = below;
		return OK;
	}
	s->kind = !strcmp(s->base, "scratch") ? PLAN_SCRATCH : has_context(p, s->base) ? PLAN_CONTEXT : PLAN_IMAGE;
	return s->kind == PLAN_IMAGE ? check_image_name(s->base, err) : OK;
}

static int expand_base(struct plan *p, struct plan_stage *s, struct err *err)
{
	const struct instruction *from = s->stage->from;
	struct word_list unset = { .n = 0 };
	int r = globals_expand(&p->globals, p->file->escape, from->text, &s->base, NULL, &unset, err);

	warn_unset(p, from, &unset);
	if (r == OK && !*s->base)
		return fail(err, E_INVALID, "base name (%.256s) should not be blank", from->text);
	return r;
}

static int expand_platform(struct plan *p, struct plan_stage *s, struct err *err)
{
	const struct instruction *from = s->stage->from;
	struct word_list set = { .n = 0 }, unset = { .n = 0 };
	struct err why = ERR_INIT;
	struct platform ignored;
	int r;

	s->platform = "";
	if (!*from->from.platform)
		return OK;
	r = globals_expand(&p->globals, p->file->escape, from->from.platform, &s->platform, &set, &unset, err);
	if (r == E_INVALID)
		return err_wrap(err, "failed to process arguments for platform %.256s", from->from.platform);
	if (r != OK)
		return r;
	warn_unset(p, from, &unset);
	warn_platform(p, from, s->platform, &set, &unset);
	if (!*s->platform)
		return fail(err, E_INVALID, "empty platform value from expression %.256s%s", from->from.platform,
			    unset.n ? suggest_global(p, unset.items[0]) : "");
	if (platform_parse(s->platform, &ignored, &why) < 0)
		return fail(err, E_INVALID, "failed to parse platform %.256s: %.512s%s", from->from.platform, why.text,
			    unset.n ? suggest_global(p, unset.items[0]) : "");
	return OK;
}

static int name_stage(struct plan *p, struct plan_stage *s, size_t at, struct err *err)
{
	s->name = s->stage->from->from.name;
	if (!*s->name)
		s->name = arena_printf(p->arena, "stage-%zu", at);
	return s->name ? OK : fail_nomem(err);
}

static int add_file_stage(struct plan *p, size_t at, struct err *err)
{
	struct plan_stage s = { .stage = &p->file->stages[at], .place = p->file->stages[at].from->place };
	const char *name = s.stage->from->from.name;
	size_t index;
	int r = expand_base(p, &s, err);

	if (r == OK)
		r = expand_platform(p, &s, err);
	if (r == OK)
		r = name_stage(p, &s, at, err);
	if (r != OK)
		return r;
	if (*name && has_context(p, name)) {
		s.kind = PLAN_CONTEXT;
		s.replaced = true;
		s.base = name;
	} else if (choose_base(p, &s, err) < 0) {
		return err->code;
	}
	return add_stage(p, &s, &index, err);
}

/* ---- what instructions take from stages ------------------------------------------ */

/* An image that nothing but this names. */
static int add_foreign(struct plan *p, const char *base, struct place place, size_t *ret_index, struct err *err)
{
	struct plan_stage s = { .base = base, .name = base, .platform = "", .place = place };

	for (size_t i = p->file->n_stages; i < p->n; i++)
		if (!strcmp(p->stages[i].base, base)) {
			*ret_index = i;
			return OK;
		}
	s.kind = !strcmp(base, "scratch") ? PLAN_SCRATCH : has_context(p, base) ? PLAN_CONTEXT : PLAN_IMAGE;
	if (s.kind == PLAN_IMAGE && check_image_name(base, err) < 0)
		return E_INVALID;
	return add_stage(p, &s, ret_index, err);
}

static int resolve_name(struct plan *p, const char *name, struct place place, size_t *ret_index, struct err *err)
{
	*ret_index = find_stage(p, name, p->file->n_stages);
	return *ret_index != PLAN_NONE ? OK : add_foreign(p, name, place, ret_index, err);
}

static int refuse_variables(const struct plan *p, const char *from, struct err *err)
{
	const struct scope none = { .arena = p->arena };
	const char *value;
	int r = globals_expand(&none, p->file->escape, from, &value, NULL, NULL, err);

	if (r == OK && strcmp(value, from) != 0)
		return fail(
			err, E_INVALID,
			"variable expansion is not supported for --from, define a new stage with FROM using ARG from "
			"global scope as a workaround");
	return r;
}

static int resolve_copy(struct plan *p, struct plan_command *c, struct err *err)
{
	const char *from = c->instruction->copy.from;
	uint32_t index;
	int r = refuse_variables(p, from, err);

	if (r != OK)
		return r;
	if (!uint32_parse(from, 10, &index))
		return resolve_name(p, from, c->instruction->place, &c->sources[0], err);
	if (index >= p->file->n_stages)
		return fail(err, E_INVALID, "invalid stage index %u", index);
	c->sources[0] = index;
	return OK;
}

static int resolve_mounts(struct plan *p, struct plan_command *c, struct err *err)
{
	int r = OK;

	for (size_t i = 0; r == OK && i < c->n_sources; i++) {
		const char *from = c->instruction->run.mount_sources[i];

		c->sources[i] = PLAN_NONE;
		if (*from)
			r = resolve_name(p, from, c->instruction->place, &c->sources[i], err);
	}
	return r;
}

static int set_command(struct plan *p, struct plan_command *c, const struct instruction *i, bool on_build,
		       struct err *err)
{
	bool copy = i->kind == INSTRUCTION_COPY && *i->copy.from;

	*c = (struct plan_command){ .instruction = i, .on_build = on_build };
	c->n_sources = copy ? 1 : i->kind == INSTRUCTION_RUN ? i->run.mounts.n : 0;
	c->sources = arena_array(p->arena, c->n_sources, sizeof *c->sources);
	if (!c->sources)
		return fail_nomem(err);
	return copy ? resolve_copy(p, c, err) : resolve_mounts(p, c, err);
}

/* The stages may move while sources are added to them. */
static int set_commands(struct plan *p, size_t stage, struct place *ret_place, struct err *err)
{
	const struct stage *s = p->stages[stage].stage;
	size_t n = p->stages[stage].replaced ? 0 : s->n_commands;
	struct plan_command *commands = arena_array(p->arena, n, sizeof *commands);
	int r = commands ? OK : fail_nomem(err);

	for (size_t i = 0; r == OK && i < n; i++) {
		*ret_place = s->commands[i].place;
		r = set_command(p, &commands[i], &s->commands[i], false, err);
	}
	p->stages[stage].commands = commands;
	p->stages[stage].n_commands = n;
	return r;
}

/* ---- the target ------------------------------------------------------------------ */

static int no_target(const struct plan *p, struct err *err)
{
	const char **names = arena_array(p->arena, p->n, sizeof *names);
	const char *target = p->options->target;
	struct suggestion meant = { "" };
	struct quoted quoted;

	for (size_t i = 0; names && i < p->n; i++)
		names[i] = p->stages[i].name;
	if (names)
		suggest(bytes_of(target), names, p->n, false, &meant);
	return fail(err, E_INVALID, "target stage %s could not be found%s", quote_short(target, &quoted), meant.text);
}

static int find_target(struct plan *p, struct err *err)
{
	const char *target = p->options->target;
	uint32_t index;

	p->target = p->n - 1;
	if (!*target)
		return OK;
	p->target = find_stage(p, target, p->n);
	if (p->target == PLAN_NONE && uint32_parse(target, 10, &index) && index < p->n)
		p->target = index;
	return p->target != PLAN_NONE ? OK : no_target(p, err);
}

/* ---- the whole ------------------------------------------------------------------- */

static int make_globals(struct plan *p, struct place *ret_place, struct err *err)
{
	const struct dockerfile *f = p->file;
	const char *target = p->options->target;
	int r;

	p->globals.arena = p->arena;
	if (!*target)
		target = f->stages[f->n_stages - 1].from->from.name;
	r = globals_of_platforms(p->options, target, &p->globals, err);
	if (r == OK)
		r = warn_default_bases(p, err);
	return r == OK ? globals_of_file(f, p->options->build_args, &p->globals, ret_place, err) : r;
}

static int make_stages(struct plan *p, struct place *ret_place, struct err *err)
{
	const struct dockerfile *f = p->file;
	int r = OK;

	for (size_t i = 0; r == OK && i < f->n_stages; i++) {
		*ret_place = f->stages[i].from->place;
		r = add_file_stage(p, i, err);
	}
	if (r != OK)
		return r;
	*ret_place = (struct place){ .first = 0 };
	r = find_target(p, err);
	for (size_t i = 0; r == OK && i < f->n_stages; i++)
		r = set_commands(p, i, ret_place, err);
	return r;
}

/* BuildKit counts what a mount stands on as a stage, be it nothing. */
static bool has_mounts(const struct plan_stage *s)
{
	for (size_t i = 0; i < s->n_commands; i++)
		if (s->commands[i].instruction->kind == INSTRUCTION_RUN && s->commands[i].n_sources)
			return true;
	return false;
}

int plan_make(const struct dockerfile *f, const struct plan_options *options, struct arena *a, struct lint *lint,
	      struct plan *ret_plan, struct place *ret_place, struct err *err)
{
	struct err ignored = ERR_INIT;
	struct plan p = { .file = f, .options = options, .arena = a, .lint = lint };
	int r;

	err = err ? err : &ignored;
	*ret_place = (struct place){ .first = 0 };
	r = make_globals(&p, ret_place, err);
	if (r == OK)
		r = make_stages(&p, ret_place, err);
	if (r == OK)
		r = plan_check_circles(&p, ret_place, err);
	if (r == OK)
		r = plan_mark_reachable(&p, err);
	if (r != OK)
		return arena_verdict(a, r, err);
	if (p.n == 1 && !has_mounts(&p.stages[0]))
		p.stages[0].name = "";
	*ret_plan = p;
	return OK;
}

const char *plan_setting(const struct plan *p, const char *name)
{
	const struct scope *given = p->options->build_args;
	const char *value = given ? scope_value((void *)given, bytes_of(name)) : NULL;

	if (value)
		return value;
	value = scope_value((void *)&p->globals, bytes_of(name));
	return value && *value ? value : NULL;
}

const char *plan_platform(const struct plan *p, size_t stage, char out[PLATFORM_TEXT_MAX])
{
	const struct plan_stage *s = &p->stages[stage];

	/* Those below come before it. */
	while (!*s->platform && s->kind == PLAN_STAGE)
		s = &p->stages[s->below];
	return *s->platform ? s->platform : platform_text(&p->options->target_platform, out);
}

/* ---- triggers -------------------------------------------------------------------- */

static int add_trigger(struct plan *p, struct place place, const char *text, struct plan_command *c, struct err *err)
{
	struct instruction *i = arena_alloc(p->arena, sizeof *i);
	int r = i ? trigger_parse(text, place, p->arena, i, err) : fail_nomem(err);

	return r == OK ? set_command(p, c, i, true, err) : r;
}

static size_t count_triggers(const struct plan_stage *below)
{
	size_t n = 0;

	for (size_t i = 0; i < below->n_commands; i++)
		n += below->commands[i].instruction->kind == INSTRUCTION_ONBUILD;
	return n;
}

/* Texts, in order. In the arena. */
static int list_triggers(const struct plan *p, const struct plan_stage *s, struct string_list *ret_texts,
			 struct err *err)
{
	static const struct string_list none;
	const struct string_list *image = s->image ? &s->image->config.on_build : &none;
	const struct plan_stage *below = s->kind == PLAN_STAGE ? &p->stages[s->below] : NULL;
	size_t n = image->n + (below ? count_triggers(below) : 0);
	struct string_list texts = { .items = arena_array(p->arena, n, sizeof *texts.items) };

	if (!texts.items)
		return fail_nomem(err);
	for (size_t i = 0; i < image->n; i++)
		texts.items[texts.n++] = image->items[i];
	for (size_t i = 0; below && i < below->n_commands; i++)
		if (below->commands[i].instruction->kind == INSTRUCTION_ONBUILD)
			texts.items[texts.n++] = (char *)below->commands[i].instruction->text;
	*ret_texts = texts;
	return OK;
}

static int put_in_front(struct plan *p, size_t stage, const struct string_list *texts, struct err *err)
{
	struct plan_stage *s = &p->stages[stage];
	size_t n = texts->n + s->n_commands;
	struct plan_command *commands = arena_array(p->arena, n, sizeof *commands);
	int r = commands ? OK : fail_nomem(err);

	if (r == OK && s->n_commands)
		memcpy(commands + texts->n, s->commands, s->n_commands * sizeof *commands);
	for (size_t i = 0; r == OK && i < texts->n; i++)
		r = add_trigger(p, p->stages[stage].place, texts->items[i], &commands[i], err);
	if (r != OK)
		return r;
	s = &p->stages[stage];
	s->commands = commands;
	s->n_commands = n;
	return OK;
}

int plan_fire_triggers(struct plan *p, size_t stage, struct place *ret_place, struct err *err)
{
	struct err ignored = ERR_INIT;
	struct string_list texts = { .n = 0 };
	int r;

	err = err ? err : &ignored;
	*ret_place = p->stages[stage].place;
	if (p->stages[stage].triggers_fired || !p->stages[stage].stage)
		return OK;
	p->stages[stage].triggers_fired = true;
	r = cancel_check(p->options->cancel, err);
	if (r == OK)
		r = list_triggers(p, &p->stages[stage], &texts, err);
	if (r != OK || !texts.n)
		return r;
	r = put_in_front(p, stage, &texts, err);
	if (r == OK)
		r = plan_check_circles(p, ret_place, err);
	if (r == OK)
		r = plan_mark_reachable(p, err);
	return arena_verdict(p->arena, r, err);
}
