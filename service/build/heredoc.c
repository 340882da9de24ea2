#include "service/build/heredoc.h"

#include "service/build/expand.h"

static const char *unset(UNUSED void *arg, UNUSED struct bytes name)
{
	return NULL;
}

/* Here-documents always know `\`, whatever the file's escape is. */
static int lex(struct bytes text, bool quotes, bool escapes, struct arena *a, struct string_list *ret_words,
	       struct err *err)
{
	const struct expand_rules rules = { '\\', .keep_quotes = quotes, .keep_escapes = escapes, .keep_unset = true };
	const struct variables none = { .get = unset };
	char *copy = arena_bytes(a, text);

	return copy ? expand_words(copy, &rules, &none, a, ret_words, err) : fail_nomem(err);
}

static size_t count_quotes(const char *text)
{
	size_t n = 0;

	for (; *text; text++)
		n += *text == '"' || *text == '\'';
	return n;
}

/* "[FD]<<[-]", blanks; then a word without '<', which is left in *word. */
static bool take_mark(struct bytes *word, struct heredoc *doc)
{
	size_t i = 0;

	for (; i < word->len && word->data[i] >= '0' && word->data[i] <= '9'; i++)
		doc->fd = doc->fd > UINT32_MAX / 10 - 1 ? UINT32_MAX : doc->fd * 10 + (word->data[i] - '0');
	*word = bytes_from(*word, i);
	if (!bytes_begin(*word, "<<"))
		return false;
	*word = bytes_from(*word, 2);
	doc->chomp = bytes_begin(*word, "-");
	*word = bytes_from(*word, doc->chomp);
	while (word->len && strchr("\t\n\f\r ", word->data[0]))
		*word = bytes_from(*word, 1);
	return word->len && bytes_find(*word, '<') == word->len;
}

int heredoc_parse(struct bytes word, struct arena *a, struct heredoc *ret_doc, struct err *err)
{
	struct string_list bare, raw;
	struct heredoc doc = { .fd = 0 };
	int r;

	if (!take_mark(&word, &doc))
		return 0;
	r = lex(word, false, false, a, &bare, err);
	if (r != OK || bare.n != 1)
		return r;
	r = lex(word, true, false, a, &raw, err);
	if (r != OK)
		return r;
	if (raw.n != 1)
		return fail(err, E_INVALID, "the word of a here-document is not clear: %.*s",
			    (int)(word.len < 256 ? word.len : 256), (const char *)word.data);
	doc.name = bytes_of(bare.items[0]);
	doc.expand = count_quotes(bare.items[0]) == count_quotes(raw.items[0]);
	*ret_doc = doc;
	return 1;
}

int heredocs_of_line(struct bytes line, struct arena *a, struct heredoc **ret_docs, size_t *ret_n, struct err *err)
{
	struct string_list words = { .n = 0 };
	struct heredoc *docs = NULL;
	size_t n = 0, capacity = 0;

	/* What the shell would not understand names none. */
	if (lex(line, true, true, a, &words, NULL) < 0)
		words.n = 0;
	for (size_t i = 0; i < words.n; i++) {
		int r = arena_grow(a, &docs, n, &capacity, sizeof *docs, err);

		if (r == OK)
			r = heredoc_parse(bytes_of(words.items[i]), a, &docs[n], err);
		if (r < 0)
			return r;
		n += (size_t)r;
		if (n > HEREDOCS_MAX)
			return fail(err, E_LIMIT, "an instruction has at most %d here-documents", HEREDOCS_MAX);
	}
	*ret_docs = docs;
	*ret_n = n;
	return OK;
}

static struct bytes without_newline(struct bytes line)
{
	while (line.len && (line.data[line.len - 1] == '\n' || line.data[line.len - 1] == '\r'))
		line.len--;
	return line;
}

static struct bytes without_tabs(struct bytes line)
{
	while (bytes_begin(line, "\t"))
		line = bytes_from(line, 1);
	return line;
}

int heredoc_read(struct heredoc *doc, struct bytes *rest, int *number, struct err *err)
{
	struct bytes line;

	doc->content = bytes_first(*rest, 0);
	while (bytes_take_line(rest, &line)) {
		struct bytes word = without_newline(line);

		++*number;
		if (bytes_eq(doc->chomp ? without_tabs(word) : word, doc->name))
			return OK;
		doc->content.len += line.len;
	}
	return fail(err, E_INVALID, "unterminated heredoc");
}

int heredoc_content(const struct heredoc *doc, struct arena *a, const char **ret_text, struct err *err)
{
	CLEANUP(buf_free) struct buf text = BUF_INIT(doc->content.len + 1);
	struct bytes rest = doc->content, line;

	while (bytes_take_line(&rest, &line)) {
		if (doc->chomp)
			line = without_tabs(line);
		buf_append(&text, line.data, line.len);
	}
	*ret_text = buf_ok(&text) ? arena_bytes(a, buf_bytes(&text)) : NULL;
	return *ret_text ? OK : fail_nomem(err);
}
