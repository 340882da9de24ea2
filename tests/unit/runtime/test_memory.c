/* Buffers and arenas with their caps, and the small idioms of mem.h. */
#include <stdalign.h>

#include "proto/runtime/arena.h"
#include "proto/runtime/buf.h"
#include "tests/unit/runtime/runtime_test.h"

/* ---- buf --------------------------------------------------------------------------------- */

static void buffer_takes_exactly_its_maximum(UNUSED void **state)
{
	CLEANUP(buf_free) struct buf b = BUF_INIT(5);

	assert_true(buf_puts(&b, "abc"));
	assert_true(buf_append(&b, "de", 2));
	assert_true(buf_ok(&b));
	assert_string_equal(buf_text(&b), "abcde");
	assert_false(buf_putc(&b, 'f'));
	assert_false(buf_ok(&b));
	assert_int_equal(b.len, 5);
	assert_string_equal(buf_text(&b), "abcde");
}

static void failed_buffer_stays_failed(UNUSED void **state)
{
	CLEANUP(buf_free) struct buf b = BUF_INIT(5);

	assert_false(buf_puts(&b, "too long"));
	assert_false(buf_puts(&b, "ok"));
	assert_int_equal(b.len, 0);
	assert_null(buf_take(&b));
	buf_reset(&b);
	assert_true(buf_puts(&b, "ok"));
}

static void buffer_formats_within_its_maximum(UNUSED void **state)
{
	CLEANUP(buf_free) struct buf b = BUF_INIT(300);

	for (int i = 0; i < 100; i++)
		assert_true(buf_printf(&b, "%03d", i));
	assert_false(buf_printf(&b, "%s", "x"));
	assert_int_equal(b.len, 300);
	assert_memory_equal(b.data + 297, "099", 4); /* the NUL, too */
}

static void reserve_refuses_what_overflows(UNUSED void **state)
{
	CLEANUP(buf_free) struct buf b = BUF_INIT(100);

	assert_non_null(buf_reserve(&b, 100));
	b.len = 50;
	assert_null(buf_reserve(&b, SIZE_MAX));
	assert_false(buf_ok(&b));
}

static void taken_text_belongs_to_the_taker(UNUSED void **state)
{
	CLEANUP(buf_free) struct buf b = BUF_INIT(100);
	CLEANUP(freep) char *text = NULL, *empty = buf_take(&b);

	assert_string_equal(empty, "");
	assert_true(buf_puts(&b, "text"));
	text = buf_take(&b);
	assert_string_equal(text, "text");
	assert_int_equal(b.len, 0);
	assert_string_equal(buf_text(&b), "");
	free(empty);
	empty = NULL;
}

/* ---- arena --------------------------------------------------------------------------------- */

static void arena_gives_no_more_than_its_cap(UNUSED void **state)
{
	CLEANUP(arena_free) struct arena a;
	size_t total = 0;

	arena_init(&a, 10000);
	while (arena_alloc(&a, 100))
		total += 100;
	assert_true(total <= 10000 && total > 8000);
	assert_true(a.used <= a.cap);
	assert_null(arena_alloc(&a, SIZE_MAX));
	assert_null(arena_array(&a, SIZE_MAX / 2, 3));
}

static void arena_memory_is_zero_and_aligned(UNUSED void **state)
{
	CLEANUP(arena_free) struct arena a;

	arena_init(&a, 1024 * 1024);
	for (size_t size = 0; size < 3000; size += 7) {
		uint8_t *p = arena_alloc(&a, size);

		assert_non_null(p);
		assert_int_equal((uintptr_t)p % alignof(max_align_t), 0);
		for (size_t i = 0; i < size; i++)
			assert_int_equal(p[i], 0);
		memset(p, 0xff, size);
	}
}

static void reset_arena_is_empty_with_a_new_cap(UNUSED void **state)
{
	CLEANUP(arena_free) struct arena a;
	uint8_t *p;

	arena_init(&a, 1000);
	memset(arena_alloc(&a, 900), 0xff, 900);
	assert_null(arena_alloc(&a, 500));
	arena_reset(&a, 2000);
	assert_int_equal(a.used, 0);
	p = arena_alloc(&a, 1500);
	assert_non_null(p);
	assert_int_equal(p[0] | p[899], 0);
	assert_null(arena_alloc(&a, 600));
	arena_reset(&a, 0);
	assert_null(arena_alloc(&a, 1));
}

static void arena_strings_are_copies(UNUSED void **state)
{
	CLEANUP(arena_free) struct arena a;
	char text[] = "text", *copy;

	arena_init(&a, 1000);
	copy = arena_string(&a, text);
	text[0] = 'x';
	assert_string_equal(copy, "text");
	assert_string_equal(arena_printf(&a, "%d-%s", 1, "two"), "1-two");
	copy = arena_bytes(&a, (struct bytes){ (const uint8_t *)"a\0b", 3 });
	assert_memory_equal(copy, "a\0b", 4);
	assert_null(arena_printf(&a, "%2000d", 1));
}

/* ---- mem ---------------------------------------------------------------------------------- */

static void bytes_with_a_nul_are_no_string(UNUSED void **state)
{
	CLEANUP(freep) char *text = bytes_to_string(bytes_of("text"));
	CLEANUP(freep) char *empty = bytes_to_string((struct bytes){ 0 });

	assert_string_equal(text, "text");
	assert_string_equal(empty, "");
	assert_null(bytes_to_string((struct bytes){ (const uint8_t *)"a\0b", 3 }));
}

static void take_leaves_nothing_behind(UNUSED void **state)
{
	char *p = format("%s", "x");
	CLEANUP(freep) char *q = TAKE(p);
	int fd = 7;

	assert_null(p);
	assert_string_equal(q, "x");
	assert_int_equal(take_fd(&fd), 7);
	assert_int_equal(fd, -1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(buffer_takes_exactly_its_maximum),
		cmocka_unit_test(failed_buffer_stays_failed),
		cmocka_unit_test(buffer_formats_within_its_maximum),
		cmocka_unit_test(reserve_refuses_what_overflows),
		cmocka_unit_test(taken_text_belongs_to_the_taker),
		cmocka_unit_test(arena_gives_no_more_than_its_cap),
		cmocka_unit_test(arena_memory_is_zero_and_aligned),
		cmocka_unit_test(reset_arena_is_empty_with_a_new_cap),
		cmocka_unit_test(arena_strings_are_copies),
		cmocka_unit_test(bytes_with_a_nul_are_no_string),
		cmocka_unit_test(take_leaves_nothing_behind),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
