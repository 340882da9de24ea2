#include "service/config/config.h"

#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include "service/config/toml.h"

/* Last: its macro `fail` is a function of ours. */
#include <cmocka.h>

static char file_path[] = "/tmp/imaged-config-XXXXXX";

static void write_file(const char *text)
{
	int fd = open(file_path, O_WRONLY | O_TRUNC | O_CLOEXEC);

	assert_true(fd >= 0);
	assert_int_equal(write(fd, text, strlen(text)), (ssize_t)strlen(text));
	close(fd);
}

static int make_file(void **state)
{
	int fd = mkstemp(file_path);

	(void)state;
	if (fd >= 0)
		close(fd);
	return fd < 0 ? -1 : 0;
}

static int remove_file(void **state)
{
	(void)state;
	return unlink(file_path);
}

static int load(struct config *c, struct err *err, int argc, const char **args)
{
	enum config_action action;

	return config_load(argc, (char **)args, c, &action, err);
}

#define LOAD(c, err, ...)                                                         \
	load(c, err, (int)ARRAY_LEN(((const char *[]){ "imaged", __VA_ARGS__ })), \
	     (const char *[]){ "imaged", __VA_ARGS__ })

static void file_gives_every_key_and_flags_win(void **state)
{
	struct config c = { .root = NULL };
	struct err err;

	(void)state;
	write_file("root = '/a'\nlisten = ['unix:///x', 'tcp://127.0.0.1:1']\ninsecure-registry = ['h:1']\n"
		   "log-format = 'json'\nlog-level = 'debug'\n");
	assert_int_equal(LOAD(&c, &err, "--config", file_path, "--root=/b", "--listen", "unix:///y"), OK);
	assert_string_equal(c.root, "/b");
	assert_int_equal(c.listen.n, 1);
	assert_string_equal(c.listen.items[0], "unix:///y");
	assert_string_equal(c.insecure_registry.items[0], "h:1");
	assert_string_equal(c.log_format, "json");
	assert_int_equal(c.level, LOG_DEBUG);
	config_free(&c);
}

static void unknown_key_is_an_error_with_line_and_column(void **state)
{
	struct config c = { .root = NULL };
	char expected[256];
	struct err err;

	(void)state;
	write_file("root = '/a'\n  roots = '/b'\n");
	assert_int_equal(LOAD(&c, &err, "--config", file_path), E_INVALID);
	snprintf(expected, sizeof expected, "%s:2:3: unknown key 'roots'", file_path);
	assert_string_equal(err.text, expected);
}

static void unknown_table_is_an_error(void **state)
{
	struct config c = { .root = NULL };
	struct err err;

	(void)state;
	write_file("[listen]\nroot = 'x'\n");
	assert_int_equal(LOAD(&c, &err, "--config", file_path), E_INVALID);
}

static void syntax_error_names_the_place(void **state)
{
	struct config c = { .root = NULL };
	struct err err;

	(void)state;
	write_file("root = \n");
	assert_int_equal(LOAD(&c, &err, "--config", file_path), E_INVALID);
	assert_non_null(strstr(err.text, ":1:"));
}

static void wrong_type_is_an_error(void **state)
{
	struct config c = { .root = NULL };
	struct err err;

	(void)state;
	write_file("root = 5\n");
	assert_int_equal(LOAD(&c, &err, "--config", file_path), E_INVALID);
	write_file("listen = 'unix:///x'\n");
	assert_int_equal(LOAD(&c, &err, "--config", file_path), E_INVALID);
	assert_non_null(strstr(err.text, "must be an array of strings"));
	write_file("listen = ['unix:///x', 5]\n");
	assert_int_equal(LOAD(&c, &err, "--config", file_path), E_INVALID);
}

