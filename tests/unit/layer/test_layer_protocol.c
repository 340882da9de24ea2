#include "service/layer/protocol.h"

#include <fcntl.h>
#include <sys/socket.h>

#include "tests/unit/layer/craft.h"

static const struct layer_limits some_limits = { 1, 1, 1, 1 };

struct pair {
	int daemon, worker;
};

static struct pair new_pair(void)
{
	int fds[2];

	assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, fds), 0);
	return (struct pair){ fds[0], fds[1] };
}

static void close_pair(struct pair *p)
{
	close(p->daemon);
	close(p->worker);
}

static struct layer_message sound(enum layer_message_type type)
{
	struct layer_message m = layer_message_of(type, type == LAYER_READY ? 0 : 1);

	if (type == LAYER_BEGIN)
		m.u.begin.limits = some_limits;
	if (type == LAYER_FAILED)
		m.u.failed.code = E_BAD_CONTENT;
	return m;
}

static int check(const struct layer_message *m, enum layer_sender sender)
{
	return layer_message_check(m, sizeof *m, sender, NULL);
}

static void each_message_is_taken_from_its_sender_only(void **state UNUSED)
{
	static const enum layer_message_type from_daemon[] = { LAYER_BEGIN, LAYER_AVAILABLE, LAYER_END, LAYER_CANCEL };
	static const enum layer_message_type from_worker[] = { LAYER_READY, LAYER_PROGRESS, LAYER_RESULT, LAYER_FAILED,
							       LAYER_CANCELLED };

	for (size_t i = 0; i < ARRAY_LEN(from_daemon); i++) {
		struct layer_message m = sound(from_daemon[i]);

		assert_int_equal(check(&m, LAYER_FROM_DAEMON), OK);
		assert_int_equal(check(&m, LAYER_FROM_WORKER), E_WORKER);
	}
	for (size_t i = 0; i < ARRAY_LEN(from_worker); i++) {
		struct layer_message m = sound(from_worker[i]);

		assert_int_equal(check(&m, LAYER_FROM_WORKER), OK);
		assert_int_equal(check(&m, LAYER_FROM_DAEMON), E_WORKER);
	}
}

static void another_version_size_or_type_is_refused(void **state UNUSED)
{
	struct layer_message m = sound(LAYER_END);
	struct err err = ERR_INIT;

	assert_fails(layer_message_check(&m, sizeof m - 1, LAYER_FROM_DAEMON, &err), &err, E_WORKER, "271 bytes");
	m.version++;
	assert_fails(layer_message_check(&m, sizeof m, LAYER_FROM_DAEMON, &err), &err, E_WORKER,
		     "must come from one installation");
	m = sound(LAYER_END);
	m.type = 999;
	assert_fails(layer_message_check(&m, sizeof m, LAYER_FROM_DAEMON, &err), &err, E_WORKER, "unknown type 999");
}

