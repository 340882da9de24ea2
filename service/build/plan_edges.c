#include "service/build/plan_edges.h"

/* The stage's needs, one after another: *at counts up; PLAN_NONE at the end. */
static size_t next_need(const struct plan_stage *s, size_t *command, size_t *source)
{
	if (*command == 0 && *source == 0 && s->kind == PLAN_STAGE) {
		*command = 1;
		return s->below;
	}
	if (*command == 0)
		*command = 1;
	while (*command <= s->n_commands) {
		const struct plan_command *c = &s->commands[*command - 1];

		if (*source < c->n_sources) {
			size_t need = c->sources[(*source)++];

			if (need != PLAN_NONE)
				return need;
			continue;
		}
		++*command;
		*source = 0;
	}
	return PLAN_NONE;
}

/* A walk down the edges without recursion, which a hostile file could make deep. */
struct walk_step {
	size_t stage, command, source;
};

enum visit { NOT_SEEN, ON_PATH, DONE };

struct walk {
	struct walk_step *steps;
	size_t depth;
	uint8_t *seen; /* enum visit, of each stage */
};

static int walk_init(const struct plan *p, struct walk *w, struct err *err)
{
	*w = (struct walk){ .steps = arena_array(p->arena, p->n + 1, sizeof *w->steps),
			    .seen = arena_array(p->arena, p->n, sizeof *w->seen) };
	return w->steps && w->seen ? OK : fail_nomem(err);
}

static void push(struct walk *w, size_t stage)
{
	w->steps[w->depth++] = (struct walk_step){ .stage = stage };
	w->seen[stage] = ON_PATH;
}

/* From `stage` to all that it needs; the stage that closes a circle, or PLAN_NONE. */
static size_t walk_from(const struct plan *p, struct walk *w, size_t stage)
{
	if (w->seen[stage] == NOT_SEEN)
		push(w, stage);
	while (w->depth) {
		struct walk_step *top = &w->steps[w->depth - 1];
		size_t need = next_need(&p->stages[top->stage], &top->command, &top->source);

		if (need == PLAN_NONE) {
			w->seen[top->stage] = DONE;
			w->depth--;
		} else if (w->seen[need] == ON_PATH) {
			return top->stage;
		} else if (w->seen[need] == NOT_SEEN) {
			push(w, need);
		}
	}
	return PLAN_NONE;
}

int plan_check_circles(const struct plan *p, struct place *ret_place, struct err *err)
{
	struct walk w;
	int r = walk_init(p, &w, err);

	for (size_t i = 0; r == OK && i < p->n; i++) {
		size_t closing = walk_from(p, &w, i);

		if (closing == PLAN_NONE)
			continue;
		*ret_place = p->stages[closing].place;
		return fail(err, E_INVALID, "circular dependency detected on stage: %.256s", p->stages[i].name);
	}
	return r;
}

int plan_mark_reachable(struct plan *p, struct err *err)
{
	struct walk w;
	int r = walk_init(p, &w, err);

	if (r != OK)
		return r;
	walk_from(p, &w, p->target);
	for (size_t i = 0; i < p->n; i++)
		p->stages[i].reachable = p->options->all_stages || w.seen[i] != NOT_SEEN;
	return OK;
}
