#include "service/build/quote.h"

#include <stdio.h>

#include "store/types/text.h"

/* What has a letter of its own behind a backslash. */
static char short_escape(uint32_t rune)
{
	static const char from[] = "\a\b\f\n\r\t\v\\\"", to[] = "abfnrtv\\\"";
	const char *found = rune && rune < 0x80 ? strchr(from, (int)rune) : NULL;

	return found ? to[found - from] : 0;
}

/* Go's strconv.IsPrint, but for unassigned characters. */
static bool is_printable(uint32_t rune)
{
	if (rune < 0x80)
		return rune >= 0x20 && rune != 0x7f;
	if (rune_is_space(rune) || (rune >= 0x80 && rune <= 0x9f) || rune == 0xad)
		return false;
	return !(rune >= 0x200b && rune <= 0x200f) && !(rune >= 0x202a && rune <= 0x202e) &&
	       !(rune >= 0x2060 && rune <= 0x206f) && !(rune >= 0xe000 && rune <= 0xf8ff) && rune != 0xfeff &&
	       !(rune >= 0xfff0 && rune <= 0xfffb) && rune < 0xe0000;
}

static void put_rune(struct buf *out, uint32_t rune)
{
	char escape = short_escape(rune);

	if (escape)
		buf_printf(out, "\\%c", escape);
	else if (rune >= RUNE_BAD)
		buf_printf(out, "\\x%02x", rune - RUNE_BAD);
	else if (is_printable(rune))
		rune_put(out, rune);
	else if (rune < 0x80)
		buf_printf(out, "\\x%02x", rune);
	else
		buf_printf(out, rune < 0x10000 ? "\\u%04x" : "\\U%08x", rune);
}

void quote_go(struct buf *out, struct bytes text)
{
	buf_putc(out, '"');
	while (text.len) {
		uint32_t rune;
		size_t n = rune_at(text, &rune);

		put_rune(out, rune);
		text = bytes_from(text, n);
	}
	buf_putc(out, '"');
}

void quote_rune(struct buf *out, uint32_t rune)
{
	if (rune >= RUNE_BAD || (rune >= 0xd800 && rune < 0xe000))
		rune = 0xfffd;
	buf_putc(out, '\'');
	if (rune == '\'')
		buf_puts(out, "\\'");
	else if (rune == '"')
		buf_putc(out, '"');
	else
		put_rune(out, rune);
	buf_putc(out, '\'');
}

const char *quote_short(const char *text, struct quoted *out)
{
	CLEANUP(buf_free) struct buf shown = BUF_INIT(sizeof out->text - 1);

	quote_go(&shown, (struct bytes){ (const uint8_t *)text, strnlen(text, QUOTED_MAX) });
	snprintf(out->text, sizeof out->text, "%s", buf_text(&shown));
	return out->text;
}
