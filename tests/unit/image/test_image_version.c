/* GetVersion: what a bug report needs. */
#include <fcntl.h>

#include "imaged/v1/image_service.client.h"
#include "tests/unit/image/daemon.h"

typedef Imaged__V1__GetVersionResponse version;

static version *ask(struct daemon *d)
{
	Imaged__V1__GetVersionRequest q = IMAGED__V1__GET_VERSION_REQUEST__INIT;
	struct err err = ERR_INIT;
	version *v = NULL;

	assert_ok(imaged__v1__image_service__call_get_version(d->channel, NULL, &q, &v, &err), &err);
	return v;
}

static void every_library_tells_its_version(void **state)
{
	static const char *const names[] = { "gRPC", "protobuf-c", "libcurl", "OpenSSL", "LMDB", "jansson" };
	CLEANUP(imaged__v1__image_service__get_version_freep) version *v = ask(*state);

	assert_int_equal(v->n_components, ARRAY_LEN(names));
	for (size_t i = 0; i < ARRAY_LEN(names); i++) {
		assert_string_equal(v->components[i]->key, names[i]);
		assert_in_range(v->components[i]->value[0], '0', '9');
		assert_non_null(strchr(v->components[i]->value, '.'));
	}
}

static void the_commit_is_told_in_a_checkout(void **state)
{
	CLEANUP(imaged__v1__image_service__get_version_freep) version *v = ask(*state);
	bool checkout = faccessat(AT_FDCWD, IMAGED_SOURCE_DIR "/.git", F_OK, 0) == 0;

	assert_int_equal(strlen(v->git_commit), checkout ? 40 : 0);
	assert_int_equal(strspn(v->git_commit, "0123456789abcdef"), strlen(v->git_commit));
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, daemon_start, daemon_stop)
	const struct CMUnitTest tests[] = {
		TEST(every_library_tells_its_version),
		TEST(the_commit_is_told_in_a_checkout),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
