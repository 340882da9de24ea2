/*
 * Go's path.Match as docker's reference filter uses it. Its search is greedy: each
 * run of literals after a star takes its leftmost place and is never moved again,
 * so the time is bounded by the product of the lengths. A pattern is malformed as
 * a whole, wherever the match would have ended.
 */
#include "store/types/reference.h"

#include "proto/runtime/utf8.h"

struct glob {
	const uint8_t *p, *end;
};

/* One character; 0 is no valid result. */
static uint32_t next_rune(struct glob *g)
{
	uint32_t rune = 0;

	g->p += utf8_rune((struct bytes){ g->p, (size_t)(g->end - g->p) }, &rune);
	return rune;
}

/* A character of a class, perhaps escaped; a class can not end with it. */
static bool class_char(struct glob *g, uint32_t *ret_rune)
{
	if (g->p == g->end || *g->p == '-' || *g->p == ']')
		return false;
	if (*g->p == '\\' && ++g->p == g->end)
		return false;
	*ret_rune = next_rune(g);
	return *ret_rune && g->p < g->end;
}

/* After "[": reads to the closing bracket; false when the class is malformed. */
static bool class_match(struct glob *g, uint32_t c, bool *ret_match)
{
	bool negated = g->p < g->end && *g->p == '^', found = false;
	uint32_t low, high;

	g->p += negated;
	do {
		if (!class_char(g, &low))
			return false;
		high = low;
		if (*g->p == '-') {
			g->p++;
			if (!class_char(g, &high))
				return false;
		}
		found |= low <= c && c <= high;
	} while (*g->p != ']');
	g->p++;
	*ret_match = found != negated;
	return true;
}

/* Matches one element of the pattern against the character at `name`; false when
 * the pattern is malformed. A NUL stands for the end of the name. */
static bool element_match(struct glob *g, uint8_t c, bool *ret_match)
{
	switch (*g->p) {
	case '[':
		g->p++;
		if (!class_match(g, c, ret_match))
			return false;
		*ret_match &= c != 0;
		return true;
	case '?':
		g->p++;
		*ret_match = c != '/' && c != 0;
		return true;
	case '\\':
		if (++g->p == g->end)
			return false;
		break;
	}
	*ret_match = *g->p++ == c;
	return true;
}

/* Elements up to the next star. Returns the rest of the name, or NULL. */
static const char *run_match(struct glob g, const char *name)
{
	while (g.p < g.end && *g.p != '*') {
		bool match;

		if (!element_match(&g, (uint8_t)*name, &match) || !match)
			return NULL;
		name++;
	}
	return name;
}

static void skip_run(struct glob *g)
{
	bool match;

	while (g->p < g->end && *g->p != '*')
		if (!element_match(g, 0, &match))
			return;
}

static bool is_well_formed(struct glob g)
{
	bool match;

	while (g.p < g.end)
		if (*g.p == '*')
			g.p++;
		else if (!element_match(&g, 0, &match))
			return false;
	return true;
}

/* One run, tried at `name` and, after a star, at each later place that the star
 * can reach. The last run must end where the name ends. */
static const char *place_run(struct glob run, bool after_star, bool last, const char *name)
{
	for (;; name++) {
		const char *rest = run_match(run, name);

		if (rest && (!last || !*rest))
			return rest;
		/* run_match() gives NULL for `rest`, never for `name`.
		 * NOLINTNEXTLINE(clang-analyzer-core.NullDereference) */
		if (!after_star || !*name || *name == '/')
			return NULL;
	}
}

static bool matches(struct glob g, const char *name)
{
	while (g.p < g.end) {
		bool star = *g.p == '*';
		struct glob run;

		while (g.p < g.end && *g.p == '*')
			g.p++;
		if (star && g.p == g.end)
			return !strchr(name, '/');
		run = g;
		skip_run(&g);
		name = place_run(run, star, g.p == g.end, name);
		if (!name)
			return false;
	}
	return !*name;
}

int reference_match(const struct reference *ref, const char *pattern, bool *ret_match, struct err *err)
{
	char text[REFERENCE_TEXT_MAX];
	struct bytes b = bytes_of(pattern);
	struct glob g = { b.data, b.data + b.len };

	if (!is_well_formed(g))
		return fail(err, E_INVALID_FILTER, "syntax error in pattern");
	*ret_match = matches(g, reference_familiar(ref, text)) || matches(g, reference_familiar_name(ref, text));
	return OK;
}
