#include "service/build/session/prefetch.h"

#include "service/build/context/context_match.h"
#include "service/build/context_paths.h"
#include "service/build/session/transfer_size.h"

enum { RANGES_ARENA_MAX = 64 * 1024 * 1024 };

/* What is wanted of one context. */
struct wanted {
	struct wanted *next;
	struct session_context *context;
	struct context_ranges ranges;
	struct vertex *vertex;
};

struct prefetch {
	struct session *session;
	struct arena arena;
	struct wanted *wanted;
	pthread_t asking, telling;
	bool running;
	struct cancel *over;

	pthread_mutex_t mu; /* guards what is told of */
	struct session_context *context;
	struct vertex *vertex;
};

/* ---- what --------------------------------------------------------------------------------- */

static struct wanted *find_wanted(struct prefetch *p, struct session_context *c)
{
	struct wanted *w = p->wanted;

	while (w && w->context != c)
		w = w->next;
	if (w)
		return w;
	w = arena_alloc(&p->arena, sizeof *w);
	if (!w)
		return NULL;
	w->context = c;
	w->next = p->wanted;
	p->wanted = w;
	return w;
}

/* `name`: as the operation has it. */
static int add_context(struct prefetch *p, const struct front_end *f, const char *name, struct err *err)
{
	struct session_context *c = *name ? front_end_context(f, name) : session_context_named(p->session, "");
	struct string_list paths = { .n = 0 };
	struct wanted *w;

	if (!c || c->kind != SESSION_CONTEXT_DIRECTORY || !c->loaded)
		return OK;
	w = find_wanted(p, c);
	if (!w)
		return fail_nomem(err);
	if (context_paths(&f->plan, &f->evaluation, name, &p->arena, &paths, err) < 0)
		return err->code;
	for (size_t i = 0; i < paths.n; i++)
		if (context_match(build_context_list(c->files), paths.items[i], &p->arena, &w->ranges, err) < 0)
			return err->code;
	return OK;
}

static int add_contexts(struct prefetch *p, const struct front_end *f, struct err *err)
{
	for (size_t i = 0; i < f->graph.n; i++)
		if (f->graph.ops[i].kind == OP_CONTEXT && add_context(p, f, f->graph.ops[i].name, err) < 0)
			return err->code;
	return OK;
}

/* ---- asking ------------------------------------------------------------------------------- */

enum { TELL_MS = 100 };

static void set_told(struct prefetch *p, struct session_context *c, struct vertex *v)
{
	pthread_mutex_lock(&p->mu);
	p->context = c;
	p->vertex = v;
	pthread_mutex_unlock(&p->mu);
}

/* The bytes that have come, and what tells of the files. */
static int64_t transferred(const struct wanted *w)
{
	const struct context_list *l = build_context_list(w->context->files);
	int64_t bytes = build_context_received(w->context->files);

	for (size_t i = 0; i < w->ranges.n; i++)
		for (uint32_t k = w->ranges.items[i].begin; k < w->ranges.items[i].end; k++)
			bytes += transfer_size_entry(context_list_path(l, k).len);
	return bytes ? bytes : TRANSFER_NOTHING;
}

static struct vertex *begin(struct session *s, const struct session_context *c)
{
	CLEANUP(freep)
	char *title = *c->name ? format("[context %s] load from client", c->name)
			       : format("[internal] load build context");

	return title ? progress_begin(s->progress, title, NULL) : NULL;
}

static void fetch(struct prefetch *p, struct wanted *w)
{
	struct session_context *c = w->context;
	struct err err = ERR_INIT;
	int r;

	set_told(p, c, w->vertex);
	r = build_context_need(c->files, w->ranges.items, w->ranges.n, p->session->cancel, &err);
	set_told(p, NULL, NULL);
	vertex_status(w->vertex, "transferring context:", transferred(w), 0, true);
	if (r < 0)
		vertex_failed(w->vertex, &err);
	else
		vertex_done(w->vertex);
}

static void *ask(void *prefetch)
{
	struct prefetch *p = prefetch;

	for (struct wanted *w = p->wanted; w; w = w->next)
		fetch(p, w);
	return NULL;
}

/* Not by the thread that receives: it must never wait for a client that sends before it reads. */
static void *tell(void *prefetch)
{
	struct prefetch *p = prefetch;

	while (!cancel_wait(p->over, TELL_MS)) {
		pthread_mutex_lock(&p->mu);
		if (p->context)
			vertex_status(p->vertex, "transferring context:", build_context_received(p->context->files), 0,
				      false);
		pthread_mutex_unlock(&p->mu);
	}
	return NULL;
}

/* ---- the whole ---------------------------------------------------------------------------- */

static int fail_wanted(struct prefetch *p, struct err *err)
{
	fail_nomem(err);
	for (struct wanted *w = p->wanted; w; w = w->next)
		vertex_failed(w->vertex, err);
	return E_NO_MEMORY;
}

/* They begin before the steps that need them do: told in that order. */
static int start(struct prefetch *p, struct err *err)
{
	for (struct wanted *w = p->wanted; w; w = w->next)
		w->vertex = begin(p->session, w->context);
	p->over = cancel_new();
	if (!p->over || pthread_create(&p->asking, NULL, ask, p))
		return fail_wanted(p, err);
	if (pthread_create(&p->telling, NULL, tell, p)) {
		pthread_join(p->asking, NULL);
		return fail_nomem(err);
	}
	p->running = true;
	return OK;
}

int prefetch_start(struct session *s, struct front_end *fronts, size_t n, struct prefetch **ret_prefetch,
		   struct err *err)
{
	struct prefetch *p = calloc(1, sizeof *p);
	int r = OK;

	*ret_prefetch = NULL;
	if (!p)
		return fail_nomem(err);
	p->session = s;
	pthread_mutex_init(&p->mu, NULL);
	arena_init(&p->arena, RANGES_ARENA_MAX);
	for (size_t i = 0; r == OK && i < n; i++)
		r = add_contexts(p, &fronts[i], err);
	if (r == OK && p->wanted)
		r = start(p, err);
	if (r == OK && p->running)
		*ret_prefetch = p;
	else
		prefetch_end(p);
	return r;
}

void prefetch_end(struct prefetch *p)
{
	if (!p)
		return;
	if (p->running) {
		pthread_join(p->asking, NULL);
		cancel_fire(p->over, E_CANCELLED);
		pthread_join(p->telling, NULL);
	}
	cancel_unref(p->over);
	pthread_mutex_destroy(&p->mu);
	arena_free(&p->arena);
	free(p);
}
