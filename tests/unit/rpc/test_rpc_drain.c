/* The end of a server, and what health says meanwhile. */
#include <sys/stat.h>

#include "grpc/health/v1/health.client.h"
#include "proto/runtime/clock.h"
#include "tests/unit/rpc/rig.h"

#define WATCH(name) echo__v1__echo_service__watch_##name
#define HEALTH(name) grpc__health__v1__health__##name
#define STATUS(name) GRPC__HEALTH__V1__HEALTH_CHECK_RESPONSE__SERVING_STATUS__##name

enum { GRACE_MS = 500, FAR_MS = 600000 };

static int check_health(struct rig *r, const char *service, struct err *err)
{
	CLEANUP(grpc__health__v1__health__check_freep) Grpc__Health__V1__HealthCheckResponse *response = NULL;
	Grpc__Health__V1__HealthCheckRequest request = GRPC__HEALTH__V1__HEALTH_CHECK_REQUEST__INIT;
	int rc;

	request.service = (char *)service;
	rc = HEALTH(call_check)(r->channel, NULL, &request, &response, err);
	return rc < 0 ? rc : (int)response->status;
}

static int open_health(struct rig *r, const char *service, struct HEALTH(watch_stream) * *ret_stream)
{
	Grpc__Health__V1__HealthCheckRequest request = GRPC__HEALTH__V1__HEALTH_CHECK_REQUEST__INIT;
	struct err err = ERR_INIT;

	request.service = (char *)service;
	return HEALTH(open_watch)(r->channel, NULL, &request, ret_stream, &err);
}

static struct HEALTH(watch_stream) * watch_health(struct rig *r, const char *service)
{
	struct HEALTH(watch_stream) *stream = NULL;

	assert_int_equal(open_health(r, service, &stream), OK);
	return stream;
}

/* The next status, or a negative code. */
static int next_health(struct HEALTH(watch_stream) * stream, struct err *err)
{
	const Grpc__Health__V1__HealthCheckResponse *response;
	int rc = HEALTH(watch_next)(stream, &response, err);

	return rc == 1 ? (int)response->status : rc;
}

/* ---- health ---- */

static void health_knows_every_service_and_no_other(void **state)
{
	static const char *const known[] = { "", "echo.v1.EchoService", "grpc.health.v1.Health",
					     "grpc.reflection.v1.ServerReflection",
					     "grpc.reflection.v1alpha.ServerReflection" };
	CLEANUP(rig_freep) struct rig *r = rig_new(NULL);
	struct err err = ERR_INIT;

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(known); i++)
		assert_int_equal(check_health(r, known[i], &err), STATUS(SERVING));
	assert_int_equal(check_health(r, "echo.v1.Echo", &err), E_NOT_FOUND);
}

static void health_watch_of_an_unknown_service_says_so(void **state)
{
	CLEANUP(rig_freep) struct rig *r = rig_new(NULL);
	CLEANUP(grpc__health__v1__health__watch_freep) struct HEALTH(watch_stream) *unknown = NULL;
	struct err err = ERR_INIT;

	(void)state;
	unknown = watch_health(r, "no.such.Service");
	assert_int_equal(next_health(unknown, &err), STATUS(SERVICE_UNKNOWN));
}

static void health_watches_hold_no_threads(void **state)
{
	enum { WATCHES = 100 };
	struct rpc_server_options options = { .handlers = 1, .queued = 1 };
	CLEANUP(rig_freep) struct rig *r = rig_new(&options);
	struct HEALTH(watch_stream) * watches[WATCHES];
	CLEANUP(echo__v1__echo_service__echo_freep) Echo__V1__EchoResponse *response = NULL;
	Echo__V1__EchoRequest request = ECHO__V1__ECHO_REQUEST__INIT;
	struct err err = ERR_INIT;

	(void)state;
	for (int i = 0; i < WATCHES; i++)
		watches[i] = watch_health(r, "");
	for (int i = 0; i < WATCHES; i++)
		assert_int_equal(next_health(watches[i], &err), STATUS(SERVING));
	assert_int_equal(echo__v1__echo_service__call_echo(r->channel, NULL, &request, &response, &err), OK);
	for (int i = 0; i < WATCHES; i++)
		HEALTH(watch_free)(watches[i]);
	EVENTUALLY(rpc_server_active(r->server) == 0);
}

/* ---- drain ---- */

static void idle_drain_takes_no_time(void **state)
{
	struct rpc_server_options options = { .grace_ms = FAR_MS };
	CLEANUP(rig_freep) struct rig *r = rig_new(&options);
	struct err err = ERR_INIT;
	int64_t begin;

	(void)state;
	assert_int_equal(check_health(r, "", &err), STATUS(SERVING)); /* a connection is open */
	begin = clock_monotonic_ms();
	rpc_server_drain(r->server);
	rpc_server_drain(r->server);
	assert_true(clock_monotonic_ms() - begin < FAR_MS / 4);
	assert_true(check_health(r, "", &err) < 0);
}

