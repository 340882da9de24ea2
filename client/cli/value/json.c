#include "client/cli/value/json.h"

#include <inttypes.h>
#include <math.h>

#include "client/cli/format/gotime.h"
#include "client/cli/format/width.h"
#include "client/cli/value/print.h"

struct writer {
	struct buf *out;
	bool escape_html;
	const char *indent; /* NULL: compact */
	unsigned depth;
	struct err *err;
};

static int put(struct writer *w, struct value v);

static bool put_short_escape(struct buf *out, uint32_t rune)
{
	static const char escapes[] = "\b\f\n\r\t\"\\", names[] = "bfnrt\"\\";
	const char *at = rune && rune < 0x80 ? strchr(escapes, (int)rune) : NULL;

	if (!at)
		return false;
	buf_putc(out, '\\');
	return buf_putc(out, names[at - escapes]);
}

void json_put_string(struct buf *out, struct text t, bool escape_html)
{
	uint32_t rune;
	size_t len;

	buf_putc(out, '"');
	for (size_t at = 0; at < t.len; at += len) {
		len = rune_decode(t.data + at, t.len - at, &rune);
		if (put_short_escape(out, rune))
			continue;
		if (rune < 0x20 || rune == 0x2028 || rune == 0x2029 ||
		    (escape_html && (rune == '<' || rune == '>' || rune == '&')))
			buf_printf(out, "\\u%04x", rune);
		else if (rune == RUNE_BAD && len == 1)
			buf_puts(out, "\\ufffd");
		else
			buf_append(out, t.data + at, len);
	}
	buf_putc(out, '"');
}

static int put_float(struct writer *w, double d)
{
	double size = fabs(d);
	char text[64];

	if (!isfinite(d))
		return fail(w->err, E_TEMPLATE, "json: unsupported value: %s",
			    isnan(d) ? "NaN"
			    : d > 0  ? "+Inf"
				     : "-Inf");
	if (size == 0 || (size >= 1e-6 && size < 1e21)) {
		for (int precision = 0; precision < 30; precision++) {
			snprintf(text, sizeof text, "%.*f", precision, d);
			if (strtod(text, NULL) == d)
				break;
		}
		buf_puts(w->out, text);
		return OK;
	}
	for (int precision = 0; precision < 18; precision++) {
		snprintf(text, sizeof text, "%.*e", precision, d);
		if (strtod(text, NULL) == d)
			break;
	}
	/* e-09 is written e-9 */
	if (strlen(text) > 4 && !strncmp(text + strlen(text) - 3, "-0", 2)) {
		size_t n = strlen(text);

		text[n - 2] = text[n - 1];
		text[n - 1] = 0;
	}
	buf_puts(w->out, text);
	return OK;
}

static void new_line(struct writer *w)
{
	if (!w->indent)
		return;
	buf_putc(w->out, '\n');
	for (unsigned i = 0; i < w->depth; i++)
		buf_puts(w->out, w->indent);
}

static void open_group(struct writer *w, char bracket)
{
	buf_putc(w->out, bracket);
	w->depth++;
}

static void close_group(struct writer *w, char bracket, bool empty)
{
	w->depth--;
	if (!empty)
		new_line(w);
	buf_putc(w->out, bracket);
}

static void put_key(struct writer *w, struct text key, bool *first)
{
	if (!*first)
		buf_putc(w->out, ',');
	*first = false;
	new_line(w);
	json_put_string(w->out, key, w->escape_html);
	buf_puts(w->out, w->indent ? ": " : ":");
}

static int put_list(struct writer *w, struct value v)
{
	int r;

	if (v.is_nil) {
		buf_puts(w->out, "null");
		return OK;
	}
	open_group(w, '[');
	for (size_t i = 0; i < v.list.n; i++) {
		if (i)
			buf_putc(w->out, ',');
		new_line(w);
		r = put(w, v.list.items[i]);
		if (r)
			return r;
	}
	close_group(w, ']', !v.list.n);
	return OK;
}

