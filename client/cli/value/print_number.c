#include "client/cli/value/verb.h"

#include <inttypes.h>
#include <math.h>

#include "client/cli/format/width.h"

enum { DIGITS_MAX = 400 }; /* of a whole number, with sign and exponent */

/* ---- integers ------------------------------------------------------------- */

struct base {
	unsigned radix;
	const char *digits;
	const char *prefix; /* under '#' */
};

static const struct base *base_of(uint32_t verb)
{
	static const char lower[] = "0123456789abcdef", upper[] = "0123456789ABCDEF";
	static const struct {
		uint32_t verb;
		struct base base;
	} bases[] = {
		{ 'd', { 10, lower, "" } },   { 'v', { 10, lower, "" } },  { 'b', { 2, lower, "0b" } },
		{ 'o', { 8, lower, "0" } },   { 'O', { 8, lower, "0o" } }, { 'x', { 16, lower, "0x" } },
		{ 'X', { 16, upper, "0X" } },
	};

	for (size_t i = 0; i < ARRAY_LEN(bases); i++)
		if (bases[i].verb == verb)
			return &bases[i].base;
	return NULL;
}

static size_t put_digits(char out[65], uint64_t magnitude, const struct base *b)
{
	char reversed[65];
	size_t n = 0;

	do {
		reversed[n++] = b->digits[magnitude % b->radix];
		magnitude /= b->radix;
	} while (magnitude);
	for (size_t i = 0; i < n; i++)
		out[i] = reversed[n - 1 - i];
	return n;
}

static const char *sign_of(bool negative, const struct verb_flags *f)
{
	if (negative)
		return "-";
	if (f->plus)
		return "+";
	return f->space ? " " : "";
}

/* Zeros in front of the digits: the precision, or the width under '0'. */
static int wanted_digits(const struct verb_flags *f, const char *sign)
{
	if (f->has_precision)
		return f->precision;
	if (f->zero && f->has_width && !f->minus)
		return f->width - (int)strlen(sign);
	return 0;
}

static void put_integer(struct buf *out, uint64_t magnitude, bool negative, uint32_t verb, const struct verb_flags *f)
{
	const struct base *b = base_of(verb);
	const char *sign = sign_of(negative, f);
	int wanted = wanted_digits(f, sign);
	struct verb_flags pad = *f;
	CLEANUP(buf_free) struct buf text = BUF_INIT(VERB_DIGITS_MAX + 128);
	char digits[65];
	size_t n = put_digits(digits, magnitude, b);

	pad.zero = false;
	if (f->has_precision && !f->precision && !magnitude) {
		verb_pad(out, (struct text){ "", 0 }, &pad);
		return;
	}
	buf_puts(&text, sign);
	if (verb == 'O')
		buf_puts(&text, b->prefix);
	else if (f->sharp && !(verb == 'o' && wanted > (int)n))
		buf_puts(&text, b->prefix);
	for (int i = (int)n; i < wanted; i++)
		buf_putc(&text, '0');
	buf_append(&text, digits, n);
	verb_pad(out, (struct text){ buf_text(&text), text.len }, &pad);
}

static uint32_t as_rune(uint64_t magnitude, bool negative)
{
	return negative || magnitude > 0x10FFFF ? RUNE_BAD : (uint32_t)magnitude;
}

static void put_quoted_rune(struct buf *out, uint32_t rune, const struct verb_flags *f)
{
	CLEANUP(buf_free) struct buf quoted = BUF_INIT(64);
	CLEANUP(buf_free) struct buf text = BUF_INIT(64);
	char utf8[4];
	size_t len = rune_encode(rune, utf8);

	print_quoted(&quoted, (struct text){ utf8, len });
	buf_putc(&text, '\'');
	if (rune == '\'')
		buf_puts(&text, "\\'");
	else if (rune == '"')
		buf_putc(&text, '"');
	else if (quoted.len > 2)
		buf_append(&text, quoted.data + 1, quoted.len - 2);
	buf_putc(&text, '\'');
	verb_pad(out, (struct text){ buf_text(&text), text.len }, f);
}

