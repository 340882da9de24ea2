/* Authentication flows against a registry and a token server. */
#include <stdatomic.h>
#include <stdio.h>
#include <sys/stat.h>

#include "service/registry/request.h"
#include "tests/unit/registry/rig.h"

#define MANIFEST "{\"schemaVersion\":2}"

static const struct credentials alice = { .username = "alice", .password = "se:cr:et" };
static const char basic_alice[] = "Basic YWxpY2U6c2U6Y3I6ZXQ="; /* alice:se:cr:et */

/* What a test's registry does; its token server is a second fake. */
struct world {
	struct rig *rig;
	struct fake *registry, *tokens;
	const char *challenge;	   /* '~' stands for the token server's authority */
	const char *wanted_header; /* "Authorization" that opens the door; NULL: "Bearer tok-N", N the newest */
	atomic_int issued;	   /* tokens so far */
	atomic_int revoked;	   /* tokens up to this number are dead */
	const char *token_answer;  /* '~' stands for the token's number */
	int token_status;
	atomic_int token_failures; /* answer so often with 503 first */
	struct err err;
};

static bool opens(const struct world *w, const char *authorization)
{
	int n = 0;

	if (!authorization)
		return false;
	if (w->wanted_header)
		return !strcmp(authorization, w->wanted_header);
	return sscanf(authorization, "Bearer tok-%d", &n) == 1 && n > atomic_load(&w->revoked) &&
	       n <= atomic_load(&w->issued);
}

/* The template with its '~' replaced. */
static void fill(char *out, size_t max, const char *template, const char *value)
{
	int before = (int)strcspn(template, "~");

	snprintf(out, max, "%.*s%s%s", before, template, template[before] ? value : "",
		 template[before] ? template + before + 1 : "");
}

static void serve_registry(struct fake_conn *c, const struct fake_request *q, void *arg)
{
	const struct world *w = arg;
	char challenge[1024], headers[1200];

	if (!opens(w, fake_header(q, "Authorization"))) {
		fill(challenge, sizeof challenge, w->challenge, w->tokens ? fake_authority(w->tokens) : "");
		snprintf(headers, sizeof headers, "%sContent-Type: application/json\r\n", challenge);
		fake_text(c, q, 401, headers,
			  "{\"errors\":[{\"code\":\"UNAUTHORIZED\",\"message\":\"authentication required\"}]}");
	} else {
		fake_text(c, q, 200, "Content-Type: application/vnd.oci.image.manifest.v1+json\r\n", MANIFEST);
	}
}

static void serve_tokens(struct fake_conn *c, const struct fake_request *q, void *arg)
{
	struct world *w = arg;
	char body[512], number[16];

	if (atomic_fetch_sub(&w->token_failures, 1) > 0) {
		fake_text(c, q, 503, "", "<html>busy</html>");
		return;
	}
	if (w->token_status != 200) {
		fake_text(c, q, w->token_status, "Location: /again\r\n", w->token_answer);
		return;
	}
	snprintf(number, sizeof number, "%d", atomic_fetch_add(&w->issued, 1) + 1);
	fill(body, sizeof body, w->token_answer, number);
	fake_text(c, q, 200, "", body);
}

static const char bearer[] = "WWW-Authenticate: Bearer realm=\"http://~/token?a=1,2\",service=\"reg istry\","
			     "scope=\"repository:x/y:pull\"\r\n";

static void start(struct world *w)
{
	w->rig = rig_new();
	if (!w->token_answer)
		w->token_answer = "{\"token\":\"tok-~\",\"expires_in\":300}";
	if (!w->token_status)
		w->token_status = 200;
	if (!w->challenge)
		w->challenge = bearer;
	w->tokens = fake_start(FAKE_PLAIN, serve_tokens, w);
	w->registry = fake_start(FAKE_PLAIN, serve_registry, w);
}

static void stop(struct world *w)
{
	rig_free(w->rig);
	fake_stop(w->registry);
	fake_stop(w->tokens);
}

static int get(struct world *w, const char *name, const struct credentials *credentials)
{
	CLEANUP(repository_unrefp)
	struct repository *r = open_repository(w->rig, fake_authority(w->registry), name, credentials);
	CLEANUP(remote_manifest_free) struct remote_manifest m = { 0 };
	struct reference ref = ref_of(fake_authority(w->registry), name);

	return registry_manifest(r, &ref, NULL, &m, &w->err);
}

static struct fake_request last_token_request(struct world *w)
{
	struct fake_request q;

	assert_true(fake_last(w->tokens, "", "/token", &q));
	return q;
}

/* ---- Bearer ---------------------------------------------------------------- */

