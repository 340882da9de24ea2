/* What becomes of a build, where it is pure: times of the history, annotations, clamped tars,
 * documents of caches. */
#include <sys/mman.h>

#include "service/build/result/annotations.h"
#include "service/build/result/cache_document.h"
#include "service/build/result/history.h"
#include "service/build/result/tar_clamp.h"
#include "store/archive/tar_head.h"
#include "tests/unit/store/fixture.h"

/* ---- history --------------------------------------------------------------------- */

#define S INT64_C(1000000000)

static size_t from; /* of history_complete() */

/* 'l': an entry with a layer, 'e': one without; on the heap, as a configuration is. */
static struct image_config config_of(const char *entries, size_t n_diff_ids, int64_t created)
{
	struct image_config c = { .n_history = strlen(entries), .n_diff_ids = n_diff_ids };

	c.history = calloc(c.n_history + 1, sizeof *c.history);
	assert_non_null(c.history);
	for (size_t i = 0; i < c.n_history; i++)
		c.history[i].empty_layer = entries[i] == 'e';
	c.created = (struct timestamp){ .present = created != 0, .seconds = created };
	return c;
}

static void config_free(struct image_config *c)
{
	for (size_t i = 0; i < c->n_history; i++)
		free(c->history[i].comment);
	free(c->history);
}

/* "l1 e1 l2": what each entry is, and its second; "-" without one. */
static void assert_history(const struct image_config *c, const char *wanted)
{
	CLEANUP(buf_free) struct buf text = BUF_INIT(4096);

	for (size_t i = 0; i < c->n_history; i++) {
		const struct history *h = &c->history[i];

		buf_printf(&text, "%s%c", i ? " " : "", h->empty_layer ? 'e' : 'l');
		if (h->created.present)
			buf_printf(&text, "%lld", (long long)h->created.seconds);
		else
			buf_putc(&text, '-');
	}
	assert_string_equal(buf_text(&text), wanted);
}

static void entries_have_the_times_of_their_layers(void **state)
{
	static const int64_t layers[] = { 5 * S, 7 * S };
	CLEANUP(config_free) struct image_config c = config_of("eleele", 0, 0);
	struct history_times t = { .layers = layers, .n_layers = 2 };
	struct err err = ERR_INIT;

	(void)state;
	assert_ok(history_complete(&c, &t, &from, &err), &err);
	assert_history(&c, "e5 l5 e5 e5 l7 e7");
	assert_int_equal(c.created.seconds, 7);
}

static void the_base_gives_its_time_to_what_comes_before_a_layer(void **state)
{
	static const int64_t layers[] = { 5 * S };
	CLEANUP(config_free) struct image_config base = config_of("le", 1, 3);
	CLEANUP(config_free) struct image_config c = config_of("leel", 0, 0);
	struct history_times t = { .base = &base, .layers = layers, .n_layers = 1 };
	struct err err = ERR_INIT;

	(void)state;
	assert_ok(history_complete(&c, &t, &from, &err), &err);
	assert_history(&c, "l- e- e3 l5");
}

static void an_epoch_stands_for_all_but_the_base(void **state)
{
	static const int64_t layers[] = { 5 * S };
	CLEANUP(config_free) struct image_config base = config_of("l", 1, 3);
	CLEANUP(config_free) struct image_config c = config_of("lel", 0, 0);
	struct history_times t = {
		.base = &base, .layers = layers, .n_layers = 1, .all = { .present = true, .seconds = 9 }
	};
	struct err err = ERR_INIT;

	(void)state;
	assert_ok(history_complete(&c, &t, &from, &err), &err);
	assert_history(&c, "l- e9 l9");
	assert_int_equal(c.created.seconds, 9);
}

