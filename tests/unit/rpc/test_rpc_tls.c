/* TLS and mutual TLS: who may connect, who they are, and files that are wrong. */
#include <spawn.h>
#include <stdio.h>
#include <sys/wait.h>

#include "proto/runtime/clock.h"
#include "tests/unit/rpc/rig.h"

static char dir[] = "/tmp/imaged-tls.XXXXXX";

/* Two authorities; a server; clients with names, without any, of the other
 * authority; and certificates that are out of date or not what they should be. */
static const char script[] =
	"set -e; cd \"$1\"\n"
	"key() { openssl genpkey -algorithm EC -pkeyopt ec_paramgen_curve:prime256v1 -out $1.key; }\n"
	"ca() { key $1; openssl req -x509 -new -key $1.key -subj /CN=$1 -days 2 -out $1.pem; }\n"
	"cert() { key $1; openssl req -new -key $1.key -subj \"$3\" -out $1.csr\n"
	"  printf '%s\\n' \"$4\" >$1.ext\n"
	"  openssl x509 -req -in $1.csr -CA $2.pem -CAkey $2.key -CAcreateserial -days $5 -extfile $1.ext -out $1.pem; "
	"}\n"
	"ca good; ca other\n"
	"cert server good /CN=server subjectAltName=IP:127.0.0.1,DNS:localhost 2\n"
	"cert alice good /O=ops/CN=alice "
	"subjectAltName=DNS:alice.example,URI:spiffe://example/alice,email:a@example.org 2\n"
	"cert nameless good /O=ops subjectAltName=DNS:nameless.example 2\n"
	"cert stranger other /CN=alice subjectAltName=DNS:alice.example 2\n"
	"cert late good /CN=alice subjectAltName=DNS:alice.example -1\n"
	"echo 'no PEM at all' >text; : >empty\n"
	"openssl pkcs8 -topk8 -in server.key -passout pass:secret -out locked.key\n";

static int run_script(void)
{
	char *argv[] = { (char *)"sh", (char *)"-c", (char *)script, (char *)"sh", dir, NULL };
	posix_spawn_file_actions_t quiet;
	pid_t pid;
	int status;

	posix_spawn_file_actions_init(&quiet);
	posix_spawn_file_actions_addopen(&quiet, 2, "/dev/null", 1, 0);
	posix_spawn_file_actions_addopen(&quiet, 1, "/dev/null", 1, 0);
	if (posix_spawnp(&pid, "sh", &quiet, NULL, argv, environ) || waitpid(pid, &status, 0) != pid)
		return -1;
	posix_spawn_file_actions_destroy(&quiet);
	return status;
}

static int make_files(void **state)
{
	(void)state;
	return mkdtemp(dir) && run_script() == 0 ? 0 : -1;
}

static int remove_files(void **state)
{
	char *argv[] = { (char *)"rm", (char *)"-rf", dir, NULL };
	pid_t pid;

	(void)state;
	return posix_spawnp(&pid, "rm", NULL, NULL, argv, environ) || waitpid(pid, NULL, 0) != pid ? -1 : 0;
}

static const char *file(const char *name)
{
	static char paths[8][128];
	static unsigned next;
	char *path = paths[next++ % 8];

	snprintf(path, sizeof paths[0], "%s/%s", dir, name);
	return path;
}

/* A server with TLS on a TCP port beside its unix socket. */
static struct rig *tls_rig(const char *client_ca, const char **ret_address)
{
	struct rig *r = rig_prepare(NULL);
	struct rpc_tls tls = { .cert_file = file("server.pem"), .key_file = file("server.key") };
	const char *const *addresses;
	struct err err = ERR_INIT;

	tls.client_ca_file = client_ca ? file(client_ca) : NULL;
	tls.allow_anonymous = !client_ca;
	assert_int_equal(rpc_server_listen(r->server, "tcp://127.0.0.1:0", &tls, &err), OK);
	rig_start(r);
	assert_int_equal(rpc_server_addresses(r->server, &addresses), 2);
	*ret_address = addresses[1];
	return r;
}

