/* Which credentials belong to which accepted connection. */
#include <fcntl.h>
#include <sys/epoll.h>
#include <sys/resource.h>

#include "service/rpc/connections.h"
#include "tests/unit/rpc/rig.h"

enum { TAG = 1000000 };

struct table {
	int epoll;
	struct connections *c;
};

static struct table table_new(unsigned max)
{
	struct table t = { .epoll = epoll_create1(EPOLL_CLOEXEC) };
	struct err err = ERR_INIT;

	assert_int_equal(connections_new(max, t.epoll, &t.c, &err), OK);
	return t;
}

static void table_free(struct table *t)
{
	connections_free(t->c);
	close(t->epoll);
}

/* One end goes into the table, the other to the caller. */
static int add(struct table *t, int *ret_peer, struct err *err)
{
	int pair[2], number = -1;

	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair), 0);
	*ret_peer = pair[1];
	return connections_add(t->c, pair[0], RPC_ROLE_WRITE, TAG, &number, err) < 0 ? err->code : number;
}

static int next_ended(struct table *t)
{
	struct epoll_event event;

	assert_int_equal(epoll_wait(t->epoll, &event, 1, RIG_PATIENCE), 1);
	return (int)(event.data.u64 - TAG);
}

static void numbers_are_not_reused_while_calls_may_be_on_their_way(void **state)
{
	enum { ROUNDS = 100 };
	CLEANUP(table_free) struct table t = table_new(4);
	int seen[ROUNDS], peer;
	struct err err = ERR_INIT;
	struct connection_peer who;

	(void)state;
	for (int i = 0; i < ROUNDS; i++) {
		seen[i] = add(&t, &peer, &err);
		assert_true(seen[i] > 0);
		for (int k = 0; k < i; k++)
			assert_int_not_equal(seen[k], seen[i]);
		close(peer);
		assert_int_equal(next_ended(&t), seen[i]);
		close(seen[i]); /* as gRPC does */
		connections_remove(t.c, seen[i]);
		/* A call that comes late still finds who it was. */
		assert_true(connections_find(t.c, seen[i], &who));
		assert_int_equal(who.cred.pid, getpid());
		assert_int_equal(who.role, RPC_ROLE_WRITE);
	}
}

/* gRPC shuts its descriptor down before it closes it: our duplicate must learn. */
static void end_is_seen_when_the_server_closes_first(void **state)
{
	CLEANUP(table_free) struct table t = table_new(4);
	int peer, number;
	struct err err = ERR_INIT;

	(void)state;
	number = add(&t, &peer, &err);
	assert_int_equal(shutdown(number, SHUT_RDWR), 0);
	close(number);
	assert_int_equal(next_ended(&t), number);
	connections_remove(t.c, number);
	close(peer);
}

static void connections_beyond_the_limit_are_busy(void **state)
{
	CLEANUP(table_free) struct table t = table_new(2);
	int peers[3], numbers[2];
	struct err err = ERR_INIT;

	(void)state;
	for (int i = 0; i < 2; i++)
		assert_true((numbers[i] = add(&t, &peers[i], &err)) > 0);
	assert_int_equal(add(&t, &peers[2], &err), E_BUSY);
	for (int i = 0; i < 2; i++)
		close(numbers[i]);
	for (int i = 0; i < 3; i++)
		close(peers[i]);
}

static void unknown_numbers_have_no_credentials(void **state)
{
	CLEANUP(table_free) struct table t = table_new(2);
	struct connection_peer who;

	(void)state;
	assert_false(connections_find(t.c, -1, &who));
	assert_false(connections_find(t.c, 0, &who));
	assert_false(connections_find(t.c, INT32_MAX, &who));
	for (int n = 0; n < 70000; n++)
		assert_false(connections_find(t.c, n, &who));
	connections_remove(t.c, 5);
	connections_remove(t.c, INT32_MAX);
}

static void limit_of_open_files_that_is_too_low_is_an_error(void **state)
{
	struct rlimit before;
	struct connections *c;
	struct err err = ERR_INIT;

	(void)state;
	assert_int_equal(getrlimit(RLIMIT_NOFILE, &before), 0);
	assert_int_equal(connections_new((unsigned)before.rlim_max, 0, &c, &err), E_LIMIT);
	assert_non_null(strstr(err.text, "open files"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(numbers_are_not_reused_while_calls_may_be_on_their_way),
		cmocka_unit_test(end_is_seen_when_the_server_closes_first),
		cmocka_unit_test(connections_beyond_the_limit_are_busy),
		cmocka_unit_test(unknown_numbers_have_no_credentials),
		cmocka_unit_test(limit_of_open_files_that_is_too_low_is_an_error),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