static void bearer_token_is_fetched_after_401(void **state)
{
	struct world w = { 0 };
	struct fake_request q;

	(void)state;
	start(&w);
	assert_ok(get(&w, "x/y:1", NULL), &w.err);
	q = last_token_request(&w);
	/* c-style.md A8, A9: a realm with a query, a blank in the service */
	assert_string_equal(q.path, "/token?a=1,2&service=reg%20istry&scope=repository%3Ax%2Fy%3Apull");
	assert_null(fake_header(&q, "Authorization"));
	assert_true(fake_last(w.registry, "GET", "/v2/x/y/", &q));
	assert_string_equal(fake_header(&q, "Authorization"), "Bearer tok-1");
	stop(&w);
}

static void token_request_carries_basic_and_account(void **state)
{
	struct world w = { 0 };
	struct fake_request q;

	(void)state;
	start(&w);
	assert_ok(get(&w, "x/y:1", &alice), &w.err);
	q = last_token_request(&w);
	assert_non_null(strstr(q.path, "&account=alice"));
	assert_string_equal(fake_header(&q, "Authorization"), basic_alice);
	stop(&w);
}

static void challenge_of_the_first_contact_saves_the_second_401(void **state)
{
	struct world w = { 0 };

	(void)state;
	start(&w);
	assert_ok(get(&w, "x/y:1", NULL), &w.err);
	assert_int_equal(fake_count(w.registry, "GET", "/v2/x/y/"), 1);
	assert_ok(get(&w, "other:1", NULL), &w.err);
	assert_int_equal(fake_count(w.registry, "GET", "/v2/other/"), 1);
	assert_non_null(strstr(last_token_request(&w).path, "scope=repository%3Aother%3Apull"));
	assert_null(strstr(last_token_request(&w).path, "x%2Fy"));
	stop(&w);
}

static void token_is_used_until_it_expires(void **state)
{
	struct world w = { 0 };

	(void)state;
	start(&w);
	for (int i = 0; i < 5; i++)
		assert_ok(get(&w, "x/y:1", NULL), &w.err);
	assert_int_equal(atomic_load(&w.issued), 1);
	rig_advance(w.rig, 280);
	assert_ok(get(&w, "x/y:1", NULL), &w.err);
	assert_int_equal(atomic_load(&w.issued), 1);
	rig_advance(w.rig, 15);
	assert_ok(get(&w, "x/y:1", NULL), &w.err);
	assert_int_equal(atomic_load(&w.issued), 2);
	stop(&w);
}

static void token_without_a_life_lives_a_minute(void **state)
{
	struct world w = { .token_answer = "{\"access_token\":\"tok-~\"}" };

	(void)state;
	start(&w);
	assert_ok(get(&w, "x/y:1", NULL), &w.err);
	rig_advance(w.rig, 40);
	assert_ok(get(&w, "x/y:1", NULL), &w.err);
	assert_int_equal(atomic_load(&w.issued), 1);
	rig_advance(w.rig, 20);
	assert_ok(get(&w, "x/y:1", NULL), &w.err);
	assert_int_equal(atomic_load(&w.issued), 2);
	stop(&w);
}

static void refused_token_is_dropped_and_fetched_once_more(void **state)
{
	struct world w = { 0 };

	(void)state;
	start(&w);
	assert_ok(get(&w, "x/y:1", NULL), &w.err);
	atomic_store(&w.revoked, 1);
	assert_ok(get(&w, "x/y:1", NULL), &w.err);
	assert_int_equal(atomic_load(&w.issued), 2);
	stop(&w);
}

static void second_401_is_the_answer(void **state)
{
	struct world w = { .wanted_header = "never" };

	(void)state;
	start(&w);
	assert_fails(get(&w, "x/y:1", NULL), &w.err, E_DENIED, "pull access denied for 127.0.0.1:");
	assert_non_null(strstr(w.err.text, "repository does not exist or may require 'docker login': "
					   "unauthorized: authentication required"));
	assert_int_equal(atomic_load(&w.issued), 2);
	stop(&w);
}

static void tokens_are_not_shared_across_credentials(void **state)
{
	struct world w = { 0 };
	struct credentials bob = { .username = "bob", .password = "se:cr:et" };
	struct credentials other = { .username = "alice", .password = "other" };

	(void)state;
	start(&w);
	assert_ok(get(&w, "x/y:1", &alice), &w.err);
	assert_ok(get(&w, "x/y:1", &alice), &w.err);
	assert_int_equal(atomic_load(&w.issued), 1);
	assert_ok(get(&w, "x/y:1", &bob), &w.err);
	assert_ok(get(&w, "x/y:1", &other), &w.err);
	assert_ok(get(&w, "x/y:1", NULL), &w.err);
	assert_int_equal(atomic_load(&w.issued), 4);
	stop(&w);
}

struct crowd {
	struct world *w;
	atomic_uint good;
};

