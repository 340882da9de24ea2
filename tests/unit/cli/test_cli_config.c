/* config.json and credential helpers. */
#include <sys/stat.h>

#include "cli_test.h"

#include "client/cli/credential_helper.h"
#include "client/cli/docker_config.h"
#include "proto/runtime/base64.h"
#include "tests/unit/types/unit.h"

static char directory[64], path[96];

static void write_file(const char *name, const char *text, mode_t mode)
{
	FILE *f = fopen(name, "we");

	assert_non_null(f);
	assert_true(fputs(text, f) >= 0);
	assert_int_equal(fclose(f), 0);
	assert_int_equal(chmod(name, mode), 0);
}

static char *read_file(const char *name)
{
	FILE *f = fopen(name, "re");
	char *text = NULL;
	size_t len = 0;

	if (!f)
		return NULL;
	if (getdelim(&text, &len, 0, f) < 0)
		text[0] = 0;
	fclose(f);
	return text;
}

static struct docker_config *load(const char *text, const char *warning)
{
	CLEANUP(freep) char *said = NULL;
	struct docker_config *c;

	if (text)
		write_file(path, text, 0600);
	else
		unlink(path);
	c = docker_config_load(directory, &said);
	assert_non_null(c);
	if (warning)
		assert_non_null(strstr(said ? said : "", warning));
	else
		assert_null(said);
	return c;
}

static void unload(struct docker_config **c)
{
	docker_config_free(*c);
}

static void expect_login(struct docker_config *c, const char *server, const char *username, const char *password,
			 const char *token)
{
	CLEANUP(login_wipe) struct login l = { 0 };
	struct err err = ERR_INIT;

	assert_int_equal(docker_config_get(c, server, &l, &err), OK);
	assert_string_equal(l.username, username);
	assert_string_equal(l.password, password);
	assert_string_equal(l.identity_token, token);
}

static void base64_goes_both_ways(UNUSED void **state)
{
	static const struct {
		const char *plain, *encoded;
	} cases[] = {
		{ "", "" }, { "a", "YQ==" }, { "ab", "YWI=" }, { "abc", "YWJj" }, { "alice:s3cret", "YWxpY2U6czNjcmV0" }
	};
	CLEANUP(buf_free) struct buf unused = BUF_INIT(64);

	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		CLEANUP(buf_free) struct buf encoded = BUF_INIT(64);
		CLEANUP(buf_free) struct buf plain = BUF_INIT(64);

		base64_encode(&encoded, cases[i].plain, strlen(cases[i].plain));
		assert_string_equal(buf_text(&encoded), cases[i].encoded);
		assert_true(base64_decode(&plain, cases[i].encoded));
		assert_string_equal(buf_text(&plain), cases[i].plain);
	}
	assert_false(base64_decode(&unused, "!!"));
	assert_false(base64_decode(&unused, "YQ=x"));
	assert_false(base64_decode(&unused, "Y"));
}

static void config_without_a_file_is_empty(UNUSED void **state)
{
	CLEANUP(unload) struct docker_config *c = load(NULL, NULL);

	expect_login(c, "host", "", "", "");
	assert_null(docker_config_string(c, "imagesFormat"));
}

static void config_finds_credentials_under_old_and_new_keys(UNUSED void **state)
{
	CLEANUP(unload)
	struct docker_config *c = load(
		"{\"auths\":{\"a:1\":{\"auth\":\"YWxpY2U6czNjcmV0\"},\"https://b:2/v1/\":{\"auth\":\"YTpiOmM=\"},"
		"\"t\":{\"auth\":\"dTo=\",\"identitytoken\":\"tok\"}}}",
		NULL);

	expect_login(c, "a:1", "alice", "s3cret", "");
	expect_login(c, "b:2", "a", "b:c", ""); /* passwords may hold colons */
	expect_login(c, "t", "u", "", "tok");
	expect_login(c, "none", "", "", "");
}

