/* What the generator refuses, as a user of protoc sees it: file, line, reason. */
#include <spawn.h>
#include <sys/wait.h>

#include "proto/runtime/buf.h"
#include "tests/unit/plugin/plugin_test.h"

extern char **environ;

static const struct {
	const char *file, *text;
} refusals[] = {
	{ "recursive.proto", "recursive.proto:8: message r.Node is recursive (r.Node → r.Node)" },
	{ "mutual.proto", "mutual.proto:4: message r.A is recursive (r.A → r.B → r.B.CsEntry → r.C → r.A)" },
	{ "struct.proto", "google/protobuf/struct.proto:51: message google.protobuf.Struct is recursive" },
	{ "proto2.proto", "proto2.proto:1: only proto3 is supported" },
	{ "imports_proto2.proto", "proto2_messages.proto:4: only proto3 is supported" },
	{ "optional.proto", "optional.proto:7: field r.A.b is 'optional'" },
	{ "imports_optional.proto", "optional.proto:7: field r.A.b is 'optional'" },
	{ "same_name.proto", "same_name.proto:8: GetUrl and GetURL (line 7) would both be" },
	{ "same_function.proto", "same_function.proto:8: Write and Call (line 7) would both be 'r__s__call_write'" },
	{ "same_service.proto", "same_service.proto:8: r.HTTPthing and r.HTTPThing (line 6) would both be" },
	{ "inline_stream.proto", "inline_stream.proto:8: method M is a stream and cannot be inline" },
	{ "bad_role.proto", "bad_role.proto:8: the role of method M must be none, read, write or admin" },
	{ "no_role.proto", "no_role.proto:12: method M names no role" },
	{ "bad_target.proto", "bad_target.proto:15: the target 'inner.count' of method M leads to no string" },
};

static char directory[] = "/tmp/imaged-plugin.XXXXXX";

static int setup(UNUSED void **state)
{
	return mkdtemp(directory) ? 0 : -1;
}

/* Nothing may have been written, so the directory must be empty. */
static int teardown(UNUSED void **state)
{
	return rmdir(directory);
}

static int run_protoc(const char *file, const char *option, struct buf *errors)
{
	CLEANUP(freep) char *out = format("--imaged-c_out=%s%s", option, directory);
	char plugin[] = "--plugin=protoc-gen-imaged-c=" PLUGIN, protoc[] = PROTOC, include[] = "-I" INCLUDE;
	char refused[] = "-I" REFUSED, protos[] = "-I" PROTOS, name[64];
	char *argv[] = { protoc, plugin, refused, protos, include, out, name, NULL };
	posix_spawn_file_actions_t actions;
	int fds[2], status = -1;
	ssize_t n;
	pid_t pid;

	snprintf(name, sizeof name, "%s", file);
	assert_int_equal(pipe(fds), 0);
	posix_spawn_file_actions_init(&actions);
	posix_spawn_file_actions_adddup2(&actions, fds[1], STDERR_FILENO);
	posix_spawn_file_actions_addclose(&actions, fds[0]);
	assert_int_equal(posix_spawn(&pid, protoc, &actions, NULL, argv, environ), 0);
	posix_spawn_file_actions_destroy(&actions);
	close(fds[1]);
	while (buf_reserve(errors, 4096) && (n = read(fds[0], errors->data + errors->len, 4096)) > 0)
		errors->len += (size_t)n;
	close(fds[0]);
	assert_true(buf_append(errors, "", 0));
	assert_int_equal(waitpid(pid, &status, 0), pid);
	return status;
}

static void each_refusal_names_file_line_and_reason(UNUSED void **state)
{
	for (size_t i = 0; i < ARRAY_LEN(refusals); i++) {
		CLEANUP(buf_free) struct buf errors = BUF_INIT(64 * 1024);

		assert_int_not_equal(run_protoc(refusals[i].file, "", &errors), 0);
		assert_contains(buf_text(&errors), refusals[i].text);
	}
}

static void file_without_services_gives_nothing(UNUSED void **state)
{
	CLEANUP(buf_free) struct buf errors = BUF_INIT(64 * 1024);

	assert_int_equal(run_protoc("proto2_messages.proto", "", &errors), 0);
	assert_string_equal(buf_text(&errors), "");
}

static void parameters_are_refused(UNUSED void **state)
{
	CLEANUP(buf_free) struct buf errors = BUF_INIT(64 * 1024);

	assert_int_not_equal(run_protoc("proto2_messages.proto", "speed=high:", &errors), 0);
	assert_contains(buf_text(&errors),
			"knows the parameters public=PREFIX and role=ROLE, and was given 'speed=high'");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(each_refusal_names_file_line_and_reason),
		cmocka_unit_test(file_without_services_gives_nothing),
		cmocka_unit_test(parameters_are_refused),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}
