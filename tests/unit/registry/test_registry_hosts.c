/* Who is asked for a registry's images: schemes, hosts.toml, folders, mirrors. */
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>

#include "service/registry/endpoint.h"
#include "service/registry/host_plan.h"
#include "tests/unit/registry/rig.h"

/* ---- schemes --------------------------------------------------------------- */

/* The rule of registry-cri.md 1.3. */
static void http_is_used_by_the_rule_alone(void **state)
{
	static const struct {
		struct scheme_case c;
		bool https, fallback;
	} rows[] = {
		{ { "localhost:8080", SCHEME_HTTP, true, false }, true, true },
		{ { "localhost:8080", SCHEME_HTTPS, true, false }, true, false },
		{ { "localhost:8080", SCHEME_UNSAID, false, false }, true, true },
		{ { "localhost:80", SCHEME_UNSAID, false, false }, false, false },
		{ { "localhost:443", SCHEME_UNSAID, false, false }, true, false },
		{ { "localhost:80", SCHEME_HTTP, true, false }, false, false },
		{ { "localhost", SCHEME_HTTP, true, false }, true, true },
		{ { "localhost", SCHEME_HTTPS, true, false }, true, false },
		{ { "localhost", SCHEME_UNSAID, false, false }, true, false },
		{ { "localhost:5000", SCHEME_UNSAID, false, false }, true, true },
		{ { "example.com", SCHEME_UNSAID, false, false }, true, false },
		{ { "example.com", SCHEME_HTTP, true, false }, true, true },
		{ { "example.com:5000", SCHEME_HTTP, true, false }, true, true },
		{ { "example.com:5000", SCHEME_UNSAID, false, false }, true, false },
		{ { "example2.com", SCHEME_HTTP, false, false }, false, false },
		{ { "127.0.0.254:5000", SCHEME_UNSAID, false, false }, true, true },
		{ { "127.0.0.254", SCHEME_UNSAID, false, false }, true, false },
		{ { "[::1]:5000", SCHEME_UNSAID, false, false }, true, true },
		{ { "::1", SCHEME_UNSAID, false, false }, true, false },
		/* ours: the list of insecure registries */
		{ { "example.com", SCHEME_UNSAID, false, true }, true, true },
		{ { "example.com:80", SCHEME_UNSAID, false, true }, false, false },
		{ { "example.com", SCHEME_HTTPS, false, true }, true, false },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		struct scheme_rule rule = scheme_rule_of(&rows[i].c);

		if (rule.https != rows[i].https || rule.fallback != rows[i].fallback)
			failed("row %zu, %s: https %d, fallback %d", i, rows[i].c.authority, rule.https, rule.fallback);
		assert_int_equal(*rule.why != 0, !rule.https || rule.fallback);
	}
}

/* ---- hosts.toml ------------------------------------------------------------ */

static int parse(const char *text, struct host_list *ret_list, struct err *err)
{
	return hosts_file_parse("/etc/h/hosts.toml", text, strlen(text), ret_list, err);
}

static const char whole_file[] = "server = \"https://default.example\"\n"
				 "ca = \"/etc/path/default\"\n"
				 "[header]\n"
				 "  x-one = \"a header\"\n"
				 "[host.\"https://one.example\"]\n"
				 "  capabilities = [\"pull\"]\n"
				 "  ca = \"mirror.pem\"\n"
				 "  skip_verify = false\n"
				 "  [host.\"https://one.example\".header]\n"
				 "    x-two = [\"value1\", \"value2\"]\n"
				 "[host.\"https://two.example/us/\"]\n"
				 "  skip_verify = true\n"
				 "[host.\"http://one.example\"]\n"
				 "[host.\"three.example:5000\"]\n"
				 "  capabilities = [\"Pull\", \"resolve\", \"push\", \"referrers\"]\n"
				 "  ca = [\"/a.pem\", \"b.pem\"]\n"
				 "  client = [[\"/c.cert\", \"/c.key\"], [\"d.pem\", \"\"]]\n"
				 "[host.\"https://four.example/v2/proxy\"]\n"
				 "  override_path = true\n"
				 "  client = [\"e.pem\", \"f.pem\"]\n"
				 "  dial_timeout = \"1m0.5s\"\n"
				 "[host.\"https://five.example\"]\n"
				 "  override_path = true\n"
				 "  client = \"g.pem\"\n";