static void config_names_what_is_damaged_and_never_overwrites_it(UNUSED void **state)
{
	static const struct {
		const char *text, *warning;
	} cases[] = {
		{ "{", "unexpected EOF" },
		{ "[]", "not a JSON object" },
		{ "{\"auths\":5}", "auths is not a JSON object" },
		{ "{\"auths\":{\"h\":{\"auth\":\"!!\"}}}", "Invalid auth configuration file" },
		{ "{\"auths\":{\"h\":{\"auth\":\"YQ==\"}}}", "Invalid auth configuration file" },
		{ "nonsense", "line 1" },
	};
	const struct login l = { (char *)"u", (char *)"p", (char *)"", NULL };

	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		CLEANUP(unload) struct docker_config *c = load(cases[i].text, cases[i].warning);
		CLEANUP(freep) char *after = NULL;
		struct err err = ERR_INIT;
		bool plain;

		assert_true(docker_config_store(c, "h", &l, &plain, &err) < 0);
		assert_non_null(strstr(err.text, path));
		after = read_file(path);
		assert_string_equal(after, cases[i].text);
	}
}

static void config_ignores_an_empty_file_and_what_follows_the_object(UNUSED void **state)
{
	CLEANUP(unload) UNUSED struct docker_config *empty = load("", NULL);
	CLEANUP(unload) struct docker_config *more = load("{\"imagesFormat\":\"x\"} junk", NULL);

	assert_string_equal(docker_config_string(more, "imagesFormat"), "x");
}

static void config_stores_as_docker_does(UNUSED void **state)
{
	CLEANUP(unload) struct docker_config *c = load(NULL, NULL);
	const struct login l = { (char *)"alice", (char *)"s3cret", (char *)"", NULL };
	CLEANUP(freep) char *text = NULL;
	bool plain = false;
	struct stat st;

	assert_int_equal(docker_config_store(c, "127.0.0.1:5556", &l, &plain, NULL), OK);
	assert_true(plain);
	text = read_file(path);
	assert_string_equal(text, "{\n\t\"auths\": {\n\t\t\"127.0.0.1:5556\": {\n\t\t\t\"auth\": "
				  "\"YWxpY2U6czNjcmV0\"\n\t\t}\n\t}\n}");
	assert_int_equal(stat(path, &st), 0);
	assert_int_equal(st.st_mode & 0777, 0600);
	/* The same again changes nothing and warns of nothing. */
	assert_int_equal(docker_config_store(c, "127.0.0.1:5556", &l, &plain, NULL), OK);
	assert_false(plain);
}

static void config_is_written_in_dockers_order_with_keys_that_it_does_not_know(UNUSED void **state)
{
	CLEANUP(unload)
	struct docker_config *c = load(
		"{\"own\":{\"a\":{\"n\":1,\"f\":1.5,\"l\":[true,null]}},\"HttpHeaders\":{\"X\":\"y\"},\"auths\":{"
		"\"z\":{\"auth\":\"YTpi\"}}}",
		NULL);
	const struct login l = { (char *)"u", (char *)"p", (char *)"", NULL };
	CLEANUP(freep) char *text = NULL;
	bool plain;

	assert_int_equal(docker_config_store(c, "b", &l, &plain, NULL), OK);
	text = read_file(path);
	assert_string_equal(text, "{\n\t\"auths\": {\n\t\t\"b\": {\n\t\t\t\"auth\": \"dTpw\"\n\t\t},\n"
				  "\t\t\"z\": {\n\t\t\t\"auth\": \"YTpi\"\n\t\t}\n\t},\n"
				  "\t\"HttpHeaders\": {\n\t\t\"X\": \"y\"\n\t},\n\t\"own\": {\n\t\t\"a\": {\n"
				  "\t\t\t\"n\": 1,\n\t\t\t\"f\": 1.5,\n\t\t\t\"l\": [\n\t\t\t\ttrue,\n\t\t\t\tnull\n"
				  "\t\t\t]\n\t\t}\n\t}\n}");
}

