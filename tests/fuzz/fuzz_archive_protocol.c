/*
 * The daemon's side of an archive's worker against a hostile one: what it says to the
 * walk and to the filter. No process is started: this file stands in for process.c, so
 * that "the process" is the other end of a socketpair (and of two pipes) in here.
 *
 * Input: a byte that picks walk or filter, then records of an operation byte and its
 * arguments. What the daemon takes for a step must be one.
 */
#include <fcntl.h>
#include <signal.h>
#include <sys/socket.h>

#include "proto/runtime/mem.h"
#include "service/layer/archive.h"
#include "service/layer/process.h"

enum { OPERATIONS_MAX = 100, NO_PROCESS = 1, STALL_MS = 0 };

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static int worker = -1, worker_in = -1, worker_out = -1; /* the hostile ends */

/* ---- in the place of process.c ------------------------------------------------- */

static void close_one(int *fd)
{
	if (*fd >= 0)
		close(take_fd(fd));
}

static void close_worker(void)
{
	close_one(&worker);
	close_one(&worker_in);
	close_one(&worker_out);
}

int process_start_as(const char *program UNUSED, const struct process_role *role, struct process *ret_process,
		     struct err *err)
{
	int pair[2];

	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) < 0)
		return fail_errno(err, "socketpair");
	close_worker();
	worker = pair[1];
	if (role->in >= 0)
		worker_in = fcntl(role->in, F_DUPFD_CLOEXEC, 3);
	if (role->out >= 0)
		worker_out = fcntl(role->out, F_DUPFD_CLOEXEC, 3);
	if (worker_out >= 0)
		fcntl(worker_out, F_SETFL, O_NONBLOCK);
	*ret_process = (struct process){ .pid = NO_PROCESS, .socket = pair[0], .errors = -1 };
	return OK;
}

void process_end(struct process *p)
{
	if (p->pid)
		close(p->socket);
	*p = (struct process)PROCESS_INIT;
}

int process_fail_died(struct process *p, struct err *err)
{
	process_end(p);
	return fail(err, E_WORKER, "imaged-layer died");
}

/* ---- the worker ------------------------------------------------------------------ */

struct input {
	const uint8_t *data;
	size_t len;
};

static void take(struct input *in, void *out, size_t len)
{
	size_t n = in->len < len ? in->len : len;

	memset(out, 0, len);
	if (n)
		memcpy(out, in->data, n);
	in->data += n;
	in->len -= n;
}

static uint8_t take_byte(struct input *in)
{
	uint8_t b;

	take(in, &b, 1);
	return b;
}

static void say(const void *packet, size_t len)
{
	if (worker >= 0)
		send(worker, packet, len, MSG_DONTWAIT | MSG_NOSIGNAL);
}

/* Any of the stream's messages, small numbers in its fields. */
static void say_message(struct input *in)
{
	static const uint16_t types[] = { LAYER_READY, LAYER_RESULT, LAYER_FAILED, LAYER_PROGRESS, LAYER_CANCELLED };
	struct layer_message m = layer_message_of(types[take_byte(in) % ARRAY_LEN(types)], take_byte(in) & 1);

	if (m.type == LAYER_READY)
		m.u.ready.sandbox = SANDBOX_REQUIRED | take_byte(in);
	else if (m.type == LAYER_RESULT)
		m.u.result.tar_bytes = take_byte(in);
	else if (m.type == LAYER_FAILED) {
		m.u.failed.code = (int8_t)take_byte(in);
		take(in, m.u.failed.text, take_byte(in));
	}
	say(&m, sizeof m);
}

/* An answer that is sound but for what the input turns in it. */
static void say_answer(struct input *in, uint64_t offset)
{
	static struct walk_answer a;
	uint8_t turn = take_byte(in);

	walk_answer_init(&a, WALK_NEED + take_byte(in) % 5, offset);
	a.next = a.type == WALK_FAILED ? 0 : offset + WALK_BLOCK_BYTES;
	if (a.type == WALK_ENTRY) {
		a.kind = take_byte(in) % 6;
		a.data_offset = a.next;
		a.size = take_byte(in) * (turn & 2 ? UINT64_C(1) << 55 : 100);
		a.next += a.size + -a.size % WALK_BLOCK_BYTES;
		take(in, a.name, take_byte(in));
	}
	if (a.type == WALK_FAILED) {
		a.code = (int8_t)take_byte(in);
		take(in, a.name, take_byte(in));
	}
	if (turn & 1)
		((uint8_t *)&a)[(take_byte(in) * 256U + take_byte(in)) % sizeof a] ^= take_byte(in);
	say(&a, sizeof a - (turn == 0xff));
}

