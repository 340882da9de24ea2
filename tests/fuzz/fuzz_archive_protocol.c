/*
 * The daemon's side of an archive's worker against a hostile one: what it says to the
 * walk and to the filter. No process is started (hostile_worker.h).
 *
 * Input: a byte that picks walk or filter, then records of an operation byte and its
 * arguments. What the daemon takes for a step must be one.
 */
#include <fcntl.h>
#include <signal.h>

#include "service/layer/archive.h"
#include "tests/fuzz/hostile_worker.h"

enum { OPERATIONS_MAX = 100, STALL_MS = 0 };

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* ---- the worker ------------------------------------------------------------------ */

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
	if (hostile.out >= 0 && write(hostile.out, bytes, len) < 0)
		hostile_close_one(&hostile.out);
}

static void worker_acts(struct input *in)
{
	switch (take_byte(in) % 8) {
	case 0:
		say_raw(in);
		break;
	case 1:
		hostile_close_one(&hostile.in);
		break;
	case 2:
		hostile_close_one(&hostile.out);
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
	hostile_close();
	return 0;
}
