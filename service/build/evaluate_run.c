/* RUN with its values. */
#include "service/build/evaluate.h"

#include "service/build/quote.h"
#include "service/build/set.h"
#include "store/types/path.h"

/* ---- the command ----------------------------------------------------------------- */

static int parse_error(struct evaluating *g, const struct instruction *i)
{
	return fail(g->err, E_INVALID, "parsing produced an invalid run command: %.256s",
		    i->words.n ? i->words.items[0] : "");
}

/* The command is the path as it is written, which may lead elsewhere. */
static int set_script(struct evaluating *g, const char *name, const char *text, struct run_command *s,
		      const char **ret_command)
{
	CLEANUP(freep) char *written = format("/dev/pipes/%s", name);
	CLEANUP(buf_free) struct buf command = BUF_INIT(EXPANDED_MAX);

	if (!written || !path_clean(bytes_of(written), &command))
		return fail_nomem(g->err);
	s->script = text;
	*ret_command = arena_string(g->arena, buf_text(&command));
	return *ret_command ? evaluate_file_name(g, name, &s->script_name) : fail_nomem(g->err);
}

/* A script of its own, or a text for the shell; without tabs where they do not count. */
static int single_document(struct evaluating *g, const struct instruction *i, struct run_command *s,
			   const char **ret_text)
{
	const struct inline_file *file = &i->files[0];
	const struct heredoc *doc = &i->node->heredocs[0];
	const char *text;

	if (heredoc_content(doc, g->arena, &text, g->err) < 0)
		return g->err->code;
	*ret_text = text;
	s->single_document = true;
	if (strncmp(file->content, "#!", 2) != 0)
		return OK;
	return set_script(g, file->name, text, s, ret_text);
}

/* The line and the documents once more as the shell reads them. */
static int for_the_shell(struct evaluating *g, const struct instruction *i, const char **ret_text)
{
	CLEANUP(buf_free) struct buf text = BUF_INIT(2 * DOCKERFILE_MAX);

	buf_puts(&text, i->words.items[0]);
	for (size_t k = 0; k < i->n_files; k++)
		buf_printf(&text, "\n%s%s", i->files[k].content, i->files[k].name);
	*ret_text = buf_ok(&text) ? arena_string(g->arena, buf_text(&text)) : NULL;
	return *ret_text ? OK : fail_nomem(g->err);
}

static int with_documents(struct evaluating *g, const struct instruction *i, struct run_command *s,
			  const char **ret_text)
{
	struct heredoc ignored;

	if (i->words.n != 1 || !i->for_shell)
		return parse_error(g, i);
	if (heredoc_parse(bytes_of(i->words.items[0]), g->arena, &ignored, NULL) > 0)
		return single_document(g, i, s, ret_text);
	return for_the_shell(g, i, ret_text);
}

/* The list moves from the heap into the arena. */
static int keep_list(struct evaluating *g, struct string_list *l)
{
	char **items = arena_array(g->arena, l->n, sizeof *items);
	size_t n = l->n;

	for (size_t i = 0; items && i < n; i++) {
		items[i] = arena_string(g->arena, l->items[i]);
		if (!items[i])
			items = NULL;
	}
	list_clear(l);
	*l = (struct string_list){ .present = true, .items = items, .n = n };
	return items ? OK : fail_nomem(g->err);
}

static int set_args(struct evaluating *g, const struct instruction *i, struct run_command *s)
{
	struct string_list words = i->words;
	const char *text = NULL;
	char *one[1];
	int r = i->n_files ? with_documents(g, i, s, &text) : OK;

	if (r != OK)
		return r;
	if (text) {
		one[0] = (char *)text;
		words = (struct string_list){ .items = one, .n = 1 };
	}
	r = stage_shell_command(&g->values, &words, i->for_shell, &s->args, g->err);
	if (r != OK) {
		list_clear(&s->args);
		return r;
	}
	return keep_list(g, &s->args);
}

/* ---- the environment --------------------------------------------------------------- */

