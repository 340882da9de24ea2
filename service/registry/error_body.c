#include "service/registry/error_body.h"

#include <ctype.h>
#include <jansson.h>
#include <stdio.h>
#include <strings.h>

#include "proto/runtime/utf8.h"
#include "store/types/json.h"

enum { ERRORS_SHOWN_MAX = 4 };

/* ---- text ------------------------------------------------------------------ */

size_t text_character(struct bytes b)
{
	uint32_t rune = 0;
	size_t n = utf8_rune(b, &rune);
	bool c1 = rune >= 0x80 && rune < 0xa0;
	bool turns = (rune >= 0x202a && rune <= 0x202e) || (rune >= 0x2066 && rune <= 0x2069);

	return c1 || turns ? 0 : n;
}

/* How many bytes of a URL's query begin here, after its '?'. */
static size_t query_len(struct bytes b)
{
	size_t n = 0;

	while (n < b.len && !isspace(b.data[n]) && !strchr("\"'<>", b.data[n]))
		n++;
	return n;
}

static bool ends_with_url(const char *out, size_t len)
{
	size_t start = len;

	while (start && !isspace((unsigned char)out[start - 1]))
		start--;
	return memmem(out + start, len - start, "://", 3) != NULL;
}

static void skip(struct bytes *b, size_t n)
{
	*b = (struct bytes){ b->data + n, b->len - n };
}

char *text_clean(struct bytes in, char *out, size_t max)
{
	size_t len = 0;

	while (in.len && len + 5 < max) {
		size_t n = text_character(in);
		bool blank = n == 1 && (in.data[0] <= ' ' || in.data[0] == 0x7f);

		if (blank) {
			if (len && out[len - 1] != ' ')
				out[len++] = ' ';
			skip(&in, 1);
		} else if (!n) {
			out[len++] = '?';
			skip(&in, 1);
		} else if (in.data[0] == '?' && ends_with_url(out, len)) {
			skip(&in, 1 + query_len((struct bytes){ in.data + 1, in.len - 1 }));
		} else {
			memcpy(out + len, in.data, n);
			len += n;
			skip(&in, n);
		}
	}
	while (len && out[len - 1] == ' ')
		len--;
	out[len] = 0;
	return out;
}

/* ---- JSON ------------------------------------------------------------------ */

static void clean_json(const json_t *value, char *out, size_t max)
{
	struct bytes text = { (const uint8_t *)json_string_value(value), json_string_length(value) };

	out[0] = 0;
	if (text.data)
		text_clean(text, out, max);
}

/* "MANIFEST_UNKNOWN" → "manifest unknown", as docker words it. */
static void code_words(const char *code, char *out)
{
	for (; *code; code++)
		*out++ = *code == '_' ? ' ' : (char)tolower((unsigned char)*code);
	*out = 0;
}

static void append(struct error_body *e, const char *text)
{
	size_t used = strlen(e->text);

	if (*text)
		snprintf(e->text + used, sizeof e->text - used, "%s%s", used ? "; " : "", text);
}

static void add_error(struct error_body *e, const json_t *item)
{
	char code[ERROR_CODE_MAX], words[ERROR_CODE_MAX], message[ERROR_TEXT_MAX / 2];
	char line[sizeof words + sizeof message + 2];

	clean_json(json_object_get(item, "code"), code, sizeof code);
	clean_json(json_object_get(item, "message"), message, sizeof message);
	code_words(code, words);
	if (!e->code[0])
		memcpy(e->code, code, sizeof code);
	snprintf(line, sizeof line, "%s%s%s", words, *words && *message ? ": " : "", message);
	append(e, line);
}

/* What token servers and front ends send in place of the spec's `errors`. */
static void add_other(struct error_body *e, const json_t *root)
{
	static const char *const keys[] = { "details", "message", "error_description", "error" };
	char text[ERROR_TEXT_MAX];

	for (size_t i = 0; i < ARRAY_LEN(keys); i++) {
		clean_json(json_object_get(root, keys[i]), text, sizeof text);
		if (*text)
			return append(e, text);
	}
}

static bool parse_json(struct bytes body, struct error_body *e)
{
	json_t *root = json_loadb((const char *)body.data, body.len, JSON_REJECT_DUPLICATES | JSON_ALLOW_NUL, NULL);
	const json_t *errors = json_object_get(root, "errors");

	for (size_t i = 0; i < json_array_size(errors) && i < ERRORS_SHOWN_MAX; i++)
		add_error(e, json_array_get(errors, i));
	if (!e->text[0])
		add_other(e, root);
	json_decref(root);
	return root != NULL;
}

void error_body_parse(struct bytes body, struct error_body *ret_error)
{
	struct error_body e = { 0 };

	if (body.len > ERROR_BODY_MAX)
		body.len = ERROR_BODY_MAX;
	if (body.len && json_is_light(body) && !parse_json(body, &e)) {
		text_clean(body, e.text, sizeof e.text);
		if (e.text[0] == '<' || e.text[0] == '{') /* a page, or JSON that is broken */
			e.text[0] = 0;
	}
	*ret_error = e;
}