/* WhoAmI over TLS, as `who` (NULL: without a certificate), trusting `ca`. */
static int ask(const char *address, const char *ca, const char *who, Echo__V1__WhoAmIResponse **ret_me, struct err *err)
{
	CLEANUP(rpc_channel_closep) struct rpc_channel *channel = NULL;
	struct rpc_channel_options options = { .address = address, .ca_file = ca ? file(ca) : NULL };
	struct rpc_call_options call = { .timeout_ms = RIG_PATIENCE };
	Echo__V1__WhoAmIRequest request = ECHO__V1__WHO_AM_IREQUEST__INIT;
	char cert[32], key[32];

	if (who) {
		snprintf(cert, sizeof cert, "%s.pem", who);
		snprintf(key, sizeof key, "%s.key", who);
		options.cert_file = file(cert);
		options.key_file = file(key);
	}
	assert_int_equal(rpc_channel_open(&options, &channel, err), OK);
	return echo__v1__echo_service__call_who_am_i(channel, &call, &request, ret_me, err);
}

static void tls_without_client_certificate_is_nobody(void **state)
{
	CLEANUP(echo__v1__echo_service__who_am_i_freep) Echo__V1__WhoAmIResponse *me = NULL;
	const char *address;
	CLEANUP(rig_freep) UNUSED struct rig *r = tls_rig(NULL, &address);
	struct err err = ERR_INIT;

	(void)state;
	assert_int_equal(ask(address, "good.pem", NULL, &me, &err), OK);
	assert_int_equal(me->kind, ECHO__V1__WHO_AM_IRESPONSE__KIND__NONE);
	assert_int_equal(me->uid, 0);
	assert_string_equal(me->common_name, "");
}

/* The certificate is not asked for, so nobody has checked it. */
static void certificate_that_nobody_checked_is_no_identity(void **state)
{
	CLEANUP(echo__v1__echo_service__who_am_i_freep) Echo__V1__WhoAmIResponse *me = NULL;
	const char *address;
	CLEANUP(rig_freep) UNUSED struct rig *r = tls_rig(NULL, &address);
	struct err err = ERR_INIT;

	(void)state;
	assert_int_equal(ask(address, "good.pem", "alice", &me, &err), OK);
	assert_int_equal(me->kind, ECHO__V1__WHO_AM_IRESPONSE__KIND__NONE);
}

static void mutual_tls_gives_common_name_and_alternative_names(void **state)
{
	CLEANUP(echo__v1__echo_service__who_am_i_freep) Echo__V1__WhoAmIResponse *me = NULL;
	const char *address;
	CLEANUP(rig_freep) UNUSED struct rig *r = tls_rig("good.pem", &address);
	struct err err = ERR_INIT;

	(void)state;
	assert_int_equal(ask(address, "good.pem", "alice", &me, &err), OK);
	assert_int_equal(me->kind, ECHO__V1__WHO_AM_IRESPONSE__KIND__CERTIFICATE);
	assert_string_equal(me->common_name, "alice");
	assert_int_equal(me->n_alt_names, 3);
	assert_string_equal(me->alt_names[0], "alice.example");
	assert_string_equal(me->alt_names[1], "spiffe://example/alice");
	assert_string_equal(me->alt_names[2], "a@example.org");
	assert_non_null(strstr(me->peer, "ipv4:127.0.0.1:"));
	assert_non_null(strstr(me->peer, ",spiffe=spiffe://example/alice"));
}

static void certificate_without_common_name_is_known_by_its_alternative_names(void **state)
{
	CLEANUP(echo__v1__echo_service__who_am_i_freep) Echo__V1__WhoAmIResponse *me = NULL;
	const char *address;
	CLEANUP(rig_freep) UNUSED struct rig *r = tls_rig("good.pem", &address);
	struct err err = ERR_INIT;

	(void)state;
	assert_int_equal(ask(address, "good.pem", "nameless", &me, &err), OK);
	assert_int_equal(me->kind, ECHO__V1__WHO_AM_IRESPONSE__KIND__CERTIFICATE);
	assert_string_equal(me->common_name, "");
	assert_int_equal(me->n_alt_names, 1);
	assert_string_equal(me->alt_names[0], "nameless.example");
}

static void mutual_tls_refuses_clients_without_a_good_certificate(void **state)
{
	static const char *const who[] = { NULL, "stranger", "late" };
	Echo__V1__WhoAmIResponse *me;
	const char *address;
	CLEANUP(rig_freep) UNUSED struct rig *r = tls_rig("good.pem", &address);
	struct err err = ERR_INIT;

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(who); i++)
		assert_true(ask(address, "good.pem", who[i], &me, &err) < 0);
	/* Nor who trusts another authority, nor who speaks plain text. */
	assert_true(ask(address, "other.pem", "alice", &me, &err) < 0);
	assert_true(ask(address, NULL, NULL, &me, &err) < 0);
	assert_int_equal(atomic_load(&r->service.serial), 0);
}

