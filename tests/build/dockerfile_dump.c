/*
 * What the code of service/build makes of a text. Reads requests, a JSON object a line
 * ("op" says what is asked), and answers each with an object; "error" in it says what was
 * refused, with "lines" where a place is known.
 */
#include <jansson.h>
#include <stdio.h>

#include "service/build/expand.h"
#include "service/build/ports.h"
#include "service/build/quote.h"
#include "service/build/tree.h"

static const char *text_of(const json_t *request, const char *name)
{
	const char *text = json_string_value(json_object_get(request, name));

	return text ? text : "";
}

static json_t *string_of(struct bytes b)
{
	return json_stringn((const char *)b.data, b.len);
}

static void set_error(json_t *answer, const struct err *err, const struct place *place)
{
	json_object_set_new(answer, "error", json_string(err->text));
	if (place && place->first)
		json_object_set_new(answer, "lines", json_pack("[ii]", place->first, place->last));
}

/* ---- trees ------------------------------------------------------------------ */

static void dump_words(const struct word_list *words, struct buf *out)
{
	for (size_t i = 0; i < words->n; i++) {
		buf_putc(out, ' ');
		quote_go(out, words->items[i]);
	}
}

static void dump_node(const struct node *n, struct buf *out)
{
	for (size_t i = 0; i < n->keyword.len; i++)
		buf_putc(out, (char)(n->keyword.data[i] >= 'A' && n->keyword.data[i] <= 'Z' ? n->keyword.data[i] | 0x20
											    : n->keyword.data[i]));
	for (size_t i = 0; i < n->flags.n; i++) {
		buf_puts(out, i ? " " : " [");
		quote_go(out, n->flags.items[i]);
		buf_puts(out, i + 1 == n->flags.n ? "]" : "");
	}
	dump_words(&n->words, out);
	if (n->child) {
		buf_puts(out, " (");
		dump_node(n->child, out);
		buf_putc(out, ')');
	}
}

static json_t *heredocs_of(const struct node *n)
{
	json_t *list = json_array();

	for (size_t i = 0; i < n->n_heredocs; i++) {
		const struct heredoc *d = &n->heredocs[i];

		json_array_append_new(list, json_pack("{so sb sb si so}", "Name", string_of(d->name), "Expand",
						      d->expand, "Chomp", d->chomp, "FileDescriptor", (int)d->fd,
						      "Content", string_of(d->content)));
	}
	return list;
}

static void answer_tree(const json_t *request, json_t *answer, struct arena *a)
{
	CLEANUP(buf_free) struct buf dump = BUF_INIT(64 * 1024 * 1024);
	json_t *places = json_array(), *heredocs = json_array();
	struct err err = ERR_INIT;
	struct place place;
	struct tree tree;

	json_object_set_new(answer, "places", places);
	json_object_set_new(answer, "heredocs", heredocs);
	if (tree_parse(bytes_of(text_of(request, "text")), a, &tree, &place, &err) < 0) {
		set_error(answer, &err, &place);
		return;
	}
	for (size_t i = 0; i < tree.n; i++) {
		const struct node *n = &tree.nodes[i];

		buf_putc(&dump, '(');
		dump_node(n, &dump);
		buf_puts(&dump, ")\n");
		json_array_append_new(places, json_pack("[ii]", n->place.first, n->place.last));
		json_array_append_new(heredocs, heredocs_of(n));
	}
	json_object_set_new(answer, "dump", string_of(buf_bytes(&dump)));
}

/* ---- words ------------------------------------------------------------------ */

struct environment {
	json_t *values, *matched, *unmatched;
};

static const char *get_value(void *arg, struct bytes name)
{
	struct environment *e = arg;
	const char *value = NULL;
	char key[256];

	if (name.len < sizeof key) {
		memcpy(key, name.data, name.len);
		key[name.len] = 0;
		value = json_string_value(json_object_get(e->values, key));
		json_object_set_new(value ? e->matched : e->unmatched, key, json_true());
	}
	return value;
}

