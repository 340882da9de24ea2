#include "tests/unit/client/peer.h"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <sys/wait.h>

#include "proto/runtime/clock.h"

extern char **environ;

struct peer peer;

/* Runs a program with its stdout on `out`, or as it is when out is -1. */
static pid_t spawn(char *const *argv, int out)
{
	posix_spawn_file_actions_t actions;
	pid_t pid = -1;

	posix_spawn_file_actions_init(&actions);
	if (out >= 0)
		posix_spawn_file_actions_adddup2(&actions, out, STDOUT_FILENO);
	if (posix_spawnp(&pid, argv[0], &actions, NULL, argv, environ) != 0)
		pid = -1;
	posix_spawn_file_actions_destroy(&actions);
	return pid;
}

bool peer_available(void)
{
	char *argv[] = { PYTHON, "-c", "import grpc, google.protobuf", NULL };
	pid_t pid = spawn(argv, -1);
	int status = 1;

	if (pid < 0 || waitpid(pid, &status, 0) < 0 || status) {
		print_message("SKIPPED: %s has no grpc module (package python3-grpcio)\n", PYTHON);
		return false;
	}
	return true;
}

/* The line that the server prints when it serves; false when it does not. */
static bool read_line(int fd, char *line, size_t size)
{
	const int64_t end = clock_monotonic_ms() + 60 * 1000;
	size_t n = 0;

	while (n < size - 1) {
		struct pollfd p = { .fd = fd, .events = POLLIN };
		int64_t left = end - clock_monotonic_ms();

		if (left <= 0 || poll(&p, 1, (int)left) <= 0 || read(fd, line + n, 1) != 1)
			return false;
		if (line[n++] == '\n')
			break;
	}
	line[n] = 0;
	return true;
}

bool peer_begin(struct peer *p)
{
	char line[128];
	int fds[2];

	snprintf(p->directory, sizeof p->directory, "/tmp/wiretest.XXXXXX");
	if (!mkdtemp(p->directory) || pipe2(fds, O_CLOEXEC) < 0)
		return false;
	p->pid = spawn((char *[]){ PYTHON, SERVER, DESCRIPTORS, p->directory, NULL }, fds[1]);
	close(fds[1]);
	if (p->pid < 0 || !read_line(fds[0], line, sizeof line) ||
	    sscanf(line, "ready %u %u %u %u", &p->tls_port, &p->mtls_port, &p->elsewhere_port, &p->garbage_port) != 4) {
		close(fds[0]);
		peer_end(p);
		return false;
	}
	close(fds[0]);
	return true;
}

void peer_end(struct peer *p)
{
	char *argv[] = { "rm", "-rf", p->directory, NULL };
	pid_t rm;

	if (p->pid > 0) {
		kill(p->pid, SIGKILL);
		waitpid(p->pid, NULL, 0);
		p->pid = 0;
	}
	if (!p->directory[0])
		return;
	rm = spawn(argv, -1);
	if (rm > 0)
		waitpid(rm, NULL, 0);
	p->directory[0] = 0;
}

int peer_start(UNUSED void **state)
{
	return peer_begin(&peer) ? 0 : -1;
}

int peer_stop(UNUSED void **state)
{
	peer_end(&peer);
	return 0;
}

const char *peer_path(const char *name)
{
	static char paths[16][128];
	static unsigned next;
	char *path = paths[next++ % ARRAY_LEN(paths)];

	snprintf(path, sizeof paths[0], "%s/%s", peer.directory, name);
	return path;
}

struct rpc_channel *peer_channel(void)
{
	struct rpc_channel_options options = { .service_config = wiretest__wire__rpc.service_config };
	struct rpc_channel *channel = NULL;
	struct err err = ERR_INIT;
	char address[160];

	snprintf(address, sizeof address, "unix://%s", peer_path("s.sock"));
	options.address = address;
	assert_ok(rpc_channel_open(&options, &channel, &err), err);
	return channel;
}