static void assert_host(const struct host_config *c, const char *authority, const char *path, enum scheme_said said,
			unsigned capabilities)
{
	assert_string_equal(c->authority, authority);
	assert_string_equal(c->path, path);
	assert_int_equal(c->said, said);
	assert_int_equal(c->capabilities, capabilities);
}

static void hosts_come_in_the_order_of_the_file(void **state)
{
	CLEANUP(host_list_free) struct host_list l = { 0 };
	struct err err = ERR_INIT;

	(void)state;
	assert_ok(parse(whole_file, &l, &err), &err);
	assert_int_equal(l.n, 7);
	assert_host(&l.hosts[0], "one.example", "/v2", SCHEME_HTTPS, 1 << HOST_PULL);
	assert_host(&l.hosts[1], "two.example", "/us/v2", SCHEME_HTTPS, HOST_CAN_ALL);
	assert_host(&l.hosts[2], "one.example", "/v2", SCHEME_HTTP, HOST_CAN_ALL);
	assert_host(&l.hosts[3], "three.example:5000", "/v2", SCHEME_HTTPS, HOST_CAN_ALL);
	assert_host(&l.hosts[4], "four.example", "/v2/proxy", SCHEME_HTTPS, HOST_CAN_ALL);
	assert_host(&l.hosts[5], "five.example", "", SCHEME_HTTPS, HOST_CAN_ALL);
	assert_host(&l.hosts[6], "default.example", "/v2", SCHEME_HTTPS, HOST_CAN_ALL);
	assert_int_equal(l.n_notes, 0);
}

static void files_of_tls_are_seen_from_the_folder(void **state)
{
	CLEANUP(host_list_free) struct host_list l = { 0 };
	struct err err = ERR_INIT;

	(void)state;
	assert_ok(parse(whole_file, &l, &err), &err);
	assert_int_equal(l.hosts[0].verify, VERIFY);
	assert_int_equal(l.hosts[1].verify, VERIFY_NOT);
	assert_int_equal(l.hosts[2].verify, VERIFY_UNSAID);
	assert_string_equal(l.hosts[0].ca_files[0], "/etc/h/mirror.pem");
	assert_int_equal(l.hosts[3].n_ca_files, 2);
	assert_string_equal(l.hosts[3].ca_files[0], "/a.pem");
	assert_string_equal(l.hosts[3].ca_files[1], "/etc/h/b.pem");
	assert_int_equal(l.hosts[3].n_clients, 2);
	assert_string_equal(l.hosts[3].clients[0].cert_file, "/c.cert");
	assert_string_equal(l.hosts[3].clients[0].key_file, "/c.key");
	assert_string_equal(l.hosts[3].clients[1].cert_file, "/etc/h/d.pem");
	assert_null(l.hosts[3].clients[1].key_file);
	assert_int_equal(l.hosts[4].n_clients, 2);
	assert_string_equal(l.hosts[4].clients[1].cert_file, "/etc/h/f.pem");
	assert_string_equal(l.hosts[5].clients[0].cert_file, "/etc/h/g.pem");
	assert_string_equal(l.hosts[6].ca_files[0], "/etc/path/default");
}

