#include "service/layer/sandbox.h"

#include <cap-ng.h>
#include <dirent.h>
#include <fcntl.h>
#include <grp.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdatomic.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#include "proto/runtime/sanitize.h"
#include "service/layer/archive_protocol.h"
#include "service/layer/layer.h"
#include "service/layer/pipeline.h"
#include "service/layer/process.h"
#include "tests/unit/layer/craft.h"

enum { READY_MS = 20000, SURVIVED = 0, NO_SANDBOX = 99, SOME_UID = 12345 };

/* ---- from inside: what each forbidden call does --------------------------------- */

static int sockets[2];

static void call_socket(void)
{
	syscall(SYS_socket, AF_INET, SOCK_STREAM, 0);
}

static void call_execve(void)
{
	char *none[] = { NULL };

	syscall(SYS_execve, "/bin/true", none, none);
}

static void call_ptrace(void)
{
	syscall(SYS_ptrace, 0, 0, 0, 0);
}

static void call_setuid(void)
{
	syscall(SYS_setuid, 0);
}

static void call_fork(void)
{
	syscall(SYS_fork);
}

static void call_unlink(void)
{
	syscall(SYS_unlink, "/nowhere");
}

static void call_kill(void)
{
	syscall(SYS_kill, 1, 0);
}

static void call_ioctl(void)
{
	syscall(SYS_ioctl, 0, 0, 0);
}

