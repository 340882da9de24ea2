#include "service/build/words.h"

#include <jansson.h>

#include "store/types/json.h"

bool is_blank(char c)
{
	return c == ' ' || (c >= '\t' && c <= '\r');
}

/* ---- a list that grows ------------------------------------------------------ */

struct growing {
	struct arena *arena;
	struct string_list list;
	size_t capacity;
};

static int add(struct growing *g, struct bytes word, struct err *err)
{
	if (g->list.n == g->capacity) {
		size_t capacity = g->capacity ? 2 * g->capacity : 8;
		char **items = arena_array(g->arena, capacity, sizeof *items);

		if (!items)
			return fail_nomem(err);
		if (g->list.n)
			memcpy(items, g->list.items, g->list.n * sizeof *items);
		g->list.items = items;
		g->capacity = capacity;
	}
	g->list.items[g->list.n] = arena_bytes(g->arena, word);
	if (!g->list.items[g->list.n])
		return fail_nomem(err);
	g->list.n++;
	return OK;
}

static struct bytes range(const char *from, const char *to)
{
	return (struct bytes){ (const uint8_t *)from, (size_t)(to - from) };
}

/* ---- between blanks --------------------------------------------------------- */

int words_between_blanks(const char *text, struct arena *a, struct string_list *ret_words, struct err *err)
{
	struct growing g = { .arena = a };

	for (const char *end; *text; text = end) {
		while (is_blank(*text))
			text++;
		for (end = text; *end && !is_blank(*end);)
			end++;
		if (end > text && add(&g, range(text, end), err) < 0)
			return E_NO_MEMORY;
	}
	*ret_words = g.list;
	return OK;
}

/* ---- as a shell ------------------------------------------------------------- */

/* Where a word that begins here ends. An escape with nothing behind it is no part of
 * it: *ret_next is then behind that. */
static const char *shell_word_end(const char *p, char escape, const char **ret_next)
{
	char quote = 0;

	for (; *p && (quote || !is_blank(*p)); p++) {
		if (*p == escape && quote != '\'') {
			if (!p[1]) {
				*ret_next = p + 1;
				return p;
			}
			p++;
		} else if (quote) {
			quote = *p == quote ? 0 : quote;
		} else if (*p == '"' || *p == '\'') {
			quote = *p;
		}
	}
	*ret_next = p;
	return p;
}

int words_of_shell(const char *text, char escape, struct arena *a, struct string_list *ret_words, struct err *err)
{
	struct growing g = { .arena = a };

	for (const char *next; *text; text = next) {
		const char *end;

		while (is_blank(*text))
			text++;
		end = shell_word_end(text, escape, &next);
		if (end > text && add(&g, range(text, end), err) < 0)
			return E_NO_MEMORY;
	}
	*ret_words = g.list;
	return OK;
}

/* ---- JSON ------------------------------------------------------------------- */

int words_of_json(const char *text, struct arena *a, struct string_list *ret_words, struct err *err)
{
	CLEANUP(json_decrefp) json_t *array = NULL;
	struct growing g = { .arena = a };
	json_t *item;
	size_t i;

	while (is_blank(*text))
		text++;
	if (*text != '[' || !json_is_light(bytes_of(text)))
		return 0;
	array = json_loads(text, 0, NULL);
	if (!json_is_array(array))
		return 0;
	json_array_foreach(array, i, item)
	{
		if (!json_is_string(item))
			return fail(err, E_INVALID,
				    "when using JSON array syntax, arrays must be comprised of strings only");
		if (add(&g, bytes_of(json_string_value(item)), err) < 0)
			return E_NO_MEMORY;
	}
	*ret_words = g.list;
	return 1;
}

/* ---- flags ------------------------------------------------------------------ */

/* One word without its quotes and escapes; moves behind it. */
static void take_flag(const char **text, struct buf *out)
{
	const char *p = *text;
	char quote = 0;

	for (; *p && (quote || !is_blank(*p)); p++) {
		if (quote ? *p == quote : *p == '"' || *p == '\'')
			quote = quote ? 0 : *p;
		else if (*p != '\\')
			buf_putc(out, *p);
		else if (p[1])
			buf_putc(out, *++p);
	}
	*text = p;
}

int words_take_flags(const char **text, struct arena *a, struct string_list *ret_flags, struct err *err)
{
	struct growing g = { .arena = a };
	const char *p = *text;
	size_t longest = strlen(p) + 1;

	for (;;) {
		CLEANUP(buf_free) struct buf flag = BUF_INIT(longest);

		while (is_blank(*p))
			p++;
		if (p[0] != '-' || p[1] != '-')
			break;
		take_flag(&p, &flag);
		if (!buf_ok(&flag))
			return fail_nomem(err);
		if (!strcmp(buf_text(&flag), "--"))
			break;
		if (add(&g, buf_bytes(&flag), err) < 0)
			return E_NO_MEMORY;
	}
	while (is_blank(*p))
		p++;
	*text = p;
	*ret_flags = g.list;
	return OK;
}