static void headers_and_patience_belong_to_one_host(void **state)
{
	CLEANUP(host_list_free) struct host_list l = { 0 };
	struct err err = ERR_INIT;

	(void)state;
	assert_ok(parse(whole_file, &l, &err), &err);
	assert_int_equal(l.hosts[0].n_headers, 2);
	assert_string_equal(l.hosts[0].headers[1].name, "x-two");
	assert_string_equal(l.hosts[0].headers[1].value, "value2");
	assert_int_equal(l.hosts[1].n_headers, 0);
	assert_string_equal(l.hosts[6].headers[0].value, "a header");
	assert_int_equal(l.hosts[4].dial_timeout_ms, 60500);
	assert_int_equal(l.hosts[0].dial_timeout_ms, 0);
}

static void a_host_counts_from_where_it_appears_first(void **state)
{
	CLEANUP(host_list_free) struct host_list l = { 0 };
	struct err err = ERR_INIT;

	(void)state;
	assert_ok(parse("[host.\"https://b.example\"]\n[host.\"https://a.example\"]\n"
			"[host.\"https://b.example\".header]\nx = \"1\"\n",
			&l, &err),
		  &err);
	assert_int_equal(l.n, 3);
	assert_string_equal(l.hosts[0].authority, "b.example");
	assert_string_equal(l.hosts[2].authority, "");
}

static void what_is_wrong_is_told_with_its_place(void **state)
{
	static const struct {
		const char *text, *said;
	} rows[] = {
		{ "server = ", "/etc/h/hosts.toml:1:" },
		{ "[:]", "/etc/h/hosts.toml:1:" },
		{ "\xc3\xa4 = 1", "/etc/h/hosts.toml:1:" },
		{ "server = 5", "/etc/h/hosts.toml:1:1: 'server' must be a string" },
		{ "\ncapabilities = [\"pul\"]", "/etc/h/hosts.toml:2:1: unknown capability 'pul'" },
		{ "capabilities = \"pull\"", "/etc/h/hosts.toml:1:1: 'capabilities' must be an array of strings" },
		{ "ca = true", "/etc/h/hosts.toml:1:1: 'ca' must be" },
		{ "client = [[\"a\", \"b\", \"c\"]]", "/etc/h/hosts.toml:1:1: 'client': a pair" },
		{ "client = [[]]", "/etc/h/hosts.toml:1:1: 'client': a pair" },
		{ "client = [1]", "/etc/h/hosts.toml:1:1: 'client' must be" },
		{ "skip_verify = \"no\"", "/etc/h/hosts.toml:1:1: 'skip_verify' must be true or false" },
		{ "override_path = 1", "/etc/h/hosts.toml:1:1: 'override_path' must be true or false" },
		{ "dial_timeout = \"3\"", "/etc/h/hosts.toml:1:1: 'dial_timeout' must be a duration" },
		{ "dial_timeout = \"-3s\"", "/etc/h/hosts.toml:1:1: 'dial_timeout' must be a duration" },
		{ "header = \"x\"", "/etc/h/hosts.toml:1:1: 'header' must be a table" },
		{ "[header]\nx = 1", "/etc/h/hosts.toml:2:1: the header 'x' must be" },
		{ "[header]\n\"x y\" = \"1\"", "/etc/h/hosts.toml:2:1: a header that no server takes" },
		{ "[header]\nx = \"1\\r\\ny: 2\"", "/etc/h/hosts.toml:2:1: a header that no server takes" },
		{ "[header]\nRange = \"bytes=0-1\"", "/etc/h/hosts.toml:2:1: the header 'Range' cannot be set" },
		{ "host = 1", "/etc/h/hosts.toml:1:1: 'host' must be a table of tables" },
		{ "[host]\na = 1", "/etc/h/hosts.toml:2:1: 'host' must be a table of tables" },
		{ "[host.\"ftp://a\"]", "/etc/h/hosts.toml:1:7: the host \"ftp://a\": " },
		{ "[host.\"https://u:p@a\"]",
		  "/etc/h/hosts.toml:1:7: the host \"https://a\": invalid URL \"https://a\": " },
		{ "[host.\"https://a?x=1\"]", "/etc/h/hosts.toml:1:7: the host \"https://a\": a query" },
		{ "[host.\"https://a\"]\nserver = \"b\"", "/etc/h/hosts.toml:2:1: 'server' belongs to the top" },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		struct host_list l = { 0 };
		struct err err = ERR_INIT;

		assert_fails(parse(rows[i].text, &l, &err), &err, E_BAD_CONTENT, rows[i].said);
		assert_int_equal(l.n, 0);
	}
}

