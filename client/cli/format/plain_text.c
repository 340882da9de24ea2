#include "client/cli/format/plain_text.h"

#include "client/cli/format/width.h"

enum { ESCAPE = 0x1b };

void put_plain(struct buf *out, const char *text)
{
	uint32_t rune;

	for (size_t len = strlen(text), n; len; text += n, len -= n) {
		n = rune_decode(text, len, &rune);
		if (rune_is_control(rune) && rune != '\n' && rune != '\t')
			buf_putc(out, '?');
		else
			buf_append(out, text, n);
	}
}

static bool is_between(char c, char first, char last)
{
	return c >= first && c <= last;
}

/* The length of "ESC [ parameters letter" (ECMA-48, 5.4); 0: it is none. */
static size_t sequence_len(const char *text, size_t len)
{
	size_t n = 2;

	if (len < 3 || text[1] != '[')
		return 0;
	while (n < len && is_between(text[n], ' ', '?'))
		n++;
	return n < len && is_between(text[n], '@', '~') ? n + 1 : 0;
}

static bool is_colour(const char *sequence, size_t len)
{
	return sequence[len - 1] == 'm' && strspn(sequence + 2, "0123456789;:") == len - 3;
}

/* How much of the text is put as it is, or left out, in one. */
static size_t put_control(struct buf *out, const char *text, size_t len, size_t width)
{
	size_t sequence = text[0] == ESCAPE ? sequence_len(text, len) : 0;

	if (sequence && is_colour(text, sequence))
		buf_append(out, text, sequence);
	else if (strchr("\n\t\r\b", text[0]) && text[0])
		buf_putc(out, text[0]);
	return sequence ? sequence : width;
}

void put_plain_log(struct buf *out, const char *text, size_t len)
{
	uint32_t rune;

	for (size_t n; len; text += n, len -= n) {
		n = rune_decode(text, len, &rune);
		if (rune_is_control(rune))
			n = put_control(out, text, len, n);
		else
			buf_append(out, text, n);
	}
}