static int put_map(struct writer *w, struct value v)
{
	bool first = true;
	int r;

	if (v.is_nil) {
		buf_puts(w->out, "null");
		return OK;
	}
	open_group(w, '{');
	for (size_t i = 0; i < v.map.n; i++) {
		put_key(w, v.map.pairs[i].key, &first);
		r = put(w, v.map.pairs[i].value);
		if (r)
			return r;
	}
	close_group(w, '}', first);
	return OK;
}

static bool is_empty(struct value v)
{
	size_t len;

	switch (v.kind) {
	case VALUE_NONE:
	case VALUE_NIL:
	case VALUE_POINTER:
		return true;
	case VALUE_BOOL:
		return !v.boolean;
	case VALUE_INT:
		return !v.integer;
	case VALUE_UINT:
		return !v.natural;
	case VALUE_FLOAT:
		return v.real == 0;
	default:
		return value_len(v, &len) && !len;
	}
}

static int put_fields(struct writer *w, struct value v, bool *first)
{
	for (size_t i = 0; i < v.type->n_fields; i++) {
		const struct value_field *f = &v.type->fields[i];
		int r;

		if (f->json && !strcmp(f->json, "-"))
			continue;
		if (f->embedded && v.fields[i].kind == VALUE_STRUCT) {
			r = put_fields(w, v.fields[i], first);
		} else {
			if (f->omit_empty && is_empty(v.fields[i]))
				continue;
			put_key(w, text_of(f->json ? f->json : f->name), first);
			r = put(w, v.fields[i]);
		}
		if (r)
			return r;
	}
	return OK;
}

static int put_struct(struct writer *w, struct value v)
{
	bool first = true, outer = w->escape_html;
	int r;

	w->escape_html |= v.type->json_marshals_escaped;
	open_group(w, '{');
	r = put_fields(w, v, &first);
	close_group(w, '}', first);
	w->escape_html = outer;
	return r;
}

static int put_complex(struct writer *w)
{
	return fail(w->err, E_TEMPLATE, "json: unsupported type: complex128");
}

static void put_scalar(struct writer *w, struct value v)
{
	if (v.kind == VALUE_BOOL)
		buf_puts(w->out, v.boolean ? "true" : "false");
	else if (v.kind == VALUE_INT)
		buf_printf(w->out, "%" PRId64, v.integer);
	else if (v.kind == VALUE_UINT)
		buf_printf(w->out, "%" PRIu64, v.natural);
	else if (v.kind == VALUE_STRING && v.type == &type_number)
		buf_append(w->out, v.string.data, v.string.len);
	else if (v.kind == VALUE_STRING)
		json_put_string(w->out, v.string, w->escape_html);
	else
		buf_puts(w->out, "null");
}

static int put(struct writer *w, struct value v)
{
	if (!buf_ok(w->out))
		return fail_nomem(w->err);
	switch (v.kind) {
	case VALUE_FLOAT:
		return put_float(w, v.real);
	case VALUE_COMPLEX:
		return put_complex(w);
	case VALUE_LIST:
		return put_list(w, v);
	case VALUE_MAP:
		return put_map(w, v);
	case VALUE_STRUCT:
		return put_struct(w, v);
	case VALUE_TIME:
		buf_putc(w->out, '"');
		time_text_utc(w->out, v.time.seconds, v.time.nanos);
		buf_putc(w->out, '"');
		return OK;
	default:
		put_scalar(w, v);
		return OK;
	}
}

static int finish(struct writer *w, int r)
{
	if (r)
		return r;
	return buf_ok(w->out) ? OK : fail_nomem(w->err);
}

int json_put(struct buf *out, struct value v, bool escape_html, struct err *err)
{
	struct writer w = { out, escape_html, NULL, 0, err };

	return finish(&w, put(&w, v));
}

int json_put_indented(struct buf *out, struct value v, const char *indent, unsigned depth, struct err *err)
{
	struct writer w = { out, false, indent, depth, err };

	return finish(&w, put(&w, v));
}