static void too_many_of_anything_is_refused(void **state)
{
	CLEANUP(buf_free) struct buf hosts = BUF_INIT(64 * 1024), headers = BUF_INIT(64 * 1024);
	struct host_list l = { 0 };
	struct err err = ERR_INIT;

	(void)state;
	for (int i = 0; i < HOSTS_MAX; i++)
		buf_printf(&hosts, "[host.\"https://h%d\"]\n", i);
	assert_int_equal(parse(buf_text(&hosts), &l, &err), E_BAD_CONTENT);
	buf_puts(&headers, "[header]\n");
	for (int i = 0; i <= HOST_HEADERS_MAX; i++)
		buf_printf(&headers, "x%d = \"1\"\n", i);
	assert_int_equal(parse(buf_text(&headers), &l, &err), E_BAD_CONTENT);
}

/* In a buffer: a test that is skipped does not come back to free anything. */
static char *read_recorded(const char *number)
{
	char name[256];

	snprintf(name, sizeof name, "cases/registry/hosts-toml/doc-%s.hosts.toml", number);
	return shared_read(name);
}

/* Fragments of containerd's manual. */
static void samples_of_the_manual_are_read(void **state)
{
	static const char *const names[] = { "01", "04", "05", "13", "14", "15", "16", "17" };
	static const size_t hosts[] = { 1, 1, 1, 1, 1, 1, 8, 3 };

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(names); i++) {
		CLEANUP(freep) char *text = read_recorded(names[i]);
		CLEANUP(host_list_free) struct host_list l = { 0 };
		struct err err = ERR_INIT;

		if (!text)
			skip();
		assert_ok(parse(text, &l, &err), &err);
		assert_int_equal(l.n, hosts[i]);
	}
}

/* ---- folders --------------------------------------------------------------- */

static char root[64];

static void put(const char *name, const char *text)
{
	CLEANUP(freep) char *path = format("%s/%s", root, name);
	CLEANUP(closep) int fd = -1;

	for (char *slash = strchr(path + strlen(root) + 1, '/'); slash; slash = strchr(slash + 1, '/')) {
		*slash = 0;
		mkdir(path, 0700);
		*slash = '/';
	}
	fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	assert_true(fd >= 0);
	assert_int_equal(write(fd, text, strlen(text)), strlen(text));
}

static int make_root(void **state)
{
	(void)state;
	snprintf(root, sizeof root, "/tmp/hosts-test-XXXXXX");
	return mkdtemp(root) ? 0 : -1;
}

static int remove_root(void **state)
{
	(void)state;
	remove_folder(root);
	return 0;
}

/* The file that counts for a host, below the root; "" for none. */
static void assert_found(const char *host, const char *expected)
{
	CLEANUP(hosts_found_free) struct hosts_found f = { 0 };
	struct err err = ERR_INIT;

	assert_ok(hosts_dir_read(root, host, true, &f, &err), &err);
	assert_string_equal(f.file ? f.file + strlen(root) : "", expected);
}

static void folders_are_looked_for_in_order(void **state)
{
	(void)state;
	assert_found("a.example:5000", "");
	put("_default/hosts.toml", "server = \"https://d\"\n");
	assert_found("a.example:5000", "/_default/hosts.toml");
	put("a.example/hosts.toml", "server = \"https://d\"\n");
	assert_found("a.example:5000", "/_default/hosts.toml");
	assert_found("a.example", "/a.example/hosts.toml");
	put("a.example:5000/ca.crt", "x");
	assert_found("a.example:5000", "/a.example:5000");
	put("a.example_5000_/hosts.toml", "server = \"https://d\"\n");
	assert_found("a.example:5000", "/a.example_5000_/hosts.toml");
	put("[::1]_5000_/hosts.toml", "server = \"https://d\"\n");
	assert_found("[::1]:5000", "/[::1]_5000_/hosts.toml");
}

