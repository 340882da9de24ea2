/* A value as if its JSON had been read into Go's interface{} with UseNumber. */
#include <inttypes.h>

#include "client/cli/commands/inspect_types.h"
#include "client/cli/format/gotime.h"

static struct value nil(void)
{
	return (struct value){ .kind = VALUE_NIL };
}

static struct value raw_number(struct arena *a, int64_t number)
{
	struct value v = value_format(a, "%" PRId64, number);

	if (v.kind != VALUE_NONE)
		v.type = &type_number;
	return v;
}

static struct value raw_time(struct arena *a, struct value v)
{
	CLEANUP(buf_free) struct buf text = BUF_INIT(128);

	if (!time_text_utc(&text, v.time.seconds, v.time.nanos))
		return value_none();
	return value_copy(a, (struct text){ buf_text(&text), text.len });
}

static struct value raw_list(struct arena *a, struct value v)
{
	struct value *items = arena_array(a, v.list.n, sizeof *items);

	if (v.is_nil)
		return nil();
	for (size_t i = 0; items && i < v.list.n; i++)
		items[i] = inspect_raw(a, v.list.items[i]);
	return value_list(&type_any_list, items, v.list.n);
}

static struct value raw_map(struct arena *a, struct value v)
{
	struct value_pair *pairs = arena_array(a, v.map.n, sizeof *pairs);

	if (v.is_nil)
		return nil();
	for (size_t i = 0; pairs && i < v.map.n; i++)
		pairs[i] = (struct value_pair){ v.map.pairs[i].key, inspect_raw(a, v.map.pairs[i].value) };
	return value_map(&type_any_map, pairs, v.map.n);
}

/* Members that JSON leaves out are not there. */
static bool is_left_out(const struct value_field *f, struct value v)
{
	size_t len;

	if (!f->omit_empty)
		return false;
	if (v.kind == VALUE_POINTER || (value_len(v, &len) && !len))
		return true;
	return (v.kind == VALUE_BOOL && !v.boolean) || (v.kind == VALUE_INT && !v.integer);
}

static struct value raw_struct(struct arena *a, struct value v)
{
	struct value_pair *pairs = arena_array(a, v.type->n_fields, sizeof *pairs);
	size_t n = 0;

	for (size_t i = 0; pairs && i < v.type->n_fields; i++) {
		const struct value_field *f = &v.type->fields[i];

		if (!is_left_out(f, v.fields[i]))
			pairs[n++] = (struct value_pair){ text_of(f->json ? f->json : f->name),
							  inspect_raw(a, v.fields[i]) };
	}
	return pairs ? value_map(&type_any_map, pairs, n) : value_none();
}

struct value inspect_raw(struct arena *a, struct value v)
{
	switch (v.kind) {
	case VALUE_BOOL:
		return v;
	case VALUE_INT:
		return raw_number(a, v.integer);
	case VALUE_STRING:
		return value_text(v.string);
	case VALUE_TIME:
		return raw_time(a, v);
	case VALUE_LIST:
		return raw_list(a, v);
	case VALUE_MAP:
		return raw_map(a, v);
	case VALUE_STRUCT:
		return raw_struct(a, v);
	case VALUE_NONE:
		return v;
	default:
		return nil();
	}
}
