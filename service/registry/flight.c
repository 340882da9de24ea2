#include "service/registry/flight.h"

#include "proto/runtime/clock.h"

struct waiter {
	struct flight *flight;
	pthread_mutex_t *mu;
};

void flight_init(struct flight *f)
{
	*f = (struct flight){ 0 };
	cond_init_monotonic(&f->landed);
}

void flight_destroy(struct flight *f)
{
	pthread_cond_destroy(&f->landed);
}

static void on_cancel(void *arg)
{
	struct waiter *w = arg;

	pthread_mutex_lock(w->mu);
	pthread_cond_broadcast(&w->flight->landed);
	pthread_mutex_unlock(w->mu);
}

/* The mutex is open around the hook, which may run at once and takes it. */
static void await_landing(struct flight *f, pthread_mutex_t *mu, uint64_t round, struct cancel *cancel)
{
	struct waiter w = { f, mu };
	struct cancel_hook hook = { .fn = on_cancel, .arg = &w };

	pthread_mutex_unlock(mu);
	if (cancel)
		cancel_hook(cancel, &hook);
	pthread_mutex_lock(mu);
	while (f->running && f->rounds == round && !cancel_fired(cancel))
		pthread_cond_wait(&f->landed, mu);
	pthread_mutex_unlock(mu);
	if (cancel)
		cancel_unhook(cancel, &hook);
	pthread_mutex_lock(mu);
}

static bool is_leaders_own(int code)
{
	return code == E_CANCELLED || code == E_DEADLINE || code == E_UNAVAILABLE;
}

int flight_join(struct flight *f, pthread_mutex_t *mu, struct cancel *cancel, struct err *err)
{
	uint64_t round = f->rounds;
	int r;

	if (!f->running) {
		f->running = true;
		return FLIGHT_LEAD;
	}
	await_landing(f, mu, round, cancel);
	r = cancel_check(cancel, err);
	if (r != OK)
		return r;
	if (f->rounds == round || f->failure.code == OK || is_leaders_own(f->failure.code))
		return FLIGHT_LANDED;
	if (err)
		*err = f->failure;
	return f->failure.code;
}

void flight_land(struct flight *f, int code, const struct err *err)
{
	f->running = false;
	f->rounds++;
	f->failure.code = OK;
	if (code != OK)
		f->failure = *err;
	pthread_cond_broadcast(&f->landed);
}
