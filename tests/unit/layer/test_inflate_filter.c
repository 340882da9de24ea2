/* The filter as a process: what goes in comes out plain, or fails with its reason. */
#include <lzma.h>
#include <signal.h>
#include <sys/wait.h>

#include "proto/runtime/clock.h"
#include "service/layer/archive.h"
#include "tests/unit/layer/craft.h"

enum { CHUNK = 200000, RUNAWAY_MS = 60000, BOMB = 100 << 20 };

typedef void make_fn(struct buf *z, struct bytes data);

static void make_gzip(struct buf *z, struct bytes data)
{
	craft_gzip(z, data, 0);
}

static void make_zstd(struct buf *z, struct bytes data)
{
	craft_zstd(z, data, true, 0);
}

static void make_xz(struct buf *z, struct bytes data)
{
	craft_xz(z, data, LZMA_CHECK_CRC64);
}

static const struct {
	const char *name;
	make_fn *make;
} formats[] = { { "gzip", make_gzip }, { "zstd", make_zstd }, { "xz", make_xz }, { "bzip2", craft_bzip2 } };

struct pump {
	struct inflate_filter *f;
	struct bytes in;
	size_t piece; /* of input at a time */
	struct buf *out;
	uint64_t produced;
};

/* One round: what is there, then more of the input, then wait. True at the end. */
static int pump_once(struct pump *p, bool *ret_done, struct err *err)
{
	static uint8_t chunk[CHUNK];
	size_t len = 0, taken = 0;
	int rc = inflate_filter_read(p->f, chunk, sizeof chunk, &len, err);

	*ret_done = rc == OK && !len;
	if (rc == OK && p->out)
		assert_true(buf_append(p->out, chunk, len));
	p->produced += len;
	if (rc != E_BUSY)
		return rc;
	if (p->in.len)
		rc = inflate_filter_write(p->f, p->in.data, p->in.len < p->piece ? p->in.len : p->piece, &taken, err);
	p->in.data += taken;
	p->in.len -= taken;
	if (rc == OK && !p->in.len && taken)
		inflate_filter_end(p->f);
	return (rc == OK && taken) ? OK : rc == OK || rc == E_BUSY ? inflate_filter_wait(p->f, NULL, err) : rc;
}

static int pump_all(struct pump *p, struct err *err)
{
	int64_t until = clock_monotonic_ms() + RUNAWAY_MS;
	bool done = false;
	int rc = OK;

	if (!p->in.len)
		inflate_filter_end(p->f);
	while (rc == OK && !done && clock_monotonic_ms() < until)
		rc = pump_once(p, &done, err);
	assert_true(rc != OK || done);
	return rc;
}

static int inflate_with(struct bytes z, size_t piece, const struct layer_policy *policy, struct buf *out,
			struct err *err)
{
	CLEANUP(inflate_filter_freep) struct inflate_filter *f = NULL;
	struct pump p = { .in = z, .piece = piece, .out = out };
	int rc = inflate_filter_new(IMAGED_LAYER, policy, &f, err);

	p.f = f;
	return rc == OK ? pump_all(&p, err) : rc;
}

static int inflate_all(struct bytes z, size_t piece, struct buf *out, struct err *err)
{
	struct layer_policy policy = layer_policy_default();

	return inflate_with(z, piece, &policy, out, err);
}

/* ---- sound streams -------------------------------------------------------------------- */

