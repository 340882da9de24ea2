/*
 * A worker that misbehaves, for the tests of the daemon's side. What it does is the
 * last part of its own name: the tests make links to it.
 */
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "proto/runtime/mem.h"
#include "service/layer/protocol.h"

enum { SOCKET = LAYER_SOCKET_FD };

static void say(const struct layer_message *m)
{
	layer_message_send(SOCKET, m, -1, 0, NULL);
}

static void say_ready(void)
{
	struct layer_message m = layer_message_of(LAYER_READY, 0);

	m.u.ready.sandbox = SANDBOX_REQUIRED;
	say(&m);
}

/* Takes messages up to one of this type; returns its layer. */
static uint32_t await(uint16_t type)
{
	struct layer_message m;
	int fd = -1;

	do {
		if (layer_message_receive(SOCKET, 0, LAYER_FROM_DAEMON, &m, &fd, NULL) != OK)
			_exit(0);
	} while (m.type != type);
	return m.layer;
}

static struct layer_message result(uint32_t layer)
{
	struct layer_message m = layer_message_of(LAYER_RESULT, layer);

	m.u.result.tar_bytes = 1024;
	return m;
}

/* ---- before READY ---------------------------------------------------------------- */

static void silent(void)
{
	pause();
}

static void exits(void)
{
	fprintf(stderr, "libsomething.so.1: cannot open\033[0m\nsecond line\n");
	_exit(3);
}

static void wrong_version(void)
{
	struct layer_message m = layer_message_of(LAYER_READY, 0);

	m.version = LAYER_PROTOCOL_VERSION + 1;
	say(&m);
	pause();
}

static void no_seccomp(void)
{
	struct layer_message m = layer_message_of(LAYER_READY, 0);

	m.u.ready.sandbox = SANDBOX_REQUIRED & ~SANDBOX_SECCOMP;
	say(&m);
	pause();
}

static void refuses(void)
{
	struct layer_message m = layer_message_of(LAYER_FAILED, 0);

	m.u.failed.code = E_WORKER;
	snprintf(m.u.failed.text, sizeof m.u.failed.text, "sandbox: something is missing");
	say(&m);
	pause();
}

static void result_before_ready(void)
{
	struct layer_message m = result(1);

	say(&m);
	pause();
}

/* ---- with a layer ------------------------------------------------------------------ */

static void crashes(void)
{
	say_ready();
	await(LAYER_BEGIN);
	signal(SIGSEGV, SIG_DFL);
	raise(SIGSEGV);
}

static void ready_twice(void)
{
	say_ready();
	say_ready();
	pause();
}

static void early_result(void)
{
	struct layer_message m;

	say_ready();
	m = result(await(LAYER_BEGIN));
	say(&m);
	pause();
}

static void huge_result(void)
{
	struct layer_message m;

	say_ready();
	m = result(await(LAYER_END));
	m.u.result.tar_bytes = INT64_MAX;
	say(&m);
	pause();
}

static void sparse_result(void)
{
	struct layer_message m;

	say_ready();
	m = result(await(LAYER_END));
	m.u.result.files_bytes = layer_files_max + 1;
	say(&m);
	pause();
}

static void negative_result(void)
{
	struct layer_message m;

	say_ready();
	m = result(await(LAYER_END));
	m.u.result.files_bytes = UINT64_MAX;
	say(&m);
	pause();
}

static void future_layer(void)
{
	struct layer_message m;

	say_ready();
	m = result(await(LAYER_END) + 1);
	say(&m);
	pause();
}

static void cut_message(void)
{
	say_ready();
	await(LAYER_END);
	send(SOCKET, "short", 5, 0);
	pause();
}

static void unasked_cancel(void)
{
	struct layer_message m;

	say_ready();
	m = layer_message_of(LAYER_CANCELLED, await(LAYER_END));
	say(&m);
	pause();
}

static void too_much_progress(void)
{
	struct layer_message m;

	say_ready();
	m = layer_message_of(LAYER_PROGRESS, await(LAYER_END));
	m.u.progress.read = INT64_MAX;
	say(&m);
	pause();
}

static void control_text(void)
{
	struct layer_message m;

	say_ready();
	m = layer_message_of(LAYER_FAILED, await(LAYER_END));
	m.u.failed.code = E_BAD_CONTENT;
	snprintf(m.u.failed.text, sizeof m.u.failed.text, "\033[31mred\nline");
	say(&m);
	pause();
}

static void foreign_code(void)
{
	struct layer_message m;

	say_ready();
	m = layer_message_of(LAYER_FAILED, await(LAYER_END));
	m.u.failed.code = E_CANCELLED;
	say(&m);
	pause();
}

static void stalls(void)
{
	say_ready();
	for (;;)
		await(LAYER_BEGIN);
}

/* Much said, nothing moved. */
static void floods(void)
{
	struct layer_message m;

	say_ready();
	m = layer_message_of(LAYER_PROGRESS, await(LAYER_END));
	for (;;)
		if (layer_message_send(SOCKET, &m, -1, 0, NULL) != OK)
			_exit(0);
}

static void closes(void)
{
	say_ready();
	await(LAYER_END);
	close(SOCKET);
	pause();
}

static void sends_descriptors(void)
{
	struct layer_message m;
	int fd = open("/dev/null", O_RDONLY | O_CLOEXEC);

	say_ready();
	m = layer_message_of(LAYER_PROGRESS, await(LAYER_END));
	for (int i = 0; i < 10; i++)
		layer_message_send(SOCKET, &m, fd, 0, NULL);
	m = result(m.layer);
	say(&m);
	pause();
}

/* Takes BEGIN, and no message after it. */
static void deaf(void)
{
	say_ready();
	pause();
}

static const struct {
	const char *name;
	void (*act)(void);
} ways[] = {
	{ "silent", silent },
	{ "exits", exits },
	{ "wrong-version", wrong_version },
	{ "no-seccomp", no_seccomp },
	{ "refuses", refuses },
	{ "result-before-ready", result_before_ready },
	{ "crashes", crashes },
	{ "ready-twice", ready_twice },
	{ "early-result", early_result },
	{ "huge-result", huge_result },
	{ "negative-result", negative_result },
	{ "sparse-result", sparse_result },
	{ "future-layer", future_layer },
	{ "cut-message", cut_message },
	{ "unasked-cancel", unasked_cancel },
	{ "too-much-progress", too_much_progress },
	{ "control-text", control_text },
	{ "foreign-code", foreign_code },
	{ "stalls", stalls },
	{ "floods", floods },
	{ "closes", closes },
	{ "sends-descriptors", sends_descriptors },
	{ "deaf", deaf },
};

int main(int argc UNUSED, char **argv)
{
	const char *slash = strrchr(argv[0], '/');
	const char *name = slash ? slash + 1 : argv[0];

	for (size_t i = 0; i < ARRAY_LEN(ways); i++)
		if (!strcmp(ways[i].name, name))
			ways[i].act();
	return 2;
}
