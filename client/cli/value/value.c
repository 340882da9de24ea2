#include "client/cli/value/value.h"

#include <stdarg.h>
#include <stdio.h>

#include "client/cli/format/gotime.h"

static bool print_duration(struct buf *out, struct value v)
{
	return duration_text(out, v.integer);
}

static bool print_time(struct buf *out, struct value v)
{
	return time_text_go(out, v.time.seconds, v.time.nanos, true);
}

static struct value as_string(struct value v, struct arena *arena)
{
	CLEANUP(buf_free) struct buf out = BUF_INIT(256);

	if (!v.type->print(&out, v))
		return value_none();
	return value_copy(arena, (struct text){ buf_text(&out), out.len });
}

static struct value duration_seconds(struct value v, UNUSED struct arena *arena)
{
	return value_float((double)v.integer / 1e9);
}

static struct value duration_minutes(struct value v, UNUSED struct arena *arena)
{
	return value_float((double)v.integer / 6e10);
}

static struct value duration_hours(struct value v, UNUSED struct arena *arena)
{
	return value_float((double)v.integer / 3.6e12);
}

static struct value duration_millis(struct value v, UNUSED struct arena *arena)
{
	return value_int64(v.integer / 1000000);
}

static struct value duration_micros(struct value v, UNUSED struct arena *arena)
{
	return value_int64(v.integer / 1000);
}

static struct value duration_nanos(struct value v, UNUSED struct arena *arena)
{
	return value_int64(v.integer);
}

static struct value time_unix(struct value v, UNUSED struct arena *arena)
{
	return value_int64(v.time.seconds);
}

static struct value time_is_zero(struct value v, UNUSED struct arena *arena)
{
	return value_bool(v.time.seconds == TIME_ZERO && !v.time.nanos);
}

static struct value time_year(struct value v, UNUSED struct arena *arena)
{
	time_t t = (time_t)v.time.seconds;
	struct tm tm;

	return value_int(gmtime_r(&t, &tm) ? tm.tm_year + 1900 : 0);
}

static struct value number_int64(struct value v, UNUSED struct arena *arena)
{
	return value_int64(strtoll(v.string.data, NULL, 10));
}

static struct value number_float64(struct value v, UNUSED struct arena *arena)
{
	return value_float(strtod(v.string.data, NULL));
}

static struct value number_string(struct value v, UNUSED struct arena *arena)
{
	return value_text(v.string);
}

static const struct value_method duration_methods[] = {
	{ "String", as_string },
	{ "Seconds", duration_seconds },
	{ "Minutes", duration_minutes },
	{ "Hours", duration_hours },
	{ "Milliseconds", duration_millis },
	{ "Microseconds", duration_micros },
	{ "Nanoseconds", duration_nanos },
	{ 0 },
};

static const struct value_method time_methods[] = {
	{ "String", as_string }, { "Unix", time_unix }, { "Year", time_year }, { "IsZero", time_is_zero }, { 0 },
};

static const struct value_method number_methods[] = {
	{ "String", number_string },
	{ "Int64", number_int64 },
	{ "Float64", number_float64 },
	{ 0 },
};

const struct value_type type_bool = { .name = "bool", .kind = VALUE_BOOL };
const struct value_type type_int = { .name = "int", .kind = VALUE_INT };
const struct value_type type_int64 = { .name = "int64", .kind = VALUE_INT };
const struct value_type type_uint8 = { .name = "uint8", .kind = VALUE_UINT };
const struct value_type type_float64 = { .name = "float64", .kind = VALUE_FLOAT };
const struct value_type type_complex128 = { .name = "complex128", .kind = VALUE_COMPLEX };
const struct value_type type_string = { .name = "string", .kind = VALUE_STRING };
const struct value_type type_strings = { .name = "[]string", .kind = VALUE_LIST, .elem = &type_string };
const struct value_type type_any_list = { .name = "[]interface {}", .kind = VALUE_LIST };
const struct value_type type_any_map = { .name = "map[string]interface {}", .kind = VALUE_MAP };
const struct value_type type_string_map = { .name = "map[string]string", .kind = VALUE_MAP, .elem = &type_string };
const struct value_type type_empty_struct = { .name = "struct {}", .kind = VALUE_STRUCT };
const struct value_type type_set = { .name = "map[string]struct {}", .kind = VALUE_MAP, .elem = &type_empty_struct };
const struct value_type type_number = { .name = "json.Number", .kind = VALUE_STRING, .methods = number_methods };
const struct value_type type_duration = {
	.name = "time.Duration",
	.kind = VALUE_INT,
	.methods = duration_methods,
	.print = print_duration,
};
const struct value_type type_time = {
	.name = "time.Time",
	.kind = VALUE_TIME,
	.methods = time_methods,
	.print = print_time,
};

bool text_eq(struct text a, struct text b)
{
	return a.len == b.len && !memcmp(a.data, b.data, a.len);
}

int text_cmp(struct text a, struct text b)
{
	int order = memcmp(a.data, b.data, a.len < b.len ? a.len : b.len);

	if (order)
		return order;
	return a.len < b.len ? -1 : a.len > b.len;
}

struct value value_bool(bool b)
{
	return (struct value){ .kind = VALUE_BOOL, .type = &type_bool, .boolean = b };
}

struct value value_int(int64_t i)
{
	return (struct value){ .kind = VALUE_INT, .type = &type_int, .integer = i };
}

struct value value_int64(int64_t i)
{
	return (struct value){ .kind = VALUE_INT, .type = &type_int64, .integer = i };
}

struct value value_float(double d)
{
	return (struct value){ .kind = VALUE_FLOAT, .type = &type_float64, .real = d };
}