static void config_forgets(UNUSED void **state)
{
	CLEANUP(unload)
	struct docker_config *c = load("{\"auths\":{\"a\":{\"auth\":\"YTpi\"},\"b\":{\"auth\":\"YTpi\"}}}", NULL);
	CLEANUP(freep) char *text = NULL;

	assert_int_equal(docker_config_erase(c, "a", NULL), OK);
	assert_int_equal(docker_config_erase(c, "nothing", NULL), OK);
	text = read_file(path);
	assert_string_equal(text, "{\n\t\"auths\": {\n\t\t\"b\": {\n\t\t\t\"auth\": \"YTpi\"\n\t\t}\n\t}\n}");
}

static void config_follows_a_link_and_leaves_it(UNUSED void **state)
{
	CLEANUP(unload) struct docker_config *c = NULL;
	const struct login l = { (char *)"u", (char *)"p", (char *)"", NULL };
	char target[96];
	struct stat st;
	bool plain;

	snprintf(target, sizeof target, "%s/real.json", directory);
	unlink(path);
	write_file(target, "{}", 0600);
	assert_int_equal(symlink(target, path), 0);
	c = load(NULL, NULL);
	assert_int_equal(symlink(target, path), 0); /* load(NULL) has removed it */
	assert_int_equal(docker_config_store(c, "h", &l, &plain, NULL), OK);
	assert_int_equal(lstat(path, &st), 0);
	assert_true(S_ISLNK(st.st_mode));
	unlink(path);
	unlink(target);
}

static void config_knows_keys_of_registries(UNUSED void **state)
{
	CLEANUP(freep) char *host = docker_config_host("http://127.0.0.1:5556/v2/");

	assert_string_equal(host, "127.0.0.1:5556");
	assert_string_equal(docker_config_key("docker.io"), HUB_SERVER);
	assert_string_equal(docker_config_key("r:5000"), "r:5000");
}

static void expect_for(struct docker_config *c, const char *registry, const char *name, const char *username)
{
	CLEANUP(login_wipe) struct login l = { 0 };

	assert_int_equal(docker_config_get_for(c, registry, name, &l, NULL), OK);
	assert_string_equal(l.username, username);
}

static void config_reads_the_key_of_a_registry_in_all_its_forms(UNUSED void **state)
{
	static const struct {
		const char *key, *server;
		bool found;
	} cases[] = {
		{ "https://index.docker.io/v1/", HUB_SERVER, true },
		{ "docker.io", HUB_SERVER, true },
		{ "https://index.docker.io/v2/", HUB_SERVER, true },
		{ "index.docker.io", HUB_SERVER, true },
		{ "https://registry-1.docker.io", HUB_SERVER, true },
		{ "http://r.example:5000/v1/", "r.example:5000", true },
		{ "https://r.example:5000", "r.example:5000", true },
		{ "r.example/v2/", "r.example", true },
		{ "R.Example", "r.example", true },
		{ "r.example", "r.example:443", true },
		{ "https://r.example:443/", "r.example", true },
		{ "http://r.example:80", "r.example", true },
		{ "r.example:80", "r.example", false },
		{ "r.example:5000", "r.example", false },
		{ "r.example", "r.example:5000", false },
		{ "r.example.evil", "r.example", false },
		/* a part of a registry does not open the whole */
		{ "r.example/team", "r.example", false },
		{ "https://r.example/v1/team", "r.example", false },
		{ "docker.io/library", HUB_SERVER, false },
	};

	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		CLEANUP(freep) char *text = format("{\"auths\":{\"%s\":{\"auth\":\"YTpi\"}}}", cases[i].key);
		CLEANUP(unload) struct docker_config *c = load(text, NULL);

		expect_login(c, cases[i].server, cases[i].found ? "a" : "", cases[i].found ? "b" : "", "");
	}
}

