/* One operation that makes a layer: found, made by another build, or made here. */
#include "service/build/solve/execute.h"
#include "service/build/solve/keys.h"
#include "service/build/solve/schedule.h"
#include "service/build/solve/stack.h"

static struct solving_op *op_of(struct participant *p)
{
	return (struct solving_op *)((char *)p - offsetof(struct solving_op, participant));
}

/* ---- what came of it ---------------------------------------------------------------- */

/* Its layer on the tree below. */
static int stand_on(struct solving_op *o, struct build_layer *l, struct err *err)
{
	o->layer = build_layer_ref(l);
	if (o->tree) /* of an older one */
		return OK;
	if (stack_push(o, err) < 0)
		return err->code;
	return o->op->n_inputs ? build_tree_push(input_of(o, 0)->tree, l, &o->tree, err)
			       : build_tree_new(&l, 1, &o->tree, err);
}

static void have(struct solving_op *o, struct build_layer *l, bool cached, bool elsewhere)
{
	struct err err = ERR_INIT;

	if (stand_on(o, l, &err) < 0) {
		solving_failed(o, &err);
		return;
	}
	o->executed = !cached;
	if (cached)
		vertex_cached(TAKE(o->vertex));
	else
		vertex_done(TAKE(o->vertex));
	if (elsewhere)
		solving_done_elsewhere(o);
	else
		solving_done(o);
}

/* What a command says is true for all who wait for it; other failures may be its builder's alone. Who wants to look at
 * what failed makes it himself. */
static bool is_for(const struct solving_op *o, const struct err *why)
{
	return why->code == E_UNKNOWN && !o->build->request->keep_failed;
}

static void flight_done(struct participant *p, struct flight *f, const struct err *why)
{
	struct solving_op *o = op_of(p);
	bool mine = f->owner == p;

	if (why->code == OK) {
		have(o, f->layer, f->imported, !mine);
		return;
	}
	flight_forget(p);
	if (mine || is_for(o, why))
		solving_failed(o, why);
	else
		solving_again(o);
}

/* ---- the cache ---------------------------------------------------------------------- */

static bool stage_is_named(const struct solving *b, size_t stage, const char *name)
{
	CLEANUP(freep) char *index = format("%zu", stage);

	return !strcasecmp(name, b->request->plan->stages[stage].name) || (index && !strcmp(name, index));
}

static bool ignores_cache(const struct solving_op *o)
{
	const struct solve_request *q = o->build->request;

	if (q->no_cache)
		return true;
	for (size_t i = 0; q->no_cache_stages && q->no_cache_stages[i]; i++)
		if (stage_is_named(o->build, o->op->stage, q->no_cache_stages[i]))
			return true;
	return false;
}

static int find_by(struct solving_op *o, const struct digest *key, struct err *err)
{
	return stack_find_layer(o, key, &o->layer, err);
}

static void add_key(struct solving_op *o, const struct digest *key)
{
	for (size_t i = 0; i < o->n_keys; i++)
		if (digest_eq(&o->keys[i], key))
			return;
	o->keys[o->n_keys++] = *key;
}

/* ---- into the cache ------------------------------------------------------------------- */

/* The result's own name first, then what it is found by. */
static void list_keys(const struct solving_op *o, const struct build_layer *l, struct commit_item *item)
{
	item->keys[item->n_keys++] = result_name(&o->symbol, l);
	for (size_t i = 0; i < o->n_keys; i++)
		item->keys[item->n_keys++] = o->keys[i];
	for (size_t i = 0; i < item->n_keys; i++)
		if (digest_eq(&item->keys[i], &o->symbol))
			return;
	item->keys[item->n_keys++] = o->symbol;
}

static void list_below(const struct solving_op *o, struct commit_item *item)
{
	const struct solving_op *below = o->op->n_inputs ? input_of(o, 0) : NULL;
	size_t size = below ? below->n_stack * sizeof *below->stack : 0;
	void *copy = malloc(size + 1);

	if (!copy || size > STEP_NOTE_MAX) {
		free(copy);
		return;
	}
	if (size)
		memcpy(copy, below->stack, size);
	item->note_key = stack_note_key(&item->keys[0]);
	item->note = (struct bytes){ copy, size };
}

/* With a flight, which becomes the committer's: a new result. Without: found by its contents and not by its definition;
 * the next time by both. */
static void commit(struct solving_op *o, struct flight *f, struct build_layer *l)
{
	struct commit_item item = { .layer = build_layer_ref(l), .flight = f };

	list_keys(o, l, &item);
	if (f) {
		f->pin = item.keys[0];
		list_below(o, &item);
	}
	item.description = strdup(o->op->title ? o->op->title : "");
	committer_add(o->build->committer, &item);
}

