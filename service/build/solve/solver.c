#include "service/build/solve/solver.h"

#include "proto/runtime/clock.h"

enum { PARALLEL_LEAST = 8, PARALLEL_PER_CORE = 2 };

/* Steps wait for the disk and for others as much as they compute. */
static unsigned usual_parallel(void)
{
	long cores = sysconf(_SC_NPROCESSORS_ONLN);

	return cores * PARALLEL_PER_CORE > PARALLEL_LEAST ? (unsigned)cores * PARALLEL_PER_CORE : PARALLEL_LEAST;
}

int solver_new(const struct solver_options *options, struct solver **ret_solver, struct err *err)
{
	struct solver *s = calloc(1, sizeof *s);
	int r;

	if (!s)
		return fail_nomem(err);
	r = step_directories_new(options->store, options->run, &s->directories, err);
	if (r != OK) {
		free(s);
		return r;
	}
	s->options = *options;
	s->permits = options->parallel ? options->parallel : usual_parallel();
	pthread_mutex_init(&s->mu, NULL);
	cond_init_monotonic(&s->changed);
	*ret_solver = s;
	return OK;
}

void solver_free(struct solver *s)
{
	if (!s)
		return;
	step_directories_free(s->directories);
	pthread_cond_destroy(&s->changed);
	pthread_mutex_destroy(&s->mu);
	free(s);
}

void solver_sweep(struct solver *s)
{
	step_directories_sweep(s->directories);
}

/* ---- permits ---------------------------------------------------------------------- */

static void wake(void *arg)
{
	struct solver *s = arg;

	pthread_mutex_lock(&s->mu);
	pthread_cond_broadcast(&s->changed);
	pthread_mutex_unlock(&s->mu);
}

int solver_enter(struct solver *s, struct cancel *cancel, struct err *err)
{
	struct cancel_hook hook = { .fn = wake, .arg = s };
	int r = OK;

	cancel_hook(cancel, &hook);
	pthread_mutex_lock(&s->mu);
	while (!s->permits && (r = cancel_check(cancel, err)) == OK)
		pthread_cond_wait(&s->changed, &s->mu);
	if (r == OK)
		s->permits--;
	pthread_mutex_unlock(&s->mu);
	cancel_unhook(cancel, &hook);
	return r;
}

void solver_leave(struct solver *s)
{
	pthread_mutex_lock(&s->mu);
	s->permits++;
	pthread_cond_broadcast(&s->changed);
	pthread_mutex_unlock(&s->mu);
}
