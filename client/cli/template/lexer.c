#include "client/cli/template/lexer.h"

#include <ctype.h>
#include <stdarg.h>

#include "client/cli/format/width.h"
#include "client/cli/value/print.h"

enum { END_OF_INPUT = UINT32_MAX, TRIM_MARKER_LEN = 2 };

/* A state reads on and names the next one; NULL means that l->item is ready. */
struct state {
	struct state (*run)(struct lexer *l);
};

static struct state lex_inside_action(struct lexer *l);
static struct state lex_left_delim(struct lexer *l);

static const struct state done;

void lexer_init(struct lexer *l, struct text input)
{
	*l = (struct lexer){ .input = input, .line = 1, .start_line = 1 };
}

static bool is_space(uint32_t r)
{
	return r == ' ' || r == '\t' || r == '\r' || r == '\n';
}

static bool is_alphanumeric(uint32_t r)
{
	if (r == END_OF_INPUT)
		return false;
	return r == '_' || (r < 0x80 ? isalnum((int)r) : rune_is_letter_or_digit(r));
}

static const char *rest(const struct lexer *l)
{
	return l->input.data + l->pos;
}

static size_t left(const struct lexer *l)
{
	return l->input.len - l->pos;
}

static bool starts_with(const struct lexer *l, size_t at, const char *prefix)
{
	size_t len = strlen(prefix);

	return at <= l->input.len && l->input.len - at >= len && !memcmp(l->input.data + at, prefix, len);
}

static uint32_t next(struct lexer *l)
{
	uint32_t r;

	if (!left(l)) {
		l->at_eof = true;
		return END_OF_INPUT;
	}
	l->pos += rune_decode(rest(l), left(l), &r);
	l->line += r == '\n';
	return r;
}

static uint32_t peek(const struct lexer *l)
{
	uint32_t r;

	if (!left(l))
		return END_OF_INPUT;
	rune_decode(rest(l), left(l), &r);
	return r;
}

/* Undoes next(), which took `r`. */
static void back_up(struct lexer *l, uint32_t r)
{
	char utf8[4];

	if (r == END_OF_INPUT)
		return;
	if (r == RUNE_BAD && !(l->pos >= 3 && !memcmp(rest(l) - 3, "\xEF\xBF\xBD", 3)))
		l->pos--; /* a byte that is no UTF-8 */
	else
		l->pos -= rune_encode(r, utf8);
	l->line -= r == '\n';
}

static struct item this_item(struct lexer *l, enum item_type type)
{
	struct item item = { type, l->start, { l->input.data + l->start, l->pos - l->start }, l->start_line };

	l->start = l->pos;
	l->start_line = l->line;
	return item;
}

static struct state emit(struct lexer *l, enum item_type type)
{
	l->item = this_item(l, type);
	return done;
}

static int count_lines(struct text t)
{
	int n = 0;

	for (size_t i = 0; i < t.len; i++)
		n += t.data[i] == '\n';
	return n;
}

/* Drops what was jumped over. */
static void ignore(struct lexer *l)
{
	l->line += count_lines((struct text){ l->input.data + l->start, l->pos - l->start });
	l->start = l->pos;
	l->start_line = l->line;
}

static struct state __attribute__((format(printf, 2, 3))) fail_item(struct lexer *l, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(l->message, sizeof l->message, fmt, ap);
	va_end(ap);
	l->item = (struct item){ ITEM_ERROR, l->start, text_of(l->message), l->start_line };
	l->start = l->pos = l->input.len = 0;
	return done;
}

/* "U+0022 '"'", as %#U. */
static struct state fail_rune(struct lexer *l, const char *what, uint32_t r)
{
	char utf8[4];

	if (r == END_OF_INPUT)
		return fail_item(l, "%s U+FFFFFFFFFFFFFFFF", what);
	if (rune_is_printable(r))
		return fail_item(l, "%s U+%04X '%.*s'", what, r, (int)rune_encode(r, utf8), utf8);
	return fail_item(l, "%s U+%04X", what, r);
}

static bool has_left_trim(const struct lexer *l, size_t at)
{
	return l->input.len - at >= 2 && l->input.data[at] == '-' && is_space((unsigned char)l->input.data[at + 1]);
}

static bool has_right_trim(const struct lexer *l, size_t at)
{
	return l->input.len - at >= 2 && is_space((unsigned char)l->input.data[at]) && l->input.data[at + 1] == '-';
}

static bool at_right_delim(const struct lexer *l, bool *ret_trim)
{
	*ret_trim = has_right_trim(l, l->pos) && starts_with(l, l->pos + TRIM_MARKER_LEN, "}}");
	return *ret_trim || starts_with(l, l->pos, "}}");
}

static size_t leading_space(const struct lexer *l)
{
	size_t n = 0;

	while (n < left(l) && is_space((unsigned char)rest(l)[n]))
		n++;
	return n;
}

static size_t trailing_space(struct text t)
{
	size_t n = 0;

	while (n < t.len && is_space((unsigned char)t.data[t.len - 1 - n]))
		n++;
	return n;
}