static bool is_in_image(const struct evaluating *g, const char *name)
{
	const struct string_list *env = &g->to->image->config.env;
	size_t len = strlen(name);

	for (size_t i = 0; i < env->n; i++)
		if (!strncmp(env->items[i], name, len) && env->items[i][len] == '=')
			return true;
	return false;
}

static int list_env(struct evaluating *g, struct string_list *env)
{
	const struct string_list *image = &g->to->image->config.env;
	const struct scope *args = &g->to->args;

	env->items = arena_array(g->arena, image->n + args->n, sizeof *env->items);
	for (size_t i = 0; env->items && i < image->n; i++)
		if (!(env->items[env->n++] = arena_string(g->arena, image->items[i])))
			return fail_nomem(g->err);
	for (size_t i = 0; env->items && i < args->n; i++) {
		const struct scope_arg *arg = &args->args[i];

		if (!arg->value || is_in_image(g, arg->name))
			continue;
		if (!(env->items[env->n++] = arena_printf(g->arena, "%s=%s", arg->name, arg->value)))
			return fail_nomem(g->err);
	}
	return env->items ? OK : fail_nomem(g->err);
}

static int list_args(struct evaluating *g)
{
	CLEANUP(buf_free) struct buf text = BUF_INIT(CREATED_BY_MAX);
	const struct scope *args = &g->to->args;

	if (args->n)
		buf_printf(&text, " |%zu", args->n);
	for (size_t i = 0; i < args->n; i++) {
		const char *value = stage_value(&g->values, bytes_of(args->args[i].name));

		buf_printf(&text, " %s=%s", args->args[i].name, value ? value : "");
	}
	g->args_text = buf_ok(&text) ? arena_string(g->arena, buf_text(&text)) : NULL;
	return g->args_text ? stage_check(&g->values, g->err) : fail_nomem(g->err);
}

/* Shared by the steps between which it does not change. */
static int set_env(struct evaluating *g, struct run_command *s)
{
	int r;

	if (g->env_changed) {
		g->env = (struct string_list){ .present = true };
		r = list_env(g, &g->env);
		if (r == OK)
			r = list_args(g);
		if (r != OK)
			return r;
	}
	g->env_changed = false;
	s->env = g->env;
	return OK;
}

/* ---- mounts ------------------------------------------------------------------------ */

struct expanding {
	struct evaluating *g;
	const struct instruction *instruction;
};

static int expand_option(void *arg, const char *word, const char **ret_value, UNUSED struct err *err)
{
	struct expanding *e = arg;

	return evaluate_word(e->g, e->instruction, word, ret_value);
}

/* Absolute, in the arena. */
static int set_target(struct evaluating *g, struct mount *m)
{
	CLEANUP(buf_free) struct buf path = BUF_INIT(2 * EXPANDED_MAX);

	if (stage_path(&g->values, m->target, &path, g->err) < 0)
		return g->err->code;
	if (!strcmp(buf_text(&path), "/"))
		return fail(g->err, E_INVALID, "invalid mount target \"/\"");
	m->target = arena_string(g->arena, buf_text(&path));
	return m->target ? OK : fail_nomem(g->err);
}

/* A cache that is not named is called as its target is written. */
static int name_cache(struct evaluating *g, struct mount *m)
{
	CLEANUP(buf_free) struct buf path = BUF_INIT(2 * EXPANDED_MAX);

	if (m->type != MOUNT_CACHE || *m->id)
		return OK;
	if (!path_clean(bytes_of(m->target), &path))
		return fail_nomem(g->err);
	m->id = arena_string(g->arena, buf_text(&path));
	return m->id ? OK : fail_nomem(g->err);
}

static const char *last_part(const char *path)
{
	const char *slash = strrchr(path, '/');

	return slash ? slash + 1 : path;
}

