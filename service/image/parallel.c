#include "service/image/parallel.h"

#include <assert.h>

struct run {
	const struct parallel *plan;
	struct cancel *cancel; /* of the work */
	pthread_mutex_t mu;
	/* Guarded by mu. */
	size_t next, running;
	struct err failure; /* the first; code OK: none */
};

static bool take_next(struct run *r, size_t *ret_piece)
{
	bool found;

	pthread_mutex_lock(&r->mu);
	found = r->failure.code == OK && r->next < r->plan->n;
	if (found)
		*ret_piece = r->next++;
	pthread_mutex_unlock(&r->mu);
	return found;
}

static void note_failure(struct run *r, const struct err *err)
{
	bool first;

	pthread_mutex_lock(&r->mu);
	first = r->failure.code == OK;
	if (first)
		r->failure = *err;
	pthread_mutex_unlock(&r->mu);
	if (first)
		cancel_fire(r->cancel, E_CANCELLED);
}

static void *thread_main(void *arg)
{
	struct run *r = arg;
	size_t piece;

	while (take_next(r, &piece)) {
		struct err err = ERR_INIT;

		if (r->plan->work(r->plan->arg, piece, r->cancel, &err) < 0)
			note_failure(r, &err);
	}
	pthread_mutex_lock(&r->mu);
	r->running--;
	pthread_mutex_unlock(&r->mu);
	transfer_watch_wake(r->plan->watch);
	return NULL;
}

static bool is_running(struct run *r)
{
	bool running;

	pthread_mutex_lock(&r->mu);
	running = r->running > 0;
	pthread_mutex_unlock(&r->mu);
	return running;
}

static void watch(struct run *r, struct cancel *cancel)
{
	const struct parallel *p = r->plan;
	struct err err = ERR_INIT;

	while (is_running(r)) {
		transfer_watch_wait(p->watch, p->every_ms);
		if (!cancel_fired(r->cancel) && (cancel_check(cancel, &err) < 0 || p->look(p->arg, &err) < 0))
			note_failure(r, &err);
	}
}

static size_t start(struct run *r, pthread_t threads[PARALLEL_MAX], struct err *err)
{
	size_t n = 0;

	while (n < r->plan->threads && n < r->plan->n) {
		pthread_mutex_lock(&r->mu);
		r->running++;
		pthread_mutex_unlock(&r->mu);
		errno = pthread_create(&threads[n], NULL, thread_main, r);
		if (errno) {
			pthread_mutex_lock(&r->mu);
			r->running--;
			pthread_mutex_unlock(&r->mu);
			break; /* fewer will do */
		}
		n++;
	}
	if (!n)
		fail_errno(err, "start a thread");
	return n;
}

static int run_all(struct run *r, struct cancel *cancel, struct err *err)
{
	const struct parallel *p = r->plan;
	struct cancel_hook hook = { .fn = transfer_watch_wake, .arg = p->watch };
	pthread_t threads[PARALLEL_MAX];
	size_t n = start(r, threads, err);

	if (!n)
		return err->code;
	cancel_hook(cancel, &hook);
	watch(r, cancel);
	cancel_unhook(cancel, &hook);
	for (size_t i = 0; i < n; i++)
		pthread_join(threads[i], NULL);
	if (r->failure.code == OK)
		return p->look(p->arg, err);
	*err = r->failure;
	return err->code;
}

int parallel_run(const struct parallel *p, struct cancel *cancel, struct err *err)
{
	struct run r = { .plan = p };
	int code;

	assert(p->threads && p->threads <= PARALLEL_MAX);
	if (!p->n)
		return OK;
	r.cancel = cancel_new();
	if (!r.cancel)
		return fail_nomem(err);
	pthread_mutex_init(&r.mu, NULL);
	code = run_all(&r, cancel, err);
	pthread_mutex_destroy(&r.mu);
	cancel_unref(r.cancel);
	return code;
}
