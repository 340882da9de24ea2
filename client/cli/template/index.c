#include <inttypes.h>

#include "client/cli/template/function.h"

static bool is_nothing(struct value v)
{
	return v.kind == VALUE_NONE || v.kind == VALUE_NIL;
}

/* An index into `cap` elements; the end itself is allowed here. */
static int index_of(struct value index, size_t cap, size_t *ret_index, struct err *err)
{
	char name[128];
	int64_t i;

	if (is_nothing(index))
		return fail(err, E_TEMPLATE, "cannot index slice/array with nil");
	if (index.kind == VALUE_INT)
		i = index.integer;
	else if (index.kind == VALUE_UINT)
		i = (int64_t)index.natural;
	else
		return fail(err, E_TEMPLATE, "cannot index slice/array with type %s", value_type_name(index, name));
	if (i < 0 || (uint64_t)i > cap)
		return fail(err, E_TEMPLATE, "index out of range: %" PRId64, i);
	*ret_index = (size_t)i;
	return OK;
}

static int element(struct value item, struct value index, struct value *ret_value, struct err *err)
{
	size_t len = item.kind == VALUE_STRING ? item.string.len : item.list.n, i = 0;
	int r = index_of(index, len, &i, err);

	if (r)
		return r;
	if (i == len)
		return fail(err, E_TEMPLATE, "reflect: %s index out of range",
			    item.kind == VALUE_STRING ? "string" : "slice");
	if (item.kind == VALUE_STRING)
		*ret_value = (struct value){ .kind = VALUE_UINT,
					     .type = &type_uint8,
					     .natural = (unsigned char)item.string.data[i] };
	else
		*ret_value = item.list.items[i];
	return OK;
}

/* What a map gives for a key that it lacks. */
static struct value zero_of(const struct value_type *type)
{
	if (!type)
		return (struct value){ .kind = VALUE_NIL };
	if (type == &type_string)
		return value_string("");
	return value_struct(type, NULL);
}

static int member(struct value map, struct value key, struct value *ret_value, struct err *err)
{
	char name[128];

	if (is_nothing(key))
		return fail(err, E_TEMPLATE, "value is nil; should be of type string");
	if (key.kind != VALUE_STRING || key.type != &type_string)
		return fail(err, E_TEMPLATE, "value has type %s; should be string", value_type_name(key, name));
	if (!value_lookup(map, key.string, ret_value))
		*ret_value = zero_of(map.type->elem);
	return OK;
}

int index_index(UNUSED struct arena *a, const struct value *args, size_t n, struct value *ret_value, struct err *err)
{
	struct value item = args[0];
	int r;

	if (is_nothing(item))
		return fail(err, E_TEMPLATE, "index of untyped nil");
	for (size_t i = 1; i < n; i++) {
		if (item.kind == VALUE_POINTER || item.kind == VALUE_NIL)
			return fail(err, E_TEMPLATE, "index of nil pointer");
		if (item.kind == VALUE_STRING || item.kind == VALUE_LIST)
			r = element(item, args[i], &item, err);
		else if (item.kind == VALUE_MAP)
			r = member(item, args[i], &item, err);
		else
			return fail(err, E_TEMPLATE, "can't index item of type %s", item.type->name);
		if (r)
			return r;
	}
	*ret_value = item;
	return OK;
}

static int slice_bounds(const struct value *args, size_t n, size_t len, size_t bounds[3], struct err *err)
{
	bounds[0] = 0;
	bounds[1] = bounds[2] = len;
	for (size_t i = 1; i < n; i++) {
		int r;

		if (args[i].boxed) /* Go's slice does not look inside, its index does */
			return fail(err, E_TEMPLATE, "cannot index slice/array with type interface {}");
		r = index_of(args[i], len, &bounds[i - 1], err);
		if (r)
			return r;
	}
	for (size_t i = 0; i < 2; i++)
		if (bounds[i] > bounds[i + 1] && (i == 0 || n == 4))
			return fail(err, E_TEMPLATE, "invalid slice index: %zu > %zu", bounds[i], bounds[i + 1]);
	return OK;
}

int index_slice(UNUSED struct arena *a, const struct value *args, size_t n, struct value *ret_value, struct err *err)
{
	struct value item = args[0];
	char name[128];
	size_t bounds[3];
	int r;

	if (is_nothing(item))
		return fail(err, E_TEMPLATE, "slice of untyped nil");
	if (n > 4)
		return fail(err, E_TEMPLATE, "too many slice indexes: %zu", n - 1);
	if (item.kind != VALUE_STRING && item.kind != VALUE_LIST)
		return fail(err, E_TEMPLATE, "can't slice item of type %s", value_type_name(item, name));
	if (item.kind == VALUE_STRING && n == 4)
		return fail(err, E_TEMPLATE, "cannot 3-index slice a string");
	r = slice_bounds(args, n, item.kind == VALUE_STRING ? item.string.len : item.list.n, bounds, err);
	if (r)
		return r;
	if (item.kind == VALUE_STRING)
		item.string = (struct text){ item.string.data + bounds[0], bounds[1] - bounds[0] };
	else if (bounds[1] > bounds[0])
		item = value_list(item.type, item.list.items + bounds[0], bounds[1] - bounds[0]);
	else
		item.list.n = 0;
	*ret_value = item;
	return OK;
}

int index_len(UNUSED struct arena *a, const struct value *args, UNUSED size_t n, struct value *ret_value,
	      struct err *err)
{
	size_t len;

	if (args[0].kind == VALUE_POINTER || args[0].kind == VALUE_NIL)
		return fail(err, E_TEMPLATE, "len of nil pointer");
	if (args[0].kind == VALUE_NONE)
		return fail(err, E_TEMPLATE, "reflect: call of reflect.Value.Type on zero Value");
	if (!value_len(args[0], &len))
		return fail(err, E_TEMPLATE, "len of type %s", args[0].type->name);
	*ret_value = value_int((int64_t)len);
	return OK;
}