static int set_secret(struct evaluating *g, struct run_command_mount *rm)
{
	struct mount *m = &rm->mount;

	if (*m->source)
		m->id = m->source;
	if (!*m->id)
		m->id = last_part(m->target);
	rm->has_target = *m->target || !m->env;
	if (m->env && !*m->env)
		m->env = m->id;
	if (!m->has_mode)
		m->mode = 0400;
	if (!*m->target && rm->has_target)
		m->target = arena_printf(g->arena, "/run/secrets/%s", last_part(m->id));
	if (!m->target)
		return fail_nomem(g->err);
	return rm->has_target ? set_target(g, m) : OK;
}

static int set_ssh(struct evaluating *g, struct run_command_mount *rm, size_t number)
{
	struct mount *m = &rm->mount;

	if (!*m->id)
		m->id = *m->source ? m->source : "default";
	if (!m->has_mode)
		m->mode = 0600;
	rm->has_target = true;
	if (!*m->target)
		m->target = arena_printf(g->arena, "/run/buildkit/ssh_agent.%zu", number);
	return m->target ? set_target(g, m) : fail_nomem(g->err);
}

static int set_files(struct evaluating *g, const struct plan_command *c, struct run_command_mount *rm, size_t at)
{
	struct mount *m = &rm->mount;
	struct quoted from, target;

	if (*m->from && m->type != MOUNT_TMPFS)
		rm->stage = c->sources[at];
	if (rm->stage != PLAN_NONE && rm->stage >= g->index && g->plan->stages[rm->stage].stage)
		return fail(g->err, E_INVALID,
			    "cannot mount from stage %s to %s, stage needs to be defined before current command",
			    quote_short(m->from, &from), quote_short(m->target, &target));
	rm->has_target = true;
	if (name_cache(g, m) < 0)
		return g->err->code;
	return set_target(g, m);
}

static int set_mount(struct evaluating *g, const struct plan_command *c, size_t at, struct run_command_mount *rm,
		     size_t *n_ssh)
{
	struct expanding e = { g, c->instruction };
	int r = mount_parse(c->instruction->run.mounts.items[at], expand_option, &e, g->arena, &rm->mount, g->err);

	rm->stage = PLAN_NONE;
	if (r != OK)
		return r;
	if (rm->mount.type == MOUNT_SECRET)
		return set_secret(g, rm);
	if (rm->mount.type == MOUNT_SSH)
		return set_ssh(g, rm, (*n_ssh)++);
	return set_files(g, c, rm, at);
}

static int set_mounts(struct evaluating *g, const struct plan_command *c, struct run_command *s)
{
	size_t n = c->instruction->run.mounts.n, n_ssh = 0;
	int r = OK;

	s->mounts = arena_array(g->arena, n, sizeof *s->mounts);
	if (!s->mounts)
		return fail_nomem(g->err);
	for (; r == OK && s->n_mounts < n; s->n_mounts++)
		r = set_mount(g, c, s->n_mounts, &s->mounts[s->n_mounts], &n_ssh);
	return r;
}

/* ---- the whole ---------------------------------------------------------------------- */

/* "RUN |2 A=1 B=2 /bin/sh -c text" */
static void say(struct evaluating *g, const struct run_command *s)
{
	struct buf *out = &g->created_by;

	buf_printf(out, "RUN%s", g->args_text);
	for (size_t i = 0; i < s->args.n; i++)
		buf_printf(out, " %s", s->args.items[i]);
}

int evaluate_run(struct evaluating *g, const struct plan_command *c, struct step *step)
{
	const struct instruction *i = c->instruction;
	struct run_command *s = &step->run;
	int r;

	*s = (struct run_command){ .script_name = "",
				   .script = "",
				   .network = i->run.network,
				   .security = i->run.security,
				   .devices = i->run.devices,
				   .n_devices = i->run.n_devices,
				   .proxies = g->proxies };
	r = set_mounts(g, c, s);
	if (r == OK)
		r = set_args(g, i, s);
	if (r == OK)
		r = set_env(g, s);
	if (r == OK)
		say(g, s);
	return r;
}
