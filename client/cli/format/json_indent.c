#include "client/cli/format/json_indent.h"

enum { DEPTH_MAX = 64 };

struct indenter {
	struct buf *out;
	const char *indent;
	unsigned depth;
	bool fresh; /* behind an opening bracket */
};

static void new_line(struct indenter *w)
{
	buf_putc(w->out, '\n');
	for (unsigned i = 0; i < w->depth && i < DEPTH_MAX; i++)
		buf_puts(w->out, w->indent);
}

/* Behind an opening bracket a line begins only when something comes. */
static void begin_item(struct indenter *w)
{
	if (w->fresh) {
		w->fresh = false;
		w->depth++;
		new_line(w);
	}
}

static void close_bracket(struct indenter *w, char c)
{
	if (w->fresh) {
		w->fresh = false;
	} else {
		w->depth -= w->depth > 0;
		new_line(w);
	}
	buf_putc(w->out, c);
}

/* The length of a string with its quotes. */
static size_t string_len(struct bytes text)
{
	size_t i = 1;

	while (i < text.len && text.data[i] != '"')
		i += text.data[i] == '\\' ? 2 : 1;
	return i < text.len ? i + 1 : text.len;
}

static size_t put_token(struct indenter *w, struct bytes text)
{
	char c = (char)text.data[0];
	size_t n = 1;

	switch (c) {
	case ' ':
	case '\t':
	case '\r':
	case '\n':
		return 1;
	case '}':
	case ']':
		close_bracket(w, c);
		return 1;
	case ',':
		buf_putc(w->out, c);
		new_line(w);
		return 1;
	case ':':
		buf_puts(w->out, ": ");
		return 1;
	case '"':
		n = string_len(text);
		break;
	default:
		break;
	}
	begin_item(w);
	buf_append(w->out, text.data, n);
	w->fresh = c == '{' || c == '[';
	return n;
}

void json_indent(struct buf *out, struct bytes text, const char *indent)
{
	struct indenter w = { .out = out, .indent = indent };

	while (text.len && buf_ok(out)) {
		size_t n = put_token(&w, text);

		text = (struct bytes){ text.data + n, text.len - n };
	}
}

/* How many bytes were put; 0: what is there may stay as it is. */
static size_t put_escaped(struct buf *out, struct bytes text)
{
	const uint8_t *at = text.data;

	if (*at == '<' || *at == '>' || *at == '&') {
		buf_printf(out, "\\u%04x", *at);
		return 1;
	}
	if (text.len < 3 || at[0] != 0xe2 || at[1] != 0x80 || (at[2] & 0xfe) != 0xa8)
		return 0;
	buf_printf(out, "\\u20%02x", at[2] & 0x2f);
	return 3;
}

void json_compact(struct buf *out, struct bytes text)
{
	size_t n, string_end = 0;

	for (size_t i = 0; i < text.len && buf_ok(out); i += n) {
		struct bytes rest = { text.data + i, text.len - i };

		if (i >= string_end && text.data[i] == '"')
			string_end = i + string_len(rest);
		n = put_escaped(out, rest);
		if (n)
			continue;
		n = 1;
		if (i < string_end || !strchr(" \t\r\n", text.data[i]))
			buf_putc(out, (char)text.data[i]);
	}
}
