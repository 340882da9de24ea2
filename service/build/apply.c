#include "service/build/apply.h"

#include <stdio.h>

#include "service/build/duration.h"
#include "service/build/ports.h"
#include "service/build/quote.h"
#include "service/build/secret_name.h"
#include "service/build/set.h"
#include "service/build/signal_name.h"

/* ---- history ------------------------------------------------------------------ */

static void say(struct build_stage *s, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

static void say(struct build_stage *s, const char *fmt, ...)
{
	CLEANUP(freep) char *text = NULL;
	va_list ap;

	if (!s->created_by)
		return;
	va_start(ap, fmt);
	if (vasprintf(&text, fmt, ap) < 0)
		text = NULL;
	va_end(ap);
	if (!text)
		s->created_by->failed = true;
	else
		buf_puts(s->created_by, text);
}

/* `CMD ["a" "b"]` of "CMD ". */
static void say_quoted(struct build_stage *s, const char *keyword, const struct string_list *words)
{
	say(s, "%s[", keyword);
	for (size_t i = 0; s->created_by && i < words->n; i++) {
		buf_puts(s->created_by, i ? " " : "");
		quote_go(s->created_by, bytes_of(words->items[i]));
	}
	say(s, "]");
}

/* `SHELL [a b]` */
static void say_list(struct build_stage *s, const char *keyword, const struct string_list *words)
{
	say(s, "%s [", keyword);
	for (size_t i = 0; i < words->n; i++)
		say(s, "%s%s", i ? " " : "", words->items[i]);
	say(s, "]");
}

/* One more of a list "X [a b": a blank unless it is the first. */
static void say_item(struct build_stage *s, const char *item)
{
	const struct buf *b = s->created_by;

	if (b)
		say(s, "%s%s", b->len && b->data[b->len - 1] == '[' ? "" : " ", item);
}

/* ---- commands --------------------------------------------------------------- */

/* Only the last of them counts: the warning is about the one before. */
static void warn_twice(const struct instruction *i, struct build_stage *s)
{
	struct place *before = &s->used[i->kind];

	if (before->first)
		lint_warn(s->lint, &i->node->comments, LINT_MULTIPLE_INSTRUCTIONS_DISALLOWED, *before,
			  "Multiple %s instructions should not be used in the same stage because only the last one "
			  "will be used",
			  i->keyword);
	*before = i->place;
}

static void warn_shell_form(const struct instruction *i, struct build_stage *s)
{
	if (i->for_shell && !s->image->config.shell.n)
		lint_warn(s->lint, &i->node->comments, LINT_JSON_ARGS_RECOMMENDED, i->place,
			  "JSON arguments recommended for %s to prevent unintended behavior related to OS signals",
			  i->keyword);
}

static int apply_cmd(const struct instruction *i, struct build_stage *s, struct err *err)
{
	struct container_config *c = &s->image->config;
	int r;

	warn_twice(i, s);
	warn_shell_form(i, s);
	c->args_escaped = s->building;
	s->command_set = s->command_set || i->words.n || s->building;
	r = stage_shell_command(s, &i->words, i->for_shell, &c->cmd, err);
	if (r == OK)
		say_quoted(s, "CMD ", &c->cmd);
	return r;
}

/* The command of the image below was for its entry point. */
static int apply_entrypoint(const struct instruction *i, struct build_stage *s, struct err *err)
{
	struct container_config *c = &s->image->config;
	int r;

	warn_twice(i, s);
	warn_shell_form(i, s);
	c->args_escaped = s->building && c->args_escaped;
	if (!s->command_set)
		list_clear(&c->cmd);
	if (!i->words.n && !(s->building && i->for_shell)) {
		list_clear(&c->entrypoint);
		say(s, "ENTRYPOINT []");
		return OK;
	}
	r = stage_shell_command(s, &i->words, i->for_shell, &c->entrypoint, err);
	if (r == OK)
		say_quoted(s, "ENTRYPOINT ", &c->entrypoint);
	return r;
}

static int apply_shell(const struct instruction *i, struct build_stage *s, struct err *err)
{
	say_list(s, "SHELL", &i->words);
	return list_assign(&s->image->config.shell, &i->words, err);
}

/* As Go prints the struct: durations, and the number as a character. */
static void say_health(struct build_stage *s, const struct healthcheck *h)
{
	const int64_t times[] = { h->interval, h->timeout, h->start_period, h->start_interval };

	if (!s->created_by)
		return;
	say_quoted(s, "HEALTHCHECK &{", &h->test);
	for (size_t i = 0; i < ARRAY_LEN(times); i++) {
		char text[DURATION_TEXT_MAX];

		say(s, " \"%s\"", duration_text(times[i], text));
	}
	buf_puts(s->created_by, " ");
	quote_rune(s->created_by, (uint32_t)h->retries);
	buf_puts(s->created_by, "}");
}

static int apply_healthcheck(const struct instruction *i, struct build_stage *s, struct err *err)
{
	struct healthcheck *h = &s->image->config.healthcheck;
	struct string_list test = h->test;
	int r = list_assign(&test, &i->health.test, err);

	warn_twice(i, s);
	if (r != OK)
		return r;
	*h = i->health;
	h->test = test;
	say_health(s, h);
	return OK;
}

/* ---- pairs ------------------------------------------------------------------ */

static int put_env(struct string_list *env, const char *name, const char *value, struct err *err)
{
	CLEANUP(freep) char *entry = format("%s=%s", name, value);
	size_t len = strlen(name);

	if (!entry)
		return fail_nomem(err);
	for (size_t i = 0; i < env->n; i++)
		if (!strncmp(env->items[i], name, len) && env->items[i][len] == '=')
			return text_set(&env->items[i], entry, err);
	return list_append(env, entry, err);
}

/* All words see the values from before the instruction, so they are evaluated first. */
static int evaluate_pairs(const struct instruction *i, struct build_stage *s, struct buf *names, struct buf *values,
			  struct err *err)
{
	int r = OK;

	for (size_t k = 0; r == OK && k < i->n_pairs; k++) {
		r = stage_expand(s, i, i->pairs[k].key, &names[k], err);
		if (r == OK)
			r = stage_expand(s, i, i->pairs[k].value, &values[k], err);
		if (r == OK && i->kind == INSTRUCTION_ENV && (!names[k].len || strchr(buf_text(&names[k]), '=')))
			r = fail(err, E_INVALID, "ENV names can not be blank or hold a =");
	}
	return r;
}

static void warn_pair(const struct instruction *i, struct build_stage *s, const char *name, bool old_form)
{
	if (old_form)
		lint_warn(s->lint, &i->node->comments, LINT_LEGACY_KEY_VALUE_FORMAT, i->place,
			  "\"%s key=value\" should be used instead of legacy \"%s key value\" format", i->keyword,
			  i->keyword);
	if (i->kind == INSTRUCTION_ENV)
		warn_secret(s->lint, i, name);
}

static int put_pairs(const struct instruction *i, struct build_stage *s, const struct buf *names,
		     const struct buf *values, struct err *err)
{
	struct container_config *c = &s->image->config;
	int r = OK;

	say(s, "%s", instruction_name(i->kind));
	for (size_t k = 0; r == OK && k < i->n_pairs; k++) {
		const char *name = buf_text(&names[k]), *value = buf_text(&values[k]);

		warn_pair(i, s, name, i->pairs[k].old_form);
		say(s, " %s=%s", name, value);
		r = i->kind == INSTRUCTION_ENV ? put_env(&c->env, name, value, err)
					       : map_put(&c->labels, name, value, err);
	}
	return r;
}

static int apply_pairs(const struct instruction *i, struct build_stage *s, struct err *err)
{
	struct buf *values = calloc(2 * i->n_pairs + 1, sizeof *values);
	int r;

	if (!values)
		return fail_nomem(err);
	for (size_t k = 0; k < 2 * i->n_pairs; k++)
		values[k] = (struct buf)BUF_INIT(EXPANDED_MAX);
	r = evaluate_pairs(i, s, values, values + i->n_pairs, err);
	if (r == OK)
		r = put_pairs(i, s, values, values + i->n_pairs, err);
	for (size_t k = 0; k < 2 * i->n_pairs; k++)
		buf_free(&values[k]);
	free(values);
	return r;
}

/* ---- sets ------------------------------------------------------------------- */

static int add_ports(const struct port_range *range, struct build_stage *s, struct err *err)
{
	size_t n = (size_t)(range->last - range->first) + 1;
	int r = stage_spend(s, n * PORT_TEXT_MAX, err);

	for (size_t i = 0; r == OK && i < n; i++) {
		char text[PORT_TEXT_MAX];

		snprintf(text, sizeof text, "%u/%s", (unsigned)range->first + (unsigned)i, range->protocol);
		say_item(s, text);
		r = list_insert(&s->image->config.exposed_ports, text, err);
	}
	return r;
}

static void warn_port(const struct instruction *i, struct build_stage *s, const char *spec,
		      const struct port_range *range)
{
	if (range->odd_case)
		lint_warn(s->lint, &i->node->comments, LINT_EXPOSE_PROTO_CASING, i->place,
			  "Defined protocol '%.256s' in EXPOSE instruction should be lowercase", spec);
	if (range->has_host)
		lint_warn(s->lint, &i->node->comments, LINT_EXPOSE_INVALID_FORMAT, i->place,
			  "EXPOSE instruction should not define an IP address or host-port mapping, found '%.256s'",
			  spec);
}

/* The only words that a variable may hold several of. */
static int expose(const struct instruction *i, struct build_stage *s, const char *word, struct arena *a,
		  struct err *err)
{
	const struct expand_rules rules = { .escape = s->escape };
	struct variables v = { .get = stage_value, .arg = s, .steps = &s->steps };
	struct string_list ports;
	int r = expand_words(word, &rules, &v, a, &ports, err);

	if (r == OK)
		r = stage_spend(s, STAGE_VALUE_COST, err);
	for (size_t k = 0; r == OK && k < ports.n; k++) {
		struct port_range range;

		r = port_range_parse(ports.items[k], &range, err);
		if (r != OK)
			return r;
		warn_port(i, s, ports.items[k], &range);
		r = add_ports(&range, s, err);
	}
	return r;
}

static int by_text(const void *a, const void *b)
{
	return strcmp(*(char *const *)a, *(char *const *)b);
}

/* In the order of their texts, as BuildKit does it. */
static int apply_expose(const struct instruction *i, struct build_stage *s, struct err *err)
{
	CLEANUP(arena_free) struct arena a;
	char **words;
	int r = OK;

	arena_init(&a, 2 * BUILD_VALUES_MAX);
	words = arena_array(&a, i->words.n, sizeof *words);
	if (!words)
		return fail_nomem(err);
	memcpy(words, i->words.items, i->words.n * sizeof *words);
	qsort(words, i->words.n, sizeof *words, by_text);
	say(s, "EXPOSE [");
	for (size_t k = 0; r == OK && k < i->words.n; k++)
		r = expose(i, s, words[k], &a, err);
	say(s, "]");
	return r;
}

static int add_volume(const struct instruction *i, struct build_stage *s, const char *word, struct err *err)
{
	CLEANUP(buf_free) struct buf volume = BUF_INIT(EXPANDED_MAX);
	struct bytes trimmed = bytes_trim(bytes_of(word));
	CLEANUP(freep) char *text = bytes_to_string(trimmed);
	int r = text ? stage_expand(s, i, text, &volume, err) : fail_nomem(err);

	if (r != OK)
		return r;
	if (!volume.len)
		return fail(err, E_INVALID, "VOLUME specified can not be an empty string");
	say_item(s, buf_text(&volume));
	return list_insert(&s->image->config.volumes, buf_text(&volume), err);
}

static int apply_volume(const struct instruction *i, struct build_stage *s, struct err *err)
{
	int r = OK;

	say(s, "VOLUME [");
	for (size_t k = 0; r == OK && k < i->words.n; k++)
		r = add_volume(i, s, i->words.items[k], err);
	say(s, "]");
	return r;
}

/* ---- texts ------------------------------------------------------------------ */

static int set_workdir(const struct instruction *i, struct build_stage *s, const char *wanted, struct err *err)
{
	CLEANUP(buf_free) struct buf clean = BUF_INIT(2 * EXPANDED_MAX);

	if (!*wanted && !s->building)
		return fail(err, E_INVALID, "cannot normalize nothing");
	if (!s->workdir_set && *wanted != '/') {
		struct quoted quoted;

		lint_warn(s->lint, &i->node->comments, LINT_WORKDIR_RELATIVE_PATH, i->place,
			  "Relative workdir %s can have unexpected results if the base image changes",
			  quote_short(wanted, &quoted));
	}
	s->workdir_set = true;
	if (stage_path(s, wanted, &clean, err) < 0)
		return err->code;
	say(s, "WORKDIR %s", *wanted == '/' ? wanted : buf_text(&clean));
	return text_set(&s->image->config.working_dir, buf_text(&clean), err);
}

static int set_user(struct build_stage *s, const char *user, struct err *err)
{
	say(s, "USER %s", user);
	return text_set(&s->image->config.user, user, err);
}

static int set_stop_signal(struct build_stage *s, const char *name, struct err *err)
{
	int r = signal_name_check(name, err);

	if (r != OK)
		return r;
	say(s, "STOPSIGNAL %s", name);
	return text_set(&s->image->config.stop_signal, name, err);
}

static int apply_text(const struct instruction *i, struct build_stage *s, struct err *err)
{
	CLEANUP(buf_free) struct buf value = BUF_INIT(EXPANDED_MAX);
	int r = stage_expand(s, i, i->text, &value, err);

	if (r != OK)
		return r;
	if (i->kind == INSTRUCTION_WORKDIR)
		return set_workdir(i, s, buf_text(&value), err);
	return i->kind == INSTRUCTION_USER ? set_user(s, buf_text(&value), err)
					   : set_stop_signal(s, buf_text(&value), err);
}

static int apply_maintainer(const struct instruction *i, struct build_stage *s, struct err *err)
{
	say(s, "MAINTAINER %s", i->text);
	return text_set(&s->image->author, i->text, err);
}

static int apply_onbuild(const struct instruction *i, struct build_stage *s, struct err *err)
{
	return list_append(&s->image->config.on_build, i->text, err);
}

/* ---- the table -------------------------------------------------------------- */

static int (*const appliers[])(const struct instruction *i, struct build_stage *s, struct err *err) = {
	[INSTRUCTION_CMD] = apply_cmd,
	[INSTRUCTION_ENTRYPOINT] = apply_entrypoint,
	[INSTRUCTION_ENV] = apply_pairs,
	[INSTRUCTION_EXPOSE] = apply_expose,
	[INSTRUCTION_HEALTHCHECK] = apply_healthcheck,
	[INSTRUCTION_LABEL] = apply_pairs,
	[INSTRUCTION_MAINTAINER] = apply_maintainer,
	[INSTRUCTION_ONBUILD] = apply_onbuild,
	[INSTRUCTION_SHELL] = apply_shell,
	[INSTRUCTION_STOPSIGNAL] = apply_text,
	[INSTRUCTION_USER] = apply_text,
	[INSTRUCTION_VOLUME] = apply_volume,
	[INSTRUCTION_WORKDIR] = apply_text,
};

int instruction_apply(const struct instruction *i, struct build_stage *stage, struct err *err)
{
	stage->image->config.present = true;
	return appliers[i->kind](i, stage, err);
}