static void call_mmap_exec(void)
{
	syscall(SYS_mmap, 0, 4096, PROT_READ | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
}

static void call_mprotect_exec(void)
{
	static _Alignas(4096) char page[4096];

	syscall(SYS_mprotect, page, 4096, PROT_READ | PROT_EXEC);
}

static void call_sendmsg_elsewhere(void)
{
	struct msghdr nothing = { 0 };

	syscall(SYS_sendmsg, sockets[1], &nothing, 0);
}

static void call_i386_exit(void)
{
#if defined(__x86_64__)
	__asm__ volatile("int $0x80" : : "a"(20) : "memory"); /* getpid, in the other table */
#else
	syscall(SYS_ptrace, 0, 0, 0, 0);
#endif
}

static void nothing_forbidden(void)
{
	struct layer_message m = layer_message_of(LAYER_CANCELLED, 1);

	if (layer_message_send(sockets[0], &m, -1, 0, NULL) != OK)
		_exit(1);
	free(malloc(1 << 20));
}

static void call_pread(void)
{
	char byte;

	syscall(SYS_pread64, sockets[0], &byte, 1, 0);
}

static void call_read_input(void)
{
	char byte;

	syscall(SYS_read, STDIN_FILENO, &byte, 0);
}

static void call_read_elsewhere(void)
{
	char byte;

	syscall(SYS_read, sockets[0], &byte, 0);
}

static void call_write_output(void)
{
	syscall(SYS_write, STDOUT_FILENO, "", 0);
}

static void call_write_elsewhere(void)
{
	syscall(SYS_write, STDERR_FILENO, "", 0);
}

static void call_read_first(void)
{
	close(LAYER_FIRST_FD); /* here it is a socket, on which reading waits */
	syscall(SYS_read, LAYER_FIRST_FD, NULL, 0);
}

static void call_write_first(void)
{
	close(LAYER_FIRST_FD); /* here it is a socket, on which reading waits */
	syscall(SYS_write, LAYER_FIRST_FD, "", 0);
}

static void call_pwrite_second(void)
{
	syscall(SYS_pwrite64, LAYER_SECOND_FD, "", 0, 0);
}

static void call_pwrite_elsewhere(void)
{
	syscall(SYS_pwrite64, LAYER_FIRST_FD, "", 0, 0);
}

static void call_sync_second(void)
{
	syscall(SYS_sync_file_range, LAYER_SECOND_FD, 0, 0, 0);
}

/* The wait status of a child that enters the sandbox and then does it. */
static int status_in(enum sandbox_work work, void (*act)(void))
{
	int status;
	pid_t pid = fork();

	assert_true(pid >= 0);
	if (!pid) {
		struct sandbox s;

		signal(SIGSEGV, SIG_DFL); /* cmocka's handler would go on with the next test, in the child */
		if (sandbox_drop(&s, NULL) != OK || sandbox_seal(&s, sockets[0], work, NULL) != OK)
			_exit(NO_SANDBOX);
		act();
		_exit(SURVIVED);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	return status;
}

static int status_of(void (*act)(void))
{
	return status_in(SANDBOX_READS_FILES, act);
}

static void allowed_calls_do_no_harm(void **state UNUSED)
{
	int status = status_of(nothing_forbidden);

	assert_true(WIFEXITED(status));
	assert_int_equal(WEXITSTATUS(status), SURVIVED);
}

static void each_forbidden_system_call_kills_the_process(void **state UNUSED)
{
	static const struct {
		const char *name;
		void (*act)(void);
	} cases[] = {
		{ "socket", call_socket },
		{ "execve", call_execve },
		{ "ptrace", call_ptrace },
		{ "setuid", call_setuid },
		{ "fork", call_fork },
		{ "unlink", call_unlink },
		{ "kill", call_kill },
		{ "ioctl", call_ioctl },
		{ "mmap with PROT_EXEC", call_mmap_exec },
		{ "mprotect with PROT_EXEC", call_mprotect_exec },
		{ "sendmsg on another socket", call_sendmsg_elsewhere },
	};

	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		int status = status_of(cases[i].act);

		if (!WIFSIGNALED(status) || WTERMSIG(status) != SIGSYS)
			failed("%s: wait status %x instead of SIGSYS", cases[i].name, (unsigned)status);
	}
}

static void a_call_of_another_abi_kills_the_process(void **state UNUSED)
{
	int status = status_of(call_i386_exit);

	assert_true(WIFSIGNALED(status));
	if (WTERMSIG(status) == SIGSEGV)
		skip(); /* the kernel has no such ABI */
	assert_int_equal(WTERMSIG(status), SIGSYS);
}

/* Each kind of work has its own calls, and those only. */
static void what_one_kind_of_work_needs_kills_the_others(void **state UNUSED)
{
	static const struct {
		const char *name;
		void (*act)(void);
		bool allowed[4];    /* by enum sandbox_work */
		bool not_sanitized; /* there all of read and write are allowed */
	} cases[] = {
		{ "pread", call_pread, { true, false, false, false }, false },
		{ "read of the input", call_read_input, { false, true, false, false }, true },
		{ "write of the output", call_write_output, { false, true, false, false }, true },
		{ "read of a pipe that came", call_read_first, { false, false, false, true }, true },
		{ "write to a pipe that came", call_write_first, { true, false, false, false }, true },
		{ "pwrite to the file that came", call_pwrite_second, { false, false, false, true }, false },
		{ "sync of the file that came", call_sync_second, { false, false, false, true }, false },
		{ "pwrite elsewhere", call_pwrite_elsewhere, { false, false, false, false }, false },
		{ "read of another descriptor", call_read_elsewhere, { false, false, false, false }, true },
		{ "write to another descriptor", call_write_elsewhere, { false, false, false, false }, true },
	};

	for (size_t i = 0; i < ARRAY_LEN(cases); i++)
		for (size_t work = 0; work < ARRAY_LEN(cases[i].allowed); work++) {
			int status = status_in((enum sandbox_work)work, cases[i].act);
			bool survived = WIFEXITED(status) && WEXITSTATUS(status) == SURVIVED;

			if (SANITIZED && cases[i].not_sanitized)
				continue;
			if (survived != cases[i].allowed[work])
				failed("%s, work %zu: wait status %x", cases[i].name, work, (unsigned)status);
		}
}

/* ---- the filter holds in the thread that was there before it --------------------- */

static pthread_mutex_t gate = PTHREAD_MUTEX_INITIALIZER;
static atomic_bool started;

static void *forbidden_in_thread(void *arg UNUSED)
{
	atomic_store(&started, true);
	pthread_mutex_lock(&gate);
	call_socket();
	return NULL;
}

static void the_filter_holds_in_threads_that_were_there_before(void **state UNUSED)
{
	int status;
	pid_t pid = fork();

	assert_true(pid >= 0);
	if (!pid) {
		struct sandbox s;
		pthread_t thread;

		pthread_mutex_lock(&gate);
		if (sandbox_drop(&s, NULL) != OK || pthread_create(&thread, NULL, forbidden_in_thread, NULL))
			_exit(NO_SANDBOX);
		while (!atomic_load(&started)) /* its start is not among what it may do */
			sched_yield();
		if (sandbox_seal(&s, sockets[0], SANDBOX_READS_FILES, NULL) != OK)
			_exit(NO_SANDBOX);
		pthread_mutex_unlock(&gate);
		pthread_join(thread, NULL);
		_exit(SURVIVED);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(WIFSIGNALED(status));
	assert_int_equal(WTERMSIG(status), SIGSYS);
}

/* ---- from outside: the worker as /proc shows it ----------------------------------- */

static char *read_proc(pid_t pid, const char *name)
{
	static char text[16384];
	char path[96];
	size_t n;
	FILE *f;

	snprintf(path, sizeof path, "/proc/%d/%s", pid, name);
	f = fopen(path, "re");
	assert_non_null(f);
	n = fread(text, 1, sizeof text - 1, f);
	text[n] = 0;
	fclose(f);
	return text;
}

static void assert_line(const char *status, const char *key, const char *value)
{
	const char *line = strstr(status, key);
	char wanted[128];

	if (!line)
		failed("no %s", key);
	snprintf(wanted, sizeof wanted, "%s\t%s\n", key, value);
	if (strncmp(line, wanted, strlen(wanted)))
		failed("%.60s instead of %s", line, wanted);
}

static void assert_no_privileges(const char *status)
{
	static const char none[] = "0000000000000000";

	assert_line(status, "\nCapInh:", none);
	assert_line(status, "\nCapPrm:", none);
	assert_line(status, "\nCapEff:", none);
	assert_line(status, "\nCapAmb:", none);
	assert_line(status, "\nNoNewPrivs:", "1");
	assert_line(status, "\nSeccomp:", "2");
}

static int for_each_in(pid_t pid, const char *folder, void (*visit)(pid_t pid, const char *name))
{
	char path[64];
	struct dirent *e;
	int n = 0;
	DIR *d;

	snprintf(path, sizeof path, "/proc/%d/%s", pid, folder);
	d = opendir(path);
	assert_non_null(d);
	while ((e = readdir(d))) {
		if (e->d_name[0] == '.')
			continue;
		n++;
		visit(pid, e->d_name);
	}
	closedir(d);
	return n;
}

static void check_task(pid_t pid, const char *name)
{
	char path[64];

	snprintf(path, sizeof path, "task/%.20s/status", name);
	assert_no_privileges(read_proc(pid, path));
}

static void check_descriptor(pid_t pid UNUSED, const char *name)
{
	if (strlen(name) != 1 || name[0] < '0' || name[0] > '3')
		failed("descriptor %s is open", name);
}

static void the_worker_has_no_privileges_as_seen_from_outside(void **state UNUSED)
{
	CLEANUP(process_end) struct process p = PROCESS_INIT;
	int stray = dup2(STDERR_FILENO, 77); /* not close-on-exec: still not the worker's */
	struct err err = ERR_INIT;
	const char *status;

	assert_ok(process_start(IMAGED_LAYER, &p, &err), &err);
	assert_ok(process_await_ready(&p, READY_MS, &err), &err);
	close(stray);
	status = read_proc(p.pid, "status");
	assert_no_privileges(status);
	if (geteuid() == 0) {
		assert_line(status, "\nUid:", "65534\t65534\t65534\t65534");
		assert_line(status, "\nGid:", "65534\t65534\t65534\t65534");
		assert_line(status, "\nGroups:", " ");
		assert_line(status, "\nCapBnd:", "0000000000000000");
		assert_int_equal(p.sandbox & SANDBOX_UID, SANDBOX_UID);
	}
	assert_true(for_each_in(p.pid, "task", check_task) >= 2);
	assert_int_equal(for_each_in(p.pid, "fd", check_descriptor), 4);
	assert_string_equal(read_proc(p.pid, "environ"), "");
}

static void the_worker_has_its_resource_limits(void **state UNUSED)
{
	CLEANUP(process_end) struct process p = PROCESS_INIT;
	struct err err = ERR_INIT;
	const char *limits;

	assert_ok(process_start(IMAGED_LAYER, &p, &err), &err);
	assert_ok(process_await_ready(&p, READY_MS, &err), &err);
	limits = read_proc(p.pid, "limits");
	assert_non_null(strstr(limits, "Max core file size        0                    0 "));
	assert_non_null(strstr(limits, "Max cpu time              28800                28800 "));
#if !SANITIZED
	assert_non_null(strstr(limits, "Max file size             0                    0 "));
	assert_non_null(strstr(limits, "Max processes             0                    0 "));
	assert_non_null(strstr(limits, "Max open files            6                    6 "));
	assert_non_null(strstr(limits, "Max address space         536870912            536870912 "));
#endif
}

/* The one that writes images: as little right, one thread, and room for a file. */
static void the_worker_of_images_has_no_privileges_either(void **state UNUSED)
{
	static const struct process_role role = { .mode = WORKER_MODE_EROFS, .in = -1, .out = -1 };
	CLEANUP(process_end) struct process p = PROCESS_INIT;
	struct err err = ERR_INIT;
	const char *text;

	assert_ok(process_start_as(IMAGED_LAYER, &role, &p, &err), &err);
	assert_ok(process_await_ready(&p, READY_MS, &err), &err);
	text = read_proc(p.pid, "status");
	assert_no_privileges(text);
	if (geteuid() == 0)
		assert_line(text, "\nUid:", "65534\t65534\t65534\t65534");
	assert_int_equal(for_each_in(p.pid, "fd", check_descriptor), 4);
	assert_string_equal(read_proc(p.pid, "environ"), "");
	text = read_proc(p.pid, "limits");
	assert_non_null(strstr(text, "Max core file size        0                    0 "));
#if !SANITIZED
	assert_non_null(strstr(text, "Max file size             17592186044416       17592186044416 "));
	assert_non_null(strstr(text, "Max processes             0                    0 "));
	assert_non_null(strstr(text, "Max address space         4294967296           4294967296 "));
#endif
}

/* ---- other machines ------------------------------------------------------------------ */

/* The probe's text as another user sees it, by a child of that user. */
static void another_user_gets_a_user_namespace_or_hears_why_not(void **state UNUSED)
{
	int result[2], status;
	char text[LAYER_TEXT_MAX] = "";
	pid_t pid;

	if (geteuid() != 0) {
		print_message("          needs root: skipped\n");
		skip();
	}
	assert_int_equal(pipe(result), 0);
	pid = fork();
	assert_true(pid >= 0);
	if (!pid) {
		struct err err = ERR_INIT;

		if (setgroups(0, NULL) || setresgid(SOME_UID, SOME_UID, SOME_UID) ||
		    setresuid(SOME_UID, SOME_UID, SOME_UID))
			_exit(1);
		if (layer_probe(IMAGED_LAYER, text, sizeof text, &err) != OK)
			snprintf(text, sizeof text, "%.200s", err.text);
		_exit(write(result[1], text, sizeof text) != sizeof text);
	}
	assert_int_equal(read(result[0], text, sizeof text), sizeof text);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	close(result[0]);
	close(result[1]);
	if (strstr(text, "Permission denied")) {
		print_message("          the program cannot be reached by another user: skipped\n");
		skip();
	}
	assert_non_null(strstr(text, "seccomp,rlimits,no-new-privs,no-capabilities"));
	assert_null(strstr(text, "uid,"));
}

/* A root that may change neither its user nor its namespaces stops, and says so. */
static void a_root_that_cannot_leave_root_gives_up(void **state UNUSED)
{
	int status;
	pid_t pid;

#if SANITIZED_THREAD
	print_message("          the sanitizer's own thread keeps its rights: skipped\n");
	skip();
#endif
	if (geteuid() != 0) {
		print_message("          needs root: skipped\n");
		skip();
	}
	pid = fork();
	assert_true(pid >= 0);
	if (!pid) {
		struct err err = ERR_INIT;
		struct sandbox s;
		int rc;

		capng_clear(CAPNG_SELECT_BOTH);
		if (capng_apply(CAPNG_SELECT_CAPS))
			_exit(1);
		rc = sandbox_drop(&s, &err);
		if (rc == OK) /* user namespaces are open to everybody here */
			_exit(s.in_force & SANDBOX_USERNS ? 0 : 2);
		_exit(rc == E_WORKER && strstr(err.text, "neither another user nor a user namespace") ? 0 : 3);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(status, 0);
}

static void the_probe_names_what_is_in_force(void **state UNUSED)
{
	char text[LAYER_TEXT_MAX];
	struct err err = ERR_INIT;

	assert_ok(layer_probe(IMAGED_LAYER, text, sizeof text, &err), &err);
	assert_non_null(strstr(text, "seccomp,rlimits,no-new-privs,no-capabilities"));
	print_message("          %s\n", text);
}

static void the_program_does_nothing_by_hand(void **state UNUSED)
{
	int status;
	pid_t pid = fork();

	assert_true(pid >= 0);
	if (!pid) {
		int null = open("/dev/null", O_RDWR | O_CLOEXEC);

		dup2(null, STDERR_FILENO);
		closefrom(3);
		execl(IMAGED_LAYER, IMAGED_LAYER, (char *)NULL);
		_exit(1);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(WEXITSTATUS(status), 64);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(allowed_calls_do_no_harm),
		cmocka_unit_test(each_forbidden_system_call_kills_the_process),
		cmocka_unit_test(a_call_of_another_abi_kills_the_process),
		cmocka_unit_test(what_one_kind_of_work_needs_kills_the_others),
		cmocka_unit_test(the_filter_holds_in_threads_that_were_there_before),
		cmocka_unit_test(the_worker_has_no_privileges_as_seen_from_outside),
		cmocka_unit_test(the_worker_has_its_resource_limits),
		cmocka_unit_test(the_worker_of_images_has_no_privileges_either),
		cmocka_unit_test(another_user_gets_a_user_namespace_or_hears_why_not),
		cmocka_unit_test(a_root_that_cannot_leave_root_gives_up),
		cmocka_unit_test(the_probe_names_what_is_in_force),
		cmocka_unit_test(the_program_does_nothing_by_hand),
	};

	if (socketpair(AF_UNIX, SOCK_SEQPACKET, 0, sockets) < 0)
		return 1;
	return cmocka_run_group_tests(tests, NULL, NULL);
}