static void *pull_one(void *arg)
{
	struct crowd *c = arg;
	struct reference ref = ref_of(fake_authority(c->w->registry), "x/y:1");
	CLEANUP(repository_unrefp) struct repository *r = NULL;
	CLEANUP(remote_manifest_free) struct remote_manifest m = { 0 };

	if (repository_open(c->w->rig->registry, &ref, NULL, &r, NULL) == OK &&
	    registry_manifest(r, &ref, NULL, &m, NULL) == OK)
		atomic_fetch_add(&c->good, 1);
	return NULL;
}

static void waiters_share_one_token_fetch(void **state)
{
	struct world w = { 0 };
	struct crowd c = { .w = &w };
	pthread_t threads[20];

	(void)state;
	start(&w);
	for (size_t i = 0; i < ARRAY_LEN(threads); i++)
		pthread_create(&threads[i], NULL, pull_one, &c);
	for (size_t i = 0; i < ARRAY_LEN(threads); i++)
		pthread_join(threads[i], NULL);
	assert_int_equal(atomic_load(&c.good), ARRAY_LEN(threads));
	assert_int_equal(atomic_load(&w.issued), 1);
	assert_int_equal(fake_count(w.registry, "GET", "/v2/ "), 0);
	stop(&w);
}

static void trust_fake_ca(const char *folder, unsigned port)
{
	CLEANUP(freep) char *host = format("%s/127.0.0.1_%u_", folder, port);
	CLEANUP(freep) char *name = format("%s/hosts.toml", host);
	FILE *file;

	assert_int_equal(mkdir(host, 0700), 0);
	file = fopen(name, "w");
	fprintf(file, "ca = \"%s\"\n", fake_ca_file());
	fclose(file);
}

static int get_from(struct world *w, const struct reference *ref, struct repository *r)
{
	CLEANUP(remote_manifest_free) struct remote_manifest m = { 0 };
	int code = registry_manifest(r, ref, NULL, &m, &w->err);

	repository_unref(r);
	return code;
}

/* Whoever stood in the way of the one must not hand the other its token. */
static void token_of_who_was_not_verified_serves_nobody_else(void **state)
{
	char folder[] = "/tmp/auth-test-XXXXXX";
	struct world w = { .challenge = "WWW-Authenticate: Bearer realm=\"https://~/token\",service=\"s\"\r\n",
			   .token_answer = "{\"token\":\"tok-~\"}",
			   .token_status = 200 };
	struct repository *r = NULL;
	struct reference ref;

	(void)state;
	assert_non_null(mkdtemp(folder));
	w.rig = rig_with((struct registry_options){ .hosts_dir = folder });
	w.tokens = fake_start(FAKE_TLS, serve_tokens, &w);
	w.registry = fake_start(FAKE_TLS, serve_registry, &w);
	trust_fake_ca(folder, fake_port(w.registry));
	ref = ref_of(fake_authority(w.registry), "x/y:1");
	assert_ok(repository_open_insecure(w.rig->registry, &ref, NULL, &r, &w.err), &w.err);
	assert_ok(get_from(&w, &ref, r), &w.err);
	assert_ok(get_from(&w, &ref, open_repository(w.rig, fake_authority(w.registry), "x/y:1", NULL)), &w.err);
	assert_int_equal(atomic_load(&w.issued), 2);
	stop(&w);
	remove_folder(folder);
}

static int login(struct world *w, const struct credentials *c, char **ret_token)
{
	CLEANUP(freep) char *server = format("http://%s/", fake_authority(w->registry));

	return registry_check_auth(w->rig->registry, server, c, ret_token, NULL, &w->err);
}

static int ask(struct world *w, struct repository *r, const char *method, int *ret_status)
{
	struct request q = { .method = method, .path = "/v2/x/y/manifests/1" };
	CLEANUP(reply_free) struct reply reply = { 0 };
	int code = request_reply(r, &q, 1024, NULL, &reply, &w->err);

	*ret_status = reply.status;
	return code;
}

static void scopes_of_a_repository_grow(void **state)
{
	struct world w = { 0 };
	CLEANUP(repository_unrefp) struct repository *r = NULL;
	int status;

	(void)state;
	start(&w);
	r = open_repository(w.rig, fake_authority(w.registry), "x/y", NULL);
	assert_ok(repository_want(r, "repository:x/y:pull,push", &w.err), &w.err);
	assert_ok(ask(&w, r, "GET", &status), &w.err);
	assert_int_equal(status, 200);
	assert_non_null(strstr(last_token_request(&w).path, "&scope=repository%3Ax%2Fy%3Apull%2Cpush"));
	assert_ok(repository_want(r, "repository:from:pull", &w.err), &w.err);
	assert_ok(ask(&w, r, "GET", &status), &w.err);
	assert_int_equal(status, 200);
	assert_non_null(strstr(last_token_request(&w).path,
			       "&scope=repository%3Ax%2Fy%3Apull%2Cpush&scope=repository%3Afrom%3Apull"));
	/* the same token again */
	assert_ok(ask(&w, r, "GET", &status), &w.err);
	assert_int_equal(atomic_load(&w.issued), 2);
	assert_ok(repository_want(r, SCOPE_CATALOG, &w.err), &w.err);
	assert_ok(ask(&w, r, "GET", &status), &w.err);
	assert_non_null(strstr(last_token_request(&w).path, "&scope=registry%3Acatalog%3A%2A"));
	repository_unref(TAKE(r));
	stop(&w);
}

