#include "client/cli/template/function.h"
#include "client/cli/value/print.h"

enum basic { BASIC_NONE, BASIC_BOOL, BASIC_INT, BASIC_UINT, BASIC_FLOAT, BASIC_COMPLEX, BASIC_STRING };

static enum basic basic_of(struct value v)
{
	switch (v.kind) {
	case VALUE_BOOL:
		return BASIC_BOOL;
	case VALUE_INT:
		return BASIC_INT;
	case VALUE_UINT:
		return BASIC_UINT;
	case VALUE_FLOAT:
		return BASIC_FLOAT;
	case VALUE_COMPLEX:
		return BASIC_COMPLEX;
	case VALUE_STRING:
		return BASIC_STRING;
	default:
		return BASIC_NONE;
	}
}

static bool is_nothing(struct value v)
{
	return v.kind == VALUE_NONE || v.kind == VALUE_NIL;
}

static bool is_nil(struct value v)
{
	return is_nothing(v) || v.kind == VALUE_POINTER || v.is_nil;
}

static int incompatible(struct err *err)
{
	return fail(err, E_TEMPLATE, "incompatible types for comparison");
}

static int bad_type(struct err *err)
{
	return fail(err, E_TEMPLATE, "invalid type for comparison");
}

/* Integers of either sign in one order; both are BASIC_INT or BASIC_UINT. */
static int order_integers(struct value a, struct value b)
{
	bool a_negative = a.kind == VALUE_INT && a.integer < 0, b_negative = b.kind == VALUE_INT && b.integer < 0;
	uint64_t x = a.kind == VALUE_INT ? (uint64_t)a.integer : a.natural;
	uint64_t y = b.kind == VALUE_INT ? (uint64_t)b.integer : b.natural;

	if (a_negative != b_negative)
		return a_negative ? -1 : 1;
	return x < y ? -1 : x > y;
}

static bool are_integers(enum basic a, enum basic b)
{
	return (a == BASIC_INT || a == BASIC_UINT) && (b == BASIC_INT || b == BASIC_UINT);
}

static bool same_fields(struct value a, struct value b);

static bool same(struct value a, struct value b)
{
	if (a.kind != b.kind || a.type != b.type)
		return false;
	switch (a.kind) {
	case VALUE_BOOL:
		return a.boolean == b.boolean;
	case VALUE_INT:
	case VALUE_UINT:
		return !order_integers(a, b);
	case VALUE_FLOAT:
		return a.real == b.real;
	case VALUE_COMPLEX:
		return a.complex.real == b.complex.real && a.complex.imaginary == b.complex.imaginary;
	case VALUE_STRING:
		return text_eq(a.string, b.string);
	case VALUE_TIME:
		return a.time.seconds == b.time.seconds && a.time.nanos == b.time.nanos;
	case VALUE_STRUCT:
		return a.pointer ? a.fields == b.fields : same_fields(a, b);
	default:
		return false;
	}
}

static bool same_fields(struct value a, struct value b)
{
	for (size_t i = 0; i < a.type->n_fields; i++)
		if (!same(a.fields[i], b.fields[i]))
			return false;
	return true;
}

/* Whether Go's == is defined for it. */
static bool comparable(struct value v)
{
	if (v.kind == VALUE_LIST || v.kind == VALUE_MAP)
		return false;
	if (v.kind != VALUE_STRUCT || v.pointer)
		return true;
	for (size_t i = 0; i < v.type->n_fields; i++)
		if (!comparable(v.fields[i]))
			return false;
	return true;
}

/* "[a b]: []string", and the other way round; a text for messages only. */
static void describe(struct buf *out, struct value v, bool type_first)
{
	char name[128];
	const char *type = value_type_name(v, name);

	if (type_first)
		buf_printf(out, "%s: ", type);
	print_format(out, text_of(type_first ? "%v" : "%s"), &v, 1);
	if (!type_first)
		buf_printf(out, ": %s", type);
}

