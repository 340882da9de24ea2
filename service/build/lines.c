#include "service/build/lines.h"

static const char blanks[] = " \t\v\f\r";

struct lines lines_of(const char *text, char escape)
{
	static const char mark[] = "\xef\xbb\xbf"; /* some editors begin a file with it */

	if (!strncmp(text, mark, sizeof mark - 1))
		text += sizeof mark - 1;
	return (struct lines){ .next = text, .escape = escape };
}

static bool take_line(struct lines *l, struct bytes *ret_line)
{
	size_t len = strcspn(l->next, "\n");
	struct bytes line = { (const uint8_t *)l->next, len };

	if (!*l->next)
		return false;
	l->next += len + (l->next[len] == '\n');
	l->number++;
	while (line.len && line.data[line.len - 1] == '\r')
		line.len--;
	*ret_line = line;
	return true;
}

static struct bytes without_indent(struct bytes line)
{
	while (line.len && strchr(blanks, line.data[0]))
		line = (struct bytes){ line.data + 1, line.len - 1 };
	return line;
}

static bool is_comment_or_empty(struct bytes line)
{
	line = without_indent(line);
	return !line.len || line.data[0] == '#';
}

/* Cuts the escape at the end of the line, with blanks behind it; two of them are a
 * character of the instruction. */
static bool cut_continuation(const struct lines *l, struct bytes *line)
{
	size_t len = line->len;

	while (len && (line->data[len - 1] == ' ' || line->data[len - 1] == '\t'))
		len--;
	if (!len || (char)line->data[len - 1] != l->escape)
		return false;
	if (len > 1 && (char)line->data[len - 2] == l->escape)
		return false;
	line->len = len - 1;
	return true;
}

int lines_next(struct lines *l, struct buf *ret_line)
{
	bool more = true;
	struct bytes line;

	buf_reset(ret_line);
	do {
		if (!take_line(l, &line))
			return 0;
	} while (is_comment_or_empty(line));
	l->first = l->number;
	line = without_indent(line);
	while (more) {
		more = cut_continuation(l, &line);
		if (line.len)
			buf_append(ret_line, line.data, line.len);
		while (more && (more = take_line(l, &line)) && is_comment_or_empty(line))
			;
	}
	return 1;
}