static void limits_of_what_builds_keep(void **state)
{
	static const int64_t day_ns = INT64_C(24) * 3600 * 1000000000;
	struct config c = { .root = NULL };
	struct err err;

	(void)state;
	write_file("build-cache-max = '20GB'\nbuild-cache-unused = '36h'\n");
	assert_int_equal(LOAD(&c, &err, "--config", file_path), OK);
	assert_true(c.build_cache_limits.max_bytes == INT64_C(20) << 30);
	assert_true(c.build_cache_limits.unused_ns == day_ns * 3 / 2);
	config_free(&c);
	assert_int_equal(LOAD(&c, &err, "--config", file_path, "--build-cache-max=none", "--build-cache-unused", "3d"),
			 OK);
	assert_true(c.build_cache_limits.max_bytes < 0);
	assert_true(c.build_cache_limits.unused_ns == 3 * day_ns);
	config_free(&c);
	write_file("");
	assert_int_equal(LOAD(&c, &err, "--config", file_path, "--build-cache-unused=none"), OK);
	assert_true(c.build_cache_limits.max_bytes == 0);
	assert_true(c.build_cache_limits.unused_ns < 0);
	config_free(&c);
	assert_int_equal(LOAD(&c, &err, "--config", file_path), OK);
	assert_true(c.build_cache_limits.unused_ns == 14 * day_ns);
	config_free(&c);
	assert_int_equal(LOAD(&c, &err, "--config", file_path, "--build-cache-max=0"), E_INVALID);
	assert_non_null(strstr(err.text, "build-cache-max must be a size"));
	assert_int_equal(LOAD(&c, &err, "--config", file_path, "--build-cache-unused=14"), E_INVALID);
	assert_int_equal(LOAD(&c, &err, "--config", file_path, "--build-cache-unused=99999999d"), E_INVALID);
}

static void named_file_must_exist(void **state)
{
	struct config c = { .root = NULL };
	struct err err;

	(void)state;
	assert_int_equal(LOAD(&c, &err, "--config", "/nonexistent/imaged.toml"), E_IO);
	assert_non_null(strstr(err.text, "/nonexistent/imaged.toml"));
}

static void bad_flags_are_usage_errors(void **state)
{
	struct config c = { .root = NULL };
	struct err err;

	(void)state;
	assert_int_equal(LOAD(&c, &err, "--nope"), E_USAGE);
	assert_string_equal(err.text, "unknown flag: --nope");
	assert_int_equal(LOAD(&c, &err, "--root"), E_USAGE);
	assert_string_equal(err.text, "flag needs an argument: --root");
	assert_int_equal(LOAD(&c, &err, "extra"), E_USAGE);
	assert_int_equal(LOAD(&c, &err, "--"), E_USAGE);
}

static void values_are_checked(void **state)
{
	struct config c = { .root = NULL };
	struct err err;

	(void)state;
	assert_int_equal(LOAD(&c, &err, "--log-level", "loud"), E_INVALID);
	assert_int_equal(LOAD(&c, &err, "--log-format", "xml"), E_INVALID);
	assert_int_equal(LOAD(&c, &err, "--tls-cert", "x"), E_INVALID);
	assert_int_equal(LOAD(&c, &err, "--tls-client-ca", "x"), E_INVALID);
	assert_int_equal(LOAD(&c, &err, "--root", ""), E_INVALID);
}

static void switches_are_words_in_the_file_and_need_none_as_flags(void **state)
{
	struct config c = { .root = NULL };
	struct err err;

	(void)state;
	write_file("tls-allow-anonymous = true\n");
	assert_int_equal(LOAD(&c, &err, "--config", file_path), OK);
	assert_true(c.tls_allow_anonymous);
	config_free(&c);
	assert_int_equal(LOAD(&c, &err, "--config", file_path, "--tls-allow-anonymous=false", "--root", "/r"), OK);
	assert_false(c.tls_allow_anonymous);
	config_free(&c);
	assert_int_equal(LOAD(&c, &err, "--tls-allow-anonymous", "--root", "/r"), OK);
	assert_true(c.tls_allow_anonymous);
	assert_string_equal(c.root, "/r");
	config_free(&c);
	assert_int_equal(LOAD(&c, &err, "--tls-allow-anonymous=maybe"), E_USAGE);
	assert_int_equal(
		LOAD(&c, &err, "--tls-allow-anonymous", "--tls-cert", "c", "--tls-key", "k", "--tls-client-ca", "a"),
		E_INVALID);
	write_file("tls-allow-anonymous = 'yes'\n");
	assert_int_equal(LOAD(&c, &err, "--config", file_path), E_INVALID);
	assert_non_null(strstr(err.text, "'tls-allow-anonymous' must be true or false"));
}

