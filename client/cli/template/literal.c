#include "client/cli/template/literal.h"

#include <ctype.h>

#include "client/cli/format/width.h"
#include "client/cli/value/print.h"

static bool digits_of(const char **p, const char *end, int n, unsigned radix, uint32_t *ret_value)
{
	uint32_t value = 0;

	if (end - *p < n)
		return false;
	for (int i = 0; i < n; i++, (*p)++) {
		int c = tolower((unsigned char)**p);
		unsigned digit = isdigit(c)		? (unsigned)(c - '0')
				 : c >= 'a' && c <= 'f' ? (unsigned)(c - 'a' + 10)
							: 99;

		if (digit >= radix)
			return false;
		value = value * radix + digit;
	}
	*ret_value = value;
	return true;
}

/* What follows a backslash. A \x or octal escape is a byte, all else a rune. */
static bool unescape(const char **p, const char *end, char quote, uint32_t *ret_value, bool *ret_byte)
{
	static const char names[] = "abfnrtv\\", values[] = "\a\b\f\n\r\t\v\\";
	const char *at;
	char c;

	*ret_byte = false;
	if (*p >= end)
		return false;
	c = *(*p)++;
	at = c ? strchr(names, c) : NULL;
	if (at) {
		*ret_value = (unsigned char)values[at - names];
		return true;
	}
	if (c == 'x') {
		*ret_byte = true;
		return digits_of(p, end, 2, 16, ret_value);
	}
	if (c == 'u' || c == 'U')
		return digits_of(p, end, c == 'u' ? 4 : 8, 16, ret_value) && *ret_value <= 0x10FFFF &&
		       !(*ret_value >= 0xD800 && *ret_value <= 0xDFFF);
	if (c >= '0' && c <= '7') {
		*ret_byte = true;
		(*p)--;
		return digits_of(p, end, 3, 8, ret_value) && *ret_value <= 255;
	}
	*ret_value = (unsigned char)c;
	return c == quote;
}

static int bad_syntax(struct err *err)
{
	return fail(err, E_TEMPLATE, "invalid syntax");
}

static int unquote_interpreted(const char *p, const char *end, char *out, size_t *ret_len, struct err *err)
{
	uint32_t rune;
	bool byte;

	*ret_len = 0;
	while (p < end) {
		if (*p == '\n' || *p == '"')
			return bad_syntax(err);
		if (*p != '\\') {
			out[(*ret_len)++] = *p++;
			continue;
		}
		p++;
		if (!unescape(&p, end, '"', &rune, &byte))
			return bad_syntax(err);
		if (byte)
			out[(*ret_len)++] = (char)rune;
		else
			*ret_len += rune_encode(rune, out + *ret_len);
	}
	return OK;
}

/* Carriage returns vanish from raw strings. */
static size_t unquote_raw(const char *p, const char *end, char *out)
{
	size_t n = 0;

	for (; p < end; p++)
		if (*p != '\r')
			out[n++] = *p;
	return n;
}

int literal_unquote(struct text quoted, struct arena *arena, struct text *ret_text, struct err *err)
{
	const char *p = quoted.data + 1, *end = quoted.data + quoted.len - 1;
	char *out;
	size_t len = 0;
	int r = OK;

	if (quoted.len < 2)
		return bad_syntax(err);
	out = arena_alloc(arena, quoted.len + 4);
	if (!out)
		return fail_nomem(err);
	if (quoted.data[0] == '`')
		len = unquote_raw(p, end, out);
	else
		r = unquote_interpreted(p, end, out, &len, err);
	if (r)
		return r;
	*ret_text = (struct text){ out, len };
	return OK;
}

/* ---- numbers -------------------------------------------------------------- */

static int fail_quoted(struct err *err, const char *what, struct text text)
{
	CLEANUP(buf_free) struct buf quoted = BUF_INIT(512);

	print_quoted(&quoted, text);
	return fail(err, E_TEMPLATE, "%s: %s", what, buf_text(&quoted));
}

static int character(struct text text, struct node_number *n, struct err *err)
{
	const char *p = text.data + 1, *end = text.data + text.len;
	uint32_t rune = 0;
	bool byte;

	if (*p == '\'')
		return bad_syntax(err);
	if (*p == '\\') {
		p++;
		if (!unescape(&p, end, '\'', &rune, &byte))
			return bad_syntax(err);
	} else {
		p += rune_decode(p, (size_t)(end - p), &rune);
	}
	if (end - p != 1)
		return fail(err, E_TEMPLATE, "malformed character constant: %.*s", (int)text.len, text.data);
	n->is_int = n->is_uint = n->is_float = true;
	n->integer = rune;
	n->natural = rune;
	n->real = rune;
	return OK;
}

static bool is_digit(char c, bool hex)
{
	return hex ? isxdigit((unsigned char)c) : isdigit((unsigned char)c);
}

/* Underscores only between digits, or after a prefix: copies without them. */
static bool without_underscores(const char *text, bool prefixed, bool hex, char *out, size_t max)
{
	size_t n = 0;
	char before = prefixed ? '0' : '_';

	for (; *text && n + 1 < max; text++) {
		if (*text == '_') {
			if (!is_digit(before, hex) || !is_digit(text[1], hex))
				return false;
		} else {
			out[n++] = *text;
		}
		before = *text;
		if (hex && (before == 'x' || before == 'X'))
			before = '0';
	}
	out[n] = 0;
	return !*text && n;
}

