/*
 * The functions of templates: Go's built-in ones and docker's.
 *
 * A function declares its parameters, so that the number and types of arguments
 * are checked in one place (exec.c) with Go's words. It fails with E_TEMPLATE and
 * a text without place, which exec.c puts in front.
 */
#ifndef CLIENT_CLI_TEMPLATE_FUNCTION_H
#define CLIENT_CLI_TEMPLATE_FUNCTION_H

#include "client/cli/template/template.h"

enum parameter {
	PARAMETER_NONE,
	PARAMETER_VALUE, /* reflect.Value */
	PARAMETER_ANY,	 /* interface{} */
	PARAMETER_STRING,
	PARAMETER_INT,
	PARAMETER_STRINGS,
};

enum { PARAMETERS_MAX = 3 };

enum short_circuit { EVALUATE_ALL, STOP_AT_TRUE, STOP_AT_FALSE };

struct function {
	const char *name;
	enum parameter parameters[PARAMETERS_MAX];
	bool variadic;		 /* the last parameter may repeat, or be absent */
	enum short_circuit stop; /* and, or */
	int (*call)(struct arena *arena, const struct value *args, size_t n, struct value *ret_value, struct err *err);
};

bool function_exists(struct text name);
const struct function *function_find(struct text name, enum template_mode mode);

/* "string" for PARAMETER_STRING, as Go names it. */
const char *parameter_name(enum parameter p);

/* Truth as if, and, or, not see it. */
bool value_truth(struct value v);

/* The comparisons (compare.c). */
int compare_eq(struct arena *a, const struct value *args, size_t n, struct value *ret_value, struct err *err);
int compare_ne(struct arena *a, const struct value *args, size_t n, struct value *ret_value, struct err *err);
int compare_lt(struct arena *a, const struct value *args, size_t n, struct value *ret_value, struct err *err);
int compare_le(struct arena *a, const struct value *args, size_t n, struct value *ret_value, struct err *err);
int compare_gt(struct arena *a, const struct value *args, size_t n, struct value *ret_value, struct err *err);
int compare_ge(struct arena *a, const struct value *args, size_t n, struct value *ret_value, struct err *err);

/* Elements and lengths (index.c). */
int index_index(struct arena *a, const struct value *args, size_t n, struct value *ret_value, struct err *err);
int index_slice(struct arena *a, const struct value *args, size_t n, struct value *ret_value, struct err *err);
int index_len(struct arena *a, const struct value *args, size_t n, struct value *ret_value, struct err *err);

/* Texts (text_functions.c): print and escape, and docker's own. */
int text_print(struct arena *a, const struct value *args, size_t n, struct value *ret_value, struct err *err);
int text_printf(struct arena *a, const struct value *args, size_t n, struct value *ret_value, struct err *err);
int text_println(struct arena *a, const struct value *args, size_t n, struct value *ret_value, struct err *err);
int text_html(struct arena *a, const struct value *args, size_t n, struct value *ret_value, struct err *err);
int text_js(struct arena *a, const struct value *args, size_t n, struct value *ret_value, struct err *err);
int text_urlquery(struct arena *a, const struct value *args, size_t n, struct value *ret_value, struct err *err);
int text_json(struct arena *a, const struct value *args, size_t n, struct value *ret_value, struct err *err);
int text_split(struct arena *a, const struct value *args, size_t n, struct value *ret_value, struct err *err);
int text_join(struct arena *a, const struct value *args, size_t n, struct value *ret_value, struct err *err);
int text_title(struct arena *a, const struct value *args, size_t n, struct value *ret_value, struct err *err);
int text_lower(struct arena *a, const struct value *args, size_t n, struct value *ret_value, struct err *err);
int text_upper(struct arena *a, const struct value *args, size_t n, struct value *ret_value, struct err *err);
int text_pad(struct arena *a, const struct value *args, size_t n, struct value *ret_value, struct err *err);
int text_truncate(struct arena *a, const struct value *args, size_t n, struct value *ret_value, struct err *err);

#endif
