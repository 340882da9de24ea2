#include "service/build/apply.h"

#include <stdio.h>

#include "service/build/ports.h"
#include "service/build/set.h"
#include "service/build/signal_name.h"

/* ---- values ----------------------------------------------------------------- */

static const char *find_env(const struct string_list *env, struct bytes name)
{
	for (size_t i = env->n; i-- > 0;)
		if (!strncmp(env->items[i], (const char *)name.data, name.len) && env->items[i][name.len] == '=')
			return env->items[i] + name.len + 1;
	return NULL;
}

static const char *value_of(void *arg, struct bytes name)
{
	struct build_stage *s = arg;
	const char *value;

	if (s->spent > BUILD_VALUES_MAX)
		return NULL;			    /* evaluate() will say so */
	s->spent += s->image->config.env.n / 8 + 1; /* to search costs, too */
	value = find_env(&s->image->config.env, name);
	return value || !s->others.get ? value : s->others.get(s->others.arg, name);
}

/* What a value costs beside its bytes, for places in lists and searches in them. */
enum { VALUE_COST = 128 };

static int spend(struct build_stage *s, size_t bytes, struct err *err)
{
	s->spent += bytes;
	return s->spent <= BUILD_VALUES_MAX
		       ? OK
		       : fail(err, E_LIMIT, "the values are larger than %d bytes together", BUILD_VALUES_MAX);
}

/* The value of a word, in the buffer. */
static int evaluate(struct build_stage *s, const char *word, struct buf *out, struct err *err)
{
	struct variables v = { .get = value_of, .arg = s };
	int r = expand(word, s->escape, &v, out, err);

	return r == OK ? spend(s, out->len + VALUE_COST, err) : r;
}

/* ---- commands --------------------------------------------------------------- */

/* A line for the shell goes behind the image's shell. */
static int set_command(const struct instruction *i, const struct container_config *c, struct string_list *ret_command,
		       struct err *err)
{
	static char *default_shell[] = { (char *)"/bin/sh", (char *)"-c" };
	const struct string_list usual = { .items = default_shell, .n = ARRAY_LEN(default_shell) };
	int r;

	if (!i->for_shell)
		return list_assign(ret_command, &i->words, err);
	r = list_assign(ret_command, c->shell.n ? &c->shell : &usual, err);
	return r == OK && i->words.n ? list_append(ret_command, i->words.items[0], err) : r;
}

static int apply_cmd(const struct instruction *i, struct build_stage *s, struct err *err)
{
	struct container_config *c = &s->image->config;

	c->args_escaped = false;
	s->command_set = s->command_set || i->words.n;
	return set_command(i, c, &c->cmd, err);
}

/* The command of the image below was for its entry point. */
static int apply_entrypoint(const struct instruction *i, struct build_stage *s, struct err *err)
{
	struct container_config *c = &s->image->config;

	c->args_escaped = false;
	if (!s->command_set)
		list_clear(&c->cmd);
	if (!i->words.n) {
		list_clear(&c->entrypoint);
		return OK;
	}
	return set_command(i, c, &c->entrypoint, err);
}

static int apply_healthcheck(const struct instruction *i, struct build_stage *s, struct err *err)
{
	struct healthcheck *h = &s->image->config.healthcheck;
	struct string_list test = h->test;
	int r = list_assign(&test, &i->health.test, err);

	if (r != OK)
		return r;
	*h = i->health;
	h->test = test;
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
		r = evaluate(s, i->pairs[k].key, &names[k], err);
		if (r == OK)
			r = evaluate(s, i->pairs[k].value, &values[k], err);
		if (r == OK && i->kind == INSTRUCTION_ENV && (!names[k].len || strchr(buf_text(&names[k]), '=')))
			r = fail(err, E_INVALID, "ENV names can not be blank or hold a =");
	}
	return r;
}

static int put_pairs(const struct instruction *i, struct build_stage *s, const struct buf *names,
		     const struct buf *values, struct err *err)
{
	struct container_config *c = &s->image->config;
	int r = OK;

	for (size_t k = 0; r == OK && k < i->n_pairs; k++)
		r = i->kind == INSTRUCTION_ENV ? put_env(&c->env, buf_text(&names[k]), buf_text(&values[k]), err)
					       : map_put(&c->labels, buf_text(&names[k]), buf_text(&values[k]), err);
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
	int r = spend(s, n * PORT_TEXT_MAX, err);

	for (size_t i = 0; r == OK && i < n; i++) {
		char text[PORT_TEXT_MAX];

		snprintf(text, sizeof text, "%u/%s", (unsigned)range->first + (unsigned)i, range->protocol);
		r = list_insert(&s->image->config.exposed_ports, text, err);
	}
	return r;
}

