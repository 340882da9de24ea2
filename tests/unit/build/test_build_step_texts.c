/* What a step is given as texts, and what a runtime's words mean. */
#include "tests/unit/build/unit.h"

#include "proto/runtime/base64.h"
#include "service/build/run/plan.h"
#include "service/build/run/seccomp_filter.h"
#include "service/build/run/seccomp_rules.h"
#include "service/build/run/worker/net_files.h"
#include "service/build/run/worker/runtime.h"
#include "service/build/run/worker/seccomp.h"

static void resolv(void **state)
{
	static const char host[] =
		"# comment\nnameserver 127.0.0.53\n  nameserver\t127.1.2.3\nnameserver ::1\nnameserver "
		"10.0.0.1\nnameserver fe80::1%eth0\nsearch a b\noptions edns0";
	CLEANUP(buf_free) struct buf own = BUF_INIT(4096), same = BUF_INIT(4096);

	(void)state;
	assert_true(net_files_resolv(bytes_of(host), false, &own));
	assert_string_equal(buf_text(&own),
			    "# comment\nnameserver 10.0.0.1\nnameserver fe80::1%eth0\nsearch a b\noptions edns0\n");
	assert_true(net_files_resolv(bytes_of(host), true, &same));
	assert_int_equal(same.len, sizeof host);
}

static void hosts(void **state)
{
	static const char *const bad[] = {
		"", "x", ":1.2.3.4", "a b:1.2.3.4", "x\n:1.2.3.4", "x:1.2.3", "x:", "x:[::1"
	};
	const struct bytes good[] = { bytes_of("db:10.1.2.3"), bytes_of("six:::2"), bytes_of("seven:[::3]") };
	CLEANUP(buf_free) struct buf out = BUF_INIT(4096);
	struct err err = ERR_INIT;

	(void)state;
	assert_int_equal(net_files_hosts("name", good, ARRAY_LEN(good), &out, &err), OK);
	assert_string_equal(buf_text(&out), "127.0.0.1\tlocalhost name\n::1\tlocalhost ip6-localhost ip6-loopback\n"
					    "10.1.2.3\tdb\n::2\tsix\n::3\tseven\n");
	for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
		const struct bytes entry = bytes_of(bad[i]);

		assert_int_equal(net_files_hosts("name", &entry, 1, &out, &err), E_INVALID);
	}
}

static void start_failures(void **state)
{
	static const struct {
		const char *message;
		int code;
	} rows[] = {
		{ "executable file `nope` not found in $PATH: No such file or directory", 127 },
		{ "exec: \"nope\": executable file not found in $PATH", 127 },
		{ "open executable: No such file or directory", 127 },
		{ "open executable: Operation not permitted", 126 },
		{ "exec container process `/x`: Exec format error", 126 },
		{ "exec: \"/x\": permission denied", 126 },
		{ "error stat'ing file `/gone`: No such file or directory", 0 },
		{ "mount `proc` to `/proc`: Operation not permitted", 0 },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(rows); i++)
		if (runtime_start_failure(rows[i].message) != rows[i].code)
			row_fails("%s: %d\n", rows[i].message, runtime_start_failure(rows[i].message));
}

static bool lists(const char *const *names, const char *name)
{
	for (; *names; names++)
		if (!strcmp(*names, name))
			return true;
	return false;
}

static void system_calls(void **state)
{
	static const char *const refused[] = { "mount",	     "unshare",	    "setns",
					       "bpf",	     "keyctl",	    "io_uring_setup",
					       "kexec_load", "userfaultfd", "open_by_handle_at",
					       "pivot_root", "init_module" };
	static const char *const allowed[] = {
		"read", "execve", "openat2", "statx", "futex_waitv", "chroot", "ptrace"
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(refused); i++)
		assert_true(lists(seccomp_refused, refused[i]) && !lists(seccomp_allowed, refused[i]));
	for (size_t i = 0; i < ARRAY_LEN(allowed); i++)
		assert_true(lists(seccomp_allowed, allowed[i]));
	for (const char *const *name = seccomp_allowed; *name; name++)
		assert_false(lists(seccomp_refused, *name));
	for (size_t i = 0; i < seccomp_conditional_n; i++)
		assert_false(lists(seccomp_allowed, seccomp_conditional[i].name));
}

/* Instructions of eight bytes each, in base64; the same each time. */
static void filter(void **state)
{
	CLEANUP(buf_free) struct buf program = BUF_INIT(1 << 20);
	json_t *profile = seccomp_profile();

	(void)state;
	assert_non_null(profile);
	json_decref(profile);
	assert_non_null(seccomp_filter());
	assert_ptr_equal(seccomp_filter(), seccomp_filter());
	assert_true(base64_decode(&program, seccomp_filter()));
	assert_true(program.len > 800 && program.len % 8 == 0);
}

static void plans(void **state)
{
	static const char *const args[] = { "true", NULL };
	struct run_config c = { .workspace = "/w", .runtime = "/bin/true" };
	struct run_step s = { .root = { .id = "a-1" }, .args = args };
	struct run_mount m = { .type = RUN_TMPFS, .target = "/t", .source = -1 };
	struct run_ulimit u = { .name = "nofile", .soft = 1, .hard = 2 };
	struct err err = ERR_INIT;
	int fd = -1;

	(void)state;
	s.mounts = &m;
	s.n_mounts = 1;
	s.limits.ulimits = &u;
	s.limits.n_ulimits = 1;
	assert_int_equal(plan_of_step(&c, &s, NULL, &fd, &err), OK);
	close(fd);
	m.target = "//";
	assert_int_equal(plan_of_step(&c, &s, NULL, &fd, &err), E_INVALID);
	m.target = "t";
	assert_int_equal(plan_of_step(&c, &s, NULL, &fd, &err), E_INVALID);
	m.target = "/t";
	u.name = "files";
	assert_int_equal(plan_of_step(&c, &s, NULL, &fd, &err), E_INVALID);
	u.name = "core";
	s.root.id = "../x";
	assert_int_equal(plan_of_step(&c, &s, NULL, &fd, &err), E_INVALID);
	s.root.id = "x";
	s.hostname = "a b";
	assert_int_equal(plan_of_step(&c, &s, NULL, &fd, &err), E_INVALID);
	s.hostname = NULL;
	s.root.n_lowers = RUN_LAYERS_MAX + 1;
	assert_int_equal(plan_of_step(&c, &s, NULL, &fd, &err), E_LIMIT);
	s.root.n_lowers = 0;
	c.runtime = "/nowhere";
	assert_int_equal(plan_of_step(&c, &s, NULL, &fd, &err), E_UNSUPPORTED);
}

static void failures(void **state)
{
	static const char *const args[] = { "/bin/sh", "-c", "exit 3", NULL };
	const struct run_step s = { .args = args };
	struct run_result r = { .exit_code = 3 };
	char text[256];

	(void)state;
	run_describe_failure(&s, &r, text, sizeof text);
	assert_string_equal(text, "process \"/bin/sh -c exit 3\" did not complete successfully: exit code: 3");
	r.exit_code = 137;
	r.out_of_memory = true;
	run_describe_failure(&s, &r, text, sizeof text);
	assert_non_null(strstr(text, "successfully: out of memory (its limit was reached): exit code: 137"));
	run_describe_failure(&s, &r, text, 20);
	assert_int_equal(strlen(text), 19);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(resolv),	cmocka_unit_test(hosts),  cmocka_unit_test(start_failures),
		cmocka_unit_test(system_calls), cmocka_unit_test(filter), cmocka_unit_test(plans),
		cmocka_unit_test(failures),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
