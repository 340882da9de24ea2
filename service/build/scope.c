#include "service/build/scope.h"

const struct scope_arg *scope_find(const struct scope *s, struct bytes name)
{
	for (size_t i = 0; i < s->n; i++)
		if (bytes_are(name, s->args[i].name))
			return &s->args[i];
	return NULL;
}

const char *scope_value(void *scope, struct bytes name)
{
	const struct scope_arg *arg = scope_find(scope, name);

	return arg ? arg->value : NULL;
}

int scope_put(struct scope *s, const char *name, const char *value, struct err *err)
{
	const struct scope_arg *found = scope_find(s, bytes_of(name));
	size_t at = found ? (size_t)(found - s->args) : s->n;
	struct scope_arg arg = { found ? found->name : arena_string(s->arena, name), NULL };

	if (!found && s->n >= SCOPE_MAX)
		return fail(err, E_LIMIT, "there are more than %d arguments", SCOPE_MAX);
	if (value)
		arg.value = arena_string(s->arena, value);
	if (!arg.name || (value && !arg.value))
		return fail_nomem(err);
	if (!found && arena_grow(s->arena, &s->args, s->n, &s->capacity, sizeof *s->args, err) < 0)
		return E_NO_MEMORY;
	s->args[at] = arg;
	s->n += !found;
	return OK;
}

int scope_copy(struct scope *to, const struct scope *from, struct err *err)
{
	struct scope_arg *args = arena_array(to->arena, from->n, sizeof *args);

	if (!args)
		return fail_nomem(err);
	if (from->n)
		memcpy(args, from->args, from->n * sizeof *args);
	to->args = args;
	to->n = to->capacity = from->n;
	return OK;
}
