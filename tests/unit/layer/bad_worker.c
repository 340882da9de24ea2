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
#include "service/layer/archive_protocol.h"

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

/* ---- with an archive's headers ------------------------------------------------------ */

/* READY, and the first block's answer as it should be: an empty file. */
static struct walk_answer first_answer(void)
{
	struct walk_request request;
	struct walk_answer a;

	say_ready();
	if (walk_request_receive(SOCKET, &request, NULL) != OK)
		_exit(0);
	walk_answer_init(&a, WALK_ENTRY, request.offset);
	a.next = a.data_offset = request.offset + WALK_BLOCK_BYTES;
	a.name[0] = 'f';
	return a;
}

static void answer(const struct walk_answer *a)
{
	walk_answer_send(SOCKET, a, NULL);
	pause();
}

static void walk_sound(void)
{
	struct walk_answer a = first_answer();

	answer(&a);
}

static void walk_old_version(void)
{
	struct walk_answer a = first_answer();

	a.version++;
	answer(&a);
}

static void walk_cut(void)
{
	struct walk_answer a = first_answer();

	send(SOCKET, &a, sizeof a - 1, 0);
	pause();
}

static void walk_unknown_type(void)
{
	struct walk_answer a = first_answer();

	a.type = WALK_FAILED + 1;
	answer(&a);
}

static void walk_other_block(void)
{
	struct walk_answer a = first_answer();

	a.offset += WALK_BLOCK_BYTES;
	answer(&a);
}

static void walk_back(void)
{
	struct walk_answer a = first_answer();

	a.next = 0;
	answer(&a);
}

static void walk_not_a_block(void)
{
	struct walk_answer a = first_answer();

	a.size = 1;
	a.next++;
	answer(&a);
}

static void walk_skips(void)
{
	struct walk_answer a = first_answer();

	a.next += WALK_BLOCK_BYTES;
	answer(&a);
}

static void walk_overflows(void)
{
	struct walk_answer a = first_answer();

	a.size = UINT64_MAX - 511;
	a.next += a.size;
	answer(&a);
}

static void walk_elsewhere(void)
{
	struct walk_answer a = first_answer();

	a.data_offset += WALK_BLOCK_BYTES;
	answer(&a);
}

static void walk_endless_name(void)
{
	struct walk_answer a = first_answer();

	memset(a.name, 'n', sizeof a.name);
	answer(&a);
}

static void walk_long_name(void)
{
	struct walk_answer a = first_answer();

	memset(a.name, 'n', WALK_NAME_MAX + 1);
	answer(&a);
}

static void walk_two_names(void)
{
	struct walk_answer a = first_answer();

	a.name[2] = 'g';
	answer(&a);
}

static void walk_file_with_target(void)
{
	struct walk_answer a = first_answer();

	a.link[0] = 't';
	answer(&a);
}

static void walk_directory_with_data(void)
{
	struct walk_answer a = first_answer();

	a.kind = TAR_ENTRY_DIRECTORY;
	a.size = WALK_BLOCK_BYTES;
	a.next += WALK_BLOCK_BYTES;
	answer(&a);
}

static void walk_unknown_kind(void)
{
	struct walk_answer a = first_answer();

	a.kind = TAR_ENTRY_OTHER + 1;
	answer(&a);
}

static void walk_end_with_more(void)
{
	struct walk_answer a = first_answer();

	walk_answer_init(&a, WALK_END, 0);
	a.next = 10 * WALK_BLOCK_BYTES;
	answer(&a);
}

static void walk_need_back(void)
{
	struct walk_answer a = first_answer();

	walk_answer_init(&a, WALK_NEED, 0);
	answer(&a);
}

static struct walk_answer failure(int code, const char *text)
{
	struct walk_answer a = first_answer();

	walk_answer_init(&a, WALK_FAILED, 0);
	a.code = code;
	snprintf(a.name, sizeof a.name, "%s", text);
	return a;
}

static void walk_foreign_code(void)
{
	struct walk_answer a = failure(E_DENIED, "x");

	answer(&a);
}

static void walk_control_text(void)
{
	struct walk_answer a = failure(E_BAD_CONTENT, "\033[31mred\nline");

	answer(&a);
}

static void walk_stalls(void)
{
	first_answer();
	pause();
}

static void walk_crashes(void)
{
	first_answer();
	signal(SIGSEGV, SIG_DFL);
	raise(SIGSEGV);
}

static void walk_two_answers(void)
{
	struct walk_answer a = first_answer();

	walk_answer_send(SOCKET, &a, NULL);
	answer(&a);
}

/* ---- with a stream -------------------------------------------------------------------- */

enum { STREAM = 1 };