static void names_do_not_lead_out_of_the_folder(void **state)
{
	static const char *const names[] = { "..", ".", "../h", "a/../../h", "_default", ".hidden" };
	CLEANUP(freep) char *inner = format("%s/h", root);
	CLEANUP(hosts_found_free) struct hosts_found f = { 0 };
	struct err err = ERR_INIT;

	(void)state;
	put("hosts.toml", "broken");
	put("h/hosts.toml", "broken");
	put("h/.hidden/hosts.toml", "broken");
	put("h/_default/hosts.toml", "broken");
	for (size_t i = 0; i < ARRAY_LEN(names); i++) {
		assert_ok(hosts_dir_read(inner, names[i], false, &f, &err), &err);
		assert_null(f.file);
	}
}

static void certificate_folders_are_read_where_there_is_no_hosts_toml(void **state)
{
	CLEANUP(hosts_found_free) struct hosts_found f = { 0 };
	struct err err = ERR_INIT;

	(void)state;
	put("a.example/b.crt", "x");
	put("a.example/a.crt", "x");
	put("a.example/client.cert", "x");
	put("a.example/client.key", "x");
	put("a.example/hosts.toml", "");
	put("a.example/README", "x");
	assert_ok(hosts_dir_read(root, "a.example", true, &f, &err), &err);
	assert_false(f.is_toml);
	assert_int_equal(f.list.n, 1);
	assert_int_equal(f.list.hosts[0].n_ca_files, 2);
	assert_string_equal(strrchr(f.list.hosts[0].ca_files[0], '/'), "/a.crt");
	assert_int_equal(f.list.hosts[0].n_clients, 1);
	assert_string_equal(strrchr(f.list.hosts[0].clients[0].key_file, '/'), "/client.key");
}

static void half_of_a_pair_is_an_error(void **state)
{
	struct hosts_found f = { 0 };
	struct err err = ERR_INIT;

	(void)state;
	put("a.example/client.cert", "x");
	assert_fails(hosts_dir_read(root, "a.example", true, &f, &err), &err, E_BAD_CONTENT, root);
	assert_non_null(strstr(err.text, "client.key"));
	put("b.example/client.key", "x");
	assert_fails(hosts_dir_read(root, "b.example", true, &f, &err), &err, E_BAD_CONTENT, root);
	assert_non_null(strstr(err.text, "client.cert"));
}

static void what_cannot_be_read_is_not_taken_for_nothing(void **state)
{
	CLEANUP(freep) char *file = format("%s/a.example/hosts.toml", root);
	struct hosts_found f = { 0 };
	struct err err = ERR_INIT;

	(void)state;
	put("a.example/x", "");
	assert_int_equal(mkdir(file, 0700), 0);
	assert_fails(hosts_dir_read(root, "a.example", true, &f, &err), &err, E_BAD_CONTENT, file);
}

/* ---- plans ----------------------------------------------------------------- */

static void make_plan(const char *const *mirrors, size_t n, const char *domain, struct host_plan *ret_plan)
{
	struct host_policy policy = { 0 };
	struct err err = ERR_INIT;

	assert_ok(host_policy_init(&policy, root, mirrors, n, &err), &err);
	assert_ok(host_plan_make(&policy, domain, ret_plan, &err), &err);
	host_policy_free(&policy);
}

