/* An input that is sent into a call by a thread of its own. */
#include "cli_test.h"

#include <fcntl.h>
#include <semaphore.h>

#include "client/cli/upload.h"

enum { FOR_EVER_MS = 3600 * 1000, EMPTY_WANTED = 3 };

/* A call, and the one who writes into the other end of the pipe. */
struct call {
	int pipe[2];
	int empty, closed, cancelled; /* pieces and times */
	char got[64];
	size_t len;
	sem_t ended;
	int result; /* of each send */
};

static int take(void *call, const uint8_t *data, size_t len, struct err *err)
{
	struct call *c = call;

	if (c->result != OK) {
		sem_post(&c->ended);
		return fail(err, c->result, "no");
	}
	assert_true(c->len + len <= sizeof c->got);
	memcpy(c->got + c->len, data, len);
	c->len += len;
	c->empty += len == 0;
	if (c->empty != EMPTY_WANTED)
		return OK;
	c->empty++; /* once */
	assert_int_equal(write(c->pipe[1], "abc", 3), 3);
	close(take_fd(&c->pipe[1]));
	return OK;
}

static int end(void *call, UNUSED struct err *err)
{
	struct call *c = call;

	c->closed++;
	sem_post(&c->ended);
	return OK;
}

static void cancel(void *call)
{
	struct call *c = call;

	c->cancelled++;
	sem_post(&c->ended);
}

static void begin(struct call *c, struct input *in, struct upload *u)
{
	*c = (struct call){ 0 };
	assert_int_equal(pipe2(c->pipe, O_CLOEXEC), 0);
	assert_int_equal(sem_init(&c->ended, 0, 0), 0);
	*in = (struct input){ .fd = c->pipe[0], .name = "input", .piece = malloc(INPUT_PIECE_BYTES) };
	assert_non_null(in->piece);
	*u = (struct upload){
		.in = in, .silence_ms = FOR_EVER_MS, .stream = c, .send = take, .close = end, .cancel = cancel
	};
}

static void finish(struct call *c, struct input *in)
{
	input_close(in);
	closep(&c->pipe[1]);
	sem_destroy(&c->ended);
}

/* ---- tests ----------------------------------------------------------------- */

static void silence_is_sent_as_empty_pieces(UNUSED void **state)
{
	struct err own = ERR_INIT;
	struct upload u;
	struct input in;
	struct call c;

	begin(&c, &in, &u);
	u.silence_ms = 1;
	assert_int_equal(upload_start(&u, &own), OK);
	sem_wait(&c.ended);
	upload_end(&u, &own);
	assert_int_equal(own.code, OK);
	assert_true(c.empty > EMPTY_WANTED);
	assert_int_equal(c.closed, 1);
	assert_int_equal(c.len, 3);
	assert_memory_equal(c.got, "abc", 3);
	finish(&c, &in);
}

static void end_of_the_call_does_not_wait_for_the_input(UNUSED void **state)
{
	struct err own = ERR_INIT;
	struct upload u;
	struct input in;
	struct call c;

	begin(&c, &in, &u);
	assert_int_equal(upload_start(&u, &own), OK);
	upload_end(&u, &own);
	assert_int_equal(own.code, OK);
	assert_int_equal(c.closed + (int)c.len, 0);
	upload_end(&u, &own); /* and does no harm */
	finish(&c, &in);
}

static void input_that_cannot_be_read_cancels_the_call_and_is_named(UNUSED void **state)
{
	struct err own = ERR_INIT;
	struct upload u;
	struct input in, mem;
	struct call c;

	begin(&c, &in, &u);
	assert_int_equal(input_open("/proc/self/mem", &mem, &own), OK);
	u.in = &mem;
	assert_int_equal(upload_start(&u, &own), OK);
	sem_wait(&c.ended);
	assert_int_equal(c.cancelled, 1);
	upload_end(&u, &own);
	assert_true(is_own_failure(&own));
	assert_string_equal(own.text, "read /proc/self/mem: input/output error");
	assert_int_equal(c.closed, 0);
	input_close(&mem);
	finish(&c, &in);
}

static void send_into_an_ended_call_is_no_failure_of_this_side(UNUSED void **state)
{
	struct err own = ERR_INIT;
	struct upload u;
	struct input in;
	struct call c;

	begin(&c, &in, &u);
	c.result = E_ABORTED;
	assert_int_equal(write(c.pipe[1], "abc", 3), 3);
	assert_int_equal(upload_start(&u, &own), OK);
	sem_wait(&c.ended);
	upload_end(&u, &own);
	assert_int_equal(own.code, OK);
	assert_int_equal(c.closed, 0);
	finish(&c, &in);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(silence_is_sent_as_empty_pieces),
		cmocka_unit_test(end_of_the_call_does_not_wait_for_the_input),
		cmocka_unit_test(input_that_cannot_be_read_cancels_the_call_and_is_named),
		cmocka_unit_test(send_into_an_ended_call_is_no_failure_of_this_side),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
