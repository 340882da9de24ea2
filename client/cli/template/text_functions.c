#include <ctype.h>
#include <inttypes.h>

#include "client/cli/format/width.h"
#include "client/cli/template/function.h"
#include "client/cli/value/json.h"
#include "client/cli/value/print.h"

/* The text in the buffer as the result. */
static int give(struct arena *a, const struct buf *text, struct value *ret_value, struct err *err)
{
	struct value v = value_none();

	if (buf_ok(text))
		v = value_copy(a, (struct text){ buf_text(text), text->len });
	if (v.kind == VALUE_NONE)
		return fail_nomem(err);
	*ret_value = v;
	return OK;
}

int text_print(struct arena *a, const struct value *args, size_t n, struct value *ret_value, struct err *err)
{
	CLEANUP(buf_free) struct buf text = BUF_INIT(TEMPLATE_MEMORY_MAX);

	print_values(&text, args, n);
	return give(a, &text, ret_value, err);
}

int text_printf(struct arena *a, const struct value *args, size_t n, struct value *ret_value, struct err *err)
{
	CLEANUP(buf_free) struct buf text = BUF_INIT(TEMPLATE_MEMORY_MAX);

	print_format(&text, args[0].string, args + 1, n - 1);
	return give(a, &text, ret_value, err);
}

int text_println(struct arena *a, const struct value *args, size_t n, struct value *ret_value, struct err *err)
{
	CLEANUP(buf_free) struct buf text = BUF_INIT(TEMPLATE_MEMORY_MAX);

	print_values_ln(&text, args, n);
	return give(a, &text, ret_value, err);
}

/* ---- escapes -------------------------------------------------------------- */

/* Arguments as one text; what is nothing reads "<no value>" here. */
static void join_arguments(struct buf *out, const struct value *args, size_t n)
{
	bool after_string = true;

	for (size_t i = 0; i < n; i++) {
		struct value v = args[i];

		if (v.kind == VALUE_NONE || v.kind == VALUE_NIL)
			v = value_string("<no value>");
		if (!after_string && v.kind != VALUE_STRING)
			buf_putc(out, ' ');
		after_string = v.kind == VALUE_STRING;
		v.pointer = false;
		print_value(out, v);
	}
}

static void put_html(struct buf *out, unsigned char c)
{
	switch (c) {
	case 0:
		buf_puts(out, "\xEF\xBF\xBD");
		break;
	case '"':
		buf_puts(out, "&#34;");
		break;
	case '\'':
		buf_puts(out, "&#39;");
		break;
	case '&':
		buf_puts(out, "&amp;");
		break;
	case '<':
		buf_puts(out, "&lt;");
		break;
	case '>':
		buf_puts(out, "&gt;");
		break;
	default:
		buf_putc(out, (char)c);
	}
}

int text_html(struct arena *a, const struct value *args, size_t n, struct value *ret_value, struct err *err)
{
	CLEANUP(buf_free) struct buf in = BUF_INIT(TEMPLATE_MEMORY_MAX);
	CLEANUP(buf_free) struct buf out = BUF_INIT(TEMPLATE_MEMORY_MAX);

	join_arguments(&in, args, n);
	for (size_t i = 0; i < in.len; i++)
		put_html(&out, in.data[i]);
	out.failed |= in.failed;
	return give(a, &out, ret_value, err);
}

static void put_js(struct buf *out, uint32_t rune, const char *raw, size_t len)
{
	if (rune < 0x80 && rune && strchr("\\'\"", (int)rune))
		buf_printf(out, "\\%c", (int)rune);
	else if (rune < 0x20 || rune == '<' || rune == '>' || rune == '&' || rune == '=')
		buf_printf(out, "\\u%04X", rune);
	else if (rune < 0x80 || rune_is_printable(rune))
		buf_append(out, raw, len);
	else
		buf_printf(out, "\\u%04X", rune);
}

int text_js(struct arena *a, const struct value *args, size_t n, struct value *ret_value, struct err *err)
{
	CLEANUP(buf_free) struct buf in = BUF_INIT(TEMPLATE_MEMORY_MAX);
	CLEANUP(buf_free) struct buf out = BUF_INIT(TEMPLATE_MEMORY_MAX);
	const char *text;
	uint32_t rune;
	size_t len;

	join_arguments(&in, args, n);
	text = buf_text(&in);
	for (size_t at = 0; at < in.len; at += len) {
		len = rune_decode(text + at, in.len - at, &rune);
		put_js(&out, rune, text + at, len);
	}
	out.failed |= in.failed;
	return give(a, &out, ret_value, err);
}

int text_urlquery(struct arena *a, const struct value *args, size_t n, struct value *ret_value, struct err *err)
{
	CLEANUP(buf_free) struct buf in = BUF_INIT(TEMPLATE_MEMORY_MAX);
	CLEANUP(buf_free) struct buf out = BUF_INIT(TEMPLATE_MEMORY_MAX);

	join_arguments(&in, args, n);
	for (size_t i = 0; i < in.len; i++) {
		unsigned char c = in.data[i];

		if (isalnum(c) || (c && strchr("-_.~", c)))
			buf_putc(&out, (char)c);
		else if (c == ' ')
			buf_putc(&out, '+');
		else
			buf_printf(&out, "%%%02X", c);
	}
	out.failed |= in.failed;
	return give(a, &out, ret_value, err);
}

/* ---- docker's ------------------------------------------------------------- */