static void toml_values_come_in_file_order(void **state)
{
	static const char text[] = "server = 'z'\n[host.\"https://b.example\"]\nskip_verify = true\n"
				   "[host.\"https://a.example\"]\ncapabilities = ['pull']\n";
	struct toml_file *t = NULL;
	struct err err;

	(void)state;
	assert_int_equal(toml_file_parse("hosts.toml", text, strlen(text), &t, &err), OK);
	assert_int_equal(t->n_values, 6);
	assert_int_equal(t->values[1].kind, TOML_TABLE);
	assert_int_equal(t->values[1].n_path, 1);
	assert_int_equal(t->values[2].kind, TOML_TABLE);
	assert_false(t->values[2].empty);
	assert_int_equal(t->values[2].line, 2);
	assert_string_equal(t->values[3].path[1], "https://b.example");
	assert_int_equal(t->values[3].kind, TOML_BOOLEAN);
	assert_int_equal(t->values[3].number, 1);
	assert_string_equal(t->values[4].path[1], "https://a.example");
	assert_string_equal(t->values[5].items[0], "pull");
	toml_file_free(t);
}

static void toml_lists_hold_lists_and_strings(void **state)
{
	static const char text[] = "a = ['x', ['y', 'z'], []]\nb = [['x', 1]]\nc = []\n";
	struct toml_file *t = NULL;
	struct err err;

	(void)state;
	assert_int_equal(toml_file_parse("hosts.toml", text, strlen(text), &t, &err), OK);
	assert_int_equal(t->n_values, 3);
	assert_int_equal(t->values[0].kind, TOML_LISTS);
	assert_int_equal(t->values[0].n_lists, 3);
	assert_string_equal(t->values[0].lists[0].items[0], "x");
	assert_int_equal(t->values[0].lists[1].n_items, 2);
	assert_string_equal(t->values[0].lists[1].items[1], "z");
	assert_int_equal(t->values[0].lists[2].n_items, 0);
	assert_int_equal(t->values[1].kind, TOML_OTHER);
	assert_int_equal(t->values[2].kind, TOML_STRINGS);
	toml_file_free(t);
}

static void hosts_dir_is_absolute_or_none(void **state)
{
	struct config c = { .root = NULL };
	struct err err;

	(void)state;
	assert_int_equal(LOAD(&c, &err, "--root=/a", "--listen=unix:///x"), OK);
	assert_string_equal(c.hosts_dir, "/etc/imaged/certs.d");
	config_free(&c);
	assert_int_equal(LOAD(&c, &err, "--root=/a", "--listen=unix:///x", "--hosts-dir="), OK);
	assert_string_equal(c.hosts_dir, "");
	config_free(&c);
	assert_int_equal(LOAD(&c, &err, "--root=/a", "--listen=unix:///x", "--hosts-dir=x"), E_INVALID);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(file_gives_every_key_and_flags_win),
		cmocka_unit_test(unknown_key_is_an_error_with_line_and_column),
		cmocka_unit_test(unknown_table_is_an_error),
		cmocka_unit_test(syntax_error_names_the_place),
		cmocka_unit_test(wrong_type_is_an_error),
		cmocka_unit_test(limits_of_what_builds_keep),
		cmocka_unit_test(named_file_must_exist),
		cmocka_unit_test(bad_flags_are_usage_errors),
		cmocka_unit_test(values_are_checked),
		cmocka_unit_test(switches_are_words_in_the_file_and_need_none_as_flags),
		cmocka_unit_test(toml_values_come_in_file_order),
		cmocka_unit_test(toml_lists_hold_lists_and_strings),
		cmocka_unit_test(hosts_dir_is_absolute_or_none),
	};

	return cmocka_run_group_tests(tests, make_file, remove_file);
}