/* Takes FILTER and all of the input. */
static void take_stream(void)
{
	static char buffer[65536];

	say_ready();
	await(LAYER_FILTER);
	while (read(STDIN_FILENO, buffer, sizeof buffer) > 0)
		;
}

static void give(const char *text)
{
	if (write(STDOUT_FILENO, text, strlen(text)) < 0)
		_exit(1);
}

static void stream_result(uint64_t bytes)
{
	struct layer_message m = layer_message_of(LAYER_RESULT, STREAM);

	m.u.result.tar_bytes = bytes;
	say(&m);
}

static void filter_sound(void)
{
	take_stream();
	give("plain");
	stream_result(5);
}

static void filter_early_result(void)
{
	say_ready();
	await(LAYER_FILTER);
	stream_result(0);
	pause();
}

static void filter_short(void)
{
	take_stream();
	give("plai");
	stream_result(5);
}

static void filter_long(void)
{
	take_stream();
	stream_result(5);
	give("plain and more");
}

static void filter_huge_result(void)
{
	take_stream();
	stream_result(INT64_MAX);
	pause();
}

static void filter_silent_end(void)
{
	take_stream();
	give("plain");
}

static void filter_closes_and_lives(void)
{
	take_stream();
	give("plain");
	close(STDOUT_FILENO);
	pause();
}

static void filter_other_stream(void)
{
	struct layer_message m = layer_message_of(LAYER_RESULT, STREAM + 1);

	take_stream();
	say(&m);
	pause();
}

static void filter_progress(void)
{
	struct layer_message m = layer_message_of(LAYER_PROGRESS, STREAM);

	take_stream();
	say(&m);
	pause();
}

static void filter_control_text(void)
{
	struct layer_message m = layer_message_of(LAYER_FAILED, STREAM);

	take_stream();
	m.u.failed.code = E_BAD_CONTENT;
	snprintf(m.u.failed.text, sizeof m.u.failed.text, "\033[31mred\nline");
	say(&m);
}

static void filter_stalls(void)
{
	take_stream();
	pause();
}

static void filter_never_reads(void)
{
	say_ready();
	pause();
}

static void filter_crashes(void)
{
	take_stream();
	give("plain");
	signal(SIGSEGV, SIG_DFL);
	raise(SIGSEGV);
}

static void filter_endless(void)
{
	take_stream();
	for (;;)
		give("more and more and more");
}

/* ---- images: two processes of one name, of which the one that writes misbehaves -------- */

static bool writes_images;

/* The layer of the IMAGE; the other process answers as it should. */
static uint32_t await_image(void)
{
	say_ready();
	while (!writes_images) {
		struct layer_message m = result(await(LAYER_END));

		say(&m);
	}
	return await(LAYER_IMAGE);
}

static struct layer_message imaged(uint32_t layer)
{
	struct layer_message m = layer_message_of(LAYER_IMAGED, layer);

	m.u.imaged.image_bytes = 4096;
	m.u.imaged.tar_bytes = 1024;
	m.u.imaged.inodes = 1;
	return m;
}

static void say_imaged(struct layer_message m)
{
	say(&m);
	pause();
}

static void image_other_tar(void)
{
	struct layer_message m = imaged(await_image());

	m.u.imaged.tar_bytes++;
	say_imaged(m);
}

static void image_other_entries(void)
{
	struct layer_message m = imaged(await_image());

	m.u.imaged.entries++;
	say_imaged(m);
}

static void image_huge(void)
{
	struct layer_message m = imaged(await_image());

	m.u.imaged.image_bytes = INT64_MAX;
	say_imaged(m);
}

static void image_negative(void)
{
	struct layer_message m = imaged(await_image());

	m.u.imaged.image_bytes = UINT64_MAX;
	say_imaged(m);
}

static void image_other_layer(void)
{
	say_imaged(imaged(await_image() + 1));
}

static void image_result(void)
{
	say_imaged(result(await_image()));
}

static void image_cancels(void)
{
	say_imaged(layer_message_of(LAYER_CANCELLED, await_image()));
}

static void image_foreign_code(void)
{
	struct layer_message m = layer_message_of(LAYER_FAILED, await_image());

	m.u.failed.code = E_DENIED;
	say_imaged(m);
}

static void image_control_text(void)
{
	struct layer_message m = layer_message_of(LAYER_FAILED, await_image());

	m.u.failed.code = E_LIMIT;
	snprintf(m.u.failed.text, sizeof m.u.failed.text, "\033[31mred\nline");
	say_imaged(m);
}

static void say_cut_off(uint32_t layer)
{
	struct layer_message m = layer_message_of(LAYER_FAILED, layer);

	m.u.failed.code = E_BAD_CONTENT;
	m.u.failed.at_end = 1;
	snprintf(m.u.failed.text, sizeof m.u.failed.text, "it ends too early");
	say_imaged(m);
}