/* The radix that a literal names, and its digits behind the prefix. */
static unsigned radix_of(const char **digits, bool *prefixed)
{
	const char *p = *digits;
	unsigned radix = 10;

	*prefixed = p[0] == '0' && p[1];
	if (!*prefixed)
		return radix;
	switch (tolower((unsigned char)p[1])) {
	case 'x':
		radix = 16;
		break;
	case 'b':
		radix = 2;
		break;
	case 'o':
		radix = 8;
		break;
	default:
		*digits = p + 1;
		return 8;
	}
	*digits = p + 2;
	return radix;
}

/* An integer without its sign; false when it is none or does not fit. */
static bool magnitude_of(const char *digits, uint64_t *ret_magnitude)
{
	char clean[256], *end;
	bool prefixed;
	unsigned radix = radix_of(&digits, &prefixed);

	if (!without_underscores(digits, prefixed, radix == 16, clean, sizeof clean) ||
	    !isxdigit((unsigned char)clean[0]))
		return false;
	if (tolower((unsigned char)clean[1]) == 'x')
		return false;
	errno = 0;
	*ret_magnitude = strtoull(clean, &end, (int)radix);
	return !*end && !errno;
}

static void integers_of(const char *text, struct node_number *n)
{
	bool negative = text[0] == '-';
	uint64_t magnitude;

	if (!magnitude_of(text + (text[0] == '-' || text[0] == '+'), &magnitude))
		return;
	n->natural = magnitude;
	n->is_uint = isdigit((unsigned char)text[0]) || !magnitude;
	if (negative ? magnitude <= (uint64_t)INT64_MAX + 1 : magnitude <= INT64_MAX) {
		n->is_int = true;
		n->integer = negative ? (int64_t)(-magnitude) : (int64_t)magnitude;
	}
}

static bool float_of(const char *text, double *ret_real)
{
	const char *digits = text + (text[0] == '-' || text[0] == '+');
	bool hex = digits[0] == '0' && (digits[1] == 'x' || digits[1] == 'X');
	char clean[300], *end;

	if (strchr(text, '_') && !without_underscores(text, false, hex, clean, sizeof clean))
		return false;
	if (hex && !strpbrk(digits, "pP"))
		return false;
	if (!isdigit((unsigned char)digits[0]) && digits[0] != '.')
		return false;
	*ret_real = strtod(strchr(text, '_') ? clean : text, &end);
	return !*end && *ret_real - *ret_real == 0; /* finite */
}

/* Whether d is a whole number that an int64 holds. */
static bool is_whole(double d)
{
	return d >= -9.2e18 && d <= 9.2e18 && (double)(int64_t)d == d;
}

static int real_of(const char *text, struct node_number *n, struct err *err)
{
	double d;

	if (!float_of(text, &d))
		return OK;
	if (!strpbrk(text, ".eEpP"))
		return fail_quoted(err, "integer overflow", n->text);
	n->is_float = true;
	n->real = d;
	n->is_int = is_whole(d);
	n->integer = n->is_int ? (int64_t)d : 0;
	if (d >= 0 && d <= 1.8e19 && (double)(uint64_t)d == d) {
		n->is_uint = true;
		n->natural = (uint64_t)d;
	}
	return OK;
}

/* "1+2i", or "2i" alone. */
static bool complex_of(char *text, struct node_number *n)
{
	size_t len = strlen(text);
	char *split = NULL;

	if (!len || text[len - 1] != 'i')
		return false;
	text[len - 1] = 0;
	for (size_t i = len - 1; i-- > 1;)
		if ((text[i] == '+' || text[i] == '-') && !strchr("eEpP", text[i - 1])) {
			split = text + i;
			break;
		}
	if (!float_of(split ? split : text, &n->imaginary))
		return false;
	if (split) {
		*split = 0;
		if (!float_of(text, &n->real))
			return false;
	}
	n->is_complex = true;
	if (n->imaginary == 0) {
		n->is_float = true;
		n->is_int = is_whole(n->real);
		n->integer = n->is_int ? (int64_t)n->real : 0;
	}
	return true;
}

/* An integer, or else a float. */
static int plain(const char *text, struct node_number *n, struct err *err)
{
	integers_of(text, n);
	if (!n->is_int && !n->is_uint)
		return real_of(text, n, err);
	n->is_float = true;
	n->real = n->is_int ? (double)n->integer : (double)n->natural;
	return OK;
}

int literal_number(struct text text, enum item_type type, struct node_number *ret_number, struct err *err)
{
	struct node_number n = { .text = text };
	char copy[256];
	int r = OK;

	if (type == ITEM_CHAR_CONSTANT) {
		r = character(text, &n, err);
	} else if (text.len < sizeof copy) {
		snprintf(copy, sizeof copy, "%.*s", (int)text.len, text.data);
		if (!complex_of(copy, &n)) {
			snprintf(copy, sizeof copy, "%.*s", (int)text.len, text.data);
			r = plain(copy, &n, err);
		}
	}
	if (r)
		return r;
	if (!n.is_int && !n.is_uint && !n.is_float && !n.is_complex)
		return fail_quoted(err, "illegal number syntax", text);
	*ret_number = n;
	return OK;
}
