/* Where the server listens, and what it refuses to do there. */
#include <fcntl.h>
#include <stdio.h>
#include <sys/file.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>

#include "proto/runtime/clock.h"
#include "tests/unit/rpc/rig.h"

static int call_echo(const char *address, struct err *err)
{
	CLEANUP(rpc_channel_closep) struct rpc_channel *channel = rig_connect(address);
	CLEANUP(echo__v1__echo_service__echo_freep) Echo__V1__EchoResponse *response = NULL;
	Echo__V1__EchoRequest request = ECHO__V1__ECHO_REQUEST__INIT;

	return echo__v1__echo_service__call_echo(channel, NULL, &request, &response, err);
}

static int listen_too(struct rig *r, const char *address, struct err *err)
{
	return rpc_server_listen(r->server, address, NULL, err);
}

static struct rpc_server *bare_server(void)
{
	static const struct rpc_server_options defaults;
	struct rpc_server *s;
	struct err err = ERR_INIT;

	assert_int_equal(rpc_server_new(&defaults, NULL, NULL, &s, &err), OK);
	return s;
}

static int bind_socket(const char *path)
{
	struct sockaddr_un a = { .sun_family = AF_UNIX };
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	assert_true(fd >= 0);
	snprintf(a.sun_path, sizeof a.sun_path, "%s", path);
	assert_int_equal(bind(fd, (struct sockaddr *)&a, sizeof a), 0);
	return fd;
}

static mode_t mode_of(const char *path)
{
	struct stat st;

	assert_int_equal(lstat(path, &st), 0);
	return st.st_mode;
}

static void two_listeners_serve_at_once(void **state)
{
	CLEANUP(rig_freep) struct rig *r = rig_prepare(NULL);
	CLEANUP(freep) char *second = format("unix://%s/second.sock", r->dir);
	const char *const *addresses;
	struct err err = ERR_INIT;

	(void)state;
	assert_int_equal(listen_too(r, second, &err), OK);
	assert_int_equal(listen_too(r, "tcp://127.0.0.1:0", &err), OK);
	assert_int_equal(listen_too(r, "tcp://[::1]:0", &err), OK);
	rig_start(r);
	assert_int_equal(rpc_server_addresses(r->server, &addresses), 4);
	assert_string_equal(addresses[0], r->address);
	assert_string_equal(addresses[1], second);
	assert_ptr_equal(strstr(addresses[2], "tcp://127.0.0.1:"), addresses[2]);
	assert_ptr_equal(strstr(addresses[3], "tcp://[::1]:"), addresses[3]);
	for (int i = 0; i < 4; i++)
		assert_int_equal(call_echo(addresses[i], &err), OK);
}

static void socket_has_mode_0660_whatever_the_umask(void **state)
{
	static const mode_t masks[] = { 0, 022, 077, 0777 };

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(masks); i++) {
		CLEANUP(rig_freep) struct rig *r = rig_prepare(NULL);
		CLEANUP(freep) char *path = rig_path(r, "masked.sock");
		CLEANUP(freep) char *address = format("unix://%s", path);
		struct err err = ERR_INIT;
		mode_t old = umask(masks[i]);
		int rc = listen_too(r, address, &err);

		umask(old);
		assert_int_equal(rc, OK);
		assert_int_equal(mode_of(path), S_IFSOCK | 0660);
	}
}

static void stale_socket_is_replaced(void **state)
{
	CLEANUP(rig_freep) struct rig *r = rig_prepare(NULL);
	CLEANUP(freep) char *path = rig_path(r, "stale.sock");
	CLEANUP(freep) char *address = format("unix://%s", path);
	struct err err = ERR_INIT;

	(void)state;
	close(bind_socket(path));
	assert_int_equal(listen_too(r, address, &err), OK);
	rig_start(r);
	assert_int_equal(call_echo(address, &err), OK);
}