static void every_format_comes_out_plain(void **state UNUSED)
{
	static const size_t pieces[] = { 777, 65536, CRAFT_MAX };
	CLEANUP(buf_free) struct buf data = BUF_INIT(CRAFT_MAX);
	int before = count_descriptors();

	craft_data(&data, 5 << 20);
	for (size_t f = 0; f < ARRAY_LEN(formats); f++) {
		CLEANUP(buf_free) struct buf z = BUF_INIT(CRAFT_MAX);

		formats[f].make(&z, (struct bytes){ data.data, 1 << 20 });
		formats[f].make(&z, (struct bytes){ data.data + (1 << 20), data.len - (1 << 20) });
		for (size_t i = 0; i < ARRAY_LEN(pieces); i++) {
			CLEANUP(buf_free) struct buf out = BUF_INIT(CRAFT_MAX);
			struct err err = ERR_INIT;

			if (inflate_all(buf_bytes(&z), pieces[i], &out, &err) != OK)
				failed("%s: %s", formats[f].name, err.text);
			assert_int_equal(out.len, data.len);
			assert_memory_equal(out.data, data.data, data.len);
		}
	}
	assert_int_equal(count_descriptors(), before);
	assert_int_equal(waitpid(-1, NULL, WNOHANG), -1);
}

static void a_stream_of_nothing_ends_at_once(void **state UNUSED)
{
	for (size_t f = 0; f < ARRAY_LEN(formats); f++) {
		CLEANUP(buf_free) struct buf z = BUF_INIT(CRAFT_MAX), out = BUF_INIT(CRAFT_MAX);
		struct err err = ERR_INIT;

		formats[f].make(&z, (struct bytes){ (const uint8_t *)"", 0 });
		assert_ok(inflate_all(buf_bytes(&z), CRAFT_MAX, &out, &err), &err);
		assert_int_equal(out.len, 0);
	}
}

/* ---- broken streams --------------------------------------------------------------------- */

static void a_stream_that_is_cut_is_truncated(void **state UNUSED)
{
	CLEANUP(buf_free) struct buf data = BUF_INIT(CRAFT_MAX);

	craft_data(&data, 3 << 20);
	for (size_t f = 0; f < ARRAY_LEN(formats); f++) {
		CLEANUP(buf_free) struct buf z = BUF_INIT(CRAFT_MAX);

		formats[f].make(&z, buf_bytes(&data));
		for (size_t i = 1; i < 12; i++) {
			size_t len = i == 11 ? z.len - 1 : z.len * i / 11;
			struct err err = ERR_INIT;
			int rc = inflate_all((struct bytes){ z.data, len }, 65536, NULL, &err);

			if (rc != E_BAD_CONTENT || !strstr(err.text, "archive is truncated"))
				failed("%s, %zu bytes of %zu: %d %s", formats[f].name, len, z.len, rc, err.text);
		}
	}
}

static void what_is_not_compressed_is_refused(void **state UNUSED)
{
	static const char *const streams[] = { "", "x", "BZh", "not an archive at all" };

	for (size_t i = 0; i < ARRAY_LEN(streams); i++) {
		struct err err = ERR_INIT;

		assert_fails(inflate_all(bytes_of(streams[i]), CRAFT_MAX, NULL, &err), &err, E_BAD_CONTENT,
			     "archive is not compressed");
	}
}

/* The worker stops in the middle of what is written to it: the reason is told all the
 * same, and SIGPIPE is not the daemon's end. */
static void damage_is_told_while_input_is_still_written(void **state UNUSED)
{
	CLEANUP(buf_free) struct buf data = BUF_INIT(CRAFT_MAX);

	craft_data(&data, 6 << 20);
	for (size_t f = 0; f < ARRAY_LEN(formats); f++) {
		CLEANUP(buf_free) struct buf z = BUF_INIT(CRAFT_MAX);
		struct err err = ERR_INIT;

		formats[f].make(&z, buf_bytes(&data));
		memset(z.data + 1000, 0xee, 5000);
		assert_fails(inflate_all(buf_bytes(&z), CRAFT_MAX, NULL, &err), &err, E_BAD_CONTENT,
			     "archive is damaged");
		err = (struct err)ERR_INIT;
		z.len = 0;
		formats[f].make(&z, (struct bytes){ data.data, 1000 });
		craft_data(&z, 5 << 20);
		assert_fails(inflate_all(buf_bytes(&z), CRAFT_MAX, NULL, &err), &err, E_BAD_CONTENT,
			     "archive is damaged");
	}
}

