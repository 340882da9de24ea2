/*
 * Values of templates and tables: what reflect.Value is to Go's text/template.
 *
 * A value is small and passed by copy; what it points to lives in an arena (or
 * is constant) and is never changed, so copies share freely. Every value of a
 * template has the name of its Go type, because docker's error messages, %T and
 * the rules for function arguments depend on it.
 *
 * VALUE_NONE is the invalid value (prints "<no value>"), VALUE_NIL a nil
 * interface held by a list or map, VALUE_POINTER a nil pointer to `type`. A
 * pointer that is not nil is the struct it points to with `pointer` set.
 * Constructors return VALUE_NONE when the arena is full or when a part of theirs
 * is VALUE_NONE, so that a lack of memory reaches the whole value.
 */
#ifndef CLIENT_CLI_VALUE_VALUE_H
#define CLIENT_CLI_VALUE_VALUE_H

#include "proto/runtime/arena.h"
#include "proto/runtime/buf.h"

enum value_kind {
	VALUE_NONE,
	VALUE_NIL,
	VALUE_BOOL,
	VALUE_INT,
	VALUE_UINT,
	VALUE_FLOAT,
	VALUE_COMPLEX,
	VALUE_STRING,
	VALUE_LIST,
	VALUE_MAP, /* keys are strings */
	VALUE_STRUCT,
	VALUE_POINTER,
	VALUE_TIME,
};

struct value_type;

/* Text that may hold any byte, as Go's strings. */
struct text {
	const char *data; /* not NULL; json.Numbers are followed by a NUL */
	size_t len;
};

struct value {
	enum value_kind kind;
	bool pointer;		       /* VALUE_STRUCT: reached through a pointer */
	bool is_nil;		       /* VALUE_LIST, VALUE_MAP: nil, which is also empty */
	bool boxed;		       /* taken out of a list or map of interface{} (error texts name it) */
	const struct value_type *type; /* set unless VALUE_NONE or VALUE_NIL */
	union {
		bool boolean;
		int64_t integer;
		uint64_t natural;
		double real;
		struct {
			double real, imaginary;
		} complex;
		struct text string;
		struct {
			const struct value *items;
			size_t n;
		} list;
		struct {
			const struct value_pair *pairs;
			size_t n;
		} map;
		const struct value *fields; /* type->n_fields of them */
		struct {
			int64_t seconds; /* since 1970, UTC */
			int32_t nanos;
		} time;
	};
};

struct value_pair {
	struct text key;
	struct value value;
};

/* A field of a struct, or a method without arguments whose result is known. */
struct value_field {
	const char *name; /* Go's */
	const char *json; /* in JSON; NULL: as `name`; "-": not there, as Go's tags say it */
	bool omit_empty;  /* in JSON */
	bool embedded;	  /* its fields are the struct's, too */
	bool method;	  /* not printed by %v */
};

/* A method of a type that is computed when asked for. */
struct value_method {
	const char *name;
	struct value (*call)(struct value receiver, struct arena *arena);
};

struct value_type {
	const char *name; /* Go's, "[]string" */
	enum value_kind kind;
	const struct value_type *elem; /* of lists and maps; NULL: any */
	const struct value_field *fields;
	size_t n_fields;
	const struct value_method *methods; /* ends with a NULL name */
	/* How fmt prints it, where a String method says so. */
	bool (*print)(struct buf *out, struct value v);
	bool json_marshals_escaped; /* MarshalJSON is plain json.Marshal: HTML is escaped */
};

extern const struct value_type type_bool, type_int, type_int64, type_uint8, type_float64, type_complex128, type_string,
	type_strings, type_any_list, type_any_map, type_string_map, type_empty_struct, type_set, type_number,
	type_duration, type_time;

static inline struct text text_of(const char *s)
{
	return (struct text){ s, strlen(s) };
}

bool text_eq(struct text a, struct text b);
int text_cmp(struct text a, struct text b); /* by bytes */

static inline struct value value_none(void)
{
	return (struct value){ .kind = VALUE_NONE };
}

struct value value_bool(bool b);
struct value value_int(int64_t i);	/* int */
struct value value_int64(int64_t i);	/* int64 */
struct value value_float(double d);	/* float64 */
struct value value_text(struct text t); /* string; borrows */
struct value value_string(const char *s);
struct value value_duration(int64_t nanos);
struct value value_time(int64_t seconds, int32_t nanos);
struct value value_nil_pointer(const struct value_type *type);
struct value value_struct(const struct value_type *type, const struct value *fields);
struct value value_pointer_to(struct value v);
struct value value_list(const struct value_type *type, const struct value *items, size_t n);
struct value value_nil_list(const struct value_type *type);
/* Sorts the pairs in place by key, as Go prints maps. */
struct value value_map(const struct value_type *type, struct value_pair *pairs, size_t n);

/* Copies of strings in the arena. */
struct value value_copy(struct arena *a, struct text t);
struct value value_format(struct arena *a, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
struct value value_strings(struct arena *a, char *const *items, size_t n); /* []string; borrows the strings */

/* The value under a key of a map. */
bool value_lookup(struct value map, struct text key, struct value *ret_value);
/* A field of a struct, also through embedded structs. */
bool value_field(struct value v, struct text name, struct value *ret_value);
bool value_has_field(const struct value_type *type, struct text name);
bool value_method(struct value v, struct text name, struct arena *arena, struct value *ret_value);

/* "*formatter.imageContext": into out when a star must be added. */
const char *value_type_name(struct value v, char out[128]);

/* Bytes of a string, elements of a list or map; false for all else. */
bool value_len(struct value v, size_t *ret_len);

#endif