/* ---- finding it ------------------------------------------------------------------------ */

/* 1: found. The definition's key comes first, as it costs nothing; the symbol's last, as its tree is an older one. */
static int find(struct solving_op *o, struct inputs *in, bool look, struct err *err)
{
	struct digest definition, contents;
	bool defined = keys_of_definition(in, &definition);
	int r;

	if (defined)
		o->symbol = symbol_of(in);
	r = defined && look ? find_by(o, &definition, err) : 0;
	if (r == 1)
		add_key(o, &definition);
	if (r)
		return r;
	if (keys_of_contents(in, &contents, err) < 0)
		return err->code;
	o->symbol = o->op->n_inputs ? symbol_of(in) : contents;
	add_key(o, &contents);
	if (defined)
		add_key(o, &definition);
	if (!look)
		return 0;
	r = defined && o->n_keys == 1 ? 0 /* both are one */ : find_by(o, &contents, err);
	if (r == 1 && o->n_keys > 1)
		commit(o, NULL, o->layer);
	return r || digest_eq(&o->symbol, &contents) ? r : stack_find(o, err);
}

/* ---- caches elsewhere ----------------------------------------------------------------- */

static bool import(struct solving_op *o, struct cancel *cancel, struct build_layer **ret_layer)
{
	const struct solve_request *q = o->build->request;

	for (size_t i = 0; i < q->n_imports; i++)
		for (size_t k = 0; k < o->n_keys; k++)
			if (q->imports[i].find(q->imports[i].arg, &o->keys[k], cancel, ret_layer, NULL) == OK)
				return true;
	return false;
}

/* ---- making it ------------------------------------------------------------------------ */

static int make(struct solving_op *o, struct inputs *in, struct flight *f, bool look, struct build_layer **ret_layer,
		struct err *err)
{
	struct execution x = { .in = in, .flight = f };
	int r;

	in->cancel = f->cancel;
	f->imported = look && import(o, f->cancel, ret_layer);
	r = f->imported ? OK : execute(&x, ret_layer, err);
	execution_leave(&x);
	return r;
}

/* With a build go its agents and files: what its steps say then is true for nobody else. */
static bool has_ended(const struct solving *b)
{
	return cancel_fired(b->request->cancel) || cancel_fired(b->cancel);
}

static void own(struct solving_op *o, struct inputs *in, struct flight *f, bool look)
{
	CLEANUP(build_layer_unrefp) struct build_layer *l = NULL;
	struct err err = ERR_INIT, made = ERR_INIT;
	int r;

	flight_ref(f);
	r = make(o, in, f, look, &l, &err);
	if (r < 0 && has_ended(o->build))
		fail(&err, E_CANCELLED, "context canceled");
	flight_end(f, l, r == OK ? &made : &err);
	if (l)
		commit(o, f, l);
	else
		flight_unref(f);
}

static int take_flight(struct solving_op *o, struct inputs *in, bool look, struct err *err)
{
	struct solver *s = o->build->solver;
	enum flight_role role;

	o->participant.done = flight_done;
	o->participant.vertex = o->vertex;
	if (flight_take(s, &o->keys[0], !look, &o->participant, &role, err) < 0)
		return err->code;
	/* A build that was stopped just now did not see this one. */
	if (role != FLIGHT_READY && solving_is_stopping(o->build))
		solving_quit(o);
	if (role != FLIGHT_READY && o->build->request->executes)
		o->build->request->executes(o->build->request->executes_arg);
	if (role == FLIGHT_OWN)
		own(o, in, o->participant.flight, look);
	else if (role == FLIGHT_READY)
		have(o, o->participant.flight->layer, true, false);
	return OK;
}

static int find_or_make(struct solving_op *o, struct inputs *in, struct err *err)
{
	bool look = !ignores_cache(o);
	int r;

	o->n_keys = 0;
	r = find(o, in, look, err);
	if (r < 0)
		return r;
	explainer_note(o->build->explainer, o, in, look, r == 1);
	if (r == 1) {
		CLEANUP(build_layer_unrefp) struct build_layer *l = TAKE(o->layer);

		have(o, l, true, false);
		return OK;
	}
	return take_flight(o, in, look, err);
}

void step_solve(struct solving_op *o)
{
	CLEANUP(inputs_free) struct inputs in = { .op = o };
	struct err err = ERR_INIT;

	if (!o->vertex && o->op->title)
		o->vertex = progress_begin(o->build->request->progress, o->op->title, &o->id);
	if (inputs_new(o, o->build->cancel, &in, &err) < 0 || find_or_make(o, &in, &err) < 0)
		solving_failed(o, &err);
}
