/* Operations in the order of their inputs, on as many threads as there is work for. */
#include "service/build/solve/schedule.h"

#include "proto/runtime/sanitize.h"

enum { STACK_BYTES = (SANITIZED ? 1024 : 512) * 1024 };

/* ---- the queue ------------------------------------------------------------------- */

static void solve_one(struct solving_op *o)
{
	if (solving_is_stopping(o->build)) {
		struct err err = ERR_INIT;

		fail(&err, E_CANCELLED, "the build has ended");
		solving_failed(o, &err);
	} else if (solving_makes_layer(o)) {
		step_solve(o);
	} else {
		source_solve(o);
	}
}

/* With the lock. */
static struct solving_op *take(struct solving *b)
{
	struct solving_op *o;

	while (!b->n_ready && !b->closing) {
		b->idle++;
		pthread_cond_wait(&b->work, &b->mu);
		b->idle--;
	}
	if (!b->n_ready)
		return NULL;
	o = &b->ops[b->ready[b->head++]];
	b->n_ready--;
	o->state = STATE_RUNNING;
	return o;
}

static void *thread_main(void *arg)
{
	struct solving *b = arg;
	struct solving_op *o;

	pthread_setname_np(pthread_self(), "build-step");
	for (;;) {
		pthread_mutex_lock(&b->mu);
		o = take(b);
		pthread_mutex_unlock(&b->mu);
		if (!o)
			return NULL;
		solve_one(o);
	}
}

/* With the lock. */
static int start_thread(struct solving *b)
{
	pthread_attr_t attr;
	int number;

	pthread_attr_init(&attr);
	pthread_attr_setstacksize(&attr, STACK_BYTES);
	number = pthread_create(&b->threads[b->n_threads], &attr, thread_main, b);
	pthread_attr_destroy(&attr);
	b->n_threads += !number;
	return number;
}

/* With the lock. `spare`: threads that will look at the queue without being told. */
static void call_threads(struct solving *b, unsigned spare)
{
	unsigned there = b->idle + spare;
	int number = 0;

	for (size_t i = 0; i < b->n_ready && i < b->idle; i++)
		pthread_cond_signal(&b->work);
	while (!number && there < b->n_ready && b->n_threads < SOLVING_THREADS_MAX) {
		number = start_thread(b);
		there++;
	}
	if (number && !b->n_threads && b->failure.code == OK)
		fail(&b->failure, E_NO_MEMORY, "cannot start a thread for the build: %s", strerrordesc_np(number));
}

/* With the lock. An operation is in the queue several times when another build failed to make it. */
static void push(struct solving *b, struct solving_op *o)
{
	if (b->head + b->n_ready == b->capacity) {
		memmove(b->ready, b->ready + b->head, b->n_ready * sizeof *b->ready);
		b->head = 0;
	}
	o->state = STATE_READY;
	b->ready[b->head + b->n_ready++] = (size_t)(o - b->ops);
}

/* ---- ends -------------------------------------------------------------------------- */

static void open_consumers(struct solving *b, const struct solving_op *o)
{
	size_t i = (size_t)(o - b->ops);

	for (size_t k = b->first_consumer[i]; k < b->first_consumer[i + 1]; k++) {
		struct solving_op *c = &b->ops[b->consumers[k]];

		if (!--c->missing && c->state == STATE_WAITING)
			push(b, c);
	}
}

static void end(struct solving_op *o, enum op_state state, bool from_thread)
{
	struct solving *b = o->build;

	pthread_mutex_lock(&b->mu);
	o->state = state;
	b->left--;
	if (state == STATE_DONE) {
		open_consumers(b, o);
		call_threads(b, from_thread);
	}
	pthread_cond_broadcast(&b->changed);
	pthread_mutex_unlock(&b->mu);
}

void solving_done(struct solving_op *o)
{
	end(o, STATE_DONE, true);
}

void solving_done_elsewhere(struct solving_op *o)
{
	end(o, STATE_DONE, false);
}

