#include "service/build/excerpt.h"

static const char rule[] = "--------------------\n";

static int count_lines(struct bytes text)
{
	int n = 1;

	for (size_t at; (at = bytes_find(text, '\n')) < text.len; n++)
		text = bytes_from(text, at + 1);
	return n;
}

/* Some lines before and behind it: four at most, or two about several lines. */
static struct place widen(struct place shown, int n_lines)
{
	int pad = shown.first == shown.last ? 4 : 2;

	for (int p = 0; p < pad; p++) {
		if (shown.first > 1) {
			shown.first--;
			p++;
		}
		if (shown.last != n_lines) {
			shown.last++;
			p++;
		}
	}
	return shown;
}

void excerpt_write(struct bytes text, const char *filename, struct place place, struct buf *out)
{
	int n_lines = count_lines(text);
	struct place shown;

	if (place.last < place.first)
		place.last = place.first;
	if (place.first < 1 || place.first > n_lines)
		return;
	if (place.last > n_lines)
		place.last = n_lines;
	shown = widen(place, n_lines);
	buf_printf(out, "%s:%d\n%s", filename, place.first, rule);
	for (int i = 1; i <= shown.last; i++) {
		size_t len = bytes_find(text, '\n');

		if (i >= shown.first) {
			buf_printf(out, " %3d | %s ", i, i >= place.first && i <= place.last ? ">>>" : "   ");
			buf_append(out, text.data, len);
			buf_putc(out, '\n');
		}
		text = bytes_from(text, len + (len < text.len));
	}
	buf_puts(out, rule);
}
