/* Grants: how '*' is read, and which words make one. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include "service/rpc/grants.h"

#include <cmocka.h>
#undef fail

static void star_stays_within_a_part(void **state)
{
	static const struct {
		const char *pattern, *name, *stops;
		bool fits;
	} rows[] = {
		{ "a", "a", ".", true },
		{ "a", "b", ".", false },
		{ "a", "aa", ".", false },
		{ "aa", "a", ".", false },
		{ "*", "a", ".", true },
		{ "*", "", ".", false },
		{ "*", "a.b", ".", false },
		{ "a*", "a", ".", false },
		{ "a*", "ab", ".", true },
		{ "*.example", "a.example", ".", true },
		{ "*.example", ".example", ".", false },
		{ "*.example", "a.b.example", ".", false },
		{ "*.example", "aexample", ".", false },
		{ "*.*.example", "a.b.example", ".", true },
		{ "x*y*z", "xaybyz", ".", true },
		{ "x*y*z", "xaybyzz", ".", true },
		{ "x*y*z", "xyz", ".", false },
		{ "**", "ab", ".", true },
		{ "**", "a", ".", false },
		{ "*a.*a", "aaa.ba", ".", true },
		{ "*a.*a", "aab.aa", ".", false },
		{ "spiffe://t/*/b", "spiffe://t/a.c/b", "/", true },
		{ "spiffe://t/*/b", "spiffe://t/a/c/b", "/", false },
		{ "*@example.org", "a@b@example.org", ".@", false },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		if (grant_fits(rows[i].pattern, rows[i].name, rows[i].stops) == rows[i].fits)
			continue;
		print_error("'%s' and '%s'\n", rows[i].pattern, rows[i].name);
		assert_true(false);
	}
}

static void highest_role_that_fits_counts(void **state)
{
	static const char *const texts[] = { "read:certificate", "admin:cn=root-*", "write:dns=*.W.example" };
	static const char *const names[] = { "a.w.EXAMPLE" };
	static const enum alt_name_kind dns = ALT_NAME_DNS, uri = ALT_NAME_URI;
	struct identity who = { .kind = IDENTITY_CERTIFICATE, .common_name = "x", .spiffe_id = "" };
	struct grants *grants;
	struct err err = ERR_INIT;

	(void)state;
	assert_int_equal(grants_new(texts, ARRAY_LEN(texts), &grants, &err), OK);
	assert_true(grants_open_tcp(grants));
	assert_int_equal(grants_role_of_tcp(grants, &who), RPC_ROLE_READ);
	who.alt_names = names;
	who.n_alt_names = 1;
	who.alt_kinds = &uri;
	assert_int_equal(grants_role_of_tcp(grants, &who), RPC_ROLE_READ);
	who.alt_kinds = &dns;
	assert_int_equal(grants_role_of_tcp(grants, &who), RPC_ROLE_WRITE);
	who.common_name = "root-1";
	assert_int_equal(grants_role_of_tcp(grants, &who), RPC_ROLE_ADMIN);
	who.kind = IDENTITY_NONE; /* names without a verified certificate are none */
	assert_int_equal(grants_role_of_tcp(grants, &who), RPC_ROLE_NONE);
	grants_free(grants);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(star_stays_within_a_part),
		cmocka_unit_test(highest_role_that_fits_counts),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
