#include "service/build/globals.h"

#include <stdio.h>

#include "service/build/expand.h"

/* ---- platforms ------------------------------------------------------------------ */

/* As FormatAll() of containerd: with the version of the system. */
static char *full_text(const struct platform *p, struct arena *a)
{
	if (!*p->os)
		return arena_string(a, "unknown");
	return arena_printf(a, "%s%s%s%s%s%s%s%s", p->os, *p->os_version ? "(" : "", p->os_version,
			    *p->os_version ? ")" : "", *p->architecture ? "/" : "", p->architecture,
			    *p->variant ? "/" : "", p->variant);
}

static int put(const struct plan_options *o, struct scope *to, const char *name, const char *value, struct err *err)
{
	const struct scope_arg *given = o->build_args ? scope_find(o->build_args, bytes_of(name)) : NULL;

	if (!value)
		return fail_nomem(err);
	return scope_put(to, name, given && given->value ? given->value : value, err);
}

static int put_platform(const struct plan_options *o, struct scope *to, const char *prefix, const struct platform *p,
			const char *text, struct err *err)
{
	const char *const parts[][2] = {
		{ "PLATFORM", text },	     { "OS", p->os },		{ "OSVERSION", p->os_version },
		{ "ARCH", p->architecture }, { "VARIANT", p->variant },
	};
	int r = OK;

	for (size_t i = 0; r == OK && i < ARRAY_LEN(parts); i++) {
		char name[32];

		snprintf(name, sizeof name, "%s%s", prefix, parts[i][0]);
		r = put(o, to, name, parts[i][1], err);
	}
	return r;
}

int globals_of_platforms(const struct plan_options *o, const char *target, struct scope *to, struct err *err)
{
	char text[PLATFORM_TEXT_MAX];
	int r = put_platform(o, to, "BUILD", &o->build_platform, platform_text(&o->build_platform, text), err);

	if (r == OK)
		r = put_platform(o, to, "TARGET", &o->target_platform, full_text(&o->target_platform, to->arena), err);
	return r == OK ? put(o, to, "TARGETSTAGE", *target ? target : "default", err) : r;
}

/* ---- words ---------------------------------------------------------------------- */

struct looking {
	const struct scope *scope;
	struct word_list *set, *unset;
	bool failed;
};

static const char *look_up(void *arg, struct bytes name)
{
	struct looking *l = arg;
	const struct scope_arg *found = scope_find(l->scope, name);
	struct word_list *list = found && found->value ? l->set : l->unset;
	char *copy = list ? arena_bytes(l->scope->arena, name) : NULL;

	if (list && (!copy || word_add(list, bytes_of(copy), l->scope->arena, NULL) < 0))
		l->failed = true;
	return found ? found->value : NULL;
}

int globals_expand(const struct scope *globals, char escape, const char *text, const char **ret_value,
		   struct word_list *set, struct word_list *unset, struct err *err)
{
	CLEANUP(buf_free) struct buf value = BUF_INIT(EXPANDED_MAX);
	struct looking l = { globals, set, unset, false };
	const struct expand_rules rules = { .escape = escape };
	const struct variables v = { .get = look_up, .arg = &l };
	int r = expand(text, &rules, &v, &value, err);

	if (r != OK)
		return r;
	*ret_value = l.failed ? NULL : arena_string(globals->arena, buf_text(&value));
	return *ret_value ? OK : fail_nomem(err);
}

/* ---- ARGs before the first FROM ------------------------------------------------- */

static int put_arg(const struct pair *arg, char escape, const struct scope *build_args, struct scope *to,
		   struct err *err)
{
	const struct scope_arg *given = build_args ? scope_find(build_args, bytes_of(arg->key)) : NULL;
	const struct scope_arg *before = scope_find(to, bytes_of(arg->key));
	const char *value = NULL;
	int r = OK;

	if (given && given->value)
		value = given->value;
	else if (arg->value)
		r = globals_expand(to, escape, arg->value, &value, NULL, NULL, err);
	if (r != OK || (!value && before)) /* declared once more: the value stays */
		return r;
	return scope_put(to, arg->key, value, err);
}

int globals_of_file(const struct dockerfile *f, const struct scope *build_args, struct scope *to,
		    struct place *ret_place, struct err *err)
{
	int r = OK;

	for (size_t i = 0; r == OK && i < f->n_globals; i++) {
		const struct instruction *arg = &f->globals[i];

		*ret_place = arg->place;
		for (size_t k = 0; r == OK && k < arg->n_pairs; k++)
			r = put_arg(&arg->pairs[k], f->escape, build_args, to, err);
	}
	return r;
}
