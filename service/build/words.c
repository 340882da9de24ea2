#include "service/build/words.h"

#include <jansson.h>

#include "store/types/json.h"

/* ---- between blanks --------------------------------------------------------- */

static bool parts_words(char c)
{
	return c == ' ' || c == '\t' || c == '\v' || c == '\f' || c == '\r';
}

size_t words_blanks(struct bytes text)
{
	size_t n = 0;

	while (n < text.len && parts_words((char)text.data[n]))
		n++;
	return n;
}

size_t words_before_blank(struct bytes text)
{
	size_t n = 0;

	while (n < text.len && !parts_words((char)text.data[n]))
		n++;
	return n;
}

int words_between_blanks(struct bytes text, struct arena *a, struct word_list *ret_words, struct err *err)
{
	struct word_list words = { .n = 0 };

	while (text.len) {
		size_t len = words_before_blank(text);
		int r = len ? word_add(&words, bytes_first(text, len), a, err) : OK;

		if (r != OK)
			return r;
		text = bytes_from(text, len);
		text = bytes_from(text, words_blanks(text));
	}
	*ret_words = words;
	return OK;
}

/* ---- as a shell ------------------------------------------------------------- */

/* Where a word that begins here ends. An escape with nothing behind it is no part of
 * it: *ret_next is then behind that. */
static size_t shell_word_end(struct bytes text, char escape, size_t *ret_next)
{
	uint32_t rune;
	char quote = 0;
	size_t i = 0;

	for (size_t n; i < text.len; i += n) {
		n = rune_at(bytes_from(text, i), &rune);
		if (!quote && rune_is_space(rune))
			break;
		if (rune == (uint8_t)escape && quote != '\'') {
			if (i + 1 == text.len) {
				*ret_next = text.len;
				return i;
			}
			n = 1 + rune_at(bytes_from(text, i + 1), &rune);
		} else if (quote) {
			quote = rune == (uint8_t)quote ? 0 : quote;
		} else if (rune == '"' || rune == '\'') {
			quote = (char)rune;
		}
	}
	*ret_next = i;
	return i;
}

int words_of_shell(struct bytes text, char escape, struct arena *a, struct word_list *ret_words, struct err *err)
{
	struct word_list words = { .n = 0 };

	for (text = bytes_trim_left(text); text.len; text = bytes_trim_left(text)) {
		size_t next, len = shell_word_end(text, escape, &next);
		int r = len ? word_add(&words, bytes_first(text, len), a, err) : OK;

		if (r != OK)
			return r;
		text = bytes_from(text, next);
	}
	*ret_words = words;
	return OK;
}

/* ---- JSON ------------------------------------------------------------------- */

static int add_string(struct word_list *words, json_t *item, struct arena *a, struct err *err)
{
	struct bytes value = { (const uint8_t *)json_string_value(item), json_string_length(item) };

	if (!json_is_string(item))
		return fail(err, E_INVALID, "when using JSON array syntax, arrays must be comprised of strings only");
	value.data = (const uint8_t *)arena_bytes(a, value);
	return value.data ? word_add(words, value, a, err) : fail_nomem(err);
}

int words_of_json(struct bytes text, struct arena *a, struct word_list *ret_words, struct err *err)
{
	CLEANUP(json_decrefp) json_t *array = NULL;
	struct word_list words = { .n = 0 };
	json_t *item;
	size_t i;

	text = bytes_trim_left(text);
	if (!bytes_begin(text, "[") || !json_is_light(text))
		return 0;
	array = json_loadb((const char *)text.data, text.len, JSON_ALLOW_NUL, NULL);
	if (!json_is_array(array))
		return 0;
	json_array_foreach(array, i, item)
	{
		int r = add_string(&words, item, a, err);

		if (r != OK)
			return r;
	}
	*ret_words = words;
	return 1;
}

/* ---- flags ------------------------------------------------------------------ */

/* One word without its quotes and escapes; moves behind it. */
static void take_flag(struct bytes *text, char escape, struct buf *out)
{
	char quote = 0;
	size_t i = 0;

	for (; i < text->len; i++) {
		char c = (char)text->data[i];

		if (!quote && is_blank(c))
			break;
		if (quote ? c == quote : c == '"' || c == '\'')
			quote = quote ? 0 : c;
		else if (c != escape)
			buf_putc(out, c);
		else if (i + 1 < text->len)
			buf_putc(out, (char)text->data[++i]);
	}
	*text = bytes_from(*text, i);
}

static int add_flag(struct word_list *flags, const struct buf *flag, struct arena *a, struct err *err)
{
	struct bytes copy = buf_bytes(flag);

	copy.data = (const uint8_t *)arena_bytes(a, copy);
	return copy.data ? word_add(flags, copy, a, err) : fail_nomem(err);
}

int words_take_flags(struct bytes *text, char escape, struct arena *a, struct word_list *ret_flags, struct err *err)
{
	CLEANUP(buf_free) struct buf flag = BUF_INIT(text->len + 1);
	struct word_list flags = { .n = 0 };
	struct bytes rest = bytes_trim_left(*text);

	for (; bytes_begin(rest, "--"); rest = bytes_trim_left(rest)) {
		int r;

		buf_reset(&flag);
		take_flag(&rest, escape, &flag);
		if (!buf_ok(&flag))
			return fail_nomem(err);
		if (!strcmp(buf_text(&flag), "--"))
			break;
		r = add_flag(&flags, &flag, a, err);
		if (r != OK)
			return r;
	}
	*text = bytes_trim_left(rest);
	*ret_flags = flags;
	return OK;
}