/* ---- limits -------------------------------------------------------------------------------- */

static void bombs_are_stopped_by_their_ratio(void **state UNUSED)
{
	CLEANUP(buf_free) struct buf zeros = BUF_INIT(CRAFT_MAX);

	craft_zeros(&zeros, BOMB);
	for (size_t f = 0; f < ARRAY_LEN(formats); f++) {
		CLEANUP(buf_free) struct buf z = BUF_INIT(CRAFT_MAX);
		struct pump p = { .in = { 0 }, .piece = CRAFT_MAX };
		struct layer_policy policy = layer_policy_default();
		struct err err = ERR_INIT;

		formats[f].make(&z, buf_bytes(&zeros));
		if (!f)
			policy.limits.ratio = 40; /* ISA-L's fastest compressor does no better */
		assert_true(BOMB / z.len > (f ? 1000 : 50));
		p.in = buf_bytes(&z);
		assert_ok(inflate_filter_new(IMAGED_LAYER, &policy, &p.f, &err), &err);
		assert_fails(pump_all(&p, &err), &err, E_LIMIT, "archive expands to more than");
		assert_true(p.produced <= 65 << 20);
		inflate_filter_free(p.f);
	}
}

static void the_plain_stream_has_a_longest(void **state UNUSED)
{
	CLEANUP(buf_free) struct buf data = BUF_INIT(CRAFT_MAX);

	craft_data(&data, 3 << 20);
	for (size_t f = 0; f < ARRAY_LEN(formats); f++) {
		CLEANUP(buf_free) struct buf z = BUF_INIT(CRAFT_MAX);
		struct layer_policy policy = layer_policy_default();
		struct err err = ERR_INIT;

		formats[f].make(&z, buf_bytes(&data));
		policy.limits.tar_bytes = data.len;
		assert_ok(inflate_with(buf_bytes(&z), CRAFT_MAX, &policy, NULL, &err), &err);
		policy.limits.tar_bytes = data.len - 1;
		assert_fails(inflate_with(buf_bytes(&z), CRAFT_MAX, &policy, NULL, &err), &err, E_LIMIT,
			     "archive is larger than 3145727 bytes when decompressed");
	}
}

static void decoders_that_need_much_memory_are_refused(void **state UNUSED)
{
	CLEANUP(buf_free) struct buf data = BUF_INIT(CRAFT_MAX), z = BUF_INIT(CRAFT_MAX);
	struct layer_policy policy = layer_policy_default();
	struct err err = ERR_INIT;

	craft_data(&data, 1000);
	craft_xz_greedy(&z, buf_bytes(&data));
	assert_fails(inflate_all(buf_bytes(&z), CRAFT_MAX, NULL, &err), &err, E_LIMIT,
		     "archive needs more memory for xz than is allowed");
	buf_reset(&z);
	craft_data(&data, 4 << 20);
	craft_zstd(&z, buf_bytes(&data), true, 21);
	policy.limits.zstd_window = 1 << 20;
	assert_fails(inflate_with(buf_bytes(&z), CRAFT_MAX, &policy, NULL, &err), &err, E_LIMIT,
		     "archive needs a larger zstd window");
}

/* ---- the process ---------------------------------------------------------------------------- */

/* The one child of this process. */
static pid_t child(void)
{
	char path[64], text[32] = "";
	FILE *f;

	snprintf(path, sizeof path, "/proc/self/task/%d/children", getpid());
	f = fopen(path, "re");
	assert_non_null(f);
	assert_non_null(fgets(text, sizeof text, f));
	fclose(f);
	return (pid_t)strtol(text, NULL, 10);
}

