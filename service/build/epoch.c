#include "service/build/epoch.h"

#include "service/build/number.h"

static bool is_source(const struct plan *p, const char *name)
{
	const struct plan_options *o = p->options;

	if (o->has_context && o->has_context(o->arg, name))
		return true;
	for (size_t i = 0; i < p->file->n_stages; i++) {
		const char *stage = p->file->stages[i].from->from.name;

		if (*stage && bytes_are_nocase(bytes_of(stage), name))
			return true;
	}
	return false;
}

int epoch_of(const struct plan *p, struct epoch *ret_epoch, struct err *err)
{
	const char *value = plan_setting(p, "SOURCE_DATE_EPOCH");
	struct epoch e = { .kind = EPOCH_NONE };

	if (!value || !*value)
		e.kind = EPOCH_NONE;
	else if (int64_parse(value, &e.seconds))
		e.kind = EPOCH_SECONDS;
	else if (!strcmp(value, "context"))
		e.kind = EPOCH_CONTEXT;
	else if (is_source(p, value))
		e = (struct epoch){ .kind = EPOCH_SOURCE, .source = value };
	else
		return fail(err, E_INVALID, "invalid SOURCE_DATE_EPOCH: %.256s", value);
	*ret_epoch = e;
	return OK;
}
