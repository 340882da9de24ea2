#include "service/pool.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <pthread.h>
#include <stdatomic.h>

/* Tasks that wait until the gate opens. */
struct gate {
	pthread_mutex_t mu;
	pthread_cond_t moved;
	bool open;
	unsigned inside, done;
};

static void gate_init(struct gate *g)
{
	*g = (struct gate){ 0 };
	pthread_mutex_init(&g->mu, NULL);
	pthread_cond_init(&g->moved, NULL);
}

static void wait_at(void *arg)
{
	struct gate *g = arg;

	pthread_mutex_lock(&g->mu);
	g->inside++;
	pthread_cond_broadcast(&g->moved);
	while (!g->open)
		pthread_cond_wait(&g->moved, &g->mu);
	g->done++;
	pthread_mutex_unlock(&g->mu);
}

static void open_gate(struct gate *g)
{
	pthread_mutex_lock(&g->mu);
	g->open = true;
	pthread_cond_broadcast(&g->moved);
	pthread_mutex_unlock(&g->mu);
}

static void wait_inside(struct gate *g, unsigned n)
{
	pthread_mutex_lock(&g->mu);
	while (g->inside < n)
		pthread_cond_wait(&g->moved, &g->mu);
	pthread_mutex_unlock(&g->mu);
}

static void pool_refuses_what_is_beyond_threads_and_queue(void **state)
{
	struct pool *p;
	struct gate g;
	struct err err = ERR_INIT;

	(void)state;
	gate_init(&g);
	assert_int_equal(pool_new("test", 3, 2, &p, &err), OK);
	for (int i = 0; i < 3; i++)
		assert_int_equal(pool_run(p, wait_at, &g, &err), OK);
	wait_inside(&g, 3);
	for (int i = 0; i < 2; i++)
		assert_int_equal(pool_run(p, wait_at, &g, &err), OK);
	assert_int_equal(pool_run(p, wait_at, &g, &err), E_BUSY);
	open_gate(&g);
	pool_free(p);
	assert_int_equal(g.done, 5);
}

static void pool_runs_everything_before_it_is_freed(void **state)
{
	struct pool *p;
	struct gate g;
	struct err err = ERR_INIT;
	unsigned taken = 0;

	(void)state;
	gate_init(&g);
	g.open = true;
	assert_int_equal(pool_new("test", 4, 1000, &p, &err), OK);
	for (int i = 0; i < 1000; i++)
		taken += pool_run(p, wait_at, &g, &err) == OK;
	pool_free(p);
	assert_int_equal(taken, 1000);
	assert_int_equal(g.done, 1000);
}

static void pool_runs_as_many_at_once_as_it_has_threads(void **state)
{
	struct pool *p;
	struct gate g;
	struct err err = ERR_INIT;

	(void)state;
	gate_init(&g);
	assert_int_equal(pool_new("test", 16, 1, &p, &err), OK);
	for (int i = 0; i < 16; i++)
		assert_int_equal(pool_run(p, wait_at, &g, &err), OK);
	wait_inside(&g, 16); /* hangs when one of them waits behind another */
	open_gate(&g);
	pool_free(p);
}

static void take_stack(void *arg)
{
	char page[192 * 1024];

	for (size_t i = 0; i < sizeof page; i += 4096)
		page[i] = (char)i;
	atomic_store((atomic_int *)arg, page[4096] == 0 ? 1 : 2);
}

static void pool_threads_have_the_promised_stack(void **state)
{
	struct pool *p;
	struct err err = ERR_INIT;
	atomic_int ran = 0;

	(void)state;
	assert_int_equal(pool_new("test", 1, 1, &p, &err), OK);
	assert_int_equal(pool_run(p, take_stack, &ran, &err), OK);
	pool_free(p);
	assert_int_equal(atomic_load(&ran), 1);
}

static void pool_without_tasks_can_be_freed(void **state)
{
	struct pool *p;
	struct err err = ERR_INIT;

	(void)state;
	assert_int_equal(pool_new("test", 1, 1, &p, &err), OK);
	pool_free(p);
	pool_free(NULL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(pool_refuses_what_is_beyond_threads_and_queue),
		cmocka_unit_test(pool_runs_everything_before_it_is_freed),
		cmocka_unit_test(pool_runs_as_many_at_once_as_it_has_threads),
		cmocka_unit_test(pool_threads_have_the_promised_stack),
		cmocka_unit_test(pool_without_tasks_can_be_freed),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
