#include "service/build/build_stage.h"

#include "service/build/set.h"
#include "service/build/shell_pattern.h"
#include "service/build/suggest.h"
#include "store/types/path.h"

void stage_init(struct build_stage *s, struct image_config *image, char escape)
{
	*s = (struct build_stage){ .image = image, .escape = escape, .steps = 4 * (uint64_t)PATTERN_STEPS_MAX };
}

/* ---- values ----------------------------------------------------------------- */

static const char *find_env(const struct string_list *env, struct bytes name)
{
	for (size_t i = env->n; i-- > 0;)
		if (!strncmp(env->items[i], (const char *)name.data, name.len) && env->items[i][name.len] == '=')
			return env->items[i] + name.len + 1;
	return NULL;
}

static void note_undefined(struct build_stage *s, struct bytes name)
{
	if (!s->is_expanding)
		return;
	for (size_t i = 0; i < s->n_undefined; i++)
		if (bytes_eq(s->undefined[i], name))
			return;
	if (s->n_undefined < UNDEFINED_MAX && !(s->args && scope_find(s->args, name)))
		s->undefined[s->n_undefined++] = name;
}

const char *stage_value(void *stage, struct bytes name)
{
	struct build_stage *s = stage;
	const char *value;

	if (s->spent > BUILD_VALUES_MAX)
		return NULL; /* stage_check() will say so */
	/* To search costs, too. */
	s->spent += (s->image->config.env.n + (s->args ? s->args->n : 0)) / 8 + 1;
	value = find_env(&s->image->config.env, name);
	if (!value && s->args)
		value = scope_value(s->args, name);
	if (!value)
		note_undefined(s, name);
	return value;
}

int stage_check(struct build_stage *s, struct err *err)
{
	if (s->spent <= BUILD_VALUES_MAX)
		return OK;
	return fail(err, E_LIMIT, "the values are larger than %d bytes together", BUILD_VALUES_MAX);
}

int stage_spend(struct build_stage *s, size_t bytes, struct err *err)
{
	s->spent += bytes;
	return stage_check(s, err);
}

/* ---- warnings about variables ------------------------------------------------ */

/* All that a variable could have been meant to be; in the lint's arena. */
static const char **variable_names(const struct build_stage *s, size_t *ret_n)
{
	const struct string_list *env = &s->image->config.env;
	size_t n_args = s->args ? s->args->n : 0;
	const char **names = arena_array(s->lint->arena, env->n + n_args, sizeof *names);

	*ret_n = 0;
	for (size_t i = 0; names && i < env->n; i++)
		names[(*ret_n)++] = env->items[i];
	for (size_t i = 0; names && i < n_args; i++)
		if (s->args->args[i].value)
			names[(*ret_n)++] = s->args->args[i].name;
	return names;
}

/* They ask for a scan, and never are variables. */
static bool is_never_defined(struct bytes name)
{
	return bytes_are(name, "BUILDKIT_SBOM_SCAN_CONTEXT") || bytes_are(name, "BUILDKIT_SBOM_SCAN_STAGE");
}

static void warn_undefined(struct build_stage *s, const struct instruction *i)
{
	for (size_t k = 0; s->lint && k < s->n_undefined; k++) {
		struct bytes name = s->undefined[k];
		size_t n = 0;
		const char **names = variable_names(s, &n);
		const char *meant = names ? suggest_nearest(name, names, n, false) : NULL;
		int len = meant ? (int)strcspn(meant, "=") : 0;

		s->spent += n;
		if (is_never_defined(name))
			continue;
		lint_warn(s->lint, &i->node->comments, LINT_UNDEFINED_VAR, i->place,
			  meant ? "Usage of undefined variable '$%.*s' (did you mean $%.*s?)"
				: "Usage of undefined variable '$%.*s'",
			  (int)min_size(name.len, 256), (const char *)name.data, len, meant);
	}
}

static int run_expansion(struct build_stage *s, const struct instruction *i, const struct expand_rules *rules,
			 const char *word, struct buf *out, struct err *err)
{
	struct variables v = { .get = stage_value, .arg = s, .steps = &s->steps };
	size_t before = out->len;
	int r;

	s->is_expanding = true;
	s->n_undefined = 0;
	r = expand(word, rules, &v, out, err);
	warn_undefined(s, i);
	s->is_expanding = false;
	return r == OK ? stage_spend(s, out->len - before + STAGE_VALUE_COST, err) : r;
}

int stage_expand(struct build_stage *s, const struct instruction *i, const char *word, struct buf *out, struct err *err)
{
	const struct expand_rules rules = { .escape = s->escape };

	return run_expansion(s, i, &rules, word, out, err);
}

int stage_expand_raw(struct build_stage *s, const struct instruction *i, const char *word, struct buf *out,
		     struct err *err)
{
	const struct expand_rules rules = { .escape = '\\', .no_quotes = true };

	return run_expansion(s, i, &rules, word, out, err);
}

/* ---- paths and commands ------------------------------------------------------ */

int stage_path(const struct build_stage *s, const char *path, struct buf *out, struct err *err)
{
	const char *current = s->image->config.working_dir ? s->image->config.working_dir : "";

	return path_join(current, path, out) ? OK : fail_nomem(err);
}

int stage_shell_command(const struct build_stage *s, const struct string_list *words, bool for_shell,
			struct string_list *ret_command, struct err *err)
{
	static char *default_shell[] = { (char *)"/bin/sh", (char *)"-c" };
	const struct string_list usual = { .items = default_shell, .n = ARRAY_LEN(default_shell) };
	const struct string_list *shell = &s->image->config.shell;
	int r;

	if (!for_shell)
		return list_assign(ret_command, words, err);
	r = list_assign(ret_command, shell->n ? shell : &usual, err);
	if (r == OK && (words->n || s->building))
		r = list_append(ret_command, words->n ? words->items[0] : "", err);
	return r;
}