static void longest_key_of_a_repository_counts(UNUSED void **state)
{
	CLEANUP(unload)
	struct docker_config *c = load("{\"auths\":{"
				       "\"r.example:5\":{\"username\":\"whole\",\"password\":\"p\"},"
				       "\"r.example:5/team\":{\"username\":\"team\",\"password\":\"p\"},"
				       "\"r.example:5/team/app\":{\"username\":\"app\",\"password\":\"p\"},"
				       "\"docker.io/me\":{\"username\":\"me\",\"password\":\"p\"},"
				       "\"https://index.docker.io/v1/\":{\"username\":\"hub\",\"password\":\"p\"}}}",
				       NULL);

	expect_for(c, "r.example:5", "team/app", "app");
	expect_for(c, "r.example:5", "team/app/more", "app");
	expect_for(c, "r.example:5", "team/apple", "team");
	expect_for(c, "r.example:5", "teams", "whole");
	expect_for(c, "r.example", "team/app", "");
	expect_for(c, "docker.io", "me/x", "me");
	expect_for(c, "docker.io", "library/busybox", "hub");
	expect_login(c, "r.example:5", "whole", "p", "");
}

static void registry_token_is_read(UNUSED void **state)
{
	CLEANUP(unload)
	struct docker_config *c = load("{\"auths\":{\"h\":{\"registrytoken\":\"ready\"}}}", NULL);
	CLEANUP(login_wipe) struct login l = { 0 };

	assert_int_equal(docker_config_get(c, "h", &l, NULL), OK);
	assert_string_equal(l.registry_token, "ready");
	assert_true(login_is_set(&l));
}

static void auth_file_takes_the_place_of_the_config_for_credentials(UNUSED void **state)
{
	CLEANUP(unload) struct docker_config *c = NULL;
	const struct login l = { (char *)"u", (char *)"p", (char *)"", NULL };
	CLEANUP(freep) char *before = NULL;
	CLEANUP(freep) char *after = NULL;
	CLEANUP(freep) char *stored = NULL;
	char other[96];
	bool plain;

	snprintf(other, sizeof other, "%s/auth.json", directory);
	write_file(other, "{\"auths\":{\"h\":{\"auth\":\"YTpi\"}}}", 0600);
	setenv("REGISTRY_AUTH_FILE", other, 1);
	c = load("{\"imagesFormat\":\"x\",\"credsStore\":\"absent\",\"auths\":{\"only\":{\"auth\":\"YTpi\"}}}", NULL);
	unsetenv("REGISTRY_AUTH_FILE");
	before = read_file(path);
	expect_login(c, "h", "a", "b", "");
	expect_login(c, "only", "", "", "");
	assert_string_equal(docker_config_string(c, "imagesFormat"), "x");
	assert_string_equal(docker_config_path(c), other);
	assert_int_equal(docker_config_store(c, "new", &l, &plain, NULL), OK);
	assert_int_equal(docker_config_erase(c, "h", NULL), OK);
	after = read_file(path);
	assert_string_equal(after, before);
	stored = read_file(other);
	assert_non_null(strstr(stored, "\"new\""));
	assert_null(strstr(stored, "\"h\""));
	unlink(other);
}

static void recorded_keys_of_another_client_are_found(UNUSED void **state)
{
	json_t *root = shared_json("cases/registry/auth-challenge/moby_auth_test.json");
	json_t *keys = json_array_get(json_object_get(root, "TestResolveAuthConfigFullURL"), 1);
	json_t *list, *key;
	const char *host;
	size_t i;

	if (!root)
		skip();
	json_object_foreach(keys, host, list) json_array_foreach(list, i, key)
	{
		CLEANUP(freep)
		char *text = format("{\"auths\":{\"%s\":{\"auth\":\"YTpi\"}}}", json_string_value(key));
		CLEANUP(unload) struct docker_config *c = load(text, NULL);

		expect_login(c, host, "a", "b", "");
	}
	json_decref(root);
}

/* As after sudo imagectl login. */
static void file_stays_whose_it_was(UNUSED void **state)
{
	const struct login l = { (char *)"u", (char *)"p", (char *)"", NULL };
	CLEANUP(unload) struct docker_config *c = load("{}", NULL);
	uid_t owner = geteuid() ? geteuid() : 12345;
	bool plain = false;
	struct stat st;

	assert_int_equal(chown(path, owner, (gid_t)-1), 0);
	assert_int_equal(chmod(path, 0640), 0);
	assert_int_equal(docker_config_store(c, "h", &l, &plain, NULL), OK);
	assert_true(plain);
	assert_int_equal(stat(path, &st), 0);
	assert_int_equal(st.st_uid, owner);
	assert_int_equal(st.st_mode & 0777, 0640);
}

