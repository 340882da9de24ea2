#include "service/build/suggest.h"

#include <stdio.h>

enum { WORD_MAX = 40, DISTANCE_MAX = 2 };

static char lower(char c)
{
	return c >= 'A' && c <= 'Z' ? (char)(c | 0x20) : c;
}

static unsigned least(unsigned a, unsigned b)
{
	return a < b ? a : b;
}

/* Levenshtein's distance; both have at most WORD_MAX bytes. */
static unsigned distance(struct bytes a, struct bytes b, bool any_case)
{
	unsigned row[WORD_MAX + 1];

	for (size_t j = 0; j <= b.len; j++)
		row[j] = (unsigned)j;
	for (size_t i = 0; i < a.len; i++) {
		unsigned diagonal = row[0];

		row[0] = (unsigned)i + 1;
		for (size_t j = 0; j < b.len; j++) {
			char x = (char)a.data[i], y = (char)b.data[j];
			unsigned replaced = diagonal + (any_case ? lower(x) != lower(y) : x != y);

			diagonal = row[j + 1];
			row[j + 1] = least(replaced, least(row[j], row[j + 1]) + 1);
		}
	}
	return row[b.len];
}

const char *suggest_nearest(struct bytes word, const char *const *options, size_t n, bool any_case)
{
	unsigned best = DISTANCE_MAX + 1;
	const char *nearest = NULL;

	if (word.len > WORD_MAX)
		return NULL;
	for (size_t i = 0; i < n; i++) {
		struct bytes option = { (const uint8_t *)options[i], strcspn(options[i], "=") };
		unsigned d = option.len > WORD_MAX ? best : distance(word, option, any_case);

		if (!d)
			return NULL; /* whatever is wrong, it is not the word */
		if (d < best) {
			best = d;
			nearest = options[i];
		}
	}
	return nearest;
}

static bool is_upper(struct bytes word)
{
	for (size_t i = 0; i < word.len; i++)
		if (word.data[i] >= 'a' && word.data[i] <= 'z')
			return false;
	return true;
}

const char *suggest(struct bytes word, const char *const *options, size_t n, bool any_case, struct suggestion *out)
{
	const char *nearest = suggest_nearest(word, options, n, any_case);
	char text[WORD_MAX + 1] = "";

	out->text[0] = 0;
	if (!nearest)
		return out->text;
	for (size_t i = 0; i < WORD_MAX && nearest[i] && nearest[i] != '='; i++)
		text[i] = any_case && !is_upper(word) ? lower(nearest[i]) : nearest[i];
	snprintf(out->text, sizeof out->text, " (did you mean %s?)", text);
	return out->text;
}
