#include "service/build/lines.h"

struct lines lines_of(struct bytes text)
{
	if (bytes_begin(text, "\xef\xbb\xbf")) /* some editors begin a file with it */
		text = bytes_from(text, 3);
	return (struct lines){ .rest = text, .escape = '\\' };
}

static bool take_line(struct lines *l, struct bytes *ret_line)
{
	if (!bytes_take_line(&l->rest, ret_line))
		return false;
	l->number++;
	while (ret_line->len && strchr("\r\n", ret_line->data[ret_line->len - 1]))
		ret_line->len--;
	return true;
}

static bool is_comment(struct bytes line)
{
	return bytes_begin(bytes_trim_left(line), "#");
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

/* ---- comments and directives ------------------------------------------------ */

static int set_escape(struct lines *l, struct bytes value, struct err *err)
{
	if (!bytes_are(value, "`") && !bytes_are(value, "\\"))
		return fail(err, E_INVALID, "invalid escape token '%.*s' does not match ` or \\",
			    (int)(value.len < 64 ? value.len : 64), (const char *)value.data);
	l->escape = (char)value.data[0];
	return OK;
}

/* 1 when the line is a directive. */
static int read_directive(struct lines *l, struct bytes line, struct err *err)
{
	enum directive_kind kind = DIRECTIVE_CHECK;
	struct bytes value;
	int r = directive_read(&l->directives, line, "#", &kind, &value, err);

	if (r > 0 && kind == DIRECTIVE_ESCAPE)
		return set_escape(l, value, err) < 0 ? E_INVALID : 1;
	return r;
}

/* The first byte is cut, be it the mark or a blank before it, as docker's parser does. */
static int keep_comment(struct lines *l, struct bytes line, struct arena *a, struct err *err)
{
	struct bytes comment = bytes_trim(bytes_from(line, 1));

	if (!comment.len) {
		l->comments = (struct word_list){ .n = 0 };
		return OK;
	}
	return l->comments.n < COMMENTS_MAX ? word_add(&l->comments, comment, a, err) : OK;
}

/* ---- lines ------------------------------------------------------------------ */

/* The first line of an instruction: 1, with its continuation cut, or 0. */
static int find_first(struct lines *l, struct arena *a, struct bytes *ret_line, bool *ret_more, struct err *err)
{
	struct bytes whole;

	while (take_line(l, &whole)) {
		struct bytes line = bytes_trim_left(whole);
		int r = read_directive(l, line, err);

		if (!r && is_comment(line))
			r = keep_comment(l, whole, a, err);
		if (r < 0)
			return r;
		if (is_comment(line))
			continue;
		*ret_more = cut_continuation(l, &line);
		*ret_line = line;
		if (*ret_more || line.len)
			return 1;
	}
	return 0;
}

/* What continues the line, joined to it. */
static int join(struct lines *l, struct arena *a, struct line *line, struct err *err)
{
	CLEANUP(buf_free) struct buf joined = BUF_INIT(line->text.len + l->rest.len + 1);
	struct bytes next;
	bool more = true;

	buf_append(&joined, line->text.data, line->text.len);
	while (more && take_line(l, &next)) {
		if (is_comment(next))
			continue;
		if (!bytes_trim_left(next).len) {
			line->empty_continuation = true;
			continue;
		}
		more = cut_continuation(l, &next);
		buf_append(&joined, next.data, next.len);
	}
	line->text = buf_bytes(&joined);
	line->text.data = buf_ok(&joined) ? (const uint8_t *)arena_bytes(a, line->text) : NULL;
	return line->text.data ? OK : fail_nomem(err);
}

int lines_next(struct lines *l, struct arena *a, struct line *ret_line, struct err *err)
{
	struct line line = { .first = 0 };
	bool more = false;
	int r = find_first(l, a, &line.text, &more, err);

	if (r <= 0)
		return r;
	line.first = l->number;
	r = more ? join(l, a, &line, err) : OK;
	if (r < 0)
		return r;
	line.last = l->number;
	line.comments = TAKE(l->comments);
	*ret_line = line;
	return 1;
}
