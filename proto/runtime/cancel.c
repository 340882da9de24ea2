#include "proto/runtime/cancel.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>

#include "proto/runtime/clock.h"

struct cancel {
	atomic_int refs;
	atomic_int code; /* OK until fired */
	pthread_mutex_t mu;
	pthread_cond_t fired;
	struct cancel_hook *hooks; /* guarded by mu */
};

struct cancel *cancel_new(void)
{
	struct cancel *c = calloc(1, sizeof *c);

	if (!c)
		return NULL;
	atomic_init(&c->refs, 1);
	atomic_init(&c->code, OK);
	pthread_mutex_init(&c->mu, NULL);
	cond_init_monotonic(&c->fired);
	return c;
}

struct cancel *cancel_ref(struct cancel *c)
{
	if (c)
		atomic_fetch_add(&c->refs, 1);
	return c;
}

void cancel_unref(struct cancel *c)
{
	if (!c || atomic_fetch_sub(&c->refs, 1) != 1)
		return;
	pthread_cond_destroy(&c->fired);
	pthread_mutex_destroy(&c->mu);
	free(c);
}

void cancel_unrefp(struct cancel **c)
{
	cancel_unref(*c);
}

void cancel_fire(struct cancel *c, int code)
{
	pthread_mutex_lock(&c->mu);
	if (atomic_load(&c->code) == OK) {
		atomic_store(&c->code, code);
		while (c->hooks) {
			struct cancel_hook *h = c->hooks;

			c->hooks = h->next;
			h->hooked = false;
			h->fn(h->arg);
		}
		pthread_cond_broadcast(&c->fired);
	}
	pthread_mutex_unlock(&c->mu);
}

bool cancel_fired(struct cancel *c)
{
	return c && atomic_load(&c->code) != OK;
}

int cancel_check(struct cancel *c, struct err *err)
{
	int code = c ? atomic_load(&c->code) : OK;

	switch (code) {
	case OK:
		return OK;
	case E_DEADLINE:
		return fail(err, code, "the deadline of the call has passed");
	case E_UNAVAILABLE:
		return fail(err, code, "the service is shutting down");
	default:
		return fail(err, code, "the call was cancelled");
	}
}

bool cancel_wait(struct cancel *c, int64_t ms)
{
	struct timespec until = clock_deadline(ms);
	int rc = 0;

	pthread_mutex_lock(&c->mu);
	while (atomic_load(&c->code) == OK && !rc)
		rc = pthread_cond_timedwait(&c->fired, &c->mu, &until);
	pthread_mutex_unlock(&c->mu);
	return cancel_fired(c);
}

void cancel_hook(struct cancel *c, struct cancel_hook *h)
{
	pthread_mutex_lock(&c->mu);
	if (atomic_load(&c->code) != OK) {
		h->fn(h->arg);
	} else {
		h->next = c->hooks;
		h->hooked = true;
		c->hooks = h;
	}
	pthread_mutex_unlock(&c->mu);
}

void cancel_unhook(struct cancel *c, struct cancel_hook *h)
{
	pthread_mutex_lock(&c->mu);
	for (struct cancel_hook **p = &c->hooks; h->hooked && *p; p = &(*p)->next) {
		if (*p == h) {
			*p = h->next;
			h->hooked = false;
			break;
		}
	}
	pthread_mutex_unlock(&c->mu);
}
