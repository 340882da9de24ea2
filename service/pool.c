#include "service/pool.h"

#include <pthread.h>

#include "proto/runtime/clock.h"
#include "proto/runtime/sanitize.h"

enum {
	STACK_BYTES = (SANITIZED ? 1024 : 256) * 1024, /* sanitizers make frames larger */
	IDLE_MS = 10000,
};

struct task {
	void (*fn)(void *arg);
	void *arg;
};

/* A thread that goes home idle cannot join itself: it leaves its handle in
 * `leaver`, and joins the one that it finds there. So at most one finished
 * thread waits to be joined, and pool_free() joins the last. */
struct pool {
	char name[16];
	unsigned max_threads, max_queued;
	pthread_mutex_t mu;
	pthread_cond_t work;	/* tasks were queued, or the pool closes */
	pthread_cond_t settled; /* a thread left */
	struct task *ring;	/* slots: max_queued + max_threads */
	unsigned slots;
	unsigned head, queued; /* queued <= max_queued + idle */
	unsigned threads;      /* alive or being created, <= max_threads */
	unsigned idle;	       /* of those: waiting for work */
	bool waking;	       /* one of the idle was signalled and has not run yet */
	bool closing;
	bool has_leaver;
	pthread_t leaver;
};

struct birth {
	struct pool *pool;
	struct task task;
};

static struct task take_task(struct pool *p)
{
	struct task t = p->ring[p->head];

	p->head = (p->head + 1) % p->slots;
	p->queued--;
	return t;
}

/* With the lock held. One thread is woken at a time, and wakes the next when it
 * finds more than it can take: under load most tasks are then taken by threads
 * that run anyway, and a switch of threads costs more than a short task.
 * Invariant: where tasks are queued and threads are idle, one is being woken. */
static void wake_one(struct pool *p)
{
	if (!p->queued || !p->idle || p->waking)
		return;
	p->waking = true;
	pthread_cond_signal(&p->work);
}

/* With the lock held. False when the thread shall go home. */
static bool wait_for_task(struct pool *p, struct task *ret_task)
{
	struct timespec until;
	int rc = 0;

	if (!p->queued && !p->closing)
		until = clock_deadline(IDLE_MS);
	while (!p->queued && !p->closing && !rc) {
		p->idle++;
		rc = pthread_cond_timedwait(&p->work, &p->mu, &until);
		p->idle--;
		p->waking = false;
	}
	if (!p->queued)
		return false;
	*ret_task = take_task(p);
	wake_one(p);
	return true;
}

/* With the lock held on entry, released on return. */
static void go_home(struct pool *p)
{
	pthread_t before = p->leaver;
	bool join = p->has_leaver;

	p->leaver = pthread_self();
	p->has_leaver = true;
	p->threads--;
	pthread_cond_broadcast(&p->settled);
	pthread_mutex_unlock(&p->mu);
	if (join)
		pthread_join(before, NULL);
}

static void *thread_main(void *arg)
{
	struct birth *birth = arg;
	struct pool *p = birth->pool;
	struct task task = birth->task;

	free(birth);
	pthread_setname_np(pthread_self(), p->name);
	for (;;) {
		task.fn(task.arg);
		pthread_mutex_lock(&p->mu);
		if (!wait_for_task(p, &task))
			break;
		pthread_mutex_unlock(&p->mu);
	}
	go_home(p);
	return NULL;
}

static int start_thread(struct pool *p, struct task task)
{
	struct birth *birth = malloc(sizeof *birth);
	pthread_attr_t attr;
	pthread_t thread;
	int rc;

	if (!birth)
		return ENOMEM;
	*birth = (struct birth){ p, task };
	pthread_attr_init(&attr);
	pthread_attr_setstacksize(&attr, STACK_BYTES);
	rc = pthread_create(&thread, &attr, thread_main, birth);
	pthread_attr_destroy(&attr);
	if (rc)
		free(birth);
	return rc;
}

int pool_new(const char *name, unsigned threads, unsigned queued, struct pool **ret_pool, struct err *err)
{
	struct pool *p = calloc(1, sizeof *p);

	if (!p)
		return fail_nomem(err);
	p->max_threads = threads ? threads : 1;
	p->max_queued = queued ? queued : 1;
	p->slots = p->max_queued + p->max_threads;
	p->ring = calloc(p->slots, sizeof *p->ring);
	if (!p->ring) {
		free(p);
		return fail_nomem(err);
	}
	snprintf(p->name, sizeof p->name, "%s", name);
	pthread_mutex_init(&p->mu, NULL);
	cond_init_monotonic(&p->work);
	cond_init_monotonic(&p->settled);
	*ret_pool = p;
	return OK;
}

void pool_free(struct pool *p)
{
	if (!p)
		return;
	pthread_mutex_lock(&p->mu);
	p->closing = true;
	pthread_cond_broadcast(&p->work);
	while (p->threads)
		pthread_cond_wait(&p->settled, &p->mu);
	pthread_mutex_unlock(&p->mu);
	if (p->has_leaver)
		pthread_join(p->leaver, NULL);
	pthread_cond_destroy(&p->work);
	pthread_cond_destroy(&p->settled);
	pthread_mutex_destroy(&p->mu);
	free(p->ring);
	free(p);
}

void pool_load(struct pool *p, struct pool_load *ret_load)
{
	pthread_mutex_lock(&p->mu);
	*ret_load = (struct pool_load){ .threads = p->threads, .idle = p->idle, .queued = p->queued };
	pthread_mutex_unlock(&p->mu);
}

static int enqueue(struct pool *p, struct task task, struct err *err)
{
	if (p->queued >= p->max_queued + p->idle)
		return fail(err, E_BUSY, "all %u threads are busy and %u more calls wait: try again later",
			    p->max_threads, p->queued);
	p->ring[(p->head + p->queued) % p->slots] = task;
	p->queued++;
	wake_one(p);
	return OK;
}

/* No thread could be made: the others take the task, if there are others. */
static int thread_failed(struct pool *p, struct task task, int number, struct err *err)
{
	int r;

	pthread_mutex_lock(&p->mu);
	p->threads--;
	r = p->threads ? enqueue(p, task, err)
		       : fail(err, E_BUSY, "cannot start a thread: %s", strerrordesc_np(number));
	pthread_mutex_unlock(&p->mu);
	return r;
}

int pool_run(struct pool *p, void (*fn)(void *arg), void *arg, struct err *err)
{
	struct task task = { fn, arg };
	int number, r;

	pthread_mutex_lock(&p->mu);
	if (p->queued < p->idle || p->threads == p->max_threads) {
		r = enqueue(p, task, err);
		pthread_mutex_unlock(&p->mu);
		return r;
	}
	p->threads++;
	pthread_mutex_unlock(&p->mu);
	number = start_thread(p, task);
	return number ? thread_failed(p, task, number, err) : OK;
}