static void serve_403_to_the_first_token(struct fake_conn *c, const struct fake_request *q, void *arg)
{
	struct world *w = arg;
	const char *sent = fake_header(q, "Authorization");
	char challenge[1024];

	if (!sent || strcmp(sent, "Bearer tok-1") != 0) {
		serve_registry(c, q, arg);
		return;
	}
	fill(challenge, sizeof challenge,
	     "WWW-Authenticate: Bearer realm=\"http://~/token\",service=\"s\",scope=\"repository:x/y:pull,admin\","
	     "error=\"insufficient_scope\"\r\n",
	     fake_authority(w->tokens));
	fake_text(c, q, 403, challenge, "");
}

static void insufficient_scope_is_answered_once_more(void **state)
{
	struct world w = { 0 };

	(void)state;
	start(&w);
	fake_stop(w.registry);
	w.registry = fake_start(FAKE_PLAIN, serve_403_to_the_first_token, &w);
	assert_ok(get(&w, "x/y:1", NULL), &w.err);
	assert_int_equal(atomic_load(&w.issued), 2);
	assert_non_null(strstr(last_token_request(&w).path, "scope=repository%3Ax%2Fy%3Apull%2Cadmin"));
	stop(&w);
}

static void identity_token_is_posted(void **state)
{
	struct world w = { .token_answer = "{\"access_token\":\"tok-~\",\"refresh_token\":\"new\"}" };
	struct credentials c = { .identity_token = "id&tok=en" };
	struct fake_request q;

	(void)state;
	start(&w);
	assert_ok(get(&w, "x/y:1", &c), &w.err);
	q = last_token_request(&w);
	assert_string_equal(q.method, "POST");
	assert_string_equal(q.path, "/token?a=1,2");
	assert_string_equal(q.body, "grant_type=refresh_token&service=reg%20istry&client_id=imaged&"
				    "refresh_token=id%26tok%3Den&scope=repository%3Ax%2Fy%3Apull");
	assert_string_equal(fake_header(&q, "Content-Type"), "application/x-www-form-urlencoded");
	stop(&w);
}

static void serve_rotating_refresh(struct fake_conn *c, const struct fake_request *q, void *arg)
{
	struct world *w = arg;
	int n = atomic_load(&w->issued);
	char wanted[64], body[256];

	snprintf(wanted, sizeof wanted, "refresh_token=r%d&", n);
	if (!strstr(q->body, wanted)) {
		fake_text(c, q, 400, "", "{\"error\":\"invalid_grant\"}");
		return;
	}
	n = atomic_fetch_add(&w->issued, 1) + 1;
	snprintf(body, sizeof body, "{\"access_token\":\"tok-%d\",\"refresh_token\":\"r%d\"}", n, n);
	fake_text(c, q, 200, "", body);
}

static void refresh_token_that_rotates_serves_the_rest_of_the_work(void **state)
{
	struct world w = { 0 };
	struct credentials c = { .identity_token = "r0" };
	CLEANUP(repository_unrefp) struct repository *r = NULL;
	int status;

	(void)state;
	start(&w);
	fake_stop(w.tokens);
	w.tokens = fake_start(FAKE_PLAIN, serve_rotating_refresh, &w);
	r = open_repository(w.rig, fake_authority(w.registry), "x/y", &c);
	assert_ok(ask(&w, r, "GET", &status), &w.err);
	assert_int_equal(status, 200);
	rig_advance(w.rig, 3600);
	assert_ok(ask(&w, r, "GET", &status), &w.err);
	assert_int_equal(status, 200);
	assert_int_equal(atomic_load(&w.issued), 2);
	repository_unref(TAKE(r));
	stop(&w);
}

static void login_hands_out_the_rotated_refresh_token(void **state)
{
	struct world w = { 0 };
	struct credentials c = { .identity_token = "r0" };
	CLEANUP(freep) char *server = NULL;
	CLEANUP(freep) char *token = NULL;

	(void)state;
	start(&w);
	fake_stop(w.tokens);
	w.tokens = fake_start(FAKE_PLAIN, serve_rotating_refresh, &w);
	server = format("http://%s/", fake_authority(w.registry));
	assert_ok(registry_check_auth(w.rig->registry, server, &c, &token, NULL, &w.err), &w.err);
	assert_string_equal(token, "r1");
	stop(&w);
}

