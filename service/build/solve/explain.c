#include "service/build/solve/explain.h"

#include "service/build/solve/inputs.h"

enum { FILES_MAX = 500, NOTE_ROOM = 8 * 1024 };

struct kept {
	struct digest key;
	char *note;
};

struct explainer {
	struct solving *build;
	pthread_mutex_t mu;
	struct kept *kept; /* guarded by mu */
	size_t n, capacity;
};

int explainer_new(struct solving *b, struct explainer **ret_explainer, struct err *err)
{
	struct explainer *e;

	if (!digest_is_set(&b->request->explain_id))
		return OK;
	e = calloc(1, sizeof *e);
	if (!e)
		return fail_nomem(err);
	e->build = b;
	e->capacity = b->request->graph->n;
	e->kept = calloc(e->capacity, sizeof *e->kept);
	if (!e->kept) {
		free(e);
		return fail_nomem(err);
	}
	pthread_mutex_init(&e->mu, NULL);
	*ret_explainer = e;
	return OK;
}

void explainer_free(struct explainer *e)
{
	if (!e)
		return;
	for (size_t i = 0; i < e->n; i++)
		free(e->kept[i].note);
	pthread_mutex_destroy(&e->mu);
	free(e->kept);
	free(e);
}

/* ---- parts ------------------------------------------------------------------------- */

static void put_text(struct buf *note, const char *text, const char *name)
{
	explain_part(note, text, strlen(text), "%s", name);
}

static void put_digest(struct buf *note, const struct digest *d, const char *what, const char *name)
{
	explain_part(note, d, sizeof *d, "%s%s", what, name);
}

static void put_below(struct buf *note, const struct inputs *in)
{
	const struct solving_op *below = input_of(in->op, 0);
	bool image = below->op->kind == OP_IMAGE;

	put_digest(note, build_tree_chain(below->tree), image ? "the base image" : "what the step stands on", "");
}

/* "VER=1": the name is told, the value is not. */
static void put_variables(struct buf *note, const struct string_list *env)
{
	for (size_t i = 0; i < env->n; i++)
		explain_part(note, env->items[i], strlen(env->items[i]), "variable %.*s",
			     (int)strcspn(env->items[i], "="), env->items[i]);
}

static void put_list(struct buf *note, const struct string_list *l, const char *name)
{
	struct hasher h;
	struct digest d;

	hasher_init(&h, DIGEST_SHA256);
	for (size_t i = 0; i < l->n; i++)
		hasher_update(&h, l->items[i], strlen(l->items[i]) + 1);
	d = hasher_final(&h);
	put_digest(note, &d, "", name);
}

/* Of a context's files: which, as long as they are few. */
static bool put_files(struct buf *note, const struct copy_files *files, const char *path)
{
	const struct context_list *list;
	struct context_range range;
	struct digest d;

	if (!files->context)
		return false;
	list = build_context_list(files->context);
	range = context_list_range(list, bytes_of(path + strspn(path, "/")));
	if (range.begin == range.end || range.end - range.begin > FILES_MAX)
		return false;
	for (uint32_t i = range.begin; i < range.end && note->len + NOTE_ROOM < note->max; i++) {
		struct bytes name = context_list_path(list, i);

		if (build_context_digest_entry(files->context, i, &d, NULL) == OK)
			explain_part(note, &d, sizeof d, "file %.*s", (int)name.len, (const char *)name.data);
	}
	return true;
}

static void put_source(struct buf *note, const struct inputs *in, size_t input, const char *path)
{
	const struct build_tree *t = input_of(in->op, input)->tree;

	/* The contents of a stage are not read where its key is known. */
	if (t || !put_files(note, &in->files[input - 1], path))
		put_digest(note, t ? build_tree_chain(t) : &in->digests[input], "the contents of ", path);
}

static void put_copy(struct buf *note, const struct inputs *in)
{
	const struct copy_step *s = &in->op->op->step->copy;

	for (size_t i = 0; i < s->n_sources; i++)
		put_source(note, in, i + 1, s->sources[i].path);
	put_text(note, s->destination, "the destination");
	put_text(note, s->chown, "--chown");
	put_text(note, s->chmod, "--chmod");
	put_list(note, &s->excludes, "--exclude");
}

static void put_mounts(struct buf *note, const struct inputs *in)
{
	const struct run_command *c = &in->op->op->step->run;
	size_t input = 0;

	for (size_t i = 0; i < c->n_mounts; i++) {
		const struct run_command_mount *m = &c->mounts[i];

		input += m->mount.type == MOUNT_BIND || (m->mount.type == MOUNT_CACHE && m->stage != PLAN_NONE);
		if (m->mount.type == MOUNT_BIND)
			put_source(note, in, input, m->mount.source);
		explain_part(note, &m->mount.type, sizeof m->mount.type, "the mount on %s", m->mount.target);
	}
}

