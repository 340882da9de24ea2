#include "service/layer/workers.h"

#include <assert.h>
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <sys/eventfd.h>

#include "proto/runtime/mem.h"

enum { WORKERS_MAX = 64, PROBE_MS = 10000 };

struct layer_workers {
	atomic_int refs;
	char *program;
	struct layer_policy policy;
	pthread_mutex_t mu;
	struct waiter *first, **last; /* guarded by mu */
	unsigned n;
	struct slot slots[];
};

struct layer_policy layer_policy_default(void)
{
	return (struct layer_policy){
		.limits = {
			.tar_bytes = UINT64_C(512) << 30,
			.ratio = 400,
			.entries = 10 * 1000 * 1000,
			.zstd_window = 128 << 20,
		},
		.image_limits = {
			.entries = 10 * 1000 * 1000,
			.file_bytes = UINT64_C(512) << 30,
			.image_bytes = UINT64_C(512) << 30,
			.tree_bytes = UINT64_C(1) << 30,
			.xattr_bytes = 64 * 1024,
		},
		.stall_ms = 60 * 1000,
	};
}

/* Those that this process may use: a container often has fewer than the machine. */
static unsigned count_cores(void)
{
	cpu_set_t set;
	int n;

	if (sched_getaffinity(0, sizeof set, &set) < 0)
		return 1;
	n = CPU_COUNT(&set);
	return n < 1 ? 1 : (unsigned)n;
}

int layer_workers_new(const char *program, unsigned max, struct layer_workers **ret_workers, struct err *err)
{
	unsigned n = max ? max : count_cores();
	struct layer_workers *w;

	if (n > WORKERS_MAX)
		n = WORKERS_MAX;
	w = calloc(1, sizeof *w + n * sizeof w->slots[0]);
	if (!w)
		return fail_nomem(err);
	w->program = strdup(program);
	if (!w->program) {
		free(w);
		return fail_nomem(err);
	}
	atomic_init(&w->refs, 1);
	w->policy = layer_policy_default();
	pthread_mutex_init(&w->mu, NULL);
	w->last = &w->first;
	w->n = n;
	for (unsigned i = 0; i < n; i++)
		w->slots[i] = (struct slot){ .process = PROCESS_INIT, .images = PROCESS_INIT };
	*ret_workers = w;
	return OK;
}

void layer_workers_set_policy(struct layer_workers *w, const struct layer_policy *policy)
{
	w->policy = *policy;
}

void layer_workers_start(struct layer_workers *w)
{
	process_start(w->program, &w->slots[0].process, NULL);
}

struct layer_workers *layer_workers_ref(struct layer_workers *w)
{
	atomic_fetch_add(&w->refs, 1);
	return w;
}

void layer_workers_unref(struct layer_workers *w)
{
	if (!w || atomic_fetch_sub(&w->refs, 1) != 1)
		return;
	for (unsigned i = 0; i < w->n; i++) {
		process_end(&w->slots[i].process);
		process_end(&w->slots[i].images);
	}
	pthread_mutex_destroy(&w->mu);
	free(w->program);
	free(w);
}

void layer_workers_unrefp(struct layer_workers **w)
{
	layer_workers_unref(*w);
}

const char *workers_program(const struct layer_workers *w)
{
	return w->program;
}

const struct layer_policy *workers_policy(const struct layer_workers *w)
{
	return &w->policy;
}

/* ---- slots and queue; called with the lock held -------------------------------- */

static struct slot *free_slot(struct layer_workers *w)
{
	struct slot *found = NULL;

	for (unsigned i = 0; i < w->n; i++) {
		struct slot *s = &w->slots[i];

		if (s->held)
			continue;
		if (s->process.pid)
			return s;
		if (!found)
			found = s;
	}
	return found;
}

static void enqueue(struct layer_workers *w, struct waiter *waiter)
{
	waiter->next = NULL;
	waiter->queued = true;
	*w->last = waiter;
	w->last = &waiter->next;
}

static void dequeue(struct layer_workers *w, struct waiter *waiter)
{
	struct waiter **p = &w->first;

	while (*p != waiter)
		p = &(*p)->next;
	*p = waiter->next;
	if (w->last == &waiter->next)
		w->last = p;
	waiter->queued = false;
}

/* To the one that waited longest, or free. An eventfd takes this write at any time
 * without waiting: its counter is far from its end. */
static void pass_on(struct layer_workers *w, struct slot *slot)
{
	struct waiter *next = w->first;

	if (!next) {
		slot->held = false;
		return;
	}
	dequeue(w, next);
	next->granted = slot;
	eventfd_write(next->wake, 1);
}

/* ---- for jobs ------------------------------------------------------------------ */

struct slot *workers_take(struct layer_workers *w, struct waiter *waiter)
{
	struct slot *slot;

	pthread_mutex_lock(&w->mu);
	assert(!waiter->queued && !waiter->granted);
	slot = free_slot(w);
	if (slot)
		slot->held = true;
	else
		enqueue(w, waiter);
	pthread_mutex_unlock(&w->mu);
	return slot;
}

struct slot *workers_granted(struct layer_workers *w, struct waiter *waiter)
{
	struct slot *slot;

	pthread_mutex_lock(&w->mu);
	slot = TAKE(waiter->granted);
	pthread_mutex_unlock(&w->mu);
	return slot;
}

void workers_forget(struct layer_workers *w, struct waiter *waiter)
{
	pthread_mutex_lock(&w->mu);
	if (waiter->queued)
		dequeue(w, waiter);
	if (waiter->granted)
		pass_on(w, TAKE(waiter->granted));
	pthread_mutex_unlock(&w->mu);
}

void workers_give_back(struct layer_workers *w, struct slot *slot)
{
	pthread_mutex_lock(&w->mu);
	pass_on(w, slot);
	pthread_mutex_unlock(&w->mu);
}

/* ---- probe --------------------------------------------------------------------- */

int layer_probe(const char *program, char *ret_sandbox, size_t size, struct err *err)
{
	CLEANUP(process_end) struct process p = PROCESS_INIT;
	int rc = process_start(program, &p, err);

	if (rc == OK)
		rc = process_await_ready(&p, PROBE_MS, err);
	if (rc == OK)
		layer_sandbox_text(p.sandbox, ret_sandbox, size);
	return rc;
}