static void *drain_main(void *arg)
{
	rpc_server_drain(((struct rig *)arg)->server);
	return NULL;
}

/* For the thread sanitizer: new watches, leaving ones and the end at once. */
static void health_watches_come_and_go_while_it_drains(void **state)
{
	struct rpc_server_options options = { .grace_ms = FAR_MS };
	CLEANUP(rig_freep) struct rig *r = rig_new(&options);
	struct HEALTH(watch_stream) * stays[10];
	struct err err = ERR_INIT;
	pthread_t thread;
	struct HEALTH(watch_stream) * goes;

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(stays); i++)
		stays[i] = watch_health(r, "");
	pthread_create(&thread, NULL, drain_main, r);
	while (open_health(r, "", &goes) == OK) {
		next_health(goes, &err);
		HEALTH(watch_free)(goes);
	}
	pthread_join(thread, NULL);
	for (size_t i = 0; i < ARRAY_LEN(stays); i++)
		HEALTH(watch_free)(stays[i]);
}

static void drain_ends_watchers_at_once(void **state)
{
	struct rpc_server_options options = { .grace_ms = FAR_MS };
	CLEANUP(rig_freep) struct rig *r = rig_new(&options);
	CLEANUP(grpc__health__v1__health__watch_freep) struct HEALTH(watch_stream) *health = NULL;
	CLEANUP(echo__v1__echo_service__watch_freep) struct WATCH(stream) *events = NULL;
	Echo__V1__WatchRequest request = ECHO__V1__WATCH_REQUEST__INIT;
	const Echo__V1__Chunk *chunk;
	struct err err = ERR_INIT;
	int64_t begin = clock_monotonic_ms();
	pthread_t thread;

	(void)state;
	health = watch_health(r, "");
	assert_int_equal(next_health(health, &err), STATUS(SERVING));
	assert_int_equal(echo__v1__echo_service__open_watch(r->channel, NULL, &request, &events, &err), OK);
	assert_int_equal(WATCH(next)(events, &chunk, &err), 1);
	pthread_create(&thread, NULL, drain_main, r);
	assert_int_equal(next_health(health, &err), STATUS(NOT_SERVING));
	assert_int_equal(next_health(health, &err), E_UNAVAILABLE);
	assert_int_equal(WATCH(next)(events, &chunk, &err), E_UNAVAILABLE);
	pthread_join(thread, NULL);
	assert_true(clock_monotonic_ms() - begin < FAR_MS / 4);
	assert_int_equal(atomic_load(&r->service.drained), 1);
}

struct sleeper {
	struct rig *rig;
	int64_t ms;
	int result;
	struct err err;
};

static void *sleeper_main(void *arg)
{
	CLEANUP(echo__v1__echo_service__sleep_freep) Echo__V1__SleepResponse *response = NULL;
	Echo__V1__SleepRequest request = ECHO__V1__SLEEP_REQUEST__INIT;
	struct sleeper *s = arg;

	request.ms = s->ms;
	s->result = echo__v1__echo_service__call_sleep(s->rig->channel, NULL, &request, &response, &s->err);
	return NULL;
}

static void drain_lets_calls_end_within_the_grace(void **state)
{
	struct rpc_server_options options = { .grace_ms = FAR_MS };
	CLEANUP(rig_freep) struct rig *r = rig_new(&options);
	struct sleeper s = { .rig = r, .ms = 300 };
	pthread_t thread;

	(void)state;
	pthread_create(&thread, NULL, sleeper_main, &s);
	EVENTUALLY(atomic_load(&r->service.running) == 1);
	rpc_server_drain(r->server);
	pthread_join(thread, NULL);
	assert_int_equal(s.result, OK);
	assert_int_equal(atomic_load(&r->service.finished), 1);
}

static bool listens(const struct rig *r)
{
	struct stat st;

	return lstat(r->address + strlen("unix://"), &st) == 0;
}

/* Were it told before its reply, the connection would be closed with it, and a client of
 * gRPC that writes in that moment loses what it has not read. */