static struct state lex_text(struct lexer *l)
{
	const char *delim = left(l) ? memmem(rest(l), left(l), "{{", 2) : NULL;
	size_t trim = 0;

	if (!delim) {
		l->pos = l->input.len;
		l->line += count_lines((struct text){ l->input.data + l->start, l->pos - l->start });
		return emit(l, l->pos > l->start ? ITEM_TEXT : ITEM_EOF);
	}
	if (delim > rest(l)) {
		struct item item;

		l->pos = (size_t)(delim - l->input.data);
		if (has_left_trim(l, l->pos + 2))
			trim = trailing_space((struct text){ l->input.data + l->start, l->pos - l->start });
		l->pos -= trim;
		l->line += count_lines((struct text){ l->input.data + l->start, l->pos - l->start });
		item = this_item(l, ITEM_TEXT);
		l->pos += trim;
		ignore(l);
		if (item.text.len) {
			l->item = item;
			return done;
		}
	}
	return (struct state){ lex_left_delim };
}

static struct state lex_comment(struct lexer *l)
{
	const char *close;
	bool trim;

	l->pos += 2;
	close = left(l) ? memmem(rest(l), left(l), "*/", 2) : NULL;
	if (!close)
		return fail_item(l, "unclosed comment");
	l->pos = (size_t)(close - l->input.data) + 2;
	if (!at_right_delim(l, &trim))
		return fail_item(l, "comment ends before closing delimiter");
	l->pos += trim ? TRIM_MARKER_LEN + 2 : 2;
	if (trim)
		l->pos += leading_space(l);
	ignore(l);
	return (struct state){ lex_text };
}

static struct state lex_left_delim(struct lexer *l)
{
	size_t marker;
	struct item item;

	l->pos += 2;
	marker = has_left_trim(l, l->pos) ? TRIM_MARKER_LEN : 0;
	if (starts_with(l, l->pos + marker, "/*")) {
		l->pos += marker;
		ignore(l);
		return (struct state){ lex_comment };
	}
	item = this_item(l, ITEM_LEFT_DELIM);
	l->inside_action = true;
	l->pos += marker;
	ignore(l);
	l->paren_depth = 0;
	l->item = item;
	return done;
}

static struct state lex_right_delim(struct lexer *l)
{
	struct item item;
	bool trim;

	at_right_delim(l, &trim);
	if (trim) {
		l->pos += TRIM_MARKER_LEN;
		ignore(l);
	}
	l->pos += 2;
	item = this_item(l, ITEM_RIGHT_DELIM);
	if (trim) {
		l->pos += leading_space(l);
		ignore(l);
	}
	l->inside_action = false;
	l->item = item;
	return done;
}

static struct state lex_space(struct lexer *l)
{
	int n = 0;

	for (; is_space(peek(l)); n++)
		next(l);
	/* The last blank may belong to a trim marker: " -}}". */
	if (has_right_trim(l, l->pos - 1) && starts_with(l, l->pos - 1 + TRIM_MARKER_LEN, "}}")) {
		back_up(l, (unsigned char)l->input.data[l->pos - 1]);
		if (n == 1)
			return (struct state){ lex_right_delim };
	}
	return emit(l, ITEM_SPACE);
}

/* Whether a word may end here. */
static bool at_terminator(const struct lexer *l)
{
	uint32_t r = peek(l);

	if (is_space(r) || r == END_OF_INPUT)
		return true;
	if (r < 0x80 && r && strchr(".,|:()", (int)r))
		return true;
	return starts_with(l, l->pos, "}}");
}

static enum item_type word_type(struct text word)
{
	static const struct {
		const char *word;
		enum item_type type;
	} words[] = {
		{ "block", ITEM_BLOCK },
		{ "break", ITEM_BREAK },
		{ "continue", ITEM_CONTINUE },
		{ "define", ITEM_DEFINE },
		{ "else", ITEM_ELSE },
		{ "end", ITEM_END },
		{ "if", ITEM_IF },
		{ "nil", ITEM_NIL },
		{ "range", ITEM_RANGE },
		{ "template", ITEM_TEMPLATE },
		{ "with", ITEM_WITH },
		{ "true", ITEM_BOOL },
		{ "false", ITEM_BOOL },
	};

	for (size_t i = 0; i < ARRAY_LEN(words); i++)
		if (text_eq(text_of(words[i].word), word))
			return words[i].type;
	return ITEM_IDENTIFIER;
}

static struct state lex_word(struct lexer *l, enum item_type type)
{
	uint32_t r;

	if (type != ITEM_IDENTIFIER && at_terminator(l))
		return emit(l, type == ITEM_VARIABLE ? ITEM_VARIABLE : ITEM_DOT);
	do
		r = next(l);
	while (is_alphanumeric(r));
	back_up(l, r);
	if (!at_terminator(l))
		return fail_rune(l, "bad character", r);
	if (type == ITEM_IDENTIFIER)
		type = word_type((struct text){ l->input.data + l->start, l->pos - l->start });
	return emit(l, type);
}

