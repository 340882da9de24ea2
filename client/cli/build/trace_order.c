/*
 * Steps stand in the order in which they were told, but for the first one of a stage, "[build 1/4]
 * FROM …": it is told when another one needs it, and stands before all of its stage.
 */
#include <ctype.h>

#include "client/cli/build/trace.h"

/* Of "[build  2/14] RUN …": "[build" and 2. 0: it is no step of a stage. */
static unsigned step_of(const char *name, size_t *ret_stage_len)
{
	const char *slash = name && *name == '[' ? strchr(name, '/') : NULL, *number = slash, *end;
	unsigned step = 0;

	if (!slash || !isdigit((unsigned char)slash[1]) || memchr(name, ']', (size_t)(slash - name)))
		return 0;
	while (number > name + 1 && isdigit((unsigned char)number[-1]))
		number--;
	for (const char *digit = number; digit < slash && slash - number < 9; digit++)
		step = step * 10 + (unsigned)(*digit - '0');
	for (end = number; end > name + 1 && end[-1] == ' '; end--)
		;
	*ret_stage_len = (size_t)(end - name);
	return step;
}

static bool is_of_stage(const char *name, const char *stage, size_t stage_len)
{
	size_t len = 0;

	return step_of(name, &len) && len == stage_len && !memcmp(name, stage, len);
}

void trace_place(struct trace *t, struct trace_vertex *v)
{
	size_t len = 0, at = 0, from = t->n;

	if (step_of(v->name, &len) != 1)
		return;
	while (at < t->n && !is_of_stage(t->vertices[at]->name, v->name, len))
		at++;
	while (from > 0 && t->vertices[from - 1] != v)
		from--;
	if (!from || at >= --from)
		return;
	memmove(&t->vertices[at + 1], &t->vertices[at], (from - at) * sizeof(struct trace_vertex *));
	t->vertices[at] = v;
}