/* Answers one method; to the other it says `status`. */
struct one_way {
	struct world *w;
	const char *method;
	int status;
};

static void serve_one_way(struct fake_conn *c, const struct fake_request *q, void *arg)
{
	struct one_way *o = arg;

	if (!strcmp(q->method, o->method))
		serve_tokens(c, q, o->w);
	else
		fake_text(c, q, o->status, "", "{\"error\":\"not this way\"}");
}

static void token_server_without_post_is_asked_by_get(void **state)
{
	static const int statuses[] = { 400, 401, 404, 405 };
	struct credentials c = { .username = "alice", .identity_token = "id" };

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(statuses); i++) {
		struct world w = { 0 };
		struct one_way o = { &w, "GET", statuses[i] };
		struct fake_request q;

		start(&w);
		fake_stop(w.tokens);
		w.tokens = fake_start(FAKE_PLAIN, serve_one_way, &o);
		assert_ok(get(&w, "x/y:1", &c), &w.err);
		q = last_token_request(&w);
		assert_string_equal(fake_header(&q, "Authorization"), "Basic YWxpY2U6aWQ="); /* alice:id */
		assert_int_equal(fake_count(w.tokens, "", ""), 2);
		stop(&w);
	}
}

static void token_server_without_get_is_asked_by_post(void **state)
{
	static const int statuses[] = { 404, 405 };

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(statuses); i++) {
		struct world w = { 0 };
		struct one_way o = { &w, "POST", statuses[i] };
		struct fake_request q;

		start(&w);
		fake_stop(w.tokens);
		w.tokens = fake_start(FAKE_PLAIN, serve_one_way, &o);
		assert_ok(get(&w, "x/y:1", &alice), &w.err);
		q = last_token_request(&w);
		assert_string_equal(q.body, "grant_type=password&service=reg%20istry&client_id=imaged&username=alice&"
					    "password=se%3Acr%3Aet&scope=repository%3Ax%2Fy%3Apull");
		assert_null(fake_header(&q, "Authorization"));
		assert_ok(login(&w, &alice, NULL), &w.err);
		assert_non_null(strstr(last_token_request(&w).body, "&access_type=offline"));
		stop(&w);
	}
}

static void serve_anonymous_only(struct fake_conn *c, const struct fake_request *q, void *arg)
{
	if (fake_header(q, "Authorization"))
		fake_text(c, q, 401, "", "{\"details\":\"out of date\"}");
	else
		serve_tokens(c, q, arg);
}

static void anonymous_is_tried_only_when_asked_for(void **state)
{
	struct world w = { 0 };
	struct credentials c = alice;

	(void)state;
	start(&w);
	fake_stop(w.tokens);
	w.tokens = fake_start(FAKE_PLAIN, serve_anonymous_only, &w);
	assert_int_equal(get(&w, "x/y:1", &c), E_UNAUTHENTICATED);
	assert_int_equal(fake_count(w.tokens, "", ""), 1);
	c.or_anonymous = true;
	assert_ok(get(&w, "x/y:1", &c), &w.err);
	assert_int_equal(fake_count(w.tokens, "", ""), 3);
	/* but it is no way to log in */
	assert_int_equal(login(&w, &c, NULL), E_UNAUTHENTICATED);
	stop(&w);
}

static void user_named_token_means_an_identity_token(void **state)
{
	struct world w = { 0 };
	struct credentials c = { .username = "<token>", .password = "abc" };

	(void)state;
	start(&w);
	assert_ok(get(&w, "x/y:1", &c), &w.err);
	assert_non_null(strstr(last_token_request(&w).body, "refresh_token=abc"));
	stop(&w);
}

static void registry_token_is_sent_as_it_is(void **state)
{
	struct world w = { .wanted_header = "Bearer ready-made" };
	struct credentials c = { .registry_token = "ready-made" };

	(void)state;
	start(&w);
	assert_ok(get(&w, "x/y:1", &c), &w.err);
	assert_int_equal(atomic_load(&w.issued), 0);
	stop(&w);
}

static void credentials_of_another_server_are_not_used(void **state)
{
	struct world w = { 0 };
	struct credentials c = alice;
	struct fake_request q;

	(void)state;
	start(&w);
	c.server_address = "https://elsewhere.example/v1/";
	assert_ok(get(&w, "x/y:1", &c), &w.err);
	q = last_token_request(&w);
	assert_null(fake_header(&q, "Authorization"));
	c.server_address = fake_authority(w.registry);
	assert_ok(get(&w, "x/y:1", &c), &w.err);
	q = last_token_request(&w);
	assert_string_equal(fake_header(&q, "Authorization"), basic_alice);
	stop(&w);
}

/* ---- token servers that fail or lie ---------------------------------------- */

