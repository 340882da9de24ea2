/*
 * What the code of service/build makes of a text. Reads requests, a JSON object a line
 * ("op" says what is asked), and answers each with an object; "error" in it says what was
 * refused, with "lines" where a place is known.
 */
#include <jansson.h>
#include <stdio.h>

#include "service/build/context_paths.h"
#include "service/build/excerpt.h"
#include "service/build/file_mode.h"
#include "service/build/lint_report.h"
#include "service/build/ports.h"
#include "service/build/quote.h"

static const char *text_of(const json_t *request, const char *name)
{
	const char *text = json_string_value(json_object_get(request, name));

	return text ? text : "";
}

static struct bytes bytes_in(const json_t *request, const char *name)
{
	const json_t *text = json_object_get(request, name);

	return (struct bytes){ (const uint8_t *)json_string_value(text), json_string_length(text) };
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
	if (tree_parse(bytes_in(request, "text"), a, &tree, &place, &err) < 0) {
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
	int r = words_of_json(bytes_in(request, "text"), a, &words, &err);

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

/* ---- builds ----------------------------------------------------------------- */

static void append_words(json_t *object, const char *name, const struct string_list *words)
{
	json_t *list = json_array();

	for (size_t i = 0; i < words->n; i++)
		json_array_append_new(list, json_string(words->items[i]));
	json_object_set_new(object, name, list);
}

static json_t *copy_of(const struct copy_step *s)
{
	static const char *const kinds[] = { "context", "stage", "url", "git", "file" };
	json_t *sources = json_array(), *copy;

	for (size_t i = 0; i < s->n_sources; i++) {
		const struct copy_source *source = &s->sources[i];
		json_t *one = json_pack("{ss ss}", "kind", kinds[source->kind], "path", source->path);

		if (*source->pattern)
			json_object_set_new(one, "pattern", json_string(source->pattern));
		if (source->kind == SOURCE_STAGE)
			json_object_set_new(one, "stage", json_integer((json_int_t)source->stage));
		if (source->kind == SOURCE_FILE)
			json_object_set_new(one, "content", json_string(source->content));
		json_array_append_new(sources, one);
	}
	copy = json_pack("{so ss ss ss ss sb sb}", "sources", sources, "destination", s->destination, "chown", s->chown,
			 "chmod", s->chmod, "checksum", s->checksum, "link", s->link, "parents", s->parents);
	append_words(copy, "excludes", &s->excludes);
	return copy;
}

static json_t *run_of(const struct run_command *s)
{
	json_t *run = json_pack("{ss ss ss ss}", "script", s->script, "script_name", s->script_name, "network",
				s->network, "security", s->security);
	json_t *mounts = json_array();

	for (size_t i = 0; i < s->n_mounts; i++) {
		const struct mount *m = &s->mounts[i].mount;
		json_t *one = json_pack("{ss ss ss ss ss? sb sb si}", "type", mount_type_name(m->type), "target",
					s->mounts[i].has_target ? m->target : "", "source", m->source, "id", m->id,
					"env", m->env, "ro", m->read_only, "required", m->required, "mode",
					(int)m->mode);

		json_object_set_new(
			one, "stage",
			json_integer(s->mounts[i].stage == PLAN_NONE ? -1 : (json_int_t)s->mounts[i].stage));
		json_array_append_new(mounts, one);
	}
	json_object_set_new(run, "mounts", mounts);
	append_words(run, "args", &s->args);
	append_words(run, "env", &s->env);
	append_words(run, "proxies", &s->proxies);
	return run;
}

static json_t *steps_of(const struct evaluated_stage *s)
{
	static const char *const kinds[] = { "copy", "run", "workdir" };
	json_t *list = json_array();

	for (size_t i = 0; i < s->n_steps; i++) {
		const struct step *step = &s->steps[i];
		json_t *one = json_pack("{ss ss ss ss ss si}", "kind", kinds[step->kind], "created_by",
					step->created_by, "text", step->text, "user", step->user, "cwd", step->cwd,
					"line", step->instruction->place.first);

		if (step->kind == STEP_COPY)
			json_object_set_new(one, "copy", copy_of(&step->copy));
		if (step->kind == STEP_RUN)
			json_object_set_new(one, "run", run_of(&step->run));
		json_array_append_new(list, one);
	}
	return list;
}

static json_t *image_of(const struct image_config *image)
{
	CLEANUP(buf_free) struct buf json = BUF_INIT(64 * 1024 * 1024);

	if (!image || image_config_write(image, &json, NULL) < 0)
		return json_null();
	return json_loadb(buf_text(&json), json.len, 0, NULL);
}

struct build {
	const json_t *request;
	struct arena *arena;
	struct lint lint;
	struct scope args;
	struct dockerfile file;
	struct plan_options options;
	struct plan plan;
	struct evaluation evaluation;
	struct ignore ignore;
	struct image_config base;
	struct place place;
	struct err err;
};

static bool has_context(void *arg, const char *name)
{
	const struct build *b = arg;

	return json_object_get(json_object_get(b->request, "contexts"), name) != NULL;
}

static int read_options(struct build *b)
{
	const char *platform = text_of(b->request, "platform");
	json_t *args = json_object_get(b->request, "args"), *value, *base;
	const char *name;
	int r = OK;

	b->lint.arena = b->args.arena = b->arena;
	json_object_foreach(args, name, value)
		r = r == OK ? scope_put(&b->args, name, json_string_value(value), &b->err) : r;
	b->options = (struct plan_options){ .build_args = &b->args,
					    .target = text_of(b->request, "target"),
					    .all_stages = json_is_true(json_object_get(b->request, "all")),
					    .has_context = has_context,
					    .arg = b };
	if (r == OK)
		r = platform_parse("linux/amd64", &b->options.build_platform, &b->err);
	if (r == OK)
		r = platform_parse(*platform ? platform : "linux/amd64", &b->options.target_platform, &b->err);
	base = json_object_get(b->request, "base");
	if (r == OK && base) {
		CLEANUP(freep) char *text = json_dumps(base, 0);

		r = image_config_parse(bytes_of(text), &b->base, &b->err);
	}
	return r == OK ? ignore_parse(bytes_of(text_of(b->request, "ignore")), b->arena, &b->ignore, &b->err) : r;
}

/* Each image is the one that the request gives. */
static int fill_images(struct build *b)
{
	int r = OK;

	for (bool more = true; more && r == OK;) {
		more = false;
		for (size_t i = 0; r == OK && i < b->plan.n; i++) {
			if (!b->plan.stages[i].reachable || b->plan.stages[i].triggers_fired)
				continue;
			more = b->plan.stages[i].stage != NULL;
			if (b->plan.stages[i].kind == PLAN_IMAGE)
				b->plan.stages[i].image = &b->base;
			r = plan_fire_triggers(&b->plan, i, &b->place, &b->err);
		}
	}
	return r;
}

static int run_build(struct build *b)
{
	int r = read_options(b);

	if (r == OK)
		r = dockerfile_parse(bytes_in(b->request, "text"), b->arena, &b->lint, &b->file, &b->place, &b->err);
	if (r == OK)
		r = plan_make(&b->file, &b->options, b->arena, &b->lint, &b->plan, &b->place, &b->err);
	if (r == OK)
		r = fill_images(b);
	if (r == OK)
		r = evaluate(&b->plan, b->ignore.n ? &b->ignore : NULL, b->arena, &b->evaluation, &b->place, &b->err);
	return r == OK ? lint_verdict(&b->lint, &b->err) : r;
}

static json_t *warnings_of(const struct lint *l)
{
	json_t *list = json_array();

	for (size_t i = 0; i < l->n; i++)
		json_array_append_new(list, json_pack("{ss ss ss ss si}", "rule", lint_name(l->warnings[i].rule),
						      "description", lint_description(l->warnings[i].rule), "url",
						      lint_url(l->warnings[i].rule), "detail", l->warnings[i].detail,
						      "line", l->warnings[i].place.first));
	return list;
}

static void show_paths(struct build *b, json_t *answer)
{
	json_t *contexts = json_object_get(b->request, "contexts"), *value, *all = json_object();
	struct string_list paths = { .n = 0 };
	const char *name;

	if (context_paths(&b->plan, &b->evaluation, "", b->arena, &paths, &b->err) == OK)
		append_words(all, "", &paths);
	json_object_foreach(contexts, name, value)
	{
		if (context_paths(&b->plan, &b->evaluation, name, b->arena, &paths, &b->err) == OK)
			append_words(all, name, &paths);
	}
	json_object_set_new(answer, "paths", all);
}

static void show_stages(const struct build *b, json_t *answer)
{
	json_t *list = json_array();

	for (size_t i = 0; i < b->evaluation.n; i++)
		json_array_append_new(list, json_pack("{ss ss sb so so}", "name", b->plan.stages[i].name, "base",
						      b->plan.stages[i].base, "reachable", b->plan.stages[i].reachable,
						      "image", image_of(b->evaluation.stages[i].image), "steps",
						      steps_of(&b->evaluation.stages[i])));
	json_object_set_new(answer, "stages", list);
	json_object_set_new(answer, "target", json_integer((json_int_t)b->plan.target));
}

static void show_report(struct build *b, json_t *answer)
{
	CLEANUP(buf_free) struct buf text = BUF_INIT(1024 * 1024), json = BUF_INIT(16 * 1024 * 1024);
	const struct lint_subject subject = { .filename = "Dockerfile",
					      .text = bytes_in(b->request, "text"),
					      .error = b->err.code == OK ? NULL : b->err.text,
					      .error_place = b->place };

	if (!json_is_true(json_object_get(b->request, "report")))
		return;
	if (lint_report_text(&b->lint, &subject, &text, NULL) == OK)
		json_object_set_new(answer, "text", json_string(buf_text(&text)));
	if (lint_report_json(&b->lint, &subject, &json, NULL) == OK)
		json_object_set_new(answer, "json", json_loadb(buf_text(&json), json.len, 0, NULL));
}

static void answer_build(const json_t *request, json_t *answer, struct arena *a)
{
	struct build b = { .request = request, .arena = a, .err = ERR_INIT };

	if (run_build(&b) < 0) {
		CLEANUP(buf_free) struct buf excerpt = BUF_INIT(1024 * 1024);

		set_error(answer, &b.err, &b.place);
		excerpt_write(bytes_in(request, "text"), "Dockerfile", b.place, &excerpt);
		json_object_set_new(answer, "excerpt", json_string(buf_text(&excerpt)));
	} else {
		show_stages(&b, answer);
		show_paths(&b, answer);
	}
	json_object_set_new(answer, "warnings", warnings_of(&b.lint));
	show_report(&b, answer);
	evaluation_free(&b.evaluation);
	image_config_free(&b.base);
}

/* ---- ignored files ---------------------------------------------------------- */

/* As a walk through the directories above comes to the path. */
static const struct ignore_pattern *walk(const struct ignore *g, struct bytes path, struct arena *a)
{
	bool *above = NULL;

	for (size_t i = 1; i < path.len; i++)
		if (path.data[i] == '/') {
			bool *matched = arena_array(a, g->n, sizeof *matched);

			ignore_match_in(g, bytes_first(path, i), above, matched);
			above = matched;
		}
	return bytes_are(path, ".") ? NULL : ignore_match_in(g, path, above, NULL);
}

static void answer_ignore(const json_t *request, json_t *answer, struct arena *a)
{
	const json_t *patterns = json_object_get(request, "patterns");
	struct bytes path = bytes_of(text_of(request, "path"));
	const struct ignore_pattern *decided;
	struct ignore g = { .n = 0 };
	struct err err = ERR_INIT;
	int r = patterns ? OK : ignore_parse(bytes_in(request, "text"), a, &g, &err);

	for (size_t i = 0; r == OK && i < json_array_size(patterns); i++)
		r = ignore_add(&g, bytes_of(json_string_value(json_array_get(patterns, i))), (int)i + 1, a, &err);
	if (r < 0) {
		set_error(answer, &err, NULL);
		return;
	}
	decided = ignore_match(&g, path);
	json_object_set_new(answer, "walked", json_boolean(walk(&g, path, a) == decided));
	json_object_set_new(answer, "excluded", json_boolean(ignore_excludes(&g, path)));
	json_object_set_new(answer, "line", json_integer(decided ? decided->line : 0));
	json_object_set_new(answer, "below", json_boolean(ignore_may_except_below(&g, path)));
}

static void answer_git(const json_t *request, json_t *answer, struct arena *a)
{
	struct err err = ERR_INIT;
	struct git_ref g;
	int r = git_ref_parse(text_of(request, "ref"), a, &g, &err);

	json_object_set_new(answer, "is", json_boolean(r > 0));
	if (r < 0)
		set_error(answer, &err, NULL);
	if (r > 0)
		json_object_update_new(answer,
				       json_pack("{ss ss ss ss ss ss sb sb sb}", "Remote", g.remote, "ShortName",
						 g.short_name, "Ref", g.ref, "SubDir", g.subdir, "Checksum", g.checksum,
						 "MTime", g.mtime, "IndistinguishableFromLocal", g.like_a_path,
						 "UnencryptedTCP", g.unencrypted, "FetchByCommit", g.fetch_by_commit));
}

static void answer_mode(const json_t *request, json_t *answer, UNUSED struct arena *a)
{
	const char *text = text_of(request, "chmod");
	uint32_t mode = (uint32_t)json_integer_value(json_object_get(request, "mode"));
	struct err err = ERR_INIT;

	if (file_mode_check(text, &err) < 0)
		set_error(answer, &err, NULL);
	else
		json_object_set_new(
			answer, "mode",
			json_integer(file_mode_apply(text, mode, json_is_true(json_object_get(request, "directory")))));
}

/* ---- requests --------------------------------------------------------------- */

static const struct {
	const char *op;
	void (*answer)(const json_t *request, json_t *answer, struct arena *a);
} ops[] = {
	{ "tree", answer_tree },     { "expand", answer_expand }, { "heredoc", answer_heredoc },
	{ "json", answer_json },     { "port", answer_port },	  { "build", answer_build },
	{ "ignore", answer_ignore }, { "git", answer_git },	  { "mode", answer_mode },
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
