/* Who a step runs as, and which ids a user namespace gives. */
#include "tests/unit/build/unit.h"

#include "service/build/run/worker/account.h"
#include "service/build/run/worker/id_map.h"

static const char passwd[] = "root:x:0:0:root:/root:/bin/sh\n"
			     "\n"
			     "  bob:x:1000:1000:Bob:/home/bob:/bin/sh\r\n"
			     "nohome:x:7:8\n"
			     "broken:x:many:1::/b:\n"
			     "large:x:4294967295:1::/l:\n"
			     "12:x:13:14::/twelve:\n"
			     "bob:x:2000:2000::/second:\n"
			     "last:x:99:98::/last:/bin/sh";
static const char group[] = "root:x:0:\n"
			    "wheel:x:10:root, bob ,eve\n"
			    "again:x:10:bob\n"
			    "audio:x:29:bob\n"
			    "bobs:x:30:bobs,xbob\n"
			    "bad:x:x:bob\n";

static struct account resolve(const char *user)
{
	struct err err = ERR_INIT;
	struct account a;

	if (account_resolve(user, bytes_of(passwd), bytes_of(group), &a, &err) != OK)
		row_fails("%s: %s\n", user, err.text);
	return a;
}

static void users(void **state)
{
	static const struct {
		const char *user;
		uint32_t uid, gid, groups[3];
		size_t n;
		const char *home;
	} rows[] = {
		{ "", 0, 0, { 10 }, 1, "/root" },
		{ "root", 0, 0, { 10 }, 1, "/root" },
		{ "0", 0, 0, { 10 }, 1, "/root" },
		{ "bob", 1000, 1000, { 10, 29 }, 2, "/home/bob" },
		{ "1000", 1000, 1000, { 10, 29 }, 2, "/home/bob" },
		{ "bob:", 1000, 1000, { 10, 29 }, 2, "/home/bob" },
		{ "bob:audio", 1000, 29, { 0 }, 0, "/home/bob" },
		{ "bob:5", 1000, 5, { 0 }, 0, "/home/bob" },
		{ "5:6", 5, 6, { 0 }, 0, "/" },
		{ "5", 5, 0, { 0 }, 0, "/" },
		{ ":6", 0, 6, { 0 }, 0, "/root" },
		{ "nohome", 7, 8, { 0 }, 0, "/" },
		{ "last", 99, 98, { 0 }, 0, "/last" },
		{ "12", 12, 0, { 0 }, 0, "/" }, /* digits are a number */
		{ "2147483647:2147483647", INT32_MAX, INT32_MAX, { 0 }, 0, "/" },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		struct account a = resolve(rows[i].user);

		if (a.uid != rows[i].uid || a.gid != rows[i].gid || a.n_groups != rows[i].n ||
		    memcmp(a.groups, rows[i].groups, a.n_groups * sizeof *a.groups) != 0 ||
		    strcmp(a.home, rows[i].home) != 0)
			row_fails("%s: %u:%u, %zu groups, %s\n", rows[i].user, a.uid, a.gid, a.n_groups, a.home);
	}
}

static void refused(void **state)
{
	static const struct {
		const char *user, *text;
	} rows[] = {
		{ "eve", "unable to find user eve: no matching entries in passwd file" },
		{ "broken", "unable to find user broken" },
		{ "large", "unable to find user large" },
		{ "bob:eve", "unable to find group eve: no matching entries in group file" },
		{ "bob:bad", "unable to find group bad" },
		{ "2147483648", "must be in range 0-2147483647" },
		{ "99999999999999999999", "must be in range 0-2147483647" },
		{ "0:2147483648", "must be in range 0-2147483647" },
		{ "-1", "unable to find user -1" },
		{ "+1", "unable to find user +1" },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		struct err err = ERR_INIT;
		struct account a;

		assert_int_equal(account_resolve(rows[i].user, bytes_of(passwd), bytes_of(group), &a, &err), E_INVALID);
		if (!strstr(err.text, rows[i].text))
			row_fails("%s: %s\n", rows[i].user, err.text);
	}
}

static void too_long_and_too_many(void **state)
{
	CLEANUP(freep) char *many = calloc(1, 64 * (ACCOUNT_GROUPS_MAX + 1));
	char name[ACCOUNT_NAME_MAX + 1];
	struct err err = ERR_INIT;
	struct account a;
	size_t at = 0;

	(void)state;
	memset(name, 'a', sizeof name - 1);
	name[sizeof name - 1] = 0;
	assert_int_equal(account_resolve(name, bytes_of(passwd), bytes_of(group), &a, &err), E_INVALID);
	for (unsigned i = 0; i <= ACCOUNT_GROUPS_MAX; i++)
		at += (size_t)snprintf(many + at, 64, "g%u:x:%u:bob\n", i, i + 100);
	assert_int_equal(account_resolve("bob", bytes_of(passwd), bytes_of(many), &a, &err), E_LIMIT);
}

static void without_files(void **state)
{
	const struct bytes none = { 0 };
	struct err err = ERR_INIT;
	struct account a;

	(void)state;
	assert_int_equal(account_resolve("", none, none, &a, &err), OK);
	assert_int_equal(a.uid, 0);
	assert_string_equal(a.home, "/");
	assert_int_equal(account_resolve("root", none, none, &a, &err), E_INVALID);
}

static void ranges_of_ids(void **state)
{
	static const char text[] = "other:1:2\nme:100000:65536\n77:300000:1000\nme:x:1\nme:5:0\nme:4294967290:100\n"
				   "me:400000:5\n";
	struct id_map m;

	(void)state;
	id_map_parse(bytes_of(text), "me", 77, &m);
	assert_int_equal(m.n, 4);
	assert_int_equal(m.range[0].inside, 0);
	assert_int_equal(m.range[0].outside, 77);
	assert_int_equal(m.range[0].count, 1);
	assert_int_equal(m.range[1].inside, 1);
	assert_int_equal(m.range[1].outside, 100000);
	assert_int_equal(m.range[2].inside, 65537);
	assert_int_equal(m.range[2].outside, 300000);
	assert_int_equal(m.range[3].inside, 66537);
	assert_int_equal(m.range[3].count, 5);
	id_map_parse((struct bytes){ 0 }, NULL, 5, &m);
	assert_int_equal(m.n, 1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(users),
		cmocka_unit_test(refused),
		cmocka_unit_test(too_long_and_too_many),
		cmocka_unit_test(without_files),
		cmocka_unit_test(ranges_of_ids),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