static void drain_says_goaway_after_the_replies_and_closes_what_has_read_them(void **state)
{
	static const char upload[] = "/echo.v1.EchoService/Upload";
	struct rpc_server_options options = { .grace_ms = FAR_MS };
	CLEANUP(rig_freep) struct rig *r = rig_new(&options);
	CLEANUP(frames_freep) struct frames *f = frames_open(r->address);
	uint32_t stream = 0;
	pthread_t thread;

	(void)state;
	frames_call(f, 1, upload);
	EVENTUALLY(atomic_load(&r->service.running) == 1);
	pthread_create(&thread, NULL, drain_main, r);
	EVENTUALLY(!listens(r));
	frames_call(f, 3, upload);
	assert_int_equal(frames_next(f, &stream), FRAMES_REPLIED);
	assert_int_equal(stream, 3);
	assert_int_equal(rig_last_code(r), E_UNAVAILABLE);
	assert_int_equal(atomic_load(&r->service.running), 1);
	frames_half_close(f, 1);
	assert_int_equal(frames_next(f, &stream), FRAMES_REPLIED);
	assert_int_equal(stream, 1);
	assert_int_equal(atomic_load(&r->service.half_closed), 1);
	assert_int_equal(frames_next(f, &stream), FRAMES_GOAWAY); /* ours: it may go by itself */
	assert_int_equal(frames_next(f, &stream), FRAMES_GOAWAY); /* gRPC's */
	assert_int_equal(frames_next(f, &stream), FRAMES_PING);
	frames_answer_ping(f);
	assert_int_equal(frames_next(f, &stream), FRAMES_GOAWAY);
	assert_int_equal(frames_next(f, &stream), FRAMES_CLOSED);
	pthread_join(thread, NULL);
}

static void drain_cancels_what_outlives_the_grace(void **state)
{
	struct rpc_server_options options = { .grace_ms = GRACE_MS };
	CLEANUP(rig_freep) struct rig *r = rig_new(&options);
	struct sleeper s = { .rig = r, .ms = 600000 };
	pthread_t thread;
	int64_t begin;

	(void)state;
	pthread_create(&thread, NULL, sleeper_main, &s);
	EVENTUALLY(atomic_load(&r->service.running) == 1);
	begin = clock_monotonic_ms();
	rpc_server_drain(r->server);
	assert_true(clock_monotonic_ms() - begin >= GRACE_MS - 10);
	assert_true(clock_monotonic_ms() - begin < FAR_MS / 4);
	pthread_join(thread, NULL);
	/* The handler could still say why. */
	assert_int_equal(s.result, E_UNAVAILABLE);
	assert_non_null(strstr(s.err.text, "shutting down"));
	assert_int_equal(atomic_load(&r->service.drained), 1);
}

static void drain_ends_a_stream_whose_reader_stalls(void **state)
{
	struct rpc_server_options options = { .grace_ms = GRACE_MS };
	CLEANUP(rig_freep) struct rig *r = rig_new(&options);
	struct raw_stalled *stalled;
	int64_t begin;

	(void)state;
	stalled = raw_stall(r->address, "/echo.v1.EchoService/Count", bytes_of("\x08\xc0\x84\x3d\x10\x80\x80\x40"));
	EVENTUALLY(atomic_load(&r->service.running) == 1);
	begin = clock_monotonic_ms();
	rpc_server_drain(r->server);
	assert_true(clock_monotonic_ms() - begin < FAR_MS / 4);
	assert_int_equal(raw_stalled_finish(stalled), GRPC_CODE_UNAVAILABLE);
}

static void server_restarts_on_the_same_socket(void **state)
{
	CLEANUP(rig_freep) struct rig *r = rig_new(NULL);
	struct err err = ERR_INIT;

	(void)state;
	for (int i = 0; i < 5; i++) {
		static const struct rpc_server_options options;
		struct rpc_binding binding = echo_service_binding(&r->service);

		assert_int_equal(check_health(r, "", &err), STATUS(SERVING));
		rpc_server_free(r->server);
		rpc_channel_close(r->channel);
		assert_int_equal(rpc_server_new(&options, NULL, NULL, &r->server, &err), OK);
		assert_int_equal(rpc_server_add(r->server, &binding, &err), OK);
		assert_int_equal(rpc_server_listen(r->server, r->address, NULL, &err), OK);
		rig_start(r);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(health_knows_every_service_and_no_other),
		cmocka_unit_test(health_watch_of_an_unknown_service_says_so),
		cmocka_unit_test(health_watches_hold_no_threads),
		cmocka_unit_test(idle_drain_takes_no_time),
		cmocka_unit_test(health_watches_come_and_go_while_it_drains),
		cmocka_unit_test(drain_ends_watchers_at_once),
		cmocka_unit_test(drain_lets_calls_end_within_the_grace),
		cmocka_unit_test(drain_says_goaway_after_the_replies_and_closes_what_has_read_them),
		cmocka_unit_test(drain_cancels_what_outlives_the_grace),
		cmocka_unit_test(drain_ends_a_stream_whose_reader_stalls),
		cmocka_unit_test(server_restarts_on_the_same_socket),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