static int equal_others(struct value a, struct value b, bool *ret_equal, struct err *err)
{
	CLEANUP(buf_free) struct buf text = BUF_INIT(ERR_TEXT_MAX);

	if (a.kind != b.kind && !is_nothing(a) && !is_nothing(b)) {
		describe(&text, a, false);
		buf_puts(&text, ", ");
		describe(&text, b, true);
		return fail(err, E_TEMPLATE, "non-comparable types %s", buf_text(&text));
	}
	if (is_nil(a) || is_nil(b)) {
		*ret_equal = is_nil(a) == is_nil(b);
		return OK;
	}
	if (!comparable(b)) {
		describe(&text, b, false);
		return fail(err, E_TEMPLATE, "non-comparable type %s", buf_text(&text));
	}
	*ret_equal = same(a, b);
	return OK;
}

static int equal(struct value a, struct value b, bool *ret_equal, struct err *err)
{
	enum basic x = basic_of(a), y = basic_of(b);

	*ret_equal = false;
	if (are_integers(x, y)) {
		*ret_equal = !order_integers(a, b);
		return OK;
	}
	if (x != y)
		return is_nothing(a) || is_nothing(b) ? OK : incompatible(err);
	if (x == BASIC_NONE)
		return equal_others(a, b, ret_equal, err);
	if (x == BASIC_STRING)
		*ret_equal = text_eq(a.string, b.string);
	else if (x == BASIC_BOOL)
		*ret_equal = a.boolean == b.boolean;
	else if (x == BASIC_FLOAT)
		*ret_equal = a.real == b.real;
	else
		*ret_equal = a.complex.real == b.complex.real && a.complex.imaginary == b.complex.imaginary;
	return OK;
}

int compare_eq(UNUSED struct arena *a, const struct value *args, size_t n, struct value *ret_value, struct err *err)
{
	bool found = false;

	if (n < 2)
		return fail(err, E_TEMPLATE, "missing argument for comparison");
	for (size_t i = 1; i < n && !found; i++) {
		int r = equal(args[0], args[i], &found, err);

		if (r)
			return r;
	}
	*ret_value = value_bool(found);
	return OK;
}

int compare_ne(UNUSED struct arena *a, const struct value *args, UNUSED size_t n, struct value *ret_value,
	       struct err *err)
{
	bool same_value;
	int r = equal(args[0], args[1], &same_value, err);

	if (r)
		return r;
	*ret_value = value_bool(!same_value);
	return OK;
}

static int less(struct value a, struct value b, bool *ret_less, struct err *err)
{
	enum basic x = basic_of(a), y = basic_of(b);

	if (x == BASIC_NONE || y == BASIC_NONE)
		return bad_type(err);
	if (are_integers(x, y)) {
		*ret_less = order_integers(a, b) < 0;
		return OK;
	}
	if (x != y)
		return incompatible(err);
	if (x == BASIC_FLOAT)
		*ret_less = a.real < b.real;
	else if (x == BASIC_STRING)
		*ret_less = text_cmp(a.string, b.string) < 0;
	else
		return bad_type(err);
	return OK;
}

static int less_or_equal(struct value a, struct value b, bool *ret_result, struct err *err)
{
	int r = less(a, b, ret_result, err);

	if (r || *ret_result)
		return r;
	return equal(a, b, ret_result, err);
}

static int answer(int r, bool result, struct value *ret_value)
{
	if (!r)
		*ret_value = value_bool(result);
	return r;
}

int compare_lt(UNUSED struct arena *a, const struct value *args, UNUSED size_t n, struct value *ret_value,
	       struct err *err)
{
	bool result = false;
	int r = less(args[0], args[1], &result, err);

	return answer(r, result, ret_value);
}

int compare_le(UNUSED struct arena *a, const struct value *args, UNUSED size_t n, struct value *ret_value,
	       struct err *err)
{
	bool result = false;
	int r = less_or_equal(args[0], args[1], &result, err);

	return answer(r, result, ret_value);
}

int compare_gt(UNUSED struct arena *a, const struct value *args, UNUSED size_t n, struct value *ret_value,
	       struct err *err)
{
	bool result = false;
	int r = less_or_equal(args[0], args[1], &result, err);

	return answer(r, !result, ret_value);
}

int compare_ge(UNUSED struct arena *a, const struct value *args, UNUSED size_t n, struct value *ret_value,
	       struct err *err)
{
	bool result = false;
	int r = less(args[0], args[1], &result, err);

	return answer(r, !result, ret_value);
}
