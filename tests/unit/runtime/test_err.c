/* The error convention and its one table. */
#include "tests/unit/runtime/runtime_test.h"

static const int codes[] = {
#define X(name, grpc, reason, prefix, level, exit_code) name,
	ERR_TABLE(X)
#undef X
};

static void failure_carries_code_and_text(UNUSED void **state)
{
	struct err err = ERR_INIT;

	assert_int_equal(fail(&err, E_BUSY, "%d of %s", 3, "four"), E_BUSY);
	assert_int_equal(err.code, E_BUSY);
	assert_string_equal(err.text, "3 of four");
	assert_int_equal(fail(NULL, E_BUSY, "unseen"), E_BUSY);
}

static void new_failure_forgets_the_one_before(UNUSED void **state)
{
	struct err err = { .code = E_DISK_FULL, .needed_bytes = 5, .free_bytes = 4, .retry_after_ms = 3 };

	fail(&err, E_BUSY, "busy");
	assert_int_equal(err.needed_bytes, 0);
	assert_int_equal(err.free_bytes, 0);
	assert_int_equal(err.retry_after_ms, 0);
}

static void wrapping_puts_context_in_front(UNUSED void **state)
{
	struct err err = ERR_INIT;

	fail(&err, E_IO, "read: no");
	assert_int_equal(err_wrap(&err, "pull '%s'", "x"), E_IO);
	assert_string_equal(err.text, "pull 'x': read: no");
}

static void endless_wrapping_stays_inside(UNUSED void **state)
{
	struct err err = ERR_INIT;

	fail(&err, E_IO, "bottom");
	for (int i = 0; i < 1000; i++)
		err_wrap(&err, "level %d", i);
	assert_true(strlen(err.text) < sizeof err.text);
	assert_int_equal(err.code, E_IO);
}

static void errno_decides_the_code(UNUSED void **state)
{
	static const struct {
		int number, code;
	} rows[] = { { ENOSPC, E_DISK_FULL }, { EDQUOT, E_DISK_FULL }, { ENOMEM, E_NO_MEMORY },
		     { EROFS, E_READ_ONLY },  { EACCES, E_IO },	       { 99999, E_IO } };

	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		struct err err = ERR_INIT;

		errno = rows[i].number;
		assert_int_equal(fail_errno(&err, "open '%s'", "f"), rows[i].code);
		assert_int_equal(errno, rows[i].number);
		assert_non_null(strstr(err.text, "open 'f': "));
	}
}

static void reasons_are_unique_and_lead_back(UNUSED void **state)
{
	for (size_t i = 0; i < ARRAY_LEN(codes); i++) {
		assert_true(codes[i] < 0);
		assert_int_equal(err_code_from(err_grpc_code(codes[i]), err_reason(codes[i])), codes[i]);
		for (size_t k = 0; k < i; k++)
			assert_string_not_equal(err_reason(codes[i]), err_reason(codes[k]));
	}
}

static void reasons_are_upper_snake_case(UNUSED void **state)
{
	for (size_t i = 0; i < ARRAY_LEN(codes); i++)
		assert_int_equal(strspn(err_reason(codes[i]), "ABCDEFGHIJKLMNOPQRSTUVWXYZ_"),
				 strlen(err_reason(codes[i])));
}

static void status_without_known_reason_is_the_general_code(UNUSED void **state)
{
	assert_int_equal(err_code_from(GRPC_CODE_OK, NULL), OK);
	assert_int_equal(err_code_from(GRPC_CODE_NOT_FOUND, NULL), E_NOT_FOUND);
	assert_int_equal(err_code_from(GRPC_CODE_NOT_FOUND, "SOMETHING_NEW"), E_NOT_FOUND);
	assert_int_equal(err_code_from(GRPC_CODE_RESOURCE_EXHAUSTED, NULL), E_LIMIT);
	assert_int_equal(err_code_from(GRPC_CODE_UNAVAILABLE, NULL), E_UNAVAILABLE);
	assert_int_equal(err_code_from((enum grpc_code)77, NULL), E_UNKNOWN);
	for (int code = GRPC_CODE_CANCELLED; code <= GRPC_CODE_UNAUTHENTICATED; code++)
		assert_int_equal(err_grpc_code(err_code_from((enum grpc_code)code, NULL)), code);
}

static void unknown_code_reads_as_unknown(UNUSED void **state)
{
	assert_int_equal(err_grpc_code(-1000), GRPC_CODE_UNKNOWN);
	assert_int_equal(err_grpc_code(5), GRPC_CODE_UNKNOWN);
	assert_string_equal(err_reason(-1000), "UNKNOWN");
	assert_int_equal(err_grpc_code(OK), GRPC_CODE_OK);
	assert_int_equal(err_exit_code(OK), 0);
	assert_int_equal(err_exit_code(E_USAGE), 125);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(failure_carries_code_and_text),
		cmocka_unit_test(new_failure_forgets_the_one_before),
		cmocka_unit_test(wrapping_puts_context_in_front),
		cmocka_unit_test(endless_wrapping_stays_inside),
		cmocka_unit_test(errno_decides_the_code),
		cmocka_unit_test(reasons_are_unique_and_lead_back),
		cmocka_unit_test(reasons_are_upper_snake_case),
		cmocka_unit_test(status_without_known_reason_is_the_general_code),
		cmocka_unit_test(unknown_code_reads_as_unknown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
