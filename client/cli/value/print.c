#include "client/cli/value/verb.h"

#include <inttypes.h>

#include "client/cli/format/width.h"

static const struct verb_flags no_flags;

void verb_bad(struct buf *out, struct value v, uint32_t verb, const struct verb_flags *f)
{
	char name[128], utf8[4];

	buf_puts(out, "%!");
	buf_append(out, utf8, rune_encode(verb, utf8));
	if (v.kind == VALUE_NONE || v.kind == VALUE_NIL) {
		buf_puts(out, "(<nil>)");
		return;
	}
	buf_printf(out, "(%s=", value_type_name(v, name));
	verb_print(out, v, 'v', f, 0);
	buf_putc(out, ')');
}

static void print_list(struct buf *out, struct value v, uint32_t verb, const struct verb_flags *f, int depth)
{
	bool syntax = f->sharp && verb == 'v';
	char name[128];

	if (syntax && v.is_nil) {
		buf_printf(out, "%s(nil)", value_type_name(v, name));
		return;
	}
	if (syntax)
		buf_puts(out, value_type_name(v, name));
	buf_putc(out, syntax ? '{' : '[');
	for (size_t i = 0; i < v.list.n && buf_ok(out); i++) {
		if (i)
			buf_puts(out, syntax ? ", " : " ");
		verb_print(out, v.list.items[i], verb, f, depth + 1);
	}
	buf_putc(out, syntax ? '}' : ']');
}

static void print_map(struct buf *out, struct value v, uint32_t verb, const struct verb_flags *f, int depth)
{
	bool syntax = f->sharp && verb == 'v';
	char name[128];

	if (syntax && v.is_nil) {
		buf_printf(out, "%s(nil)", value_type_name(v, name));
		return;
	}
	buf_puts(out, syntax ? value_type_name(v, name) : "map");
	buf_putc(out, syntax ? '{' : '[');
	for (size_t i = 0; i < v.map.n && buf_ok(out); i++) {
		if (i)
			buf_puts(out, syntax ? ", " : " ");
		verb_print(out, value_text(v.map.pairs[i].key), verb, f, depth + 1);
		buf_putc(out, ':');
		verb_print(out, v.map.pairs[i].value, verb, f, depth + 1);
	}
	buf_putc(out, syntax ? '}' : ']');
}

static void print_struct(struct buf *out, struct value v, uint32_t verb, const struct verb_flags *f, int depth)
{
	bool syntax = f->sharp && verb == 'v', first = true;

	if (v.pointer && depth > 0) {
		/* Go prints an address here, which nobody can use. */
		buf_puts(out, "0xc000000000");
		return;
	}
	if (v.pointer)
		buf_putc(out, '&');
	if (syntax)
		buf_puts(out, v.type->name);
	buf_putc(out, '{');
	for (size_t i = 0; i < v.type->n_fields && buf_ok(out); i++) {
		if (v.type->fields[i].method)
			continue;
		if (!first)
			buf_puts(out, syntax ? ", " : " ");
		first = false;
		if (f->plus || syntax)
			buf_printf(out, "%s:", v.type->fields[i].name);
		verb_print(out, v.fields[i], verb, f, depth + 1);
	}
	buf_putc(out, '}');
}

static void print_nil(struct buf *out, struct value v, uint32_t verb, const struct verb_flags *f, int depth)
{
	char name[128];

	if (v.kind == VALUE_NIL && depth > 0)
		buf_puts(out, "<nil>");
	else if (verb != 'v')
		verb_bad(out, v, verb, f);
	else if (v.kind == VALUE_POINTER && f->sharp)
		buf_printf(out, "(%s)(nil)", value_type_name(v, name));
	else
		verb_pad(out, text_of("<nil>"), f);
}

static void print_complex(struct buf *out, struct value v, uint32_t verb, const struct verb_flags *f)
{
	struct verb_flags first_part = *f, signed_part = *f;

	if (verb > 127 || !strchr("vbeEfFgGxX", (int)verb)) {
		verb_bad(out, v, verb, f);
		return;
	}
	first_part.plus = f->plus && verb != 'v';
	signed_part.plus = true;
	buf_putc(out, '(');
	verb_float(out, v.complex.real, verb, &first_part);
	verb_float(out, v.complex.imaginary, verb, &signed_part);
	buf_puts(out, "i)");
}

static bool print_bool(struct buf *out, bool b, uint32_t verb, const struct verb_flags *f)
{
	if (verb != 'v' && verb != 't')
		return false;
	verb_pad(out, text_of(b ? "true" : "false"), f);
	return true;
}

/* A String method is used for the verbs that strings have. */
static bool print_by_method(struct buf *out, struct value v, uint32_t verb, const struct verb_flags *f)
{
	CLEANUP(buf_free) struct buf text = BUF_INIT(1024);

	if (!v.type->print || verb > 127 || !strchr("vsxXq", (int)verb))
		return false;
	if (f->sharp && verb == 'v' && v.kind != VALUE_TIME) /* Go shows what is inside */
		return false;
	v.type->print(&text, v);
	return verb_string(out, (struct text){ buf_text(&text), text.len }, verb, f);
}

static bool print_scalar(struct buf *out, struct value v, uint32_t verb, const struct verb_flags *given)
{
	struct verb_flags flags = *given;
	const struct verb_flags *f = &flags;
	uint64_t magnitude;

	if (verb == 'v') /* names of fields, not signs */
		flags.plus = false;
	switch (v.kind) {
	case VALUE_BOOL:
		return print_bool(out, v.boolean, verb, f);
	case VALUE_INT:
		magnitude = v.integer < 0 ? -(uint64_t)v.integer : (uint64_t)v.integer;
		return verb_integer(out, magnitude, v.integer < 0, true, verb, f);
	case VALUE_UINT:
		return verb_integer(out, v.natural, false, false, verb, f);
	case VALUE_FLOAT:
		return verb_float(out, v.real, verb, f);
	case VALUE_STRING:
		return verb_string(out, v.string, verb, f);
	default:
		return false;
	}
}

void verb_print(struct buf *out, struct value v, uint32_t verb, const struct verb_flags *f, int depth)
{
	if (v.kind == VALUE_NONE || v.kind == VALUE_NIL || v.kind == VALUE_POINTER)
		print_nil(out, v, verb, f, depth);
	else if (print_by_method(out, v, verb, f))
		return;
	else if (v.kind == VALUE_LIST)
		print_list(out, v, verb, f, depth);
	else if (v.kind == VALUE_MAP)
		print_map(out, v, verb, f, depth);
	else if (v.kind == VALUE_STRUCT)
		print_struct(out, v, verb, f, depth);
	else if (v.kind == VALUE_COMPLEX)
		print_complex(out, v, verb, f);
	else if (!print_scalar(out, v, verb, f))
		verb_bad(out, v, verb, f);
}

void print_value(struct buf *out, struct value v)
{
	verb_print(out, v, 'v', &no_flags, 0);
}

void print_values(struct buf *out, const struct value *args, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		if (i && args[i].kind != VALUE_STRING && args[i - 1].kind != VALUE_STRING)
			buf_putc(out, ' ');
		print_value(out, args[i]);
	}
}

void print_values_ln(struct buf *out, const struct value *args, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		if (i)
			buf_putc(out, ' ');
		print_value(out, args[i]);
	}
	buf_putc(out, '\n');
}
