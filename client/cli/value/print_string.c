#include "client/cli/value/verb.h"

#include "client/cli/format/width.h"

void verb_pad(struct buf *out, struct text t, const struct verb_flags *f)
{
	size_t width = f->has_width ? (size_t)f->width : 0;
	size_t used = width ? rune_count(t.data, t.len) : 0;
	char fill = f->zero && !f->minus ? '0' : ' ';

	if (f->minus)
		buf_append(out, t.data, t.len);
	for (size_t i = used; i < width; i++)
		buf_putc(out, fill);
	if (!f->minus)
		buf_append(out, t.data, t.len);
}

static bool put_named_escape(struct buf *out, uint32_t rune)
{
	static const char escapes[] = "\a\b\f\n\r\t\v\"\\", names[] = "abfnrtv\"\\";
	const char *at = rune && rune < 0x80 ? strchr(escapes, (int)rune) : NULL;

	if (!at)
		return false;
	buf_putc(out, '\\');
	return buf_putc(out, names[at - escapes]);
}

/* One character inside quotes; `raw` is its `len` bytes. */
static void put_quoted(struct buf *out, uint32_t rune, const char *raw, size_t len, bool ascii)
{
	if (put_named_escape(out, rune))
		return;
	if (len == 1 && (unsigned char)raw[0] >= 0x80)
		buf_printf(out, "\\x%02x", (unsigned char)raw[0]);
	else if (rune_is_printable(rune) && !(ascii && rune >= 0x80))
		buf_append(out, raw, len);
	else if (rune < 0x20 || rune == 0x7F)
		buf_printf(out, "\\x%02x", rune);
	else
		buf_printf(out, rune < 0x10000 ? "\\u%04x" : "\\U%08x", rune);
}

static void quote(struct buf *out, struct text t, bool ascii)
{
	uint32_t rune;
	size_t len;

	buf_putc(out, '"');
	for (size_t at = 0; at < t.len; at += len) {
		len = rune_decode(t.data + at, t.len - at, &rune);
		put_quoted(out, rune, t.data + at, len, ascii);
	}
	buf_putc(out, '"');
}

void print_quoted(struct buf *out, struct text t)
{
	quote(out, t, false);
}

static bool can_backquote(struct text t)
{
	uint32_t rune;
	size_t len;

	for (size_t at = 0; at < t.len; at += len) {
		len = rune_decode(t.data + at, t.len - at, &rune);
		if ((rune < ' ' && rune != '\t') || rune == '`' || rune == 0x7F || rune == 0xFEFF ||
		    (rune == RUNE_BAD && len == 1))
			return false;
	}
	return true;
}

static struct text cut(struct text t, const struct verb_flags *f)
{
	size_t at = 0;
	uint32_t rune;

	if (!f->has_precision)
		return t;
	for (int i = 0; i < f->precision && at < t.len; i++)
		at += rune_decode(t.data + at, t.len - at, &rune);
	return (struct text){ t.data, at };
}

static void put_q(struct buf *out, struct text t, const struct verb_flags *f)
{
	CLEANUP(buf_free) struct buf text = BUF_INIT(out->max);

	if (f->sharp && can_backquote(t))
		buf_printf(&text, "`%.*s`", (int)t.len, t.data);
	else
		quote(&text, t, f->plus);
	out->failed |= text.failed;
	verb_pad(out, (struct text){ buf_text(&text), text.len }, f);
}

static void put_hex(struct buf *out, struct text t, bool upper, const struct verb_flags *f)
{
	CLEANUP(buf_free) struct buf text = BUF_INIT(out->max);
	size_t n = t.len;

	if (f->has_precision && (size_t)f->precision < n)
		n = (size_t)f->precision;
	for (size_t i = 0; i < n; i++) {
		if (f->space && i)
			buf_putc(&text, ' ');
		if (f->sharp && (f->space || !i))
			buf_puts(&text, upper ? "0X" : "0x");
		buf_printf(&text, upper ? "%02X" : "%02x", (unsigned char)t.data[i]);
	}
	out->failed |= text.failed;
	verb_pad(out, (struct text){ buf_text(&text), text.len }, f);
}

bool verb_string(struct buf *out, struct text t, uint32_t verb, const struct verb_flags *f)
{
	struct verb_flags pad = *f;

	switch (verb) {
	case 'v':
		if (f->sharp) {
			pad.sharp = false;
			put_q(out, t, &pad);
			return true;
		}
		__attribute__((fallthrough));
	case 's':
		verb_pad(out, cut(t, f), &pad);
		return true;
	case 'q':
		put_q(out, cut(t, f), &pad);
		return true;
	case 'x':
	case 'X':
		put_hex(out, t, verb == 'X', f);
		return true;
	default:
		return false;
	}
}