static void a_history_that_does_not_fit_its_layers_is_made_to(void **state)
{
	CLEANUP(config_free) struct image_config few = config_of("l", 3, 3), many = config_of("lll", 1, 3);
	CLEANUP(config_free) struct image_config c = config_of("le", 0, 0), d = config_of("llle", 0, 0);
	struct history_times t = { .base = &few };
	struct err err = ERR_INIT;

	(void)state;
	assert_ok(history_complete(&c, &t, &from, &err), &err);
	assert_history(&c, "l- l3 l3 e3");
	assert_string_equal(c.history[1].comment, "buildkit.exporter.image.v0");
	t.base = &many;
	assert_ok(history_complete(&d, &t, &from, &err), &err);
	assert_history(&d, "e- e- l- e3");
}

static void where_nothing_tells_a_time_there_is_none(void **state)
{
	CLEANUP(config_free) struct image_config c = config_of("ee", 0, 0);
	struct history_times t = { .n_layers = 0 };
	struct err err = ERR_INIT;

	(void)state;
	assert_ok(history_complete(&c, &t, &from, &err), &err);
	assert_history(&c, "e- e-");
	assert_false(c.created.present);
	t.first = (struct timestamp){ .present = true, .seconds = 4 };
	history_date(&c, from, &t);
	assert_history(&c, "e4 e4");
}

static void a_base_without_times_and_entries_gets_its_entries_once(void **state)
{
	CLEANUP(config_free) struct image_config base = config_of("e", 2, 0), c = config_of("ee", 0, 0);
	struct history_times t = { .base = &base };
	struct err err = ERR_INIT;

	(void)state;
	assert_ok(history_complete(&c, &t, &from, &err), &err);
	assert_false(c.created.present);
	t.first = (struct timestamp){ .present = true, .seconds = 4 };
	history_date(&c, from, &t);
	assert_history(&c, "e- l- l- e4");
	assert_int_equal(c.created.seconds, 4);
}

/* A named context that stands in for an image has a layer and no history. */
static void layers_of_no_entry_get_one(void **state)
{
	static const int64_t layers[] = { 5 * S, 6 * S };
	CLEANUP(config_free) struct image_config c = config_of("l", 0, 0);
	struct history_times t = { .layers = layers, .n_layers = 2 };
	struct err err = ERR_INIT;

	(void)state;
	assert_ok(history_complete(&c, &t, &from, &err), &err);
	assert_history(&c, "l5 l6");
}

static void more_entries_than_layers_are_an_error(void **state)
{
	static const int64_t layers[] = { 5 * S, 6 * S };
	CLEANUP(config_free) struct image_config c = config_of("lll", 0, 0);
	struct history_times t = { .layers = layers, .n_layers = 2 };
	struct err err = ERR_INIT;

	(void)state;
	assert_code(history_complete(&c, &t, &from, &err), E_INTERNAL);
}

/* ---- annotations ----------------------------------------------------------------- */

static void annotations_are_read_as_buildx_reads_them(void **state)
{
	static const struct {
		const char *text, *wanted;
	} rows[] = {
		{ "a=1", "0 a=1" },
		{ "a=", "0 a=" },
		{ "a.b/c=x=y", "0 a.b/c=x=y" },
		{ "manifest:a=1", "0 a=1" },
		{ "index:a=1", "1 a=1" },
		{ "manifest-descriptor:a=1", "2 a=1" },
		{ "index-descriptor:a=1", "3 a=1" },
		{ "index,manifest:a=1", "1 a=1;0 a=1" },
		{ "manifest[linux/arm64]:a=1", "0[linux/arm64] a=1" },
		{ "manifest[linux/arm64],index:a=b:c", "0[linux/arm64] a=b:c;1 a=b:c" },
		{ "a", "invalid annotation \"a\", expected key=value" },
		{ "=1", "invalid annotation \"=1\", expected key=value" },
		{ "x:a=1", "unknown annotation type \"x\"" },
		{ "org:a=1", "unknown annotation type \"org\"" },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		CLEANUP(buf_free) struct buf found = BUF_INIT(4096);
		CLEANUP(arena_free) struct arena a;
		struct annotations all = { .n = 0 };
		struct err err = ERR_INIT;

		arena_init(&a, 64 * 1024);
		if (annotations_add(&all, rows[i].text, &a, &err) < 0)
			buf_puts(&found, err.text);
		for (size_t k = 0; err.code == OK && k < all.n; k++) {
			char platform[PLATFORM_TEXT_MAX];

			buf_printf(&found, "%s%d", k ? ";" : "", (int)all.all[k].place);
			if (all.all[k].has_platform)
				buf_printf(&found, "[%s]", platform_text(&all.all[k].platform, platform));
			buf_printf(&found, " %s=%s", all.all[k].key, all.all[k].value);
		}
		assert_string_equal(buf_text(&found), rows[i].wanted);
	}
}

