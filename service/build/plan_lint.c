#include "service/build/plan_lint.h"

#include "service/build/globals.h"
#include "service/build/suggest.h"
#include "store/types/reference.h"

const char *suggest_global(const struct plan *p, struct bytes name)
{
	const char **names = arena_array(p->arena, p->globals.n, sizeof *names);
	struct suggestion meant;
	char *text;

	if (!names)
		return "";
	for (size_t i = 0; i < p->globals.n; i++)
		names[i] = p->globals.args[i].name;
	text = arena_string(p->arena, suggest(name, names, p->globals.n, false, &meant));
	return text ? text : "";
}

static bool is_first(const struct word_list *words, size_t at)
{
	for (size_t i = 0; i < at; i++)
		if (bytes_eq(words->items[i], words->items[at]))
			return false;
	return true;
}

void warn_unset(const struct plan *p, const struct instruction *from, const struct word_list *unset)
{
	for (size_t i = 0; p->lint && i < unset->n; i++)
		if (!scope_find(&p->globals, unset->items[i]) && is_first(unset, i))
			lint_warn(p->lint, &from->node->comments, LINT_UNDEFINED_ARG_IN_FROM, from->place,
				  "FROM argument '%.*s' is not declared%s", (int)min_size(unset->items[i].len, 256),
				  (const char *)unset->items[i].data, suggest_global(p, unset->items[i]));
}

static bool all_are(const struct word_list *words, const char *name)
{
	for (size_t i = 0; i < words->n; i++)
		if (!bytes_are(words->items[i], name))
			return false;
	return words->n;
}

static void warn_constant(const struct plan *p, const struct instruction *from, const char *value)
{
	struct platform platform;

	if (platform_parse(value, &platform, NULL) < 0 || strstr(from->from.name, platform.os) ||
	    strstr(from->from.name, platform.architecture))
		return;
	lint_warn(p->lint, &from->node->comments, LINT_FROM_PLATFORM_FLAG_CONST_DISALLOWED, from->place,
		  "FROM --platform flag should not use constant value \"%.256s\"", value);
}

void warn_platform(const struct plan *p, const struct instruction *from, const char *value, const struct word_list *set,
		   const struct word_list *unset)
{
	const char *usual = scope_value((void *)&p->globals, bytes_of("TARGETPLATFORM"));

	if (!set->n && !unset->n)
		warn_constant(p, from, value);
	else if (!unset->n && all_are(set, "TARGETPLATFORM") && usual && !strcmp(usual, value))
		lint_warn(p->lint, &from->node->comments, LINT_REDUNDANT_TARGET_PLATFORM, from->place,
			  "Setting platform to predefined %.256s in FROM is redundant as this is the default behavior",
			  from->from.platform);
}

int warn_default_bases(const struct plan *p, struct err *err)
{
	struct scope defaults = { .arena = p->arena };
	const struct dockerfile *f = p->file;
	struct place ignored;
	int r = p->lint ? scope_copy(&defaults, &p->globals, err) : OK;

	/* What is wrong here will be said about the values themselves. */
	if (!p->lint || r != OK || globals_of_file(f, NULL, &defaults, &ignored, NULL) < 0)
		return r;
	for (size_t i = 0; i < f->n_stages; i++) {
		const struct instruction *from = f->stages[i].from;
		struct reference ref;
		const char *base;

		if (globals_expand(&defaults, f->escape, from->text, &base, NULL, NULL, NULL) < 0)
			return OK;
		if (reference_parse(base, &ref, NULL) < 0)
			lint_warn(p->lint, NULL, LINT_INVALID_DEFAULT_ARG_IN_FROM, from->place,
				  "Default value for ARG %.256s results in empty or invalid base image name",
				  from->text);
	}
	return OK;
}