/* The tar is so: the other process found it whole all the same. */
static void image_cut_off(void)
{
	say_cut_off(await_image());
}

/* It ended since the other process dies, which is seen a little later. */
static void image_of_the_dying(void)
{
	enum { LATER_US = 50 * 1000 };

	say_ready();
	if (writes_images) {
		say_cut_off(await(LAYER_IMAGE));
		return;
	}
	await(LAYER_END);
	usleep(LATER_US);
	raise(SIGKILL);
}

static void image_crashes(void)
{
	await_image();
	signal(SIGSEGV, SIG_DFL);
	raise(SIGSEGV);
}

static void image_stalls(void)
{
	await_image();
	pause();
}

/* For longer than anybody should listen; then all is well. */
static void image_repeats(void)
{
	enum { TIMES = 200, PAUSE_US = 10 * 1000 };
	struct layer_message m = layer_message_of(LAYER_PROGRESS, await_image());

	m.u.progress.read = 512;
	for (int i = 0; i < TIMES; i++) {
		layer_message_send(LAYER_SOCKET_FD, &m, -1, 0, NULL);
		usleep(PAUSE_US);
	}
	say_imaged(imaged(m.layer));
}

static void image_goes_back(void)
{
	struct layer_message m = layer_message_of(LAYER_PROGRESS, await_image());

	m.u.progress.read = 1024;
	layer_message_send(LAYER_SOCKET_FD, &m, -1, 0, NULL);
	m.u.progress.read = 512;
	say_imaged(m);
}

/* Its answer is sound, its file is nothing, and stays open. */
static void image_lies(void)
{
	say_imaged(imaged(await_image()));
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
	{ "walk-sound", walk_sound },
	{ "walk-old-version", walk_old_version },
	{ "walk-cut", walk_cut },
	{ "walk-unknown-type", walk_unknown_type },
	{ "walk-other-block", walk_other_block },
	{ "walk-back", walk_back },
	{ "walk-not-a-block", walk_not_a_block },
	{ "walk-skips", walk_skips },
	{ "walk-overflows", walk_overflows },
	{ "walk-elsewhere", walk_elsewhere },
	{ "walk-endless-name", walk_endless_name },
	{ "walk-long-name", walk_long_name },
	{ "walk-two-names", walk_two_names },
	{ "walk-file-with-target", walk_file_with_target },
	{ "walk-directory-with-data", walk_directory_with_data },
	{ "walk-unknown-kind", walk_unknown_kind },
	{ "walk-end-with-more", walk_end_with_more },
	{ "walk-need-back", walk_need_back },
	{ "walk-foreign-code", walk_foreign_code },
	{ "walk-control-text", walk_control_text },
	{ "walk-stalls", walk_stalls },
	{ "walk-crashes", walk_crashes },
	{ "walk-two-answers", walk_two_answers },
	{ "filter-sound", filter_sound },
	{ "filter-early-result", filter_early_result },
	{ "filter-short", filter_short },
	{ "filter-long", filter_long },
	{ "filter-huge-result", filter_huge_result },
	{ "filter-silent-end", filter_silent_end },
	{ "filter-closes-and-lives", filter_closes_and_lives },
	{ "filter-other-stream", filter_other_stream },
	{ "filter-progress", filter_progress },
	{ "filter-control-text", filter_control_text },
	{ "filter-stalls", filter_stalls },
	{ "filter-never-reads", filter_never_reads },
	{ "filter-crashes", filter_crashes },
	{ "filter-endless", filter_endless },
	{ "image-other-tar", image_other_tar },
	{ "image-other-entries", image_other_entries },
	{ "image-huge", image_huge },
	{ "image-negative", image_negative },
	{ "image-other-layer", image_other_layer },
	{ "image-result", image_result },
	{ "image-cancels", image_cancels },
	{ "image-foreign-code", image_foreign_code },
	{ "image-control-text", image_control_text },
	{ "image-cut-off", image_cut_off },
	{ "image-of-the-dying", image_of_the_dying },
	{ "image-crashes", image_crashes },
	{ "image-stalls", image_stalls },
	{ "image-repeats", image_repeats },
	{ "image-goes-back", image_goes_back },
	{ "image-lies", image_lies },
};

int main(int argc, char **argv)
{
	const char *slash = strrchr(argv[0], '/');
	const char *name = slash ? slash + 1 : argv[0];

	writes_images = argc > 1 && !strcmp(argv[1], WORKER_MODE_EROFS);
	for (size_t i = 0; i < ARRAY_LEN(ways); i++)
		if (!strcmp(ways[i].name, name))
			ways[i].act();
	return 2;
}