static void put_unicode(struct buf *out, uint64_t magnitude, const struct verb_flags *f)
{
	CLEANUP(buf_free) struct buf text = BUF_INIT(VERB_DIGITS_MAX + 64);
	int digits = f->has_precision && f->precision > 4 ? f->precision : 4;
	struct verb_flags pad = *f;
	char utf8[4];

	pad.zero = false;
	buf_printf(&text, "U+%0*" PRIX64, digits, magnitude);
	if (f->sharp && magnitude <= 0x10FFFF && rune_is_printable((uint32_t)magnitude)) {
		buf_puts(&text, " '");
		buf_append(&text, utf8, rune_encode((uint32_t)magnitude, utf8));
		buf_putc(&text, '\'');
	}
	verb_pad(out, (struct text){ buf_text(&text), text.len }, &pad);
}

bool verb_integer(struct buf *out, uint64_t magnitude, bool negative, bool is_signed, uint32_t verb,
		  const struct verb_flags *f)
{
	char utf8[4];

	if (verb == 'v' && f->sharp && !is_signed) {
		put_integer(out, magnitude, false, 'x', f);
		return true;
	}
	if (base_of(verb)) {
		struct verb_flags plain = *f;

		plain.sharp = f->sharp && verb != 'v';
		put_integer(out, magnitude, negative, verb, &plain);
		return true;
	}
	if (verb == 'c')
		verb_pad(out, (struct text){ utf8, rune_encode(as_rune(magnitude, negative), utf8) }, f);
	else if (verb == 'q')
		put_quoted_rune(out, as_rune(magnitude, negative), f);
	else if (verb == 'U')
		put_unicode(out, negative ? -magnitude : magnitude, f);
	else
		return false;
	return true;
}

/* ---- floats --------------------------------------------------------------- */

/* "d.ddde±XX" of the shortest digits that read back as d. */
static void shortest(double d, char out[64])
{
	for (int precision = 0; precision < 18; precision++) {
		snprintf(out, 64, "%.*e", precision, d);
		if (strtod(out, NULL) == d)
			return;
	}
}

/* strconv's 'g' with precision -1: exponents from -4 to 5 are written out. */
static void put_shortest(struct buf *out, double d, bool upper)
{
	char text[64], *e;
	int exponent, digits;

	shortest(d, text);
	e = strchr(text, 'e');
	exponent = (int)strtol(e + 1, NULL, 10);
	if (exponent < -4 || exponent > 5) {
		if (upper)
			*e = 'E';
		buf_puts(out, text);
		return;
	}
	digits = (int)(e - text) - (d < 0 || signbit(d) ? 1 : 0);
	digits = digits > 1 ? digits - 2 : 0; /* after the point */
	buf_printf(out, "%.*f", digits > exponent ? digits - exponent : 0, d);
}

static bool put_special(struct buf *out, double d, const struct verb_flags *f)
{
	const char *text = isnan(d) ? "NaN" : d > 0 ? "+Inf" : "-Inf";
	struct verb_flags pad = *f;

	if (isfinite(d))
		return false;
	pad.zero = false;
	if (text[0] == '+' && !f->plus)
		text++;
	else if (isnan(d) && f->plus)
		text = "+NaN";
	verb_pad(out, text_of(text), &pad);
	return true;
}

void print_float(struct buf *out, double d)
{
	static const struct verb_flags none;

	if (!put_special(out, d, &none))
		put_shortest(out, d, false);
}

/* The mantissa as a whole number and a power of two: "4503599627370496p-52". */
static void put_binary(struct buf *out, double d)
{
	uint64_t bits, mantissa;
	int exponent;

	memcpy(&bits, &d, sizeof bits);
	mantissa = bits & ((UINT64_C(1) << 52) - 1);
	exponent = (int)(bits >> 52 & 0x7FF);
	if (exponent)
		mantissa |= UINT64_C(1) << 52;
	else
		exponent = 1;
	buf_printf(out, "%s%" PRIu64 "p%+d", signbit(d) ? "-" : "", mantissa, exponent - 1023 - 52);
}