static void live_socket_is_refused_and_left_alone(void **state)
{
	CLEANUP(rig_freep) struct rig *r = rig_new(NULL);
	struct rpc_server *second = bare_server();
	struct err err = ERR_INIT;

	(void)state;
	assert_int_equal(rpc_server_listen(second, r->address, NULL, &err), E_CONFLICT);
	assert_non_null(strstr(err.text, "another server listens"));
	rpc_server_free(second);
	assert_int_equal(call_echo(r->address, &err), OK);
}

static void file_that_is_no_socket_is_left_alone(void **state)
{
	CLEANUP(rig_freep) struct rig *r = rig_new(NULL);
	CLEANUP(freep) char *path = rig_path(r, "file");
	CLEANUP(freep) char *address = format("unix://%s", path);
	struct rpc_server *second = bare_server();
	struct err err = ERR_INIT;

	(void)state;
	close(open(path, O_CREAT | O_WRONLY | O_CLOEXEC, 0600));
	assert_int_equal(rpc_server_listen(second, address, NULL, &err), E_CONFLICT);
	rpc_server_free(second);
	assert_int_equal(unlink(path), 0);
}

static void foreign_socket_is_not_removed_at_exit(void **state)
{
	struct rig *r = rig_new(NULL);
	CLEANUP(freep) char *path = rig_path(r, "s.sock");
	int other;

	(void)state;
	assert_int_equal(unlink(path), 0);
	other = bind_socket(path);
	rpc_server_drain(r->server);
	assert_int_equal(mode_of(path) & S_IFMT, S_IFSOCK);
	close(other);
	assert_int_equal(unlink(path), 0);
	rig_free(r);
}

static void own_socket_is_removed_when_the_drain_begins(void **state)
{
	CLEANUP(rig_freep) struct rig *r = rig_new(NULL);
	CLEANUP(freep) char *path = rig_path(r, "s.sock");
	struct stat st;

	(void)state;
	rpc_server_drain(r->server);
	assert_int_equal(lstat(path, &st), -1);
}

static void socket_of_systemd_is_adopted_and_kept(void **state)
{
	CLEANUP(rig_freep) struct rig *r = rig_prepare(NULL);
	CLEANUP(freep) char *path = rig_path(r, "activated.sock");
	CLEANUP(freep) char *by_path = format("unix://%s", path);
	CLEANUP(freep) char *by_fd = NULL;
	const char *const *addresses;
	struct err err = ERR_INIT;
	int fd = bind_socket(path), kept = dup(fd);

	(void)state;
	assert_int_equal(listen(fd, 5), 0);
	by_fd = format("fd://%d", fd);
	assert_int_equal(listen_too(r, by_fd, &err), OK);
	assert_int_equal(rpc_server_addresses(r->server, &addresses), 2);
	assert_string_equal(addresses[1], by_path);
	rig_start(r);
	assert_int_equal(call_echo(by_path, &err), OK);
	rpc_server_drain(r->server);
	assert_int_equal(mode_of(path) & S_IFMT, S_IFSOCK); /* systemd listens on */
	close(kept);
	unlink(path);
}

static void descriptor_that_is_no_listening_socket_is_refused(void **state)
{
	CLEANUP(rig_freep) struct rig *r = rig_new(NULL);
	struct rpc_server *second = bare_server();
	CLEANUP(closep) int bound = -1;
	CLEANUP(closep) int tcp = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	CLEANUP(freep) char *path = rig_path(r, "bound.sock");
	CLEANUP(freep) char *not_listening = NULL;
	CLEANUP(freep) char *not_unix = format("fd://%d", tcp);
	struct err err = ERR_INIT;

	(void)state;
	bound = bind_socket(path);
	not_listening = format("fd://%d", bound);
	assert_int_equal(listen(tcp, 1), 0);
	assert_int_equal(rpc_server_listen(second, not_listening, NULL, &err), E_INVALID);
	assert_int_equal(rpc_server_listen(second, not_unix, NULL, &err), E_INVALID);
	assert_int_equal(rpc_server_listen(second, "fd://900000", NULL, &err), E_INVALID);
	rpc_server_free(second);
	unlink(path);
}