static void credentials_are_for_one_host_however_it_is_written(void **state)
{
	static const struct {
		const char *server, *authority;
		bool is_mirror, taken;
	} rows[] = {
		{ "", "r.example", false, true },
		{ NULL, "r.example", true, false },
		{ "r.example", "r.example", false, true },
		{ "https://R.example/v1/", "r.example", true, true },
		{ "r.example:443", "r.example", false, true },
		{ "r.example", "r.example:443", false, true },
		{ "r.example:5000", "r.example", false, false },
		{ "r.example:443", "r.example:5000", false, false },
		{ "other.example", "r.example", false, false },
		{ "https://index.docker.io/v1/", "registry-1.docker.io", false, true },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(rows); i++)
		if (endpoint_takes_credentials(rows[i].server, rows[i].authority, rows[i].is_mirror) != rows[i].taken)
			failed("row %zu: %s", i, rows[i].authority);
}

static void every_name_of_the_hub_is_docker_io(void **state)
{
	static const char *const names[] = { "docker.io", "index.docker.io", "https://index.docker.io/v1/",
					     "registry-1.docker.io" };

	(void)state;
	put("docker.io/hosts.toml", "[host.\"https://m.example\"]\n");
	for (size_t i = 0; i < ARRAY_LEN(names); i++) {
		CLEANUP(host_plan_free) struct host_plan p = { 0 };

		make_plan(NULL, 0, names[i], &p);
		assert_string_equal(p.namespace, "docker.io");
		assert_int_equal(p.list.n, 2);
		assert_true(host_plan_is_mirror(&p, 0));
		assert_false(host_plan_is_mirror(&p, 1));
		assert_string_equal(p.list.hosts[1].authority, "registry-1.docker.io");
	}
}

static void mirrors_of_the_flags_come_before_the_registry(void **state)
{
	static const char *const mirrors[] = { "https://one.example", "r.example:5000=http://two.example/x",
					       "https://three.example" };
	CLEANUP(host_plan_free) struct host_plan hub = { 0 }, other = { 0 }, none = { 0 };

	(void)state;
	make_plan(mirrors, 3, "docker.io", &hub);
	assert_int_equal(hub.list.n, 3);
	assert_host(&hub.list.hosts[0], "one.example", "/v2", SCHEME_HTTPS, 1 << HOST_PULL | 1 << HOST_RESOLVE);
	assert_string_equal(hub.list.hosts[1].authority, "three.example");
	make_plan(mirrors, 3, "r.example:5000", &other);
	assert_int_equal(other.list.n, 2);
	assert_host(&other.list.hosts[0], "two.example", "/x/v2", SCHEME_HTTP, 1 << HOST_PULL | 1 << HOST_RESOLVE);
	make_plan(mirrors, 3, "r.example", &none);
	assert_int_equal(none.list.n, 1);
}

static void files_say_more_than_flags_and_flags_more_than_the_default(void **state)
{
	static const char *const mirrors[] = { "https://flag.example" };
	CLEANUP(host_plan_free) struct host_plan by_default = { 0 }, by_file = { 0 };

	(void)state;
	put("_default/hosts.toml", "[host.\"https://default.example\"]\n");
	make_plan(mirrors, 1, "docker.io", &by_default);
	assert_string_equal(by_default.list.hosts[0].authority, "flag.example");
	put("docker.io/hosts.toml", "[host.\"https://file.example\"]\n");
	make_plan(mirrors, 1, "docker.io", &by_file);
	assert_int_equal(by_file.list.n, 2);
	assert_string_equal(by_file.list.hosts[0].authority, "file.example");
	assert_int_equal(by_file.list.n_notes, 1);
}

static void what_is_no_mirror_is_refused(void **state)
{
	static const char *const bad[] = { "m.example",		 "a/b=https://m.example", "=https://m.example",
					   "ftp://m.example",	 "https://u:p@m.example", "https://m.example/?x",
					   "docker.io=m.example" };

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
		struct host_policy policy = { 0 };
		struct err err = ERR_INIT;

		assert_fails(host_policy_init(&policy, NULL, &bad[i], 1, &err), &err, E_INVALID, "registry mirror");
		assert_null(strstr(err.text, "u:p"));
		host_policy_free(&policy);
	}
}