/* The only words that a variable may hold several of. */
static int expose(struct build_stage *s, const char *word, struct arena *a, struct err *err)
{
	struct variables v = { .get = value_of, .arg = s };
	struct string_list ports;
	int r = expand_words(word, s->escape, &v, a, &ports, err);

	if (r == OK)
		r = spend(s, 0, err);
	for (size_t i = 0; r == OK && i < ports.n; i++) {
		struct port_range range;

		r = port_range_parse(ports.items[i], &range, err);
		if (r == OK)
			r = add_ports(&range, s, err);
	}
	return r;
}

static int apply_expose(const struct instruction *i, struct build_stage *s, struct err *err)
{
	CLEANUP(arena_free) struct arena a;
	int r = OK;

	arena_init(&a, BUILD_VALUES_MAX);
	for (size_t k = 0; r == OK && k < i->words.n; k++)
		r = expose(s, i->words.items[k], &a, err);
	return r;
}

static int add_volume(struct build_stage *s, const char *word, struct err *err)
{
	CLEANUP(buf_free) struct buf volume = BUF_INIT(EXPANDED_MAX);
	int r = evaluate(s, word, &volume, err);

	if (r != OK)
		return r;
	if (!volume.len)
		return fail(err, E_INVALID, "VOLUME specified can not be an empty string");
	return list_insert(&s->image->config.volumes, buf_text(&volume), err);
}

static int apply_volume(const struct instruction *i, struct build_stage *s, struct err *err)
{
	int r = OK;

	for (size_t k = 0; r == OK && k < i->words.n; k++)
		r = add_volume(s, i->words.items[k], err);
	return r;
}

/* ---- texts ------------------------------------------------------------------ */

/* Without "//", "." and "..", which stays within the root; `path` begins with '/'. */
static int clean_path(const char *path, struct buf *out)
{
	for (const char *end; *path; path = end) {
		size_t len;

		while (*path == '/')
			path++;
		len = strcspn(path, "/");
		end = path + len;
		if (!len || (len == 1 && path[0] == '.'))
			continue;
		if (len == 2 && !memcmp(path, "..", 2)) {
			while (out->len && out->data[--out->len] != '/')
				;
			continue;
		}
		buf_putc(out, '/');
		buf_append(out, path, len);
	}
	if (!out->len)
		buf_putc(out, '/');
	return buf_ok(out) ? OK : E_NO_MEMORY;
}

static int set_workdir(struct build_stage *s, const char *wanted, struct err *err)
{
	const char *before = s->image->config.working_dir ? s->image->config.working_dir : "";
	CLEANUP(freep) char *path = *wanted == '/' ? strdup(wanted) : format("/%s/%s", before, wanted);
	CLEANUP(buf_free) struct buf clean = BUF_INIT(2 * EXPANDED_MAX);

	if (!*wanted)
		return fail(err, E_INVALID, "cannot normalize nothing");
	if (!path || clean_path(path, &clean) < 0)
		return fail_nomem(err);
	buf_putc(&clean, 0);
	return buf_ok(&clean) ? text_set(&s->image->config.working_dir, buf_text(&clean), err) : fail_nomem(err);
}

static int apply_text(const struct instruction *i, struct build_stage *s, struct err *err)
{
	CLEANUP(buf_free) struct buf value = BUF_INIT(EXPANDED_MAX);
	int r = evaluate(s, i->text, &value, err);

	if (r != OK)
		return r;
	if (i->kind == INSTRUCTION_WORKDIR)
		return set_workdir(s, buf_text(&value), err);
	if (i->kind == INSTRUCTION_USER)
		return text_set(&s->image->config.user, buf_text(&value), err);
	r = signal_name_check(buf_text(&value), err);
	return r == OK ? text_set(&s->image->config.stop_signal, buf_text(&value), err) : r;
}

static int apply_maintainer(const struct instruction *i, struct build_stage *s, struct err *err)
{
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