static void answer_expand(const json_t *request, json_t *answer, struct arena *a)
{
	CLEANUP(buf_free) struct buf value = BUF_INIT(EXPANDED_MAX);
	const struct expand_rules rules = { .escape = *text_of(request, "escape") == '`' ? '`' : '\\' };
	struct environment e = { json_object_get(request, "env"), json_object(), json_object() };
	struct variables v = { .get = get_value, .arg = &e };
	struct string_list words = { .n = 0 };
	json_t *list = json_array();
	struct err err = ERR_INIT;
	int r = expand(text_of(request, "word"), &rules, &v, &value, &err);

	json_object_set_new(answer, "matched", e.matched);
	json_object_set_new(answer, "unmatched", e.unmatched);
	json_object_set_new(answer, "words", list);
	json_object_set_new(answer, "value", string_of((struct bytes){ (const uint8_t *)buf_text(&value), value.len }));
	if (r == OK)
		r = expand_words(text_of(request, "word"), &rules, &v, a, &words, &err);
	for (size_t i = 0; i < words.n; i++)
		json_array_append_new(list, json_string(words.items[i]));
	if (r < 0)
		set_error(answer, &err, NULL);
}

static void answer_heredoc(const json_t *request, json_t *answer, struct arena *a)
{
	struct heredoc doc, *docs = NULL;
	json_t *names = json_array();
	struct err err = ERR_INIT;
	size_t n = 0;
	int r = heredoc_parse(bytes_of(text_of(request, "word")), a, &doc, &err);

	json_object_set_new(answer, "names", names);
	json_object_set_new(answer, "is", json_boolean(r > 0));
	if (r < 0)
		set_error(answer, &err, NULL);
	if (heredocs_of_line(bytes_of(text_of(request, "line")), a, &docs, &n, &err) == OK)
		for (size_t i = 0; i < n; i++)
			json_array_append_new(names, string_of(docs[i].name));
}

static void answer_json(const json_t *request, json_t *answer, struct arena *a)
{
	struct word_list words = { .n = 0 };
	json_t *list = json_array();
	struct err err = ERR_INIT;
	int r = words_of_json(bytes_of(text_of(request, "text")), a, &words, &err);

	json_object_set_new(answer, "is", json_boolean(r > 0));
	json_object_set_new(answer, "words", list);
	for (size_t i = 0; i < words.n; i++)
		json_array_append_new(list, string_of(words.items[i]));
	if (r < 0)
		set_error(answer, &err, NULL);
}

static void answer_port(const json_t *request, json_t *answer, UNUSED struct arena *a)
{
	json_t *list = json_array();
	struct err err = ERR_INIT;
	struct port_range range;

	json_object_set_new(answer, "ports", list);
	if (port_range_parse(text_of(request, "spec"), &range, &err) < 0) {
		set_error(answer, &err, NULL);
		return;
	}
	for (unsigned p = range.first; p <= range.last; p++)
		json_array_append_new(list, json_sprintf("%u/%s", p, range.protocol));
}

/* ---- requests --------------------------------------------------------------- */

static const struct {
	const char *op;
	void (*answer)(const json_t *request, json_t *answer, struct arena *a);
} ops[] = {
	{ "tree", answer_tree }, { "expand", answer_expand }, { "heredoc", answer_heredoc },
	{ "json", answer_json }, { "port", answer_port },
};

static void handle(const json_t *request)
{
	CLEANUP(json_decrefp) json_t *answer = json_object();
	CLEANUP(arena_free) struct arena a;

	arena_init(&a, DOCKERFILE_ARENA_MAX);
	for (size_t i = 0; i < ARRAY_LEN(ops); i++)
		if (!strcmp(text_of(request, "op"), ops[i].op))
			ops[i].answer(request, answer, &a);
	json_dumpf(answer, stdout, JSON_COMPACT);
	putchar('\n');
	fflush(stdout);
}

int main(void)
{
	char *line = NULL;
	size_t capacity = 0;
	ssize_t len;

	while ((len = getline(&line, &capacity, stdin)) > 0) {
		CLEANUP(json_decrefp) json_t *request = json_loadb(line, (size_t)len, JSON_ALLOW_NUL, NULL);

		handle(request);
	}
	free(line);
	return 0;
}