static void identity_never_comes_from_metadata(void **state)
{
	CLEANUP(rig_freep) struct rig *r = rig_new(NULL);
	static const char *const keys[] = { "x509_common_name", "x-common-name", "uid", "tls_mode", "username" };
	struct raw_result result;

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(keys); i++) {
		raw_unary(r->address,
			  &(struct raw_call){ .path = "/echo.v1.EchoService/WhoAmI",
					      .request = bytes_of(""),
					      .key = keys[i],
					      .value = "mallory" },
			  &result);
		assert_int_equal(result.status, GRPC_CODE_OK);
		assert_null(memmem(result.response, result.n_response, "mallory", 7));
	}
}

static void wrong_files_are_named(void **state)
{
	static const struct {
		const char *cert, *key, *ca, *text;
	} rows[] = {
		{ "server.pem", "alice.key", NULL, "does not belong to" },
		{ "server.pem", "nothing", NULL, "nothing" },
		{ "nothing", "server.key", NULL, "nothing" },
		{ "text", "server.key", NULL, "holds no certificate" },
		{ "empty", "server.key", NULL, "holds no certificate" },
		{ "server.pem", "text", NULL, "holds no private key" },
		{ "server.pem", "locked.key", NULL, "without a password" },
		{ "server.pem", "server.key", "text", "holds no certificate" },
		{ "server.pem", "server.key", "nothing", "nothing" },
		{ "late.pem", "late.key", NULL, "has expired" },
		{ "server.pem", NULL, NULL, "both" },
		{ NULL, "server.key", NULL, "both" },
		{ NULL, NULL, "good.pem", "both" },
		{ "", "server.key", NULL, "is no PEM file" }, /* the directory */
	};
	CLEANUP(rig_freep) struct rig *r = rig_prepare(NULL);
	struct err err = ERR_INIT;

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		struct rpc_tls tls = { 0 };

		tls.cert_file = rows[i].cert ? file(rows[i].cert) : NULL;
		tls.key_file = rows[i].key ? file(rows[i].key) : NULL;
		tls.client_ca_file = rows[i].ca ? file(rows[i].ca) : NULL;
		assert_int_equal(rpc_server_listen(r->server, "tcp://127.0.0.1:0", &tls, &err), E_INVALID);
		assert_non_null(strstr(err.text, rows[i].text));
	}
}

static void tls_without_client_authority_must_be_meant(void **state)
{
	CLEANUP(rig_freep) struct rig *r = rig_prepare(NULL);
	struct rpc_tls tls = { .cert_file = file("server.pem"), .key_file = file("server.key") };
	struct err err = ERR_INIT;

	(void)state;
	assert_int_equal(rpc_server_listen(r->server, "tcp://127.0.0.1:0", &tls, &err), E_INVALID);
	assert_non_null(strstr(err.text, "tls-client-ca"));
	assert_non_null(strstr(err.text, "tls-allow-anonymous"));
	tls.allow_anonymous = true;
	assert_int_equal(rpc_server_listen(r->server, "tcp://127.0.0.1:0", &tls, &err), OK);
}

static void tls_may_listen_beyond_loopback(void **state)
{
	CLEANUP(rig_freep) struct rig *r = rig_prepare(NULL);
	struct rpc_tls tls = { file("server.pem"), file("server.key"), file("good.pem"), false };
	struct err err = ERR_INIT;

	(void)state;
	assert_int_equal(rpc_server_listen(r->server, "tcp://0.0.0.0:0", &tls, &err), OK);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(tls_without_client_certificate_is_nobody),
		cmocka_unit_test(certificate_that_nobody_checked_is_no_identity),
		cmocka_unit_test(mutual_tls_gives_common_name_and_alternative_names),
		cmocka_unit_test(certificate_without_common_name_is_known_by_its_alternative_names),
		cmocka_unit_test(mutual_tls_refuses_clients_without_a_good_certificate),
		cmocka_unit_test(identity_never_comes_from_metadata),
		cmocka_unit_test(wrong_files_are_named),
		cmocka_unit_test(tls_without_client_authority_must_be_meant),
		cmocka_unit_test(tls_may_listen_beyond_loopback),
	};

	return cmocka_run_group_tests(tests, make_files, remove_files);
}
