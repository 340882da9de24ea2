/*
 * Memory that runs out (c-style.md A26): a whole conversation (registry, token,
 * manifest, blob, login) is repeated with the first, second, third … allocation of our
 * code failing, until none fails any more. It must fail with a code or work,
 * never say OK without a result, never leak or crash (the sanitizers look on).
 *
 * The linker leads allocations of our objects here (--wrap); those of libcurl and
 * libc stay as they are.
 */
#include <stdatomic.h>
#include <stdio.h>
#include <sys/stat.h>

#include "service/registry/search.h"
#include "service/registry/tags.h"
#include "tests/unit/registry/rig.h"

#define MANIFEST "{\"schemaVersion\":2}"

static atomic_int countdown; /* <= 0: nothing fails */
static atomic_bool failed_one;

static bool fails_now(void)
{
	if (fake_thread || atomic_load(&countdown) <= 0 || atomic_fetch_sub(&countdown, 1) != 1)
		return false;
	atomic_store(&failed_one, true);
	return true;
}

void *__real_malloc(size_t n);
void *__real_calloc(size_t n, size_t size);
void *__real_realloc(void *p, size_t n);
char *__real_strdup(const char *s);
void *__wrap_malloc(size_t n);
void *__wrap_calloc(size_t n, size_t size);
void *__wrap_realloc(void *p, size_t n);
char *__wrap_strdup(const char *s);

void *__wrap_malloc(size_t n)
{
	return fails_now() ? NULL : __real_malloc(n);
}

void *__wrap_calloc(size_t n, size_t size)
{
	return fails_now() ? NULL : __real_calloc(n, size);
}

void *__wrap_realloc(void *p, size_t n)
{
	return fails_now() ? NULL : __real_realloc(p, n);
}

char *__wrap_strdup(const char *s)
{
	return fails_now() ? NULL : __real_strdup(s);
}

static char challenge[256];

static void serve(struct fake_conn *c, const struct fake_request *q, void *arg)
{
	const char *authorization = fake_header(q, "Authorization");

	(void)arg;
	if (!strncmp(q->path, "/v1/search", 10))
		fake_text(c, q, 200, "", "{\"results\":[{\"name\":\"a\"}]}");
	else if (!strncmp(q->path, "/token", 6))
		fake_text(c, q, 200, "", "{\"token\":\"t\"}");
	else if (!authorization || strcmp(authorization, "Bearer t") != 0)
		fake_text(c, q, 401, challenge, "{}");
	else if (strstr(q->path, "/tags/list"))
		fake_text(c, q, 200, "Link: <?p=2>; rel=next\r\nWarning: 299 - \"x\"\r\n", "{\"tags\":[\"1\",\"2\"]}");
	else
		fake_text(c, q, 200, "", MANIFEST);
}

static int64_t wall(void *arg)
{
	(void)arg;
	return 1000;
}

static uint32_t chance(void *arg)
{
	(void)arg;
	return 0;
}

static bool no_sleep(void *arg, struct cancel *cancel, int64_t ms)
{
	(void)arg;
	(void)ms;
	return !cancel_fired(cancel);
}

static int list(struct repository *r, struct err *err)
{
	CLEANUP(tag_position_free) struct tag_position position = { 0 }, copy = { 0 };
	CLEANUP(names_free) struct names tags = { 0 };
	CLEANUP(freep) char *token = NULL;
	bool more;
	int code = registry_tags(r, &position, 1, NULL, &tags, &more, err);

	if (code != OK)
		return code;
	assert_int_equal(tags.n, 1);
	token = tag_position_token(r, &position);
	return token ? tag_position_parse(r, token, &copy, err) : fail(err, E_NO_MEMORY, "out of memory");
}

static int search_by(struct registry *registry, const char *domain, struct err *err)
{
	CLEANUP(search_results_free) struct search_results found = { 0 };
	CLEANUP(freep) char *term = format("%s/a", domain);
	struct search_query q = { .term = term, .limit = 1 };
	int code = term ? registry_search(registry, &q, NULL, &found, err) : fail(err, E_NO_MEMORY, "out of memory");

	if (code == OK)
		assert_int_equal(found.n, 1);
	return code;
}

static int talk(struct registry *registry, const struct reference *ref, struct err *err)
{
	struct credentials alice = { .username = "alice", .password = "secret" };
	CLEANUP(repository_unrefp) struct repository *r = NULL;
	CLEANUP(remote_manifest_free) struct remote_manifest m = { 0 };
	int code = repository_open(registry, ref, &alice, &r, err);

	if (code == OK)
		code = registry_resolve(r, ref, NULL, &m, err);
	if (code == OK)
		assert_string_equal(buf_text(&m.body), MANIFEST);
	if (code == OK)
		code = list(r, err);
	if (code == OK)
		code = search_by(registry, ref->domain, err);
	if (code == OK)
		code = registry_check_auth(registry, ref->domain, &alice, NULL, NULL, err);
	return code;
}

static int whole_conversation(const struct reference *ref, const char *hosts_dir, struct err *err)
{
	static const char *const mirrors[] = { "https://mirror.example", "other.example=http://mirror.example/x" };
	CLEANUP(registry_freep) struct registry *registry = NULL;
	struct retry_env env = { wall, chance, no_sleep, NULL };
	struct registry_options o = { .env = &env, .hosts_dir = hosts_dir, .mirrors = mirrors, .n_mirrors = 2 };
	int code = registry_new(&o, &registry, err);

	return code == OK ? talk(registry, ref, err) : code;
}

/* A folder that names the registry once more as its own mirror. */
static void write_hosts(const char *folder, const struct fake *f)
{
	CLEANUP(freep) char *host = format("%s/127.0.0.1_%u_", folder, fake_port(f));
	CLEANUP(freep) char *name = format("%s/hosts.toml", host);
	FILE *file;

	assert_int_equal(mkdir(host, 0700), 0);
	file = fopen(name, "we");
	assert_non_null(file);
	fprintf(file,
		"odd = 1\nserver = \"http://%s\"\nca = \"%s\"\n[host.\"http://localhost:%u\"]\n"
		"header = {x = \"1\"}\ndial_timeout = \"5s\"\n",
		fake_authority(f), fake_ca_file(), fake_port(f));
	assert_int_equal(fclose(file), 0);
}

static void no_allocation_that_fails_passes_for_success(void **state)
{
	struct fake *f = fake_start(FAKE_PLAIN, serve, NULL);
	char folder[] = "/tmp/registry-nomem-XXXXXX";
	struct reference ref = ref_of(fake_authority(f), "a/b:1");
	struct err err = ERR_INIT;
	int n = 0, code;

	(void)state;
	assert_non_null(mkdtemp(folder));
	write_hosts(folder, f);
	snprintf(challenge, sizeof challenge, "WWW-Authenticate: Bearer realm=\"http://%s/token\"\r\n",
		 fake_authority(f));
	do {
		n++;
		err.code = OK;
		atomic_store(&failed_one, false);
		atomic_store(&countdown, n);
		code = whole_conversation(&ref, folder, &err);
		atomic_store(&countdown, 0);
		if (code != OK && (err.code != code || !err.text[0]))
			failed("allocation %d: code %d, err %d \"%s\"", n, code, err.code, err.text);
	} while (atomic_load(&failed_one) && n < 2000);
	assert_ok(code, &err);
	assert_in_range(n, 50, 1999); /* so that it is known to have failed some */
	fake_stop(f);
	remove_folder(folder);
}

int main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(no_allocation_that_fails_passes_for_success) };

	return cmocka_run_group_tests(tests, NULL, NULL);
}