/* C writes the exponent of %a with as few digits as needed, Go with two. */
static void put_hex(struct buf *out, double d, uint32_t verb, const struct verb_flags *f)
{
	CLEANUP(buf_free) struct buf text = BUF_INIT(DIGITS_MAX + VERB_DIGITS_MAX);
	const char *p, *digits;

	if (f->has_precision)
		buf_printf(&text, verb == 'x' ? "%.*a" : "%.*A", f->precision, d);
	else
		buf_printf(&text, verb == 'x' ? "%a" : "%A", d);
	digits = buf_text(&text);
	p = strpbrk(digits, "pP");
	if (p && !p[3])
		buf_printf(out, "%.*s0%c", (int)(p - digits) + 2, digits, p[2]);
	else
		buf_puts(out, digits);
}

static void put_float(struct buf *out, double d, uint32_t verb, const struct verb_flags *f)
{
	int precision = f->has_precision ? f->precision : 6;

	if (verb == 'b')
		put_binary(out, d);
	else if (verb == 'x' || verb == 'X')
		put_hex(out, d, verb, f);
	else if (strchr("vgG", (int)verb) && !f->has_precision)
		put_shortest(out, d, verb == 'G');
	else if (verb == 'e' || verb == 'E')
		buf_printf(out, verb == 'e' ? "%.*e" : "%.*E", precision, d);
	else if (verb == 'f' || verb == 'F')
		buf_printf(out, "%.*f", precision, d);
	else
		buf_printf(out, verb == 'G' ? "%.*G" : "%.*g", precision ? precision : 1, d);
}

/* Digits after the first that is not 0, which '#' fills up with zeros. */
static int wanted_significant(uint32_t verb, const struct verb_flags *f)
{
	if (!strchr("gGx", (int)verb))
		return 0;
	return f->has_precision ? f->precision : 6;
}

/* Under '#': always a point, and %g and %x keep the zeros at the end. */
static void put_sharp(struct buf *out, struct text number, uint32_t verb, const struct verb_flags *f)
{
	bool hex = verb == 'x' || verb == 'X', point = false, counting = false;
	size_t sign = strchr("+- ", number.data[0]) != NULL, end = sign;
	int missing = wanted_significant(verb, f);

	for (; end < number.len && !strchr(hex ? "pP" : "eE", number.data[end]); end++) {
		point |= number.data[end] == '.';
		if (number.data[end] == '.')
			continue;
		counting |= number.data[end] != '0';
		missing -= counting;
	}
	if (!point && end == sign + 1 && number.data[sign] == '0')
		missing--;
	buf_append(out, number.data, end);
	if (!point)
		buf_putc(out, '.');
	for (; missing > 0; missing--)
		buf_putc(out, '0');
	buf_append(out, number.data + end, number.len - end);
}

static void pad_float(struct buf *out, struct text number, const struct verb_flags *f)
{
	size_t sign = number.data[0] == '+' || number.data[0] == '-' || number.data[0] == ' ';
	struct verb_flags pad = *f;

	if (!f->zero || f->minus || !f->has_width || (size_t)f->width <= number.len) {
		pad.zero = false;
		verb_pad(out, number, &pad);
		return;
	}
	buf_append(out, number.data, sign);
	for (size_t i = number.len; i < (size_t)f->width; i++)
		buf_putc(out, '0');
	buf_append(out, number.data + sign, number.len - sign);
}

bool verb_float(struct buf *out, double d, uint32_t verb, const struct verb_flags *f)
{
	CLEANUP(buf_free) struct buf text = BUF_INIT(DIGITS_MAX + VERB_DIGITS_MAX);
	CLEANUP(buf_free) struct buf sharp = BUF_INIT(DIGITS_MAX + VERB_DIGITS_MAX);
	const struct buf *shown = &text;

	if (verb > 127 || !strchr("vbeEfFgGxX", (int)verb))
		return false;
	if (put_special(out, d, f))
		return true;
	if (!signbit(d))
		buf_puts(&text, sign_of(false, f));
	put_float(&text, d, verb, f);
	if (f->sharp && !strchr("vb", (int)verb)) {
		put_sharp(&sharp, (struct text){ buf_text(&text), text.len }, verb, f);
		shown = &sharp;
	}
	out->failed |= text.failed || sharp.failed;
	pad_float(out, (struct text){ buf_text(shown), shown->len }, f);
	return true;
}
