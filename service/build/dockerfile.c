#include "service/build/dockerfile.h"

#include "service/build/directive.h"

struct parsing {
	struct arena *arena;
	struct lint *lint;
	struct tree tree;
	struct instruction *instructions;
	struct dockerfile *file;
	struct place *place;
	struct err *err;
};

/* ---- directives ------------------------------------------------------------- */

static int read_check(const struct parsing *p, struct bytes text)
{
	struct bytes value;
	const char *options;
	int line;

	if (!p->lint || !directive_find(text, DIRECTIVE_CHECK, p->arena, &value, &line))
		return OK;
	*p->place = (struct place){ line, line };
	options = arena_bytes(p->arena, value);
	if (!options)
		return fail_nomem(p->err);
	if (lint_options_parse(options, &p->lint->options, p->err) < 0)
		return err_wrap(p->err, "failed to parse check options");
	return OK;
}

static int read_syntax(const struct parsing *p, struct bytes text)
{
	struct bytes value = { NULL, 0 };
	int line;

	if (!directive_find(text, DIRECTIVE_SYNTAX, p->arena, &value, &line))
		value.len = 0;
	p->file->syntax = arena_bytes(p->arena, value);
	return p->file->syntax ? OK : fail_nomem(p->err);
}

bool syntax_is_known(const char *syntax)
{
	static const char *const names[] = { "docker/dockerfile", "docker/dockerfile-upstream" };

	if (!strncmp(syntax, "docker.io/", 10))
		syntax += 10;
	for (size_t i = 0; i < ARRAY_LEN(names); i++) {
		size_t len = strlen(names[i]);

		if (!strncmp(syntax, names[i], len) && strchr(":@", syntax[len]))
			return true; /* also without a tag: strchr() finds the NUL */
	}
	return false;
}

/* ---- warnings of one instruction --------------------------------------------- */

static bool is_lower(const char *text)
{
	return !text[strcspn(text, "ABCDEFGHIJKLMNOPQRSTUVWXYZ")];
}

static bool is_upper(const char *text)
{
	return !text[strcspn(text, "abcdefghijklmnopqrstuvwxyz")];
}

static void warn_stage_name(struct lint *l, const struct node *n, const char *name)
{
	if (!is_lower(name))
		lint_warn(l, &n->comments, LINT_STAGE_NAME_CASING, n->place, "Stage name '%.256s' should be lowercase",
			  name);
}

static void warn_as(struct lint *l, const struct node *n, const char *from, const char *as)
{
	if ((is_lower(from) && !is_lower(as)) || (is_upper(from) && !is_upper(as)))
		lint_warn(l, &n->comments, LINT_FROM_AS_CASING, n->place, "'%s' and '%s' keywords' casing do not match",
			  as, from);
}

/* The words are checked as they are written: the name is in lower case by now. */
static int warn_from(const struct parsing *p, const struct instruction *i)
{
	const struct node *n = i->node;
	char *as, *name;

	if (n->words.n != 3)
		return OK;
	as = arena_bytes(p->arena, n->words.items[1]);
	name = arena_bytes(p->arena, n->words.items[2]);
	if (!as || !name)
		return fail_nomem(p->err);
	warn_stage_name(p->lint, n, name);
	warn_as(p->lint, n, i->keyword, as);
	return OK;
}

/* A comment right above must say what it describes. */
static void warn_description(struct lint *l, const struct instruction *i)
{
	const struct word_list *comments = &i->node->comments;
	bool from = i->kind == INSTRUCTION_FROM;
	size_t n = from ? *i->from.name != 0 : i->n_pairs;
	struct bytes word;

	if (!comments->n || !n)
		return;
	word = comments->items[comments->n - 1];
	word.len = bytes_find(word, ' ');
	for (size_t k = 0; k < n; k++)
		if (bytes_are(word, from ? i->from.name : i->pairs[k].key))
			return;
	lint_warn(l, comments, LINT_INVALID_DEFINITION_DESCRIPTION, i->place,
		  "Comment for %s should follow the format: `# %.256s <description>`", instruction_name(i->kind),
		  n > 1	 ? "<arg_key>"
		  : from ? i->from.name
			 : i->pairs[0].key);
}

static int warn_about(const struct parsing *p, const struct instruction *i)
{
	if (i->kind == INSTRUCTION_MAINTAINER)
		lint_warn(p->lint, &i->node->comments, LINT_MAINTAINER_DEPRECATED, i->place,
			  "Maintainer instruction is deprecated in favor of using label");
	if (i->kind == INSTRUCTION_FROM || i->kind == INSTRUCTION_ARG)
		warn_description(p->lint, i);
	return i->kind == INSTRUCTION_FROM ? warn_from(p, i) : OK;
}

/* ---- instructions ------------------------------------------------------------ */

static int read_instruction(const struct parsing *p, size_t at)
{
	const struct node *n = &p->tree.nodes[at];

	int r = instruction_of(n, p->tree.escape, p->arena, &p->instructions[at], p->err);

	*p->place = n->place;
	if (r == E_INVALID)
		return err_wrap(p->err, "dockerfile parse error on line %d", n->place.first);
	return r == OK ? warn_about(p, &p->instructions[at]) : r;
}

static int add_stage(const struct parsing *p, const struct instruction *from)
{
	p->file->stages[p->file->n_stages++] = (struct stage){ .from = from, .commands = from + 1 };
	return OK;
}