static void plain_tcp_is_for_loopback_only(void **state)
{
	static const char *const open_to_others[] = { "tcp://0.0.0.0:0", "tcp://[::]:0", "tcp://192.0.2.1:5000",
						      "tcp://10.0.0.1:0", "tcp://[fe80::1]:0" };
	CLEANUP(rpc_server_freep) struct rpc_server *s = bare_server();
	const char *const *addresses;
	struct err err = ERR_INIT;

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(open_to_others); i++) {
		assert_int_equal(rpc_server_listen(s, open_to_others[i], NULL, &err), E_INVALID);
		assert_non_null(strstr(err.text, "without TLS"));
	}
	assert_int_equal(rpc_server_listen(s, "tcp://127.255.255.254:0", NULL, &err), OK);
	assert_int_equal(rpc_server_listen(s, "tcp://localhost:0", NULL, &err), OK);
	assert_int_equal(rpc_server_addresses(s, &addresses), 2);
}

static void tcp_port_that_is_taken_is_an_error_that_says_so(void **state)
{
	CLEANUP(rpc_server_freep) struct rpc_server *first = bare_server();
	CLEANUP(rpc_server_freep) struct rpc_server *second = bare_server();
	const char *const *addresses;
	struct err err = ERR_INIT;

	(void)state;
	assert_int_equal(rpc_server_listen(first, "tcp://127.0.0.1:0", NULL, &err), OK);
	assert_int_equal(rpc_server_addresses(first, &addresses), 1);
	assert_int_equal(rpc_server_listen(second, addresses[0], NULL, &err), E_CONFLICT);
	assert_non_null(strstr(err.text, "Address already in use"));
}

static void wrong_addresses_are_refused(void **state)
{
	static const char *const wrong[] = {
		"",
		"unix:",
		"unix://",
		"unix://relative",
		"/run/s.sock",
		"tcp://",
		"tcp://127.0.0.1",
		"tcp://:80",
		"tcp://127.0.0.1:",
		"tcp://127.0.0.1:65536",
		"tcp://127.0.0.1:x",
		"tcp://::1:80",
		"tcp://127.0.0.1:-1",
		"tcp://[]:80",
		"fd://",
		"fd://x",
		"fd://-1",
		"fd://1x",
		"http://127.0.0.1:1",
		"tcp://127.0.0.1: 80",
		"fd://99999999999999999999",
	};
	CLEANUP(rpc_server_freep) struct rpc_server *s = bare_server();
	char long_path[200] = "unix:///", long_host[400] = "tcp://";
	struct err err = ERR_INIT;

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(wrong); i++)
		assert_int_equal(rpc_server_listen(s, wrong[i], NULL, &err), E_INVALID);
	memset(long_path + 8, 'x', sizeof long_path - 9);
	assert_int_equal(rpc_server_listen(s, long_path, NULL, &err), E_INVALID);
	memset(long_host + 6, 'x', sizeof long_host - 10);
	memcpy(long_host + sizeof long_host - 5, ":80", 4);
	assert_int_equal(rpc_server_listen(s, long_host, NULL, &err), E_INVALID);
	assert_int_equal(rpc_server_listen(s, "tcp://no.such.host.invalid:80", NULL, &err), E_INVALID);
	assert_true(rpc_server_listen(s, "unix:///no/such/dir/s.sock", NULL, &err) < 0);
	assert_non_null(strstr(err.text, "/no/such/dir/s.sock"));
}

static void connections_beyond_the_limit_are_closed_and_places_come_back(void **state)
{
	enum { LIMIT = 3 };
	struct rpc_server_options options = { .unix_connections = LIMIT };
	CLEANUP(rig_freep) struct rig *r = rig_new(&options);
	struct rpc_channel *held[LIMIT];
	struct err err = ERR_INIT;
	int refused;

	(void)state;
	for (int i = 0; i < LIMIT; i++) {
		held[i] = rig_connect(r->address);
		assert_int_equal(rpc_channel_connect(held[i], RIG_PATIENCE, &err), OK);
	}
	refused = call_echo(r->address, &err);
	assert_true(refused < 0);
	EVENTUALLY(rig_logged(r) == 1);
	assert_int_equal(rig_last_code(r), E_BUSY);
	for (int i = 0; i < LIMIT; i++)
		rpc_channel_close(held[i]);
	EVENTUALLY(call_echo(r->address, &err) == OK);
}