/* ---- helpers -------------------------------------------------------------- */

static void make_helper(const char *name, const char *script)
{
	char file[128];

	snprintf(file, sizeof file, "%s/docker-credential-%s", directory, name);
	write_file(file, script, 0700);
}

static void helper_gives_and_takes_credentials(UNUSED void **state)
{
	CLEANUP(unload) struct docker_config *c = NULL;
	const struct login l = { (char *)"u", (char *)"geheim", (char *)"", NULL };
	CLEANUP(freep) char *stored = NULL;
	CLEANUP(freep) char *text = NULL;
	char log[96];
	bool plain = true;

	snprintf(log, sizeof log, "%s/log", directory);
	setenv("HELPER_LOG", log, 1);
	make_helper("good", "#!/bin/sh\nread x\ncase $1 in\nget) echo '{\"ServerURL\":\"'$x'\",\"Username\":\"bob\","
			    "\"Secret\":\"pw\"}';;\nstore|erase) echo \"$1 $x\" >>$HELPER_LOG;;\nesac\n");
	c = load("{\"credHelpers\":{\"h\":\"good\"},\"auths\":{\"h\":{\"auth\":\"YTpi\"}}}", NULL);
	expect_login(c, "h", "bob", "pw", "");
	assert_int_equal(docker_config_store(c, "h", &l, &plain, NULL), OK);
	assert_false(plain);
	assert_int_equal(docker_config_erase(c, "h", NULL), OK);
	stored = read_file(log);
	assert_string_equal(stored, "store {\"ServerURL\":\"h\",\"Username\":\"u\",\"Secret\":\"geheim\"}\nerase h\n");
	text = read_file(path);
	assert_null(strstr(text, "geheim"));
}

static void helper_that_fails_is_named(UNUSED void **state)
{
	static const struct {
		const char *script, *says;
	} cases[] = {
		{ "#!/bin/sh\necho broken; exit 1\n", "docker-credential-bad get failed: broken" },
		{ "#!/bin/sh\necho '{}'\n", "no credentials" },
		{ "#!/bin/sh\nkill -9 $$\n", "docker-credential-bad get failed" },
		{ "#!/bin/sh\nexec head -c 100000 /dev/zero\n", "answers more than 65536 bytes" },
	};

	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		CLEANUP(unload) struct docker_config *c = load("{\"credsStore\":\"bad\"}", NULL);
		CLEANUP(login_wipe) struct login l = { 0 };
		struct err err = ERR_INIT;

		make_helper("bad", cases[i].script);
		assert_true(docker_config_get(c, "h", &l, &err) < 0);
		assert_non_null(strstr(err.text, cases[i].says));
	}
}

static void helper_that_does_not_end_is_ended(UNUSED void **state)
{
	static const char *const scripts[] = {
		"#!/bin/sh\necho '{\"Username\":\"u\",\"Secret\":\"s\"}'\nexec >&-\nexec sleep 20\n",
		"#!/bin/sh\nexec sleep 20\n",
	};

	credential_helper_timeout_ms = 1000;
	for (size_t i = 0; i < ARRAY_LEN(scripts); i++) {
		CLEANUP(unload) struct docker_config *c = load("{\"credsStore\":\"slow\"}", NULL);
		CLEANUP(login_wipe) struct login l = { 0 };
		struct err err = ERR_INIT;

		make_helper("slow", scripts[i]);
		assert_int_equal(docker_config_get(c, "h", &l, &err), E_DEADLINE);
		assert_non_null(strstr(err.text, "docker-credential-slow gave no answer within 1 seconds"));
	}
	credential_helper_timeout_ms = HELPER_TIMEOUT_MS;
}

