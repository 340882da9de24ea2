/* Sprintf: from the text of a format to values under verbs. */
#include <ctype.h>
#include <inttypes.h>

#include "client/cli/format/width.h"
#include "client/cli/value/verb.h"

struct state {
	struct buf *out;
	const char *p, *end;
	const struct value *args;
	size_t n_args, next; /* the argument that the next verb takes */
	bool reordered;	     /* the format used an index: no complaint about extra arguments */
	bool good_index;
	bool after_index; /* an index was read since the last number */
};

/* Digits at p; false when there are none. Too large a number takes all that follows. */
static bool read_number(const char **p, const char *end, int *ret_number)
{
	const char *start = *p;
	int number = 0;

	for (; *p < end && isdigit((unsigned char)**p); (*p)++) {
		if (number > VERB_NUMBER_MAX) {
			*p = end;
			return false;
		}
		number = number * 10 + (**p - '0');
	}
	*ret_number = number;
	return *p > start;
}

/* "[3]" at p chooses the argument. */
static void read_index(struct state *s)
{
	const char *p = s->p + 1, *close;
	int number = 0;

	if (s->p >= s->end || *s->p != '[')
		return;
	s->reordered = true;
	close = memchr(s->p, ']', (size_t)(s->end - s->p));
	if (!close) {
		s->good_index = false;
		s->p++;
		return;
	}
	if (!read_number(&p, close, &number) || p != close || number < 1 || (size_t)number > s->n_args)
		s->good_index = false;
	else
		s->next = (size_t)number - 1;
	s->after_index = s->good_index;
	s->p = close + 1;
}

/* The argument under '*'. */
static bool take_int(struct state *s, int *ret_number)
{
	const struct value *v = s->next < s->n_args ? &s->args[s->next] : NULL;

	if (!v)
		return false;
	s->next++;
	if (v->kind == VALUE_UINT && v->natural <= VERB_NUMBER_MAX) {
		*ret_number = (int)v->natural;
		return true;
	}
	if (v->kind != VALUE_INT || v->integer > VERB_NUMBER_MAX || v->integer < -VERB_NUMBER_MAX)
		return false;
	*ret_number = (int)v->integer;
	return true;
}

static void read_flags(struct state *s, struct verb_flags *f)
{
	for (; s->p < s->end; s->p++)
		switch (*s->p) {
		case '#':
			f->sharp = true;
			break;
		case '0':
			f->zero = true;
			break;
		case '+':
			f->plus = true;
			break;
		case '-':
			f->minus = true;
			break;
		case ' ':
			f->space = true;
			break;
		default:
			return;
		}
}

static void read_width(struct state *s, struct verb_flags *f)
{
	if (s->p < s->end && *s->p == '*') {
		s->p++;
		s->after_index = false;
		if (!take_int(s, &f->width)) {
			buf_puts(s->out, "%!(BADWIDTH)");
			return;
		}
		f->has_width = true;
		if (f->width < 0) {
			f->width = -f->width;
			f->minus = true;
		}
		return;
	}
	f->has_width = read_number(&s->p, s->end, &f->width);
	if (s->after_index && f->has_width) /* "%[3]2d" */
		s->good_index = false;
}

static void read_precision(struct state *s, struct verb_flags *f)
{
	if (s->p >= s->end || *s->p != '.')
		return;
	s->p++;
	if (s->after_index) /* "%[3].2d" */
		s->good_index = false;
	read_index(s);
	if (s->p < s->end && *s->p == '*') {
		s->p++;
		s->after_index = false;
		f->has_precision = take_int(s, &f->precision) && f->precision >= 0;
		if (!f->has_precision) {
			f->precision = 0;
			buf_puts(s->out, "%!(BADPREC)");
		}
		return;
	}
	if (!read_number(&s->p, s->end, &f->precision))
		f->precision = 0;
	f->has_precision = true;
}

/* %T, %p and the rest, under all rules about missing arguments. */
static void put_verb(struct state *s, uint32_t verb, const struct verb_flags *f)
{
	char utf8[4], name[128];
	int len = (int)rune_encode(verb, utf8);
	struct value v;

	if (verb == '%') {
		buf_putc(s->out, '%');
		return;
	}
	if (!s->good_index || s->next >= s->n_args) {
		buf_printf(s->out, "%%!%.*s(%s)", len, utf8, s->good_index ? "MISSING" : "BADINDEX");
		return;
	}
	v = s->args[s->next++];
	if (verb != 'T')
		verb_print(s->out, v, verb, f, 0);
	else if (v.kind == VALUE_NONE || v.kind == VALUE_NIL)
		verb_pad(s->out, text_of("<nil>"), f);
	else
		verb_pad(s->out, text_of(value_type_name(v, name)), f);
}

/* One "%…" whose '%' has been read. */
static void put_directive(struct state *s)
{
	struct verb_flags f = { 0 };
	uint32_t verb;

	s->good_index = true;
	s->after_index = false;
	read_flags(s, &f);
	read_index(s);
	read_width(s, &f);
	read_precision(s, &f);
	if (!s->after_index)
		read_index(s);
	if (s->p >= s->end) {
		buf_puts(s->out, "%!(NOVERB)");
		return;
	}
	s->p += rune_decode(s->p, (size_t)(s->end - s->p), &verb);
	put_verb(s, verb, &f);
}

static void put_extra(struct state *s)
{
	char name[128];

	buf_puts(s->out, "%!(EXTRA ");
	for (size_t i = s->next; i < s->n_args; i++) {
		struct value v = s->args[i];

		if (i > s->next)
			buf_puts(s->out, ", ");
		if (v.kind == VALUE_NONE || v.kind == VALUE_NIL) {
			buf_puts(s->out, "<nil>");
			continue;
		}
		buf_printf(s->out, "%s=", value_type_name(v, name));
		print_value(s->out, v);
	}
	buf_putc(s->out, ')');
}

void print_format(struct buf *out, struct text format, const struct value *args, size_t n)
{
	struct state s = { out, format.data, format.data + format.len, args, n, .good_index = true };

	while (s.p < s.end && buf_ok(out)) {
		const char *percent = memchr(s.p, '%', (size_t)(s.end - s.p));
		const char *stop = percent ? percent : s.end;

		buf_append(out, s.p, (size_t)(stop - s.p));
		if (!percent)
			break;
		s.p = percent + 1;
		put_directive(&s);
	}
	if (!s.reordered && s.next < n)
		put_extra(&s);
}