static void a_worker_that_is_killed_in_the_middle_fails_the_stream(void **state UNUSED)
{
	CLEANUP(buf_free) struct buf data = BUF_INIT(CRAFT_MAX), z = BUF_INIT(CRAFT_MAX);
	struct pump p = { .piece = 65536 };
	struct layer_policy policy = layer_policy_default();
	struct err err = ERR_INIT;
	bool done = false;

	craft_data(&data, 20 << 20);
	make_gzip(&z, buf_bytes(&data));
	p.in = buf_bytes(&z);
	assert_ok(inflate_filter_new(IMAGED_LAYER, &policy, &p.f, &err), &err);
	while (p.produced < 2 << 20)
		assert_ok(pump_once(&p, &done, &err), &err);
	assert_int_equal(kill(child(), SIGKILL), 0);
	assert_fails(pump_all(&p, &err), &err, E_WORKER, "imaged-layer was killed (SIGKILL)");
	assert_fails(pump_once(&p, &done, &err), &err, E_WORKER, "ended by an earlier failure");
	inflate_filter_free(p.f);
}

static void a_fired_token_ends_the_wait_and_not_the_stream(void **state UNUSED)
{
	CLEANUP(cancel_unrefp) struct cancel *cancel = cancel_new();
	CLEANUP(buf_free) struct buf data = BUF_INIT(CRAFT_MAX), z = BUF_INIT(CRAFT_MAX);
	struct pump p = { .piece = 65536 };
	struct layer_policy policy = layer_policy_default();
	struct err err = ERR_INIT;

	craft_data(&data, 1 << 20);
	make_gzip(&z, buf_bytes(&data));
	p.in = buf_bytes(&z);
	assert_ok(inflate_filter_new(IMAGED_LAYER, &policy, &p.f, &err), &err);
	cancel_fire(cancel, E_CANCELLED);
	assert_fails(inflate_filter_wait(p.f, cancel, &err), &err, E_CANCELLED, "");
	assert_ok(pump_all(&p, &err), &err);
	assert_int_equal(p.produced, data.len);
	inflate_filter_free(p.f);
}

/* Nobody reads: both pipes fill up, and writing takes nothing more, without waiting. */
static void a_reader_that_waits_holds_the_input_up(void **state UNUSED)
{
	CLEANUP(buf_free) struct buf data = BUF_INIT(CRAFT_MAX), z = BUF_INIT(CRAFT_MAX);
	CLEANUP(inflate_filter_freep) struct inflate_filter *f = NULL;
	struct layer_policy policy = layer_policy_default();
	struct err err = ERR_INIT;
	bool blocked = false;
	size_t in = 0;

	craft_data(&data, 40 << 20);
	make_gzip(&z, buf_bytes(&data));
	assert_ok(inflate_filter_new(IMAGED_LAYER, &policy, &f, &err), &err);
	while (in < z.len && !blocked) {
		bool waits = in && !is_busy(child()); /* and not for input, if that is full */
		size_t taken = 0;

		assert_ok(inflate_filter_write(f, z.data + in, z.len - in, &taken, &err), &err);
		blocked = waits && !taken;
		in += taken;
		usleep(1000);
	}
	assert_true(blocked && in < 4 << 20);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_format_comes_out_plain),
		cmocka_unit_test(a_stream_of_nothing_ends_at_once),
		cmocka_unit_test(a_stream_that_is_cut_is_truncated),
		cmocka_unit_test(what_is_not_compressed_is_refused),
		cmocka_unit_test(damage_is_told_while_input_is_still_written),
		cmocka_unit_test(bombs_are_stopped_by_their_ratio),
		cmocka_unit_test(the_plain_stream_has_a_longest),
		cmocka_unit_test(decoders_that_need_much_memory_are_refused),
		cmocka_unit_test(a_worker_that_is_killed_in_the_middle_fails_the_stream),
		cmocka_unit_test(a_fired_token_ends_the_wait_and_not_the_stream),
		cmocka_unit_test(a_reader_that_waits_holds_the_input_up),
	};

	signal(SIGPIPE, SIG_IGN); /* as the daemon does */
	return cmocka_run_group_tests(tests, NULL, NULL);
}