static void mirrors_have_a_limit(void **state)
{
	const char *mirrors[HOSTS_MAX];
	CLEANUP(host_plan_free) struct host_plan p = { 0 };
	struct host_policy policy = { 0 };
	struct err err = ERR_INIT;

	(void)state;
	for (size_t i = 0; i < HOSTS_MAX; i++)
		mirrors[i] = "https://m.example";
	assert_fails(host_policy_init(&policy, NULL, mirrors, HOSTS_MAX, &err), &err, E_INVALID, "registry mirrors");
	make_plan(mirrors, HOSTS_MAX - 1, "docker.io", &p);
	assert_int_equal(p.list.n, HOSTS_MAX);
}

/* ---- fingerprints ---------------------------------------------------------- */

static struct digest fingerprint_of(const char *toml)
{
	CLEANUP(host_list_free) struct host_list l = { 0 };
	struct err err = ERR_INIT;

	assert_ok(parse(toml, &l, &err), &err);
	assert_ok(host_config_load(&l.hosts[0], &err), &err);
	return l.hosts[0].fingerprint;
}

static void hosts_that_are_asked_differently_are_different_hosts(void **state)
{
	static const char *const others[] = { "skip_verify = true",   "skip_verify = false",  "dial_timeout = \"1s\"",
					      "override_path = true", "header = {a = \"1\"}", "header = {a = \"2\"}" };
	struct digest seen[ARRAY_LEN(others) + 1] = { fingerprint_of("[host.\"https://a\"]\n") };

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(others); i++) {
		CLEANUP(freep) char *text = format("[host.\"https://a\"]\n%s\n", others[i]);

		seen[i + 1] = fingerprint_of(text);
		for (size_t j = 0; j <= i; j++)
			assert_false(digest_eq(&seen[i + 1], &seen[j]));
	}
	seen[1] = fingerprint_of("[host.\"https://A/\"]\ncapabilities = [\"pull\"]\n");
	assert_true(digest_eq(&seen[0], &seen[1]));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(http_is_used_by_the_rule_alone),
		cmocka_unit_test(hosts_come_in_the_order_of_the_file),
		cmocka_unit_test(files_of_tls_are_seen_from_the_folder),
		cmocka_unit_test(headers_and_patience_belong_to_one_host),
		cmocka_unit_test(a_host_counts_from_where_it_appears_first),
		cmocka_unit_test(what_is_wrong_is_told_with_its_place),
		cmocka_unit_test(too_many_of_anything_is_refused),
		cmocka_unit_test(samples_of_the_manual_are_read),
		cmocka_unit_test_setup_teardown(folders_are_looked_for_in_order, make_root, remove_root),
		cmocka_unit_test_setup_teardown(names_do_not_lead_out_of_the_folder, make_root, remove_root),
		cmocka_unit_test_setup_teardown(certificate_folders_are_read_where_there_is_no_hosts_toml, make_root,
						remove_root),
		cmocka_unit_test_setup_teardown(half_of_a_pair_is_an_error, make_root, remove_root),
		cmocka_unit_test_setup_teardown(what_cannot_be_read_is_not_taken_for_nothing, make_root, remove_root),
		cmocka_unit_test(credentials_are_for_one_host_however_it_is_written),
		cmocka_unit_test_setup_teardown(every_name_of_the_hub_is_docker_io, make_root, remove_root),
		cmocka_unit_test_setup_teardown(mirrors_of_the_flags_come_before_the_registry, make_root, remove_root),
		cmocka_unit_test_setup_teardown(files_say_more_than_flags_and_flags_more_than_the_default, make_root,
						remove_root),
		cmocka_unit_test(what_is_no_mirror_is_refused),
		cmocka_unit_test_setup_teardown(mirrors_have_a_limit, make_root, remove_root),
		cmocka_unit_test(hosts_that_are_asked_differently_are_different_hosts),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
