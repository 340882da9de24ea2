/* Connections that cannot be made, TLS, servers that go away. */
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include "tests/unit/client/peer.h"

struct tls {
	const char *ca, *cert, *key, *server_name;
};

/* Opens a channel and connects; the name of the peer as the server sees it. */
static int try_connect(const char *address, const struct tls *tls, char *ret_name, struct err *err)
{
	CLEANUP(rpc_channel_closep) struct rpc_channel *channel = NULL;
	CLEANUP(wiretest__wire__who_am_i_freep) Wiretest__Text *answer = NULL;
	struct rpc_channel_options options = { .address = address };
	Wiretest__Text text = WIRETEST__TEXT__INIT;
	int r;

	if (tls) {
		options.ca_file = tls->ca;
		options.cert_file = tls->cert;
		options.key_file = tls->key;
		options.server_name = tls->server_name;
	}
	r = rpc_channel_open(&options, &channel, err);
	if (r == OK)
		r = rpc_channel_connect(channel, 5000, err);
	if (r == OK)
		r = wiretest__wire__call_who_am_i(channel, NULL, &text, &answer, err);
	if (r == OK && ret_name)
		snprintf(ret_name, 64, "%s", answer->text);
	return r;
}

static const char *tcp(unsigned port)
{
	static char address[64];

	snprintf(address, sizeof address, "tcp://127.0.0.1:%u", port);
	return address;
}

static void assert_fails(const char *address, const struct tls *tls, int code, const char *text)
{
	struct err err = ERR_INIT;
	int r = try_connect(address, tls, NULL, &err);

	if (r != code || !strstr(err.text, text)) {
		print_error("%s: %d \"%s\", and not %d \"%s\"\n", address, r, err.text, code, text);
		_fail(__FILE__, __LINE__);
	}
	if (code == E_NO_DAEMON && !strncmp(err.text, "Cannot connect", 14))
		assert_non_null(strstr(err.text, address));
}

static void missing_socket_asks_whether_the_daemon_runs(UNUSED void **state)
{
	assert_fails("unix:///tmp/wiretest-no-such-socket", NULL, E_NO_DAEMON,
		     "Cannot connect to imaged at unix:///tmp/wiretest-no-such-socket: the socket does not exist. Is "
		     "the daemon running");
}

static void call_without_connect_says_the_same(UNUSED void **state)
{
	struct rpc_channel_options options = { .address = "unix:///tmp/wiretest-no-such-socket" };
	CLEANUP(rpc_channel_closep) struct rpc_channel *channel = NULL;
	CLEANUP(wiretest__wire__who_am_i_freep) Wiretest__Text *answer = NULL;
	struct wiretest__wire__count_stream *stream = NULL;
	Wiretest__Number n = WIRETEST__NUMBER__INIT;
	Wiretest__Text text = WIRETEST__TEXT__INIT;
	struct err err = ERR_INIT;

	assert_ok(rpc_channel_open(&options, &channel, &err), err);
	assert_int_equal(wiretest__wire__call_who_am_i(channel, NULL, &text, &answer, &err), E_NO_DAEMON);
	assert_non_null(strstr(err.text, "the socket does not exist"));
	err = (struct err)ERR_INIT;
	assert_int_equal(wiretest__wire__open_count(channel, NULL, &n, &stream, &err), E_NO_DAEMON);
	assert_non_null(strstr(err.text, "the socket does not exist"));
	assert_null(stream);
}

static void file_that_is_no_socket_is_named(UNUSED void **state)
{
	CLEANUP(freep) char *address = format("unix://%s", peer_path("ca.crt"));

	assert_fails(address, NULL, E_NO_DAEMON, "not a socket");
}

static void socket_that_nobody_serves_is_refused(UNUSED void **state)
{
	struct peer other = { 0 };
	CLEANUP(freep) char *address = NULL;

	assert_true(peer_begin(&other));
	address = format("unix://%s/s.sock", other.directory);
	kill(other.pid, SIGKILL);
	waitpid(other.pid, NULL, 0);
	other.pid = 0;
	assert_fails(address, NULL, E_NO_DAEMON, "nothing listens on the socket. Is the daemon running?");
	peer_end(&other);
}

static void closed_port_is_refused(UNUSED void **state)
{
	assert_fails("tcp://127.0.0.1:1", NULL, E_NO_DAEMON, "connection refused");
}