static void token_server_is_asked_again_after_503(void **state)
{
	struct world w = { .token_failures = 2 };

	(void)state;
	start(&w);
	assert_ok(get(&w, "x/y:1", NULL), &w.err);
	assert_int_equal(rig_sleeps(w.rig), 2);
	stop(&w);
}

static void token_refusal_is_told_without_secrets(void **state)
{
	struct world w = { .token_status = 401, .token_answer = "{\"details\":\"incorrect username or password\"}" };

	(void)state;
	start(&w);
	assert_fails(get(&w, "x/y:1", &alice), &w.err, E_UNAUTHENTICATED, "Get \"http://127.0.0.1:");
	assert_non_null(strstr(w.err.text, "/v2/x/y/manifests/1\": unauthorized: incorrect username or password"));
	assert_null(strstr(w.err.text, "se:cr:et"));
	assert_null(strstr(w.err.text, "YWxpY2U6"));
	stop(&w);
}

static void token_redirects_are_not_followed(void **state)
{
	struct world w = { .token_status = 307, .token_answer = "" };

	(void)state;
	start(&w);
	assert_int_equal(get(&w, "x/y:1", &alice), E_REGISTRY);
	assert_non_null(strstr(w.err.text, "token server 127.0.0.1: it redirects"));
	assert_int_equal(fake_count(w.tokens, "", "/again"), 0);
	stop(&w);
}

static void token_answers_that_are_none_are_refused(void **state)
{
	static const char *const bad[] = {
		"{\"token\":\"\"}",
		"{}",
		"not json ~",
		"{\"token\":\"a\\nb\"}",
		"{\"token\":7}",
		"[]",
		"{\"token\":\"a\",\"token\":\"b\"}",
		"{\"token\":\"a\\u0000b\"}",
		/* deeper than any answer, too deep for the stack if it went on */
		("{\"token\":\"a\",\"x\":[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]"
		 "]"
		 "]}"),
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
		struct world w = { .token_answer = bad[i] };

		start(&w);
		assert_int_equal(get(&w, "x/y:1", NULL), E_REGISTRY);
		assert_non_null(strstr(w.err.text, "holds no token"));
		stop(&w);
	}
}

static void serve_endless_token(struct fake_conn *c, const struct fake_request *q, void *arg)
{
	(void)arg;
	static char body[100 * 1024];

	memset(body, 'a', sizeof body);
	fake_reply(c, q, 200, "", body, sizeof body);
}

static void token_answers_are_bounded(void **state)
{
	struct world w = { 0 };

	(void)state;
	start(&w);
	fake_stop(w.tokens);
	w.tokens = fake_start(FAKE_PLAIN, serve_endless_token, NULL);
	assert_int_equal(get(&w, "x/y:1", NULL), E_LIMIT);
	stop(&w);
}

static void realms_that_lead_elsewhere_are_refused(void **state)
{
	static const struct {
		const char *challenge;
		int code;
		const char *says;
	} cases[] = {
		{ "WWW-Authenticate: Bearer realm=\"ftp://127.0.0.1/token\"\r\n", E_REGISTRY, "token server" },
		{ "WWW-Authenticate: Bearer realm=\"http://u:p@127.0.0.1/\"\r\n", E_REGISTRY, "token server" },
		{ "WWW-Authenticate: Bearer realm=\"auth.example:80\"\r\n", E_REGISTRY, "token server" },
		{ "WWW-Authenticate: Bearer service=\"x\"\r\n", E_REGISTRY, "token server" },
		{ "WWW-Authenticate: Bearer realm=\"http://169.254.169.254/latest\"\r\n", E_DENIED, "link-local" },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		struct world w = { .challenge = cases[i].challenge };

		start(&w);
		assert_int_equal(get(&w, "x/y:1", &alice), cases[i].code);
		assert_non_null(strstr(w.err.text, cases[i].says));
		assert_int_equal(fake_count(w.tokens, "", ""), 0);
		stop(&w);
	}
}

static void relative_realm_is_the_registrys_own(void **state)
{
	struct world w = { .challenge = "WWW-Authenticate: Bearer realm=\"/auth\",service=\"s\"\r\n" };

	(void)state;
	start(&w);
	assert_int_not_equal(get(&w, "x/y:1", NULL), OK);
	assert_int_equal(fake_count(w.registry, "GET", "/auth?service=s&scope=repository%3Ax%2Fy%3Apull"), 1);
	stop(&w);
}

/* ---- Basic ----------------------------------------------------------------- */

static const char basic[] = "WWW-Authenticate: Basic realm=\"r\"\r\n";

/* c-style.md A10 */
static void basic_takes_passwords_with_colons(void **state)
{
	struct world w = { .challenge = basic, .wanted_header = basic_alice };

	(void)state;
	start(&w);
	assert_ok(get(&w, "x/y:1", &alice), &w.err);
	stop(&w);
}