static void helper_of_a_repository_is_asked_for_its_key(UNUSED void **state)
{
	CLEANUP(unload) struct docker_config *c = NULL;

	make_helper("good", "#!/bin/sh\nread x\necho '{\"Username\":\"'$x'\",\"Secret\":\"pw\"}'\n");
	c = load("{\"credHelpers\":{\"h/team\":\"good\",\"docker.io\":\"good\"},\"auths\":{\"i/own\":{}}}", NULL);
	expect_for(c, "h", "team/a", "h/team");
	expect_for(c, "h", "other", "");
	expect_for(c, "docker.io", "library/a", HUB_SERVER);
	docker_config_free(c);
	c = load("{\"credsStore\":\"good\",\"auths\":{\"i/own\":{}}}", NULL);
	expect_for(c, "i", "own/a", "i/own");
	expect_for(c, "i", "a", "i");
}

static void helper_without_credentials_or_program(UNUSED void **state)
{
	static const char *const bad_names[] = { "../evil", "a b", "a;b", "a.b", "-\u00e4", "$x" };
	CLEANUP(unload) struct docker_config *c = load("{\"credsStore\":\"none\"}", NULL);
	CLEANUP(login_wipe) struct login l = { 0 };
	struct err err = ERR_INIT;

	make_helper("none", "#!/bin/sh\necho 'credentials not found in native keychain'; exit 1\n");
	expect_login(c, "h", "", "", "");
	docker_config_free(c);
	c = load("{\"credsStore\":\"absent\"}", NULL);
	assert_true(docker_config_get(c, "h", &l, &err) < 0);
	assert_non_null(strstr(err.text, "docker-credential-absent"));
	for (size_t i = 0; i < ARRAY_LEN(bad_names); i++) {
		CLEANUP(freep) char *text = format("{\"credsStore\":\"%s\"}", bad_names[i]);

		docker_config_free(c);
		c = load(text, NULL);
		assert_int_equal(docker_config_get(c, "h", &l, &err), E_INVALID);
	}
}

static int set_up(UNUSED void **state)
{
	CLEANUP(freep) char *new_path = NULL;

	snprintf(directory, sizeof directory, "/tmp/cli-config.XXXXXX");
	if (!mkdtemp(directory))
		return -1;
	snprintf(path, sizeof path, "%s/config.json", directory);
	new_path = format("%s:%s", directory, getenv("PATH"));
	return setenv("PATH", new_path, 1);
}

static int tear_down(UNUSED void **state)
{
	static const char *const names[] = { "config.json",
					     "log",
					     "docker-credential-good",
					     "docker-credential-bad",
					     "docker-credential-none",
					     "docker-credential-slow" };

	for (size_t i = 0; i < ARRAY_LEN(names); i++) {
		char file[128];

		snprintf(file, sizeof file, "%s/%s", directory, names[i]);
		unlink(file);
	}
	return rmdir(directory);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(base64_goes_both_ways),
		cmocka_unit_test(config_without_a_file_is_empty),
		cmocka_unit_test(config_finds_credentials_under_old_and_new_keys),
		cmocka_unit_test(config_names_what_is_damaged_and_never_overwrites_it),
		cmocka_unit_test(config_ignores_an_empty_file_and_what_follows_the_object),
		cmocka_unit_test(config_stores_as_docker_does),
		cmocka_unit_test(config_is_written_in_dockers_order_with_keys_that_it_does_not_know),
		cmocka_unit_test(config_forgets),
		cmocka_unit_test(config_follows_a_link_and_leaves_it),
		cmocka_unit_test(config_knows_keys_of_registries),
		cmocka_unit_test(config_reads_the_key_of_a_registry_in_all_its_forms),
		cmocka_unit_test(longest_key_of_a_repository_counts),
		cmocka_unit_test(registry_token_is_read),
		cmocka_unit_test(auth_file_takes_the_place_of_the_config_for_credentials),
		cmocka_unit_test(recorded_keys_of_another_client_are_found),
		cmocka_unit_test(helper_of_a_repository_is_asked_for_its_key),
		cmocka_unit_test(helper_gives_and_takes_credentials),
		cmocka_unit_test(helper_that_fails_is_named),
		cmocka_unit_test(helper_that_does_not_end_is_ended),
		cmocka_unit_test(helper_without_credentials_or_program),
		cmocka_unit_test(file_stays_whose_it_was),
	};

	return cmocka_run_group_tests(tests, set_up, tear_down);
}