/* As an unprivileged user, in a child: root may use every socket. */
static void forbidden_socket_says_who_may(UNUSED void **state)
{
	CLEANUP(freep) char *address = format("unix://%s", peer_path("s.sock"));
	int status = 0;
	pid_t pid;

	if (geteuid() != 0) {
		print_message("          not root: skipped\n");
		return;
	}
	assert_int_equal(chmod(peer.directory, 0755), 0);
	assert_int_equal(chown(peer_path("s.sock"), 0, 1), 0); /* the group "daemon" */
	assert_int_equal(chmod(peer_path("s.sock"), 0660), 0);
	pid = fork();
	if (pid == 0) {
		struct err err = ERR_INIT;
		bool as_wanted = setresgid(65534, 65534, 65534) == 0 && setresuid(65534, 65534, 65534) == 0 &&
				 try_connect(address, NULL, NULL, &err) == E_NO_DAEMON &&
				 strstr(err.text,
					"permission denied on the socket. Use sudo, or become a member of the "
					"group 'daemon'");

		if (!as_wanted)
			print_error("%s\n", err.text);
		_exit(as_wanted ? 0 : 1);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(status, 0);
}

static void port_without_grpc_is_named(UNUSED void **state)
{
	assert_fails(tcp(peer.garbage_port), NULL, E_NO_DAEMON, "not a gRPC server");
}

/* ---- TLS -------------------------------------------------------------------------------- */

static void tls_connects_to_a_server_that_the_ca_signed(UNUSED void **state)
{
	const struct tls tls = { .ca = peer_path("ca.crt") };
	struct err err = ERR_INIT;

	assert_ok(try_connect(tcp(peer.tls_port), &tls, NULL, &err), err);
}

static void certificate_of_another_ca_is_not_trusted(UNUSED void **state)
{
	const struct tls tls = { .ca = peer_path("other-ca.crt") };

	assert_fails(tcp(peer.tls_port), &tls, E_NO_DAEMON, "not trusted. Use --tlscacert");
}

static void certificate_for_another_host_needs_its_name(UNUSED void **state)
{
	struct tls tls = { .ca = peer_path("ca.crt") };
	struct err err = ERR_INIT;

	assert_fails(tcp(peer.elsewhere_port), &tls, E_NO_DAEMON, "for another name");
	tls.server_name = "elsewhere.test";
	assert_ok(try_connect(tcp(peer.elsewhere_port), &tls, NULL, &err), err);
}

static void client_certificate_identifies_the_client(UNUSED void **state)
{
	const struct tls tls = { .ca = peer_path("ca.crt"),
				 .cert = peer_path("alice.crt"),
				 .key = peer_path("alice.key") };
	struct err err = ERR_INIT;
	char name[64] = "";

	assert_ok(try_connect(tcp(peer.mtls_port), &tls, name, &err), err);
	assert_string_equal(name, "alice");
}

static void server_that_demands_a_client_certificate_is_recognised(UNUSED void **state)
{
	const struct tls tls = { .ca = peer_path("ca.crt") };

	assert_fails(tcp(peer.mtls_port), &tls, E_NO_DAEMON,
		     "demands a client certificate. Use --tlscert and --tlskey");
}

static void client_certificate_of_another_ca_is_refused(UNUSED void **state)
{
	const struct tls tls = { .ca = peer_path("ca.crt"),
				 .cert = peer_path("mallory.crt"),
				 .key = peer_path("mallory.key") };

	assert_fails(tcp(peer.mtls_port), &tls, E_NO_DAEMON, "does not accept the client certificate");
}

static void plain_client_of_a_tls_port_is_told_of_tls(UNUSED void **state)
{
	assert_fails(tcp(peer.tls_port), NULL, E_NO_DAEMON, "use --tlscacert");
}

static void tls_client_of_a_plain_port_is_told(UNUSED void **state)
{
	const struct tls tls = { .ca = peer_path("ca.crt") };

	assert_fails(tcp(peer.garbage_port), &tls, E_NO_DAEMON, "does not speak TLS. Leave out --tlscacert");
}

static void tls_files_are_checked(UNUSED void **state)
{
	const struct tls missing = { .ca = "/tmp/wiretest-no-such-file" };
	const struct tls not_pem = { .ca = peer_path("server.ext") };
	const struct tls half = { .ca = peer_path("ca.crt"), .cert = peer_path("alice.crt") };
	const struct tls wrong_key = { .ca = peer_path("ca.crt"),
				       .cert = peer_path("alice.crt"),
				       .key = peer_path("ca.key") };

	assert_fails(tcp(peer.tls_port), &missing, E_NO_DAEMON, "'/tmp/wiretest-no-such-file': No such file");
	assert_fails(tcp(peer.tls_port), &not_pem, E_NO_DAEMON, "it is not a PEM file");
	assert_fails(tcp(peer.tls_port), &half, E_USAGE, "go together");
	assert_fails(tcp(peer.mtls_port), &wrong_key, E_NO_DAEMON, "the key does not belong to the client certificate");
	assert_fails("unix:///run/x.sock", &missing, E_USAGE, "TLS is for tcp://");
}

/* ---- servers that go away ---------------------------------------------------------------- */

static void stream_notices_that_the_server_died(UNUSED void **state)
{
	struct peer saved = peer, other = { 0 };
	struct wiretest__wire__count_then_hang_stream *stream = NULL;
	Wiretest__Number n = WIRETEST__NUMBER__INIT;
	const Wiretest__Number *message;
	struct rpc_channel *channel;
	struct err err = ERR_INIT;

	assert_true(peer_begin(&other));
	peer = other;
	channel = peer_channel();
	peer = saved;
	assert_ok(wiretest__wire__open_count_then_hang(channel, NULL, &n, &stream, &err), err);
	assert_int_equal(wiretest__wire__count_then_hang_next(stream, &message, &err), 1);
	kill(other.pid, SIGKILL);
	assert_int_equal(wiretest__wire__count_then_hang_next(stream, &message, &err), E_UNAVAILABLE);
	assert_non_null(strstr(err.text, "was lost"));
	wiretest__wire__count_then_hang_free(stream);
	rpc_channel_close(channel);
	peer_end(&other);
}

static void bad_addresses_are_refused(UNUSED void **state)
{
	static const char *const bad[] = {
		"",
		"unix",
		"unix:",
		"unix://",
		"unix:///",
		"unix://run/x",
		"/run/x",
		"http://h:1",
		"tcp://",
		"tcp://h",
		"tcp://:1",
		"tcp://h:",
		"tcp://h:0",
		"tcp://h:65536",
		"tcp://h:1x",
		"tcp://h/x:1",
		"tcp://[::1:1",
		"tcp://[]:1",
		"tcp://h:1:2",
		"tcp://a b:1",
		"unix:///"
		"aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
		"aaaaaaaaaaaaaaaaa",
	};

	for (size_t i = 0; i < ARRAY_LEN(bad); i++)
		assert_fails(bad[i], NULL, E_USAGE, "invalid address");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		/* First: it forks, which gRPC's threads would not survive. */
		cmocka_unit_test(forbidden_socket_says_who_may),
		cmocka_unit_test(missing_socket_asks_whether_the_daemon_runs),
		cmocka_unit_test(call_without_connect_says_the_same),
		cmocka_unit_test(file_that_is_no_socket_is_named),
		cmocka_unit_test(socket_that_nobody_serves_is_refused),
		cmocka_unit_test(closed_port_is_refused),
		cmocka_unit_test(port_without_grpc_is_named),
		cmocka_unit_test(tls_connects_to_a_server_that_the_ca_signed),
		cmocka_unit_test(certificate_of_another_ca_is_not_trusted),
		cmocka_unit_test(certificate_for_another_host_needs_its_name),
		cmocka_unit_test(client_certificate_identifies_the_client),
		cmocka_unit_test(server_that_demands_a_client_certificate_is_recognised),
		cmocka_unit_test(client_certificate_of_another_ca_is_refused),
		cmocka_unit_test(plain_client_of_a_tls_port_is_told_of_tls),
		cmocka_unit_test(tls_client_of_a_plain_port_is_told),
		cmocka_unit_test(tls_files_are_checked),
		cmocka_unit_test(stream_notices_that_the_server_died),
		cmocka_unit_test(bad_addresses_are_refused),
	};

	if (!peer_available())
		return 0;
	return cmocka_run_group_tests(tests, peer_start, peer_stop);
}