static void basic_is_sent_only_after_a_challenge(void **state)
{
	struct world w = { .challenge = basic, .wanted_header = basic_alice };
	struct fake_request q;

	(void)state;
	start(&w);
	assert_ok(get(&w, "x/y:1", &alice), &w.err);
	assert_true(fake_last(w.registry, "GET", "/v2/", &q));
	assert_int_equal(fake_count(w.registry, "", ""), 2); /* the contact, then the manifest */
	stop(&w);
}

static void basic_without_credentials_reads_like_docker(void **state)
{
	struct world w = { .challenge = basic, .wanted_header = basic_alice };
	struct reference ref;
	CLEANUP(repository_unrefp) struct repository *r = NULL;
	CLEANUP(remote_manifest_free) struct remote_manifest m = { 0 };
	CLEANUP(freep) char *text = NULL;

	(void)state;
	start(&w);
	ref = ref_of(fake_authority(w.registry), "priv:latest");
	r = open_repository(w.rig, fake_authority(w.registry), "priv", NULL);
	text = format("Head \"http://%s/v2/priv/manifests/latest\": no basic auth credentials",
		      fake_authority(w.registry));
	assert_int_equal(registry_resolve(r, &ref, NULL, &m, &w.err), E_UNAUTHENTICATED);
	assert_string_equal(w.err.text, text);
	repository_unref(TAKE(r));
	stop(&w);
}

static void wrong_basic_password_is_not_tried_twice(void **state)
{
	struct world w = { .challenge = basic, .wanted_header = "never" };

	(void)state;
	start(&w);
	assert_fails(get(&w, "x/y:1", &alice), &w.err, E_DENIED, "pull access denied for");
	assert_int_equal(fake_count(w.registry, "GET", "/v2/x/y/"), 1);
	stop(&w);
}

static void bearer_is_preferred_to_basic(void **state)
{
	struct world w = { .challenge = "WWW-Authenticate: Basic realm=\"r\"\r\n"
					"WWW-Authenticate: Negotiate\r\n"
					"WWW-Authenticate: Bearer realm=\"http://~/token\",service=\"s\"\r\n"
					"WWW-Authenticate: Bearer realm=\"http://192.0.2.1/token\"\r\n" };

	(void)state;
	start(&w);
	assert_ok(get(&w, "x/y:1", &alice), &w.err);
	assert_int_equal(atomic_load(&w.issued), 1);
	stop(&w);
}

static void unknown_schemes_leave_the_401(void **state)
{
	struct world w = { .challenge = "WWW-Authenticate: Negotiate\r\nWWW-Authenticate: Digest realm=\"x\"\r\n" };

	(void)state;
	start(&w);
	assert_fails(get(&w, "x/y:1", &alice), &w.err, E_DENIED, "pull access denied");
	stop(&w);
}

/* ---- login ----------------------------------------------------------------- */

static void login_succeeds_with_basic(void **state)
{
	struct world w = { .challenge = basic, .wanted_header = basic_alice };
	char *token = NULL;

	(void)state;
	start(&w);
	assert_ok(login(&w, &alice, &token), &w.err);
	assert_null(token);
	stop(&w);
}

/* c-style.md B, login: success although the server said 401 */
static void login_fails_when_the_server_says_401(void **state)
{
	struct world w = { .challenge = basic, .wanted_header = "never" };
	CLEANUP(freep) char *text = NULL;

	(void)state;
	start(&w);
	text = format("login attempt to http://%s/v2/ failed with status: 401 Unauthorized",
		      fake_authority(w.registry));
	assert_int_equal(login(&w, &alice, NULL), E_UNAUTHENTICATED);
	assert_string_equal(w.err.text, text);
	stop(&w);
}

static void login_asks_for_a_refresh_token_and_hands_it_out(void **state)
{
	struct world w = { .token_answer = "{\"token\":\"tok-~\",\"refresh_token\":\"refresh-me\"}" };
	char *token = NULL;

	(void)state;
	start(&w);
	assert_ok(login(&w, &alice, &token), &w.err);
	assert_string_equal(token, "refresh-me");
	free(token);
	assert_non_null(strstr(last_token_request(&w).path, "&offline_token=true"));
	stop(&w);
}

static void login_never_trusts_the_token_cache(void **state)
{
	struct world w = { 0 };

	(void)state;
	start(&w);
	assert_ok(login(&w, &alice, NULL), &w.err);
	assert_ok(login(&w, &alice, NULL), &w.err);
	assert_int_equal(atomic_load(&w.issued), 2);
	stop(&w);
}

static void open_door(struct fake_conn *c, const struct fake_request *q, void *arg)
{
	(void)arg;
	fake_text(c, q, 200, "", "{}");
}

static void login_at_a_registry_without_authentication_succeeds(void **state)
{
	struct world w = { 0 };

	(void)state;
	start(&w);
	fake_stop(w.registry);
	w.registry = fake_start(FAKE_PLAIN, open_door, NULL);
	assert_ok(login(&w, &alice, NULL), &w.err);
	stop(&w);
}