/* ---- clamped tars ---------------------------------------------------------------- */

static int take(void *arg, const void *data, size_t len, struct err *err)
{
	return buf_append(arg, data, len) ? OK : fail_nomem(err);
}

static void add_file(struct buf *tar, const char *name, int64_t mtime, uint32_t ns, const char *data)
{
	CLEANUP(buf_free) struct buf records = BUF_INIT(4096);
	static const uint8_t zeros[TAR_BLOCK_BYTES];
	struct tar_head h = { .type = TAR_TYPE_FILE,
			      .name = bytes_of(name),
			      .mode = 0644,
			      .size = (int64_t)strlen(data),
			      .mtime = mtime,
			      .mtime_ns = ns };

	assert_true(tar_head_write(&h, &records, tar));
	buf_puts(tar, data);
	buf_append(tar, zeros, tar_padding(h.size));
}

static void add_end(struct buf *tar)
{
	static const uint8_t zeros[TAR_END_BYTES];

	assert_true(buf_append(tar, zeros, sizeof zeros));
}

static int clamp(const struct buf *tar, int64_t seconds, struct buf *out, struct err *err)
{
	CLEANUP(closep) int fd = memfd_create("tar", MFD_CLOEXEC);

	assert_int_equal(write(fd, tar->data, tar->len), tar->len);
	return tar_clamp(fd, seconds, take, out, NULL, err);
}

static void later_times_become_the_epoch_and_the_rest_stays(void **state)
{
	static const char long_name[] =
		"a-name-that-is-so-long-that-it-needs-a-record-of-its-own-since-no-header-has-room-"
		"for-more-than-one-hundred-bytes-of-it";
	CLEANUP(buf_free) struct buf tar = BUF_INIT(1 << 20), wanted = BUF_INIT(1 << 20), found = BUF_INIT(1 << 20);
	struct err err = ERR_INIT;
	const struct {
		const char *name;
		int64_t mtime, clamped;
		uint32_t ns, clamped_ns;
	} files[] = {
		{ "early", 99, 99, 0, 0 },
		{ "early-ns", 99, 99, 5, 5 },
		{ "same", 100, 100, 0, 0 },
		{ "same-ns", 100, 100, 1, 0 },
		{ "late", 101, 100, 0, 0 },
		{ "late-ns", 2000000000, 100, 999999999, 0 },
		{ "very-late", INT64_C(1) << 40, 100, 0, 0 },
		{ "negative", -5, -5, 0, 0 },
		{ long_name, 101, 100, 0, 0 },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(files); i++) {
		add_file(&tar, files[i].name, files[i].mtime, files[i].ns, "some data");
		add_file(&wanted, files[i].name, files[i].clamped, files[i].clamped_ns, "some data");
	}
	add_end(&tar);
	add_end(&wanted);
	assert_ok(clamp(&tar, 100, &found, &err), &err);
	assert_int_equal(found.len, wanted.len);
	assert_memory_equal(found.data, wanted.data, wanted.len);
}

static void a_tar_that_is_cut_off_is_an_error(void **state)
{
	CLEANUP(buf_free) struct buf tar = BUF_INIT(1 << 20);

	(void)state;
	add_file(&tar, "late", 2000000000, 999999999, "some data");
	for (size_t len = 1; len < tar.len; len += 100) {
		CLEANUP(buf_free) struct buf out = BUF_INIT(1 << 20);
		struct buf cut = { .data = tar.data, .len = len };
		struct err err = ERR_INIT;

		if (len % TAR_BLOCK_BYTES)
			assert_code(clamp(&cut, 100, &out, &err), E_CORRUPT);
	}
}

