#include "store/types/go_json.h"

enum { ESCAPE_LEN = 6 /* \u00xx */ };

static int append(const char *text, size_t len, void *out)
{
	return buf_append(out, text, len) ? 0 : -1;
}

/* jansson's escapes have capital digits, and short forms that Go's had not. */
static size_t put_escape(const char *at, struct buf *out)
{
	static const char hex[] = "0123456789abcdef";

	if (at[1] == 'b' || at[1] == 'f') {
		buf_puts(out, at[1] == 'b' ? "\\u0008" : "\\u000c");
		return 2;
	}
	if (at[1] != 'u') {
		buf_append(out, at, 2);
		return 2;
	}
	for (int i = 0; i < ESCAPE_LEN; i++) {
		const char *digit = i > 1 && at[i] >= 'A' && at[i] <= 'F' ? &hex[at[i] - 'A' + 10] : &at[i];

		buf_putc(out, *digit);
	}
	return ESCAPE_LEN;
}

/* One character of text that jansson wrote; how many bytes of it were taken. Nothing that is
 * escaped here can stand outside of a string. */
static size_t put_char(const char *at, struct buf *out)
{
	static const char separators[] = "\xe2\x80"; /* of lines and paragraphs, but for their last byte */

	if (*at == '\\')
		return put_escape(at, out);
	if (*at == '<' || *at == '>' || *at == '&') {
		buf_printf(out, "\\u%04x", (unsigned)*at);
		return 1;
	}
	if (!strncmp(at, separators, 2) && (at[2] == '\xa8' || at[2] == '\xa9')) {
		buf_puts(out, at[2] == '\xa8' ? "\\u2028" : "\\u2029");
		return 3;
	}
	buf_putc(out, *at);
	return 1;
}

int go_json_put(const json_t *value, struct buf *out, struct err *err)
{
	CLEANUP(buf_free) struct buf plain = BUF_INIT(out->max);
	bool put = value && !json_dump_callback(value, append, &plain, JSON_COMPACT);

	for (const char *at = buf_text(&plain); put && *at && buf_ok(out);)
		at += put_char(at, out);
	if (put && buf_ok(out))
		return OK;
	return buf_ok(&plain) && buf_ok(out) ? fail_nomem(err) : fail(err, E_LIMIT, "a JSON document is too large");
}

static int compare_keys(const void *a, const void *b)
{
	return strcmp(*(const char *const *)a, *(const char *const *)b);
}

int go_json_put_sorted(const json_t *object, struct buf *out, struct err *err)
{
	size_t n = json_object_size(object), i = 0;
	CLEANUP(freep) const char **keys = calloc(n + 1, sizeof *keys);
	json_t *sorted = json_object();
	bool made = keys && sorted;
	int r;

	for (void *at = json_object_iter((json_t *)object); made && i < n;
	     at = json_object_iter_next((json_t *)object, at))
		keys[i++] = json_object_iter_key(at);
	if (made)
		qsort(keys, n, sizeof *keys, compare_keys);
	for (i = 0; made && i < n; i++)
		made = !json_object_set_nocheck(sorted, keys[i], json_object_get(object, keys[i]));
	r = made ? go_json_put(sorted, out, err) : fail_nomem(err);
	json_decref(sorted);
	return r;
}