/* Each line damages one field of a sound message. */
#define DAMAGE(type, sender, change)                                 \
	do {                                                         \
		struct layer_message m = sound(type);                \
		change;                                              \
		if (check(&m, sender) != E_WORKER)                   \
			failed("taken: %s with %s", #type, #change); \
	} while (0)

static void every_field_is_checked(void **state UNUSED)
{
	DAMAGE(LAYER_BEGIN, LAYER_FROM_DAEMON, m.layer = 0);
	DAMAGE(LAYER_BEGIN, LAYER_FROM_DAEMON, m.u.begin.compression = 3);
	DAMAGE(LAYER_BEGIN, LAYER_FROM_DAEMON, m.u.begin.counts_only = 2);
	DAMAGE(LAYER_BEGIN, LAYER_FROM_DAEMON, m.u.begin.limits.tar_bytes = 0);
	DAMAGE(LAYER_BEGIN, LAYER_FROM_DAEMON, m.u.begin.limits.ratio = 0);
	DAMAGE(LAYER_BEGIN, LAYER_FROM_DAEMON, m.u.begin.limits.entries = UINT64_MAX);
	DAMAGE(LAYER_BEGIN, LAYER_FROM_DAEMON, m.u.begin.limits.zstd_window = 0);
	DAMAGE(LAYER_END, LAYER_FROM_DAEMON, m.u.available.bytes = UINT64_MAX);
	DAMAGE(LAYER_AVAILABLE, LAYER_FROM_DAEMON, m.layer = 0);
	DAMAGE(LAYER_CANCEL, LAYER_FROM_DAEMON, m.layer = 0);
	DAMAGE(LAYER_READY, LAYER_FROM_WORKER, m.layer = 1);
	DAMAGE(LAYER_READY, LAYER_FROM_WORKER, m.u.ready.sandbox = SANDBOX_ALL + 1);
	DAMAGE(LAYER_READY, LAYER_FROM_WORKER, memset(m.u.ready.note, 'x', sizeof m.u.ready.note));
	DAMAGE(LAYER_PROGRESS, LAYER_FROM_WORKER, m.u.progress.read = UINT64_MAX);
	DAMAGE(LAYER_PROGRESS, LAYER_FROM_WORKER, m.u.progress.written = UINT64_MAX);
	DAMAGE(LAYER_RESULT, LAYER_FROM_WORKER, m.u.result.tar_bytes = UINT64_MAX);
	DAMAGE(LAYER_RESULT, LAYER_FROM_WORKER, m.u.result.files_bytes = UINT64_MAX);
	DAMAGE(LAYER_RESULT, LAYER_FROM_WORKER, m.u.result.end_mark = 2);
	DAMAGE(LAYER_RESULT, LAYER_FROM_WORKER, m.u.result.entries = UINT64_MAX);
	DAMAGE(LAYER_FAILED, LAYER_FROM_WORKER, m.u.failed.code = OK);
	DAMAGE(LAYER_FAILED, LAYER_FROM_WORKER, m.u.failed.code = E_CANCELLED);
	DAMAGE(LAYER_FAILED, LAYER_FROM_WORKER, m.u.failed.at_end = 2);
	DAMAGE(LAYER_FAILED, LAYER_FROM_WORKER, m.u.failed.code = -1000);
	DAMAGE(LAYER_FAILED, LAYER_FROM_WORKER, memset(m.u.failed.text, 'x', sizeof m.u.failed.text));
	DAMAGE(LAYER_CANCELLED, LAYER_FROM_WORKER, m.layer = 0);
	DAMAGE(LAYER_CANCELLED, LAYER_FROM_WORKER, m.u.bytes[0] = 1);
	DAMAGE(LAYER_END, LAYER_FROM_DAEMON, m.u.bytes[263] = 1);
}

static void a_descriptor_comes_with_begin_and_nowhere_else(void **state UNUSED)
{
	CLEANUP(close_pair) struct pair p = new_pair();
	CLEANUP(closep) int file = open("/dev/null", O_RDONLY | O_CLOEXEC);
	struct layer_message m = sound(LAYER_BEGIN), got;
	struct err err = ERR_INIT;
	int fd = -1, before;

	assert_ok(layer_message_send(p.daemon, &m, file, 0, &err), &err);
	assert_ok(layer_message_receive(p.worker, 0, LAYER_FROM_DAEMON, &got, &fd, &err), &err);
	assert_true(fd >= 0);
	assert_int_equal(fcntl(fd, F_GETFD) & FD_CLOEXEC, FD_CLOEXEC);
	close(fd);

	before = count_descriptors();
	assert_ok(layer_message_send(p.daemon, &m, -1, 0, &err), &err);
	assert_fails(layer_message_receive(p.worker, 0, LAYER_FROM_DAEMON, &got, &fd, &err), &err, E_WORKER,
		     "without a descriptor");
	m = sound(LAYER_END);
	assert_ok(layer_message_send(p.daemon, &m, file, 0, &err), &err);
	assert_fails(layer_message_receive(p.worker, 0, LAYER_FROM_DAEMON, &got, &fd, &err), &err, E_WORKER,
		     "with a descriptor");
	assert_int_equal(count_descriptors(), before);
}

static void descriptors_from_the_worker_never_arrive(void **state UNUSED)
{
	CLEANUP(close_pair) struct pair p = new_pair();
	CLEANUP(closep) int file = open("/dev/null", O_RDONLY | O_CLOEXEC);
	struct layer_message m = sound(LAYER_PROGRESS), got;
	struct err err = ERR_INIT;
	int before = count_descriptors();

	assert_ok(layer_message_send(p.worker, &m, file, 0, &err), &err);
	assert_ok(layer_message_receive(p.daemon, 0, LAYER_FROM_WORKER, &got, NULL, &err), &err);
	assert_int_equal(count_descriptors(), before);
}

static void transport_states_are_told_apart(void **state UNUSED)
{
	struct pair p = new_pair();
	struct layer_message m = sound(LAYER_END), got;
	char junk[4096] = { 0 };
	struct err err = ERR_INIT;
	int rc;

	assert_int_equal(layer_message_receive(p.worker, MSG_DONTWAIT, LAYER_FROM_DAEMON, &got, NULL, &err), E_BUSY);
	assert_int_equal(send(p.daemon, junk, sizeof junk, 0), sizeof junk);
	assert_fails(layer_message_receive(p.worker, 0, LAYER_FROM_DAEMON, &got, NULL, &err), &err, E_WORKER,
		     "message of 4096 bytes");
	do
		rc = layer_message_send(p.daemon, &m, -1, MSG_DONTWAIT, &err);
	while (rc == OK);
	assert_int_equal(rc, E_BUSY);
	close(p.worker);
	assert_int_equal(layer_message_send(p.daemon, &m, -1, MSG_DONTWAIT, &err), E_UNAVAILABLE);
	assert_int_equal(layer_message_receive(p.daemon, 0, LAYER_FROM_WORKER, &got, NULL, &err), E_UNAVAILABLE);
	close(p.daemon);
}

static void the_messages_of_one_layer_fit_into_the_queue(void **state UNUSED)
{
	enum { BEGIN_CANCEL_AND_STEPS = 128 + 3 };
	CLEANUP(close_pair) struct pair p = new_pair();
	struct layer_message m = sound(LAYER_AVAILABLE);
	struct err err = ERR_INIT;

	for (int i = 0; i < BEGIN_CANCEL_AND_STEPS; i++)
		assert_ok(layer_message_send(p.daemon, &m, -1, MSG_DONTWAIT, &err), &err);
}

static void texts_of_the_worker_are_made_printable(void **state UNUSED)
{
	char out[16];

	layer_text_clean("a\033[31m\xc3\xa4\nb", 12, out, sizeof out);
	assert_string_equal(out, "a?[31m???b");
	layer_text_clean("0123456789abcdefghi", 19, out, sizeof out);
	assert_string_equal(out, "0123456789abcde");
	layer_text_clean("", 0, out, sizeof out);
	assert_string_equal(out, "");
}

static void the_sandbox_has_names(void **state UNUSED)
{
	char out[128];

	assert_string_equal(layer_sandbox_text(SANDBOX_USERNS | SANDBOX_SECCOMP, out, sizeof out), "userns,seccomp");
	assert_string_equal(layer_sandbox_text(0, out, sizeof out), "");
	assert_string_equal(layer_sandbox_text(SANDBOX_ALL, out, 12), "userns,uid");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(each_message_is_taken_from_its_sender_only),
		cmocka_unit_test(another_version_size_or_type_is_refused),
		cmocka_unit_test(every_field_is_checked),
		cmocka_unit_test(a_descriptor_comes_with_begin_and_nowhere_else),
		cmocka_unit_test(descriptors_from_the_worker_never_arrive),
		cmocka_unit_test(transport_states_are_told_apart),
		cmocka_unit_test(the_messages_of_one_layer_fit_into_the_queue),
		cmocka_unit_test(texts_of_the_worker_are_made_printable),
		cmocka_unit_test(the_sandbox_has_names),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
