#include "client/cli/template/function.h"

static int last(UNUSED struct arena *a, const struct value *args, size_t n, struct value *ret_value,
		UNUSED struct err *err)
{
	*ret_value = args[n - 1];
	return OK;
}

static int not_(UNUSED struct arena *a, const struct value *args, UNUSED size_t n, struct value *ret_value,
		UNUSED struct err *err)
{
	*ret_value = value_bool(!value_truth(args[0]));
	return OK;
}

/* No value of ours is a function, so this can only say so. args[0] is the name. */
static int call(UNUSED struct arena *a, const struct value *args, UNUSED size_t n, UNUSED struct value *ret_value,
		struct err *err)
{
	char name[128];

	if (args[1].kind == VALUE_NONE || args[1].kind == VALUE_NIL)
		return fail(err, E_TEMPLATE, "call of nil");
	return fail(err, E_TEMPLATE, "non-function %.*s of type %s", (int)args[0].string.len, args[0].string.data,
		    value_type_name(args[1], name));
}

static int first(UNUSED struct arena *a, const struct value *args, UNUSED size_t n, struct value *ret_value,
		 UNUSED struct err *err)
{
	*ret_value = args[0];
	return OK;
}

static const struct function functions[] = {
	{ "and", { PARAMETER_VALUE, PARAMETER_VALUE }, true, STOP_AT_FALSE, last },
	{ "or", { PARAMETER_VALUE, PARAMETER_VALUE }, true, STOP_AT_TRUE, last },
	{ "not", { PARAMETER_VALUE }, false, EVALUATE_ALL, not_ },
	{ "eq", { PARAMETER_VALUE, PARAMETER_VALUE }, true, EVALUATE_ALL, compare_eq },
	{ "ne", { PARAMETER_VALUE, PARAMETER_VALUE }, false, EVALUATE_ALL, compare_ne },
	{ "lt", { PARAMETER_VALUE, PARAMETER_VALUE }, false, EVALUATE_ALL, compare_lt },
	{ "le", { PARAMETER_VALUE, PARAMETER_VALUE }, false, EVALUATE_ALL, compare_le },
	{ "gt", { PARAMETER_VALUE, PARAMETER_VALUE }, false, EVALUATE_ALL, compare_gt },
	{ "ge", { PARAMETER_VALUE, PARAMETER_VALUE }, false, EVALUATE_ALL, compare_ge },
	{ "index", { PARAMETER_VALUE, PARAMETER_VALUE }, true, EVALUATE_ALL, index_index },
	{ "slice", { PARAMETER_VALUE, PARAMETER_VALUE }, true, EVALUATE_ALL, index_slice },
	{ "len", { PARAMETER_VALUE }, false, EVALUATE_ALL, index_len },
	{ "call", { PARAMETER_VALUE, PARAMETER_VALUE }, true, EVALUATE_ALL, call },
	{ "print", { PARAMETER_ANY }, true, EVALUATE_ALL, text_print },
	{ "printf", { PARAMETER_STRING, PARAMETER_ANY }, true, EVALUATE_ALL, text_printf },
	{ "println", { PARAMETER_ANY }, true, EVALUATE_ALL, text_println },
	{ "html", { PARAMETER_ANY }, true, EVALUATE_ALL, text_html },
	{ "js", { PARAMETER_ANY }, true, EVALUATE_ALL, text_js },
	{ "urlquery", { PARAMETER_ANY }, true, EVALUATE_ALL, text_urlquery },
	{ "json", { PARAMETER_ANY }, false, EVALUATE_ALL, text_json },
	{ "split", { PARAMETER_STRING, PARAMETER_STRING }, false, EVALUATE_ALL, text_split },
	{ "join", { PARAMETER_STRINGS, PARAMETER_STRING }, false, EVALUATE_ALL, text_join },
	{ "title", { PARAMETER_STRING }, false, EVALUATE_ALL, text_title },
	{ "lower", { PARAMETER_STRING }, false, EVALUATE_ALL, text_lower },
	{ "upper", { PARAMETER_STRING }, false, EVALUATE_ALL, text_upper },
	{ "pad", { PARAMETER_STRING, PARAMETER_INT, PARAMETER_INT }, false, EVALUATE_ALL, text_pad },
	{ "truncate", { PARAMETER_STRING, PARAMETER_INT }, false, EVALUATE_ALL, text_truncate },
};

/* In the header of a table the name of a column goes through unchanged. */
static const struct function header_functions[] = {
	{ "json", { PARAMETER_STRING }, false, EVALUATE_ALL, first },
	{ "split", { PARAMETER_STRING, PARAMETER_STRING }, false, EVALUATE_ALL, first },
	{ "join", { PARAMETER_STRING, PARAMETER_STRING }, false, EVALUATE_ALL, first },
	{ "title", { PARAMETER_STRING }, false, EVALUATE_ALL, first },
	{ "lower", { PARAMETER_STRING }, false, EVALUATE_ALL, first },
	{ "upper", { PARAMETER_STRING }, false, EVALUATE_ALL, first },
	{ "truncate", { PARAMETER_STRING, PARAMETER_INT }, false, EVALUATE_ALL, first },
};

static const struct function *find(const struct function *table, size_t n, struct text name)
{
	for (size_t i = 0; i < n; i++)
		if (text_eq(text_of(table[i].name), name))
			return &table[i];
	return NULL;
}

const struct function *function_find(struct text name, enum template_mode mode)
{
	const struct function *f = NULL;

	if (mode == TEMPLATE_HEADER)
		f = find(header_functions, ARRAY_LEN(header_functions), name);
	return f ? f : find(functions, ARRAY_LEN(functions), name);
}

bool function_exists(struct text name)
{
	return function_find(name, TEMPLATE_ROW);
}

const char *parameter_name(enum parameter p)
{
	switch (p) {
	case PARAMETER_STRING:
		return "string";
	case PARAMETER_INT:
		return "int";
	case PARAMETER_STRINGS:
		return "[]string";
	case PARAMETER_VALUE:
		return "reflect.Value";
	default:
		return "interface {}";
	}
}

bool value_truth(struct value v)
{
	size_t len;

	switch (v.kind) {
	case VALUE_NONE:
	case VALUE_NIL:
	case VALUE_POINTER:
		return false;
	case VALUE_BOOL:
		return v.boolean;
	case VALUE_INT:
		return v.integer != 0;
	case VALUE_UINT:
		return v.natural != 0;
	case VALUE_FLOAT:
		return v.real != 0;
	case VALUE_COMPLEX:
		return v.complex.real != 0 || v.complex.imaginary != 0;
	default:
		return !value_len(v, &len) || len > 0;
	}
}