/* A literal between quotes in which '\' escapes. */
static struct state lex_quoted(struct lexer *l, uint32_t quote, enum item_type type, const char *what)
{
	uint32_t r;

	while ((r = next(l)) != quote) {
		if (r == '\\')
			r = next(l);
		if (r == END_OF_INPUT || r == '\n')
			return fail_item(l, "%s", what);
	}
	return emit(l, type);
}

static struct state lex_raw_quote(struct lexer *l)
{
	uint32_t r;

	while ((r = next(l)) != '`')
		if (r == END_OF_INPUT)
			return fail_item(l, "unterminated raw quoted string");
	return emit(l, ITEM_RAW_STRING);
}

static bool accept(struct lexer *l, const char *valid)
{
	uint32_t r = peek(l);

	if (r >= 0x80 || !r || !strchr(valid, (int)r))
		return false;
	next(l);
	return true;
}

static void accept_run(struct lexer *l, const char *valid)
{
	while (accept(l, valid))
		;
}

static bool scan_number(struct lexer *l)
{
	static const char decimal[] = "0123456789_", hex[] = "0123456789abcdefABCDEF_";
	const char *digits = decimal;

	accept(l, "+-");
	if (accept(l, "0")) {
		if (accept(l, "xX"))
			digits = hex;
		else if (accept(l, "oO"))
			digits = "01234567_";
		else if (accept(l, "bB"))
			digits = "01_";
	}
	accept_run(l, digits);
	if (accept(l, "."))
		accept_run(l, digits);
	if ((digits == decimal && accept(l, "eE")) || (digits == hex && accept(l, "pP"))) {
		accept(l, "+-");
		accept_run(l, decimal);
	}
	accept(l, "i");
	if (!is_alphanumeric(peek(l)))
		return true;
	next(l);
	return false;
}

static struct state fail_number(struct lexer *l)
{
	CLEANUP(buf_free) struct buf quoted = BUF_INIT(120);

	print_quoted(&quoted, (struct text){ l->input.data + l->start, l->pos - l->start });
	return fail_item(l, "bad number syntax: %s", buf_text(&quoted));
}

static struct state lex_number(struct lexer *l)
{
	uint32_t sign;

	if (!scan_number(l))
		return fail_number(l);
	sign = peek(l);
	if (sign != '+' && sign != '-')
		return emit(l, ITEM_NUMBER);
	/* 1+2i, without blanks, ends in 'i'. */
	if (!scan_number(l) || l->input.data[l->pos - 1] != 'i')
		return fail_number(l);
	return emit(l, ITEM_COMPLEX);
}

static struct state lex_paren(struct lexer *l, uint32_t r)
{
	l->paren_depth += r == '(' ? 1 : -1;
	if (l->paren_depth < 0)
		return fail_item(l, "unexpected right paren");
	return emit(l, r == '(' ? ITEM_LEFT_PAREN : ITEM_RIGHT_PAREN);
}

static struct state lex_other(struct lexer *l, uint32_t r)
{
	if (r == '+' || r == '-' || r == '.' || (r >= '0' && r <= '9')) {
		back_up(l, r);
		return lex_number(l);
	}
	if (is_alphanumeric(r)) {
		back_up(l, r);
		return lex_word(l, ITEM_IDENTIFIER);
	}
	if (r == '(' || r == ')')
		return lex_paren(l, r);
	if (r < 0x80 && isprint((int)r))
		return emit(l, ITEM_CHAR);
	return fail_rune(l, "unrecognized character in action:", r);
}

static struct state lex_inside_action(struct lexer *l)
{
	bool trim;
	uint32_t r;

	if (at_right_delim(l, &trim))
		return l->paren_depth ? fail_item(l, "unclosed left paren") : lex_right_delim(l);
	switch (r = next(l)) {
	case END_OF_INPUT:
		return fail_item(l, "unclosed action");
	case ' ':
	case '\t':
	case '\r':
	case '\n':
		back_up(l, r);
		return lex_space(l);
	case '=':
		return emit(l, ITEM_ASSIGN);
	case ':':
		return next(l) == '=' ? emit(l, ITEM_DECLARE) : fail_item(l, "expected :=");
	case '|':
		return emit(l, ITEM_PIPE);
	case '"':
		return lex_quoted(l, '"', ITEM_STRING, "unterminated quoted string");
	case '`':
		return lex_raw_quote(l);
	case '$':
		return lex_word(l, ITEM_VARIABLE);
	case '\'':
		return lex_quoted(l, '\'', ITEM_CHAR_CONSTANT, "unterminated character constant");
	case '.':
		if (left(l) && !isdigit((unsigned char)*rest(l)))
			return lex_word(l, ITEM_FIELD);
		return lex_other(l, r);
	default:
		return lex_other(l, r);
	}
}

struct item lexer_next(struct lexer *l)
{
	struct state state = { l->inside_action ? lex_inside_action : lex_text };

	l->item = (struct item){ ITEM_EOF, l->pos, text_of("EOF"), l->start_line };
	while (state.run)
		state = state.run(l);
	return l->item;
}