static void identity_is_right_over_many_connections(void **state)
{
	CLEANUP(rig_freep) struct rig *r = rig_new(NULL);
	struct err err = ERR_INIT;

	(void)state;
	for (int i = 0; i < 200; i++) {
		CLEANUP(rpc_channel_closep) struct rpc_channel *channel = rig_connect(r->address);
		CLEANUP(echo__v1__echo_service__who_am_i_freep) Echo__V1__WhoAmIResponse *me = NULL;
		Echo__V1__WhoAmIRequest request = ECHO__V1__WHO_AM_IREQUEST__INIT;

		assert_int_equal(echo__v1__echo_service__call_who_am_i(channel, NULL, &request, &me, &err), OK);
		assert_int_equal(me->pid, getpid());
	}
}

static unsigned open_files(void)
{
	unsigned n = 0;

	for (int fd = 0; fd < 70000; fd++)
		n += fcntl(fd, F_GETFD) >= 0;
	return n;
}

static void closed_connections_leave_no_descriptor_behind(void **state)
{
	CLEANUP(rig_freep) struct rig *r = rig_new(NULL);
	struct err err = ERR_INIT;
	unsigned before;

	(void)state;
	assert_int_equal(call_echo(r->address, &err), OK);
	EVENTUALLY(rpc_server_active(r->server) == 0);
	before = open_files();
	for (int i = 0; i < 20; i++)
		assert_int_equal(call_echo(r->address, &err), OK);
	EVENTUALLY(open_files() <= before);
}

static void server_that_never_started_can_be_freed(void **state)
{
	struct rpc_server *s = bare_server();
	struct err err = ERR_INIT;

	(void)state;
	assert_int_equal(rpc_server_listen(s, "tcp://127.0.0.1:0", NULL, &err), OK);
	rpc_server_free(s);
	rpc_server_free(NULL);
}

static void service_that_is_added_twice_is_refused(void **state)
{
	CLEANUP(rpc_server_freep) struct rpc_server *s = bare_server();
	struct echo_service service = { 0 };
	struct rpc_binding binding = echo_service_binding(&service);
	struct err err = ERR_INIT;

	(void)state;
	assert_int_equal(rpc_server_add(s, &binding, &err), OK);
	assert_int_equal(rpc_server_add(s, &binding, &err), E_EXISTS);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(two_listeners_serve_at_once),
		cmocka_unit_test(socket_has_mode_0660_whatever_the_umask),
		cmocka_unit_test(stale_socket_is_replaced),
		cmocka_unit_test(live_socket_is_refused_and_left_alone),
		cmocka_unit_test(file_that_is_no_socket_is_left_alone),
		cmocka_unit_test(foreign_socket_is_not_removed_at_exit),
		cmocka_unit_test(own_socket_is_removed_when_the_drain_begins),
		cmocka_unit_test(socket_of_systemd_is_adopted_and_kept),
		cmocka_unit_test(descriptor_that_is_no_listening_socket_is_refused),
		cmocka_unit_test(plain_tcp_is_for_loopback_only),
		cmocka_unit_test(tcp_port_that_is_taken_is_an_error_that_says_so),
		cmocka_unit_test(wrong_addresses_are_refused),
		cmocka_unit_test(connections_beyond_the_limit_are_closed_and_places_come_back),
		cmocka_unit_test(identity_is_right_over_many_connections),
		cmocka_unit_test(closed_connections_leave_no_descriptor_behind),
		cmocka_unit_test(server_that_never_started_can_be_freed),
		cmocka_unit_test(service_that_is_added_twice_is_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