static void say_raw(struct input *in)
{
	uint8_t packet[300];
	size_t len = take_byte(in) + (take_byte(in) & 1) * 40;

	take(in, packet, len);
	say(packet, len);
}

/* ---- the daemon ------------------------------------------------------------------ */

static void require(bool holds)
{
	if (!holds)
		abort();
}

static void check_text(const struct err *err)
{
	for (const char *c = err->text; *c; c++)
		require(*c >= ' ' && *c <= '~');
}

static void check_step(const struct tar_step *s, uint64_t at)
{
	require(s->next > at && s->next % WALK_BLOCK_BYTES == 0 && s->next <= INT64_MAX);
	require(strlen(s->name) <= WALK_NAME_MAX && strlen(s->link) <= WALK_NAME_MAX);
	if (s->type == TAR_STEP_ENTRY)
		require(s->data_offset == at + WALK_BLOCK_BYTES && s->size <= s->next - s->data_offset &&
			s->next - s->data_offset - s->size < WALK_BLOCK_BYTES && s->kind <= TAR_ENTRY_OTHER);
}

static void run_walk(const struct layer_policy *policy, struct input *in)
{
	static const uint8_t block[WALK_BLOCK_BYTES];
	struct tar_step step = { 0 };
	struct err err = ERR_INIT;
	struct tar_walk *w;
	uint64_t at = 0;
	int rc = tar_walk_new("imaged-layer", policy, &w, NULL);

	if (rc != OK)
		return;
	say_message(in);
	for (int i = 0; in->len && rc == OK && i < OPERATIONS_MAX && step.type != TAR_STEP_END; i++) {
		if (take_byte(in) % 8)
			say_answer(in, at);
		else
			say_raw(in);
		rc = tar_walk_block(w, block, at, NULL, &step, &err);
		if (rc == OK)
			check_step(&step, at);
		else
			check_text(&err);
		if (rc == OK)
			at = step.next;
	}
	(void)tar_walk_end(w, at, NULL);
	tar_walk_free(w);
}

static void give_bytes(struct input *in)
{
	uint8_t bytes[256];
	size_t len = take_byte(in);

	take(in, bytes, len);
	if (worker_out >= 0 && write(worker_out, bytes, len) < 0)
		close_one(&worker_out);
}

static void worker_acts(struct input *in)
{
	switch (take_byte(in) % 8) {
	case 0:
		say_raw(in);
		break;
	case 1:
		close_one(&worker_in);
		break;
	case 2:
		close_one(&worker_out);
		break;
	case 3:
	case 4:
		give_bytes(in);
		break;
	default:
		say_message(in);
		break;
	}
}

static int daemon_acts(struct inflate_filter *f, uint8_t what, bool *ended, struct err *err)
{
	char data[100] = { 0 };
	size_t n = 0;

	switch (what % 4) {
	case 0:
		return inflate_filter_read(f, data, sizeof data, &n, err);
	case 1:
		return *ended ? OK : inflate_filter_write(f, data, sizeof data, &n, err);
	case 2:
		return inflate_filter_wait(f, NULL, err);
	default:
		if (!*ended && what > 200) {
			inflate_filter_end(f);
			*ended = true;
		}
		return OK;
	}
}

static void run_filter(const struct layer_policy *policy, struct input *in)
{
	struct inflate_filter *f;
	bool ended = false;
	int rc = inflate_filter_new("imaged-layer", policy, &f, NULL);

	if (rc != OK)
		return;
	for (int i = 0; in->len && (rc == OK || rc == E_BUSY) && i < OPERATIONS_MAX; i++) {
		struct err err = ERR_INIT;

		worker_acts(in);
		rc = daemon_acts(f, take_byte(in), &ended, &err);
		if (rc != OK)
			check_text(&err);
	}
	inflate_filter_free(f);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct layer_policy policy = layer_policy_default();
	struct input in = { data, size };

	signal(SIGPIPE, SIG_IGN); /* as the daemon does */
	policy.stall_ms = STALL_MS;
	policy.limits.tar_bytes = 1000;
	if (take_byte(&in) & 1)
		run_walk(&policy, &in);
	else
		run_filter(&policy, &in);
	close_worker();
	return 0;
}