void solving_failed(struct solving_op *o, const struct err *why)
{
	struct solving *b = o->build;
	bool stopping;

	pthread_mutex_lock(&b->mu);
	stopping = b->stopping;
	if (!stopping && b->failure.code == OK) {
		b->failure = *why;
		b->failed = o;
	}
	b->stopping = true;
	pthread_mutex_unlock(&b->mu);
	if (stopping && o->vertex) {
		struct err cancelled = ERR_INIT;

		fail(&cancelled, E_CANCELLED, "context canceled");
		vertex_failed(TAKE(o->vertex), &cancelled);
	} else if (o->vertex) {
		vertex_failed(TAKE(o->vertex), why);
	}
	end(o, STATE_ENDED, true);
}

void solving_again(struct solving_op *o)
{
	struct solving *b = o->build;

	pthread_mutex_lock(&b->mu);
	push(b, o);
	call_threads(b, 0);
	pthread_mutex_unlock(&b->mu);
}

bool solving_is_stopping(struct solving *b)
{
	bool stopping;

	pthread_mutex_lock(&b->mu);
	stopping = b->stopping;
	pthread_mutex_unlock(&b->mu);
	return stopping;
}

/* ---- the build's own thread ----------------------------------------------------------- */

static void wake(void *arg)
{
	struct solving *b = arg;

	pthread_mutex_lock(&b->mu);
	pthread_cond_broadcast(&b->changed);
	pthread_mutex_unlock(&b->mu);
}

/* With the lock. What is not begun ends; its consumers never became ready. */
static void drop_waiting(struct solving *b)
{
	for (size_t i = 0; i < b->request->graph->n; i++) {
		struct solving_op *o = &b->ops[i];

		if (o->state == STATE_WAITING || o->state == STATE_READY) {
			o->state = STATE_ENDED;
			b->left--;
		}
	}
	b->n_ready = 0;
}

/* The build has lost interest in what is being made; others may not. */
void solving_quit(struct solving_op *o)
{
	struct err err = ERR_INIT;

	if (!flight_quit(o->build->solver, &o->participant))
		return;
	fail(&err, E_CANCELLED, "context canceled");
	solving_failed(o, &err);
}

static void stop(struct solving *b, int code)
{
	pthread_mutex_lock(&b->mu);
	b->stopping = true;
	drop_waiting(b);
	pthread_mutex_unlock(&b->mu);
	cancel_fire(b->cancel, code);
	for (size_t i = 0; i < b->request->graph->n; i++)
		solving_quit(&b->ops[i]);
}

/* Until all has ended, or all is to end. */
static bool wait_for_end(struct solving *b, bool stopped)
{
	bool ended;

	pthread_mutex_lock(&b->mu);
	while (b->left && (stopped || (b->failure.code == OK && !cancel_fired(b->request->cancel))))
		pthread_cond_wait(&b->changed, &b->mu);
	ended = !b->left;
	pthread_mutex_unlock(&b->mu);
	return ended;
}

static void join_threads(struct solving *b)
{
	pthread_mutex_lock(&b->mu);
	b->closing = true;
	pthread_cond_broadcast(&b->work);
	pthread_mutex_unlock(&b->mu);
	for (unsigned i = 0; i < b->n_threads; i++)
		pthread_join(b->threads[i], NULL);
}

static void begin(struct solving *b)
{
	pthread_mutex_lock(&b->mu);
	for (size_t i = 0; i < b->request->graph->n; i++)
		if (b->ops[i].state == STATE_WAITING && !b->ops[i].missing)
			push(b, &b->ops[i]);
	call_threads(b, 0);
	pthread_mutex_unlock(&b->mu);
}

int solving_run(struct solving *b, struct err *err)
{
	struct cancel_hook hook = { .fn = wake, .arg = b };
	int r = OK;

	begin(b);
	if (b->request->cancel)
		cancel_hook(b->request->cancel, &hook);
	if (!wait_for_end(b, false)) {
		r = cancel_check(b->request->cancel, err);
		stop(b, r == OK ? E_CANCELLED : r);
		wait_for_end(b, true);
	}
	if (b->request->cancel)
		cancel_unhook(b->request->cancel, &hook);
	join_threads(b);
	if (r == OK && b->failure.code != OK) {
		if (err)
			*err = b->failure;
		r = b->failure.code;
	}
	return r;
}