int text_json(struct arena *a, const struct value *args, UNUSED size_t n, struct value *ret_value, struct err *err)
{
	CLEANUP(buf_free) struct buf text = BUF_INIT(TEMPLATE_MEMORY_MAX);
	int r = json_put(&text, args[0], false, err);

	return r ? r : give(a, &text, ret_value, err);
}

/* How far the next piece reaches; without separator it is one character. */
static size_t piece_len(struct text rest, struct text separator)
{
	const char *at;
	uint32_t rune;

	if (!separator.len)
		return rune_decode(rest.data, rest.len, &rune);
	at = rest.len ? memmem(rest.data, rest.len, separator.data, separator.len) : NULL;
	return at ? (size_t)(at - rest.data) : rest.len;
}

static size_t count_pieces(struct text s, struct text separator)
{
	size_t n = 1;

	if (!separator.len)
		return rune_count(s.data, s.len);
	for (size_t len; (len = piece_len(s, separator)) < s.len; n++) {
		s.data += len + separator.len;
		s.len -= len + separator.len;
	}
	return n;
}

int text_split(struct arena *a, const struct value *args, UNUSED size_t n, struct value *ret_value, struct err *err)
{
	struct text rest = args[0].string, separator = args[1].string;
	size_t pieces = count_pieces(rest, separator);
	struct value *items = arena_array(a, pieces, sizeof *items);

	if (!items)
		return fail_nomem(err);
	for (size_t i = 0; i < pieces; i++) {
		size_t len = piece_len(rest, separator), skip = i + 1 < pieces ? len + separator.len : len;

		items[i] = value_text((struct text){ rest.data, len });
		rest = (struct text){ rest.data + skip, rest.len - skip };
	}
	*ret_value = value_list(&type_strings, items, pieces);
	return OK;
}

int text_join(struct arena *a, const struct value *args, UNUSED size_t n, struct value *ret_value, struct err *err)
{
	CLEANUP(buf_free) struct buf text = BUF_INIT(TEMPLATE_MEMORY_MAX);

	for (size_t i = 0; i < args[0].list.n; i++) {
		struct text item = args[0].list.items[i].string;

		if (i)
			buf_append(&text, args[1].string.data, args[1].string.len);
		buf_append(&text, item.data, item.len);
	}
	return give(a, &text, ret_value, err);
}

enum change { CHANGE_UPPER, CHANGE_LOWER, CHANGE_TITLE };

/* Whether a letter after this character begins a word (Go's strings.Title). */
static bool is_separator(uint32_t rune)
{
	if (rune < 0x80)
		return !isalnum((int)rune) && rune != '_';
	return !rune_is_letter_or_digit(rune) && (rune == 0x85 || rune == 0xA0 || rune == 0x1680 || rune == 0x3000 ||
						  (rune >= 0x2000 && rune <= 0x200A) || rune == 0x2028 ||
						  rune == 0x2029 || rune == 0x202F || rune == 0x205F);
}

static int change_case(struct arena *a, struct text in, enum change change, struct value *ret_value, struct err *err)
{
	CLEANUP(buf_free) struct buf text = BUF_INIT(TEMPLATE_MEMORY_MAX);
	uint32_t rune, before = ' ', changed;
	char utf8[4];

	for (size_t at = 0; at < in.len; before = rune) {
		at += rune_decode(in.data + at, in.len - at, &rune);
		changed = rune;
		if (change == CHANGE_LOWER)
			changed = rune_lower(rune);
		else if (change == CHANGE_UPPER)
			changed = rune_upper(rune);
		else if (is_separator(before))
			changed = rune_title(rune);
		buf_append(&text, utf8, rune_encode(changed, utf8));
	}
	return give(a, &text, ret_value, err);
}

int text_title(struct arena *a, const struct value *args, UNUSED size_t n, struct value *ret_value, struct err *err)
{
	return change_case(a, args[0].string, CHANGE_TITLE, ret_value, err);
}

int text_lower(struct arena *a, const struct value *args, UNUSED size_t n, struct value *ret_value, struct err *err)
{
	return change_case(a, args[0].string, CHANGE_LOWER, ret_value, err);
}

int text_upper(struct arena *a, const struct value *args, UNUSED size_t n, struct value *ret_value, struct err *err)
{
	return change_case(a, args[0].string, CHANGE_UPPER, ret_value, err);
}

static void put_blanks(struct buf *out, int64_t n)
{
	for (; n > 0 && buf_ok(out); n--)
		buf_putc(out, ' ');
}

int text_pad(struct arena *a, const struct value *args, UNUSED size_t n, struct value *ret_value, struct err *err)
{
	CLEANUP(buf_free) struct buf text = BUF_INIT(TEMPLATE_MEMORY_MAX);

	*ret_value = args[0];
	if (!args[0].string.len)
		return OK;
	if (args[1].integer < 0 || args[2].integer < 0)
		return fail(err, E_TEMPLATE, "strings: negative Repeat count");
	put_blanks(&text, args[1].integer);
	buf_append(&text, args[0].string.data, args[0].string.len);
	put_blanks(&text, args[2].integer);
	return give(a, &text, ret_value, err);
}

int text_truncate(UNUSED struct arena *a, const struct value *args, UNUSED size_t n, struct value *ret_value,
		  struct err *err)
{
	struct text text = args[0].string;
	int64_t len = args[1].integer;

	if (len < 0)
		return fail(err, E_TEMPLATE, "runtime error: slice bounds out of range [:%" PRId64 "]", len);
	if ((uint64_t)len < text.len)
		text.len = (size_t)len;
	*ret_value = value_text(text);
	return OK;
}