/* Each instruction belongs to the stage before it, ARGs also to none. */
static int sort_instruction(const struct parsing *p, size_t at)
{
	const struct instruction *i = &p->instructions[at];
	struct dockerfile *f = p->file;

	if (i->kind == INSTRUCTION_FROM)
		return add_stage(p, i);
	if (f->n_stages) {
		f->stages[f->n_stages - 1].n_commands++;
		return OK;
	}
	if (i->kind != INSTRUCTION_ARG)
		return fail(p->err, E_INVALID, "no build stage in current context");
	f->n_globals++;
	return OK;
}

static int read_instructions(struct parsing *p)
{
	int r = OK;

	p->instructions = arena_array(p->arena, p->tree.n, sizeof *p->instructions);
	p->file->stages = arena_array(p->arena, p->tree.n, sizeof *p->file->stages);
	if (!p->instructions || !p->file->stages)
		return fail_nomem(p->err);
	p->file->globals = p->instructions;
	for (size_t i = 0; r == OK && i < p->tree.n; i++) {
		r = read_instruction(p, i);
		if (r == OK)
			r = sort_instruction(p, i);
	}
	if (r != OK)
		return r;
	*p->place = (struct place){ .first = 0 };
	if (!p->file->n_stages)
		return fail(p->err, E_INVALID, "dockerfile contains no stages to build");
	return OK;
}

/* ---- warnings of the whole --------------------------------------------------- */

static bool same_name_before(const struct dockerfile *f, size_t at)
{
	for (size_t i = 0; i < at; i++)
		if (!strcmp(f->stages[i].from->from.name, f->stages[at].from->from.name))
			return true;
	return false;
}

static void warn_stage_names(const struct parsing *p)
{
	const struct dockerfile *f = p->file;

	for (size_t i = 0; i < f->n_stages; i++) {
		const struct instruction *from = f->stages[i].from;
		const char *name = from->from.name;

		if (!strcmp(name, "scratch") || !strcmp(name, "context"))
			lint_warn(p->lint, NULL, LINT_RESERVED_STAGE_NAME, from->place,
				  "Stage name should not use the same name as reserved stage \"%s\"", name);
		if (*name && same_name_before(f, i))
			lint_warn(p->lint, NULL, LINT_DUPLICATE_STAGE_NAME, from->place,
				  "Duplicate stage name \"%.256s\", stage names should be unique", name);
	}
}

/* As most of them are written; those before the first FROM do not count. */
static void warn_keyword_cases(const struct parsing *p)
{
	size_t lower = 0, upper = 0;

	for (size_t i = p->file->n_globals; i < p->tree.n; i++) {
		lower += is_lower(p->instructions[i].keyword);
		upper += is_upper(p->instructions[i].keyword);
	}
	for (size_t i = p->file->n_globals; i < p->tree.n; i++) {
		const struct instruction *in = &p->instructions[i];

		if (lower > upper ? !is_lower(in->keyword) : !is_upper(in->keyword))
			lint_warn(p->lint, NULL, LINT_CONSISTENT_INSTRUCTION_CASING, in->place,
				  "Command '%s' should match the case of the command majority (%s)", in->keyword,
				  lower > upper ? "lowercase" : "uppercase");
	}
}

static void warn_continuations(const struct parsing *p)
{
	for (size_t i = 0; i < p->tree.n_empty_continuations; i++)
		lint_warn(p->lint, NULL, LINT_NO_EMPTY_CONTINUATION, p->tree.empty_continuations[i],
			  "Empty continuation line");
}

/* ---- the file ---------------------------------------------------------------- */

static int parse(struct parsing *p, struct bytes text)
{
	int r;

	if (!text.len)
		return fail(p->err, E_INVALID, "the Dockerfile cannot be empty");
	r = read_check(p, text);
	if (r == OK)
		r = tree_parse(text, p->arena, &p->tree, p->place, p->err);
	if (r != OK)
		return r;
	p->file->escape = p->tree.escape;
	warn_continuations(p);
	r = read_syntax(p, text);
	if (r == OK)
		r = read_instructions(p);
	if (r != OK)
		return r;
	warn_stage_names(p);
	warn_keyword_cases(p);
	return OK;
}

int dockerfile_parse(struct bytes text, struct arena *a, struct lint *lint, struct dockerfile *ret_file,
		     struct place *ret_place, struct err *err)
{
	struct err ignored = ERR_INIT;
	struct dockerfile file = { .escape = '\\' };
	struct parsing p = { .arena = a, .lint = lint, .file = &file, .place = ret_place, .err = err ? err : &ignored };
	int r;

	*ret_place = (struct place){ .first = 0 };
	r = arena_verdict(a, parse(&p, text), p.err);
	if (r == OK)
		*ret_file = file;
	return r;
}

int trigger_parse(const char *text, struct place place, struct arena *a, struct instruction *ret_instruction,
		  struct err *err)
{
	struct place ignored;
	struct tree tree;
	int r = tree_parse(bytes_of(text), a, &tree, &ignored, err);

	if (r != OK)
		return r;
	if (tree.n != 1)
		return fail(err, E_INVALID, "onbuild trigger should be a single expression");
	tree.nodes[0].place = place;
	r = instruction_of(&tree.nodes[0], tree.escape, a, ret_instruction, err);
	if (r == OK && ret_instruction->kind == INSTRUCTION_FROM)
		r = fail(err, E_INVALID, "FROM isn't allowed as an ONBUILD trigger");
	return r;
}
