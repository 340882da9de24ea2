/* Programs that are started get what they are given, and nothing else. */
#include "proto/runtime/spawn.h"

#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/wait.h>

#include "proto/runtime/mem.h"
#include "tests/unit/runtime/runtime_test.h"

/* What `script` writes, with descriptors 0, 1, 2 and those that follow. */
static char *said_by(const char *script, const int *more, size_t n, enum spawn_group group)
{
	static char text[4096];
	CLEANUP(closep) int out = memfd_create("out", MFD_CLOEXEC);
	struct spawn s = {
		.program = "sh",
		.argv = (const char *const[]){ "sh", "-c", script, NULL },
		.fds = { -1, out, out },
		.n_fds = 3 + n,
		.directory = "/usr",
		.group = group,
	};
	int status;
	pid_t pid;
	ssize_t len;

	for (size_t i = 0; i < n; i++)
		s.fds[3 + i] = more[i];
	assert_int_equal(spawn_program(&s, &pid), 0);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	len = pread(out, text, sizeof text - 1, 0);
	assert_true(len >= 0);
	text[len] = 0;
	return text;
}

static int holding(const char *text)
{
	int fd = memfd_create("held", 0);

	assert_int_equal(write(fd, text, strlen(text)), (ssize_t)strlen(text));
	assert_int_equal(lseek(fd, 0, SEEK_SET), 0);
	return fd;
}

/* Each is in the other's place. */
static void descriptors_may_cross(void **state)
{
	CLEANUP(closep) int first = fcntl(holding("first "), F_DUPFD, 100);
	CLEANUP(closep) int second = fcntl(holding("second "), F_DUPFD, 100);
	int kept[] = { fcntl(3, F_DUPFD_CLOEXEC, 200), fcntl(4, F_DUPFD_CLOEXEC, 200) };

	(void)state;
	assert_int_equal(dup2(first, 4), 4);
	assert_int_equal(dup2(second, 3), 3);
	assert_string_equal(said_by("cat <&3; cat <&4", (const int[]){ 4, 3 }, 2, SPAWN_IN_OURS), "first second ");
	for (int i = 0; i < 2; i++) {
		close(3 + i);
		if (kept[i] >= 0) {
			dup2(kept[i], 3 + i);
			close(kept[i]);
		}
	}
}

static void nothing_else_is_open(void **state)
{
	CLEANUP(closep) int stray = fcntl(holding("stray"), F_DUPFD, 100);

	(void)state;
	assert_string_equal(said_by("ls /proc/$$/fd | tr '\\n' ' '", NULL, 0, SPAWN_IN_OURS), "0 1 2 ");
	assert_string_equal(said_by("ls /proc/$$/fd | tr '\\n' ' '", &stray, 1, SPAWN_IN_OURS), "0 1 2 3 ");
}

static void signals_are_as_in_a_fresh_program(void **state)
{
	/* Without those of the C library itself, 32 and 33. */
	static const char script[] = "for set in SigBlk SigIgn; do hex=$(grep $set /proc/self/status | cut -f2);"
				     " printf '%d ' $((0x$hex & 0x7fffffff)); done";
	struct sigaction ignored = { .sa_handler = SIG_IGN }, old;
	sigset_t blocked, before;

	(void)state;
	sigemptyset(&blocked);
	sigaddset(&blocked, SIGTERM);
	sigprocmask(SIG_BLOCK, &blocked, &before);
	sigaction(SIGPIPE, &ignored, &old);
	assert_string_equal(said_by(script, NULL, 0, SPAWN_IN_OURS), "0 0 ");
	sigaction(SIGPIPE, &old, NULL);
	sigprocmask(SIG_SETMASK, &before, NULL);
}

static void groups_and_sessions(void **state)
{
	static const char script[] =
		"set -- $(cut -d' ' -f5,6 /proc/$$/stat); [ $1 = $$ ] && echo group; [ $2 = $$ ] && echo session; pwd";

	(void)state;
	assert_string_equal(said_by(script, NULL, 0, SPAWN_IN_OURS), "/usr\n");
	assert_string_equal(said_by(script, NULL, 0, SPAWN_OWN_GROUP), "group\n/usr\n");
	assert_string_equal(said_by(script, NULL, 0, SPAWN_OWN_SESSION), "group\nsession\n/usr\n");
}

static void a_program_that_is_not_there_is_told(void **state)
{
	const struct spawn s = { .program = "/nowhere/program", .argv = (const char *const[]){ "program", NULL } };
	pid_t pid;

	(void)state;
	assert_int_equal(spawn_program(&s, &pid), ENOENT);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(descriptors_may_cross),
		cmocka_unit_test(nothing_else_is_open),
		cmocka_unit_test(signals_are_as_in_a_fresh_program),
		cmocka_unit_test(groups_and_sessions),
		cmocka_unit_test(a_program_that_is_not_there_is_told),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