/* ---- documents of caches --------------------------------------------------------- */

static void a_cache_is_read_as_it_was_written(void **state)
{
	struct digest layer = digest_of_text("layer");
	char description[] = "[1/2] RUN \"x\"";
	struct cached_step step = { .n_keys = 2, .diff_id = layer, .created_ns = 12345, .description = description };
	struct cache_document d = { .diff_ids = &layer, .n_diff_ids = 1, .steps = &step, .n_steps = 1 };
	CLEANUP(cache_document_free) struct cache_document found = { .n_steps = 0 };
	CLEANUP(buf_free) struct buf text = BUF_INIT(64 * 1024);
	struct err err = ERR_INIT;

	(void)state;
	step.keys[0] = digest_of_text("one");
	step.keys[1] = digest_of_text("two");
	assert_ok(cache_document_write(&d, &text, &err), &err);
	assert_ok(cache_document_parse(buf_bytes(&text), &found, &err), &err);
	assert_int_equal(found.n_diff_ids, 1);
	assert_int_equal(found.n_steps, 1);
	assert_true(digest_eq(&found.diff_ids[0], &layer));
	assert_true(digest_eq(&found.steps[0].keys[1], &step.keys[1]));
	assert_int_equal(found.steps[0].n_keys, 2);
	assert_int_equal(found.steps[0].created_ns, 12345);
	assert_string_equal(found.steps[0].description, description);
}

static void a_cache_that_is_none_is_refused(void **state)
{
#define DIGEST "\"sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855\""
	static const struct {
		const char *text;
		int code;
	} rows[] = {
		{ "", E_BAD_CONTENT },
		{ "[]", E_UNSUPPORTED },
		{ "{\"version\":2,\"steps\":[]}", E_UNSUPPORTED },
		{ "{\"version\":1}", E_BAD_CONTENT },
		{ "{\"version\":1,\"steps\":[1]}", E_BAD_CONTENT },
		{ "{\"version\":1,\"steps\":[{\"keys\":[],\"diff_id\":" DIGEST ",\"created\":1}]}", E_BAD_CONTENT },
		{ "{\"version\":1,\"steps\":[{\"keys\":[\"x\"],\"diff_id\":" DIGEST ",\"created\":1}]}",
		  E_BAD_CONTENT },
		{ "{\"version\":1,\"steps\":[{\"keys\":[" DIGEST "],\"diff_id\":" DIGEST ",\"created\":-1}]}",
		  E_BAD_CONTENT },
		{ "{\"version\":1,\"steps\":[{\"keys\":[" DIGEST "," DIGEST "," DIGEST "," DIGEST "," DIGEST
		  "],\"diff_id\":" DIGEST ",\"created\":1}]}",
		  E_LIMIT },
		{ "{\"version\":1,\"version\":1,\"steps\":[]}", E_BAD_CONTENT },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		struct cache_document d;
		struct err err = ERR_INIT;

		assert_code(cache_document_parse(bytes_of(rows[i].text), &d, &err), rows[i].code);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(entries_have_the_times_of_their_layers),
		cmocka_unit_test(the_base_gives_its_time_to_what_comes_before_a_layer),
		cmocka_unit_test(an_epoch_stands_for_all_but_the_base),
		cmocka_unit_test(a_history_that_does_not_fit_its_layers_is_made_to),
		cmocka_unit_test(a_base_without_times_and_entries_gets_its_entries_once),
		cmocka_unit_test(where_nothing_tells_a_time_there_is_none),
		cmocka_unit_test(layers_of_no_entry_get_one),
		cmocka_unit_test(more_entries_than_layers_are_an_error),
		cmocka_unit_test(annotations_are_read_as_buildx_reads_them),
		cmocka_unit_test(later_times_become_the_epoch_and_the_rest_stays),
		cmocka_unit_test(a_tar_that_is_cut_off_is_an_error),
		cmocka_unit_test(a_cache_is_read_as_it_was_written),
		cmocka_unit_test(a_cache_that_is_none_is_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