static void login_at_a_dead_registry_reads_like_docker(void **state)
{
	struct rig *rig = rig_new();
	unsigned port = free_port();
	CLEANUP(freep) char *server = format("127.0.0.1:%u", port);
	CLEANUP(freep)
	char *text = format("Get \"http://127.0.0.1:%u/v2/\": dial tcp 127.0.0.1:%u: connect: connection refused", port,
			    port);
	struct err err = ERR_INIT;

	(void)state;
	assert_int_equal(registry_check_auth(rig->registry, server, &alice, NULL, NULL, &err), E_REGISTRY);
	assert_string_equal(err.text, text);
	assert_int_equal(rig_sleeps(rig), 0);
	rig_free(rig);
}

/* The proxy hears where it goes, and no test goes there. */
static void no_proxy_for_tests(struct fake_conn *c, const struct fake_request *q, void *arg)
{
	(void)arg;
	fake_text(c, q, 403, "", "");
}

static void login_without_a_server_goes_to_docker_hub(void **state)
{
	struct fake *proxy = fake_start(FAKE_PLAIN, no_proxy_for_tests, NULL);
	CLEANUP(freep) char *url = format("http://%s", fake_authority(proxy));
	struct err err = ERR_INIT;
	struct rig *rig;

	(void)state;
	setenv("https_proxy", url, 1);
	rig = rig_new();
	assert_int_equal(registry_check_auth(rig->registry, "", &alice, NULL, NULL, &err), E_REGISTRY);
	assert_non_null(strstr(err.text, "https://registry-1.docker.io/v2/"));
	assert_int_not_equal(fake_count(proxy, "CONNECT", "registry-1.docker.io:443"), 0);
	unsetenv("https_proxy");
	rig_free(rig);
	fake_stop(proxy);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(bearer_token_is_fetched_after_401),
		cmocka_unit_test(token_request_carries_basic_and_account),
		cmocka_unit_test(challenge_of_the_first_contact_saves_the_second_401),
		cmocka_unit_test(token_is_used_until_it_expires),
		cmocka_unit_test(token_without_a_life_lives_a_minute),
		cmocka_unit_test(refused_token_is_dropped_and_fetched_once_more),
		cmocka_unit_test(second_401_is_the_answer),
		cmocka_unit_test(tokens_are_not_shared_across_credentials),
		cmocka_unit_test(waiters_share_one_token_fetch),
		cmocka_unit_test(token_of_who_was_not_verified_serves_nobody_else),
		cmocka_unit_test(scopes_of_a_repository_grow),
		cmocka_unit_test(insufficient_scope_is_answered_once_more),
		cmocka_unit_test(identity_token_is_posted),
		cmocka_unit_test(refresh_token_that_rotates_serves_the_rest_of_the_work),
		cmocka_unit_test(login_hands_out_the_rotated_refresh_token),
		cmocka_unit_test(token_server_without_post_is_asked_by_get),
		cmocka_unit_test(token_server_without_get_is_asked_by_post),
		cmocka_unit_test(anonymous_is_tried_only_when_asked_for),
		cmocka_unit_test(user_named_token_means_an_identity_token),
		cmocka_unit_test(registry_token_is_sent_as_it_is),
		cmocka_unit_test(credentials_of_another_server_are_not_used),
		cmocka_unit_test(token_server_is_asked_again_after_503),
		cmocka_unit_test(token_refusal_is_told_without_secrets),
		cmocka_unit_test(token_redirects_are_not_followed),
		cmocka_unit_test(token_answers_that_are_none_are_refused),
		cmocka_unit_test(token_answers_are_bounded),
		cmocka_unit_test(realms_that_lead_elsewhere_are_refused),
		cmocka_unit_test(relative_realm_is_the_registrys_own),
		cmocka_unit_test(basic_takes_passwords_with_colons),
		cmocka_unit_test(basic_is_sent_only_after_a_challenge),
		cmocka_unit_test(basic_without_credentials_reads_like_docker),
		cmocka_unit_test(wrong_basic_password_is_not_tried_twice),
		cmocka_unit_test(bearer_is_preferred_to_basic),
		cmocka_unit_test(unknown_schemes_leave_the_401),
		cmocka_unit_test(login_succeeds_with_basic),
		cmocka_unit_test(login_fails_when_the_server_says_401),
		cmocka_unit_test(login_asks_for_a_refresh_token_and_hands_it_out),
		cmocka_unit_test(login_never_trusts_the_token_cache),
		cmocka_unit_test(login_at_a_registry_without_authentication_succeeds),
		cmocka_unit_test(login_at_a_dead_registry_reads_like_docker),
		cmocka_unit_test(login_without_a_server_goes_to_docker_hub),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