static void put_run(struct buf *note, const struct inputs *in)
{
	const struct step *step = in->op->op->step;

	put_list(note, &step->run.args, "the command");
	put_text(note, step->run.script, "the script");
	put_variables(note, &step->run.env);
	put_text(note, step->cwd, "the working directory");
	put_text(note, step->user, "the user");
	put_text(note, step->run.network, "--network");
	put_text(note, step->run.security, "--security");
	put_mounts(note, in);
}

static void put_parts(struct buf *note, const struct inputs *in)
{
	const struct op *op = in->op->op;

	if (op->kind == OP_CONTEXT)
		return;
	if (op->kind == OP_RUN)
		put_run(note, in);
	if (op->kind == OP_COPY)
		put_copy(note, in);
	if (op->kind == OP_DIRECTORY)
		put_text(note, op->step->cwd, "the directory");
	put_below(note, in);
	put_digest(note, &op->own, "", "the instruction");
}

/* ---- telling ------------------------------------------------------------------------- */

/* The same step of the next build: by its stage, and its number in it. */
static struct digest place_of(const struct explainer *e, const struct solving_op *o)
{
	const struct solve_request *q = e->build->request;
	const char *stage = q->plan->stages[o->op->stage].name;
	char platform[PLATFORM_TEXT_MAX];
	uint64_t number = 0;
	struct hasher h;

	for (const struct solving_op *other = e->build->ops; other < o; other++)
		number += other->op->step && other->op->stage == o->op->stage;
	plan_platform(q->plan, o->op->stage, platform);
	hasher_init(&h, DIGEST_SHA256);
	hasher_update(&h, "explain", strlen("explain") + 1);
	hasher_update(&h, &q->explain_id, sizeof q->explain_id);
	hasher_update(&h, stage, strlen(stage) + 1);
	hasher_update(&h, platform, strlen(platform) + 1);
	hasher_update(&h, &number, sizeof number);
	return hasher_final(&h);
}

/* "the instruction" says less than any other part. */
static size_t drop_vague(char **changes, size_t n)
{
	if (n > 1 && !strncmp(changes[n - 1], "the instruction ", strlen("the instruction ")))
		free(changes[--n]);
	return n;
}

static void tell(struct explainer *e, struct solving_op *o, const struct digest *key, const char *note, bool looked)
{
	static const char *const not_asked = "the cache was not asked for it",
				 *const unknown =
					 "there was no such step in the last build of this Dockerfile and context",
				 *const gone = "nothing of its key; its result is not in the cache any more";
	CLEANUP(buf_free) struct buf before = BUF_INIT(STEP_NOTE_MAX);
	char *changes[CHANGES_TOLD_MAX];
	size_t n;

	if (!looked) {
		vertex_changed(o->vertex, &not_asked, 1);
		return;
	}
	if (step_cache_note(e->build->solver->options.cache, key, &before, NULL) < 0) {
		vertex_changed(o->vertex, &unknown, 1);
		return;
	}
	n = drop_vague(changes, explain_compare(buf_text(&before), note, changes));
	vertex_changed(o->vertex, n ? (const char *const *)changes : &gone, n ? n : 1);
	for (size_t i = 0; i < n; i++)
		free(changes[i]);
}

static void keep(struct explainer *e, const struct digest *key, char *note)
{
	if (!note)
		return;
	pthread_mutex_lock(&e->mu);
	if (e->n < e->capacity)
		e->kept[e->n++] = (struct kept){ *key, TAKE(note) };
	pthread_mutex_unlock(&e->mu);
	free(note);
}

void explainer_note(struct explainer *e, struct solving_op *o, const struct inputs *in, bool looked, bool found)
{
	CLEANUP(buf_free) struct buf note = BUF_INIT(STEP_NOTE_MAX);
	struct digest key;

	if (!e || (found && !e->build->request->explain) || !o->op->step)
		return;
	put_parts(&note, in);
	key = place_of(e, o);
	if (!found && e->build->request->explain)
		tell(e, o, &key, buf_text(&note), looked);
	keep(e, &key, buf_take(&note));
}

void explainer_keep(struct explainer *e)
{
	struct step_note *notes = e && e->n ? calloc(e->n, sizeof *notes) : NULL;

	if (!notes)
		return;
	for (size_t i = 0; i < e->n; i++)
		notes[i] = (struct step_note){ e->kept[i].key, bytes_of(e->kept[i].note) };
	step_cache_put_notes(e->build->solver->options.cache, notes, e->n, NULL);
	free(notes);
}