struct value value_text(struct text t)
{
	return (struct value){ .kind = VALUE_STRING, .type = &type_string, .string = t };
}

struct value value_string(const char *s)
{
	return value_text(text_of(s));
}

struct value value_duration(int64_t nanos)
{
	return (struct value){ .kind = VALUE_INT, .type = &type_duration, .integer = nanos };
}

struct value value_time(int64_t seconds, int32_t nanos)
{
	return (struct value){ .kind = VALUE_TIME, .type = &type_time, .time = { seconds, nanos } };
}

struct value value_nil_pointer(const struct value_type *type)
{
	return (struct value){ .kind = VALUE_POINTER, .type = type };
}

static bool all_set(const struct value *items, size_t n)
{
	if (!items)
		return !n;
	for (size_t i = 0; i < n; i++)
		if (items[i].kind == VALUE_NONE)
			return false;
	return true;
}

struct value value_struct(const struct value_type *type, const struct value *fields)
{
	if (!all_set(fields, type->n_fields))
		return value_none();
	return (struct value){ .kind = VALUE_STRUCT, .type = type, .fields = fields };
}

struct value value_pointer_to(struct value v)
{
	v.pointer = v.kind == VALUE_STRUCT;
	return v;
}

struct value value_list(const struct value_type *type, const struct value *items, size_t n)
{
	if (!all_set(items, n))
		return value_none();
	return (struct value){ .kind = VALUE_LIST, .type = type, .list = { items, n } };
}

struct value value_nil_list(const struct value_type *type)
{
	return (struct value){ .kind = type->kind, .type = type, .is_nil = true };
}

static int by_key(const void *a, const void *b)
{
	return text_cmp(((const struct value_pair *)a)->key, ((const struct value_pair *)b)->key);
}

struct value value_map(const struct value_type *type, struct value_pair *pairs, size_t n)
{
	if (!pairs && n)
		return value_none();
	for (size_t i = 0; i < n; i++)
		if (pairs[i].value.kind == VALUE_NONE)
			return value_none();
	if (n)
		qsort(pairs, n, sizeof *pairs, by_key);
	return (struct value){ .kind = VALUE_MAP, .type = type, .map = { pairs, n } };
}

struct value value_copy(struct arena *a, struct text t)
{
	char *copy = arena_bytes(a, (struct bytes){ (const uint8_t *)t.data, t.len });

	return copy ? value_text((struct text){ copy, t.len }) : value_none();
}

struct value value_format(struct arena *a, const char *fmt, ...)
{
	char small[256], *text;
	va_list ap;
	int n;

	va_start(ap, fmt);
	n = vsnprintf(small, sizeof small, fmt, ap);
	va_end(ap);
	if (n < 0)
		return value_none();
	if ((size_t)n < sizeof small)
		return value_copy(a, (struct text){ small, (size_t)n });
	text = arena_alloc(a, (size_t)n + 1);
	if (!text)
		return value_none();
	va_start(ap, fmt);
	vsnprintf(text, (size_t)n + 1, fmt, ap);
	va_end(ap);
	return value_text((struct text){ text, (size_t)n });
}

struct value value_strings(struct arena *a, char *const *items, size_t n)
{
	struct value *list = arena_array(a, n, sizeof *list);

	if (!list)
		return value_none();
	for (size_t i = 0; i < n; i++)
		list[i] = value_string(items[i]);
	return value_list(&type_strings, list, n);
}

bool value_lookup(struct value map, struct text key, struct value *ret_value)
{
	size_t low = 0, high = map.map.n;

	while (low < high) {
		size_t mid = low + (high - low) / 2;
		int order = text_cmp(map.map.pairs[mid].key, key);

		if (!order) {
			*ret_value = map.map.pairs[mid].value;
			return true;
		}
		if (order < 0)
			low = mid + 1;
		else
			high = mid;
	}
	return false;
}

bool value_field(struct value v, struct text name, struct value *ret_value)
{
	for (size_t i = 0; i < v.type->n_fields; i++)
		if (text_eq(text_of(v.type->fields[i].name), name)) {
			*ret_value = v.fields[i];
			return true;
		}
	for (size_t i = 0; i < v.type->n_fields; i++)
		if (v.type->fields[i].embedded && v.fields[i].kind == VALUE_STRUCT &&
		    value_field(v.fields[i], name, ret_value))
			return true;
	return false;
}

bool value_has_field(const struct value_type *type, struct text name)
{
	for (size_t i = 0; i < type->n_fields; i++)
		if (text_eq(text_of(type->fields[i].name), name))
			return true;
	return false;
}

bool value_method(struct value v, struct text name, struct arena *arena, struct value *ret_value)
{
	const struct value_method *m = v.type ? v.type->methods : NULL;

	for (; m && m->name; m++)
		if (text_eq(text_of(m->name), name)) {
			*ret_value = m->call(v, arena);
			return true;
		}
	return false;
}

const char *value_type_name(struct value v, char out[128])
{
	if (v.kind == VALUE_NONE || v.kind == VALUE_NIL)
		return "interface {}";
	if (!v.pointer && v.kind != VALUE_POINTER)
		return v.type->name;
	snprintf(out, 128, "*%s", v.type->name);
	return out;
}

bool value_len(struct value v, size_t *ret_len)
{
	switch (v.kind) {
	case VALUE_STRING:
		*ret_len = v.string.len;
		return true;
	case VALUE_LIST:
		*ret_len = v.list.n;
		return true;
	case VALUE_MAP:
		*ret_len = v.map.n;
		return true;
	default:
		return false;
	}
}
