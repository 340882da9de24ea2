#include "tests/unit/store/fixture.h"

#include <pthread.h>

#include "proto/runtime/cancel.h"
#include "proto/runtime/clock.h"
#include "store/internal.h"

struct log {
	struct buf text;
	uint64_t last;
	int n, stop_after;
};

static int note(void *arg, uint64_t revision, const Imaged__Store__V1__EventRecord *e)
{
	static const char *const actions[] = { "", "pull", "tag", "untag", "delete", "repair" };
	struct log *l = arg;

	assert_true(revision > l->last);
	l->last = revision;
	l->n++;
	if (l->stop_after && l->n > l->stop_after)
		return E_CANCELLED;
	buf_printf(&l->text, "%s %s\n", actions[e->action], e->name);
	return OK;
}

static void assert_events(struct store *s, uint64_t after, const char *expected)
{
	struct log l = { .text = BUF_INIT(65536), .last = after };
	struct err err = ERR_INIT;
	uint64_t last;

	assert_ok(events_read(s, after, note, &l, &last, &err), &err);
	assert_string_equal(buf_text(&l.text), expected);
	assert_true(last == l.last);
	buf_free(&l.text);
}

static void changes_are_told_in_order_and_after_a_restart(void **state)
{
	struct fixture *f = *state;
	uint64_t start = events_revision(f->store), middle;
	struct err err = ERR_INIT;
	char *said;

	make_image(f->store, &(struct image_spec){ .name = "a", .refs = { "a" } });
	middle = events_revision(f->store);
	make_image(f->store, &(struct image_spec){ .name = "b", .refs = { "b:1", "b:2" } });
	assert_ok(removal_text(f->store, "a", false, false, &said, NULL, &err), &err);
	free(said);
	assert_ok(event_write(f->store, EVENT_REPAIR, NULL, NULL, NULL, 5, &err), &err);
	assert_events(f->store, start,
		      "pull docker.io/library/a:latest\npull docker.io/library/b:1\n"
		      "untag docker.io/library/a:latest\ndelete \nrepair \n");
	fixture_reopen(f);
	assert_events(f->store, middle,
		      "pull docker.io/library/b:1\nuntag docker.io/library/a:latest\ndelete \nrepair \n");
	assert_events(f->store, events_revision(f->store), "");
}

static void the_log_is_bounded_and_says_when_events_are_gone(void **state)
{
	struct fixture *f = *state;
	uint64_t start = events_revision(f->store), last;
	struct log l = { .text = BUF_INIT(1 << 20) };
	struct err err = ERR_INIT;

	for (int i = 0; i < EVENTS_KEPT + 50; i++) {
		assert_ok(event_write(f->store, EVENT_REPAIR, NULL, "x", NULL, i, &err), &err);
		if (i == EVENTS_KEPT / 2)
			fixture_reopen(f);
	}
	assert_int_equal(f->store->events.count, EVENTS_KEPT);
	assert_code(events_read(f->store, start, note, &l, &last, &err), E_OUT_OF_RANGE);
	assert_int_equal(l.n, 0);
	l.last = start + 50;
	assert_ok(events_read(f->store, start + 50, note, &l, &last, &err), &err);
	assert_int_equal(l.n, EVENTS_KEPT);
	assert_code(events_read(f->store, start + 49, note, &l, &last, &err), E_OUT_OF_RANGE);
	assert_code(events_read(f->store, events_revision(f->store) + 1, note, &l, &last, &err), E_OUT_OF_RANGE);
	fixture_reopen(f);
	assert_code(events_read(f->store, start + 49, note, &l, &last, &err), E_OUT_OF_RANGE);
	buf_free(&l.text);
}

static void a_reader_that_ends_is_told_where_it_was(void **state)
{
	struct fixture *f = *state;
	uint64_t start = events_revision(f->store), last;
	struct log l = { .text = BUF_INIT(1000), .stop_after = 2 };
	struct err err = ERR_INIT;

	for (int i = 0; i < 4; i++)
		assert_ok(event_write(f->store, EVENT_REPAIR, NULL, NULL, NULL, i, &err), &err);
	assert_code(events_read(f->store, start, note, &l, &last, &err), E_CANCELLED);
	assert_true(last == start + 2);
	buf_free(&l.text);
}

static int complain(void *arg, UNUSED uint64_t revision, UNUSED const Imaged__Store__V1__EventRecord *event)
{
	return fail(arg, E_BAD_CONTENT, "what the reader says");
}

static void the_words_of_a_reader_stay(void **state)
{
	struct fixture *f = *state;
	uint64_t start = events_revision(f->store), last;
	struct err err = ERR_INIT;

	assert_ok(event_write(f->store, EVENT_REPAIR, NULL, NULL, NULL, 1, &err), &err);
	assert_code(events_read(f->store, start, complain, &err, &last, &err), E_BAD_CONTENT);
	assert_string_equal(err.text, "what the reader says");
}

struct waiting {
	struct store *store;
	uint64_t revision;
	struct cancel *cancel;
	bool grown;
	pthread_t thread;
};

static void *wait_for_event(void *arg)
{
	struct waiting *w = arg;

	w->grown = events_wait(w->store, w->revision, w->cancel);
	return NULL;
}

static void those_who_wait_are_woken_by_an_event_or_by_cancelling(void **state)
{
	struct fixture *f = *state;
	struct waiting w[2];
	struct err err = ERR_INIT;

	for (int i = 0; i < 2; i++) {
		w[i] = (struct waiting){ .store = f->store,
					 .revision = events_revision(f->store) + (i ? 100 : 0),
					 .cancel = cancel_new() };
		assert_int_equal(pthread_create(&w[i].thread, NULL, wait_for_event, &w[i]), 0);
	}
	assert_ok(event_write(f->store, EVENT_REPAIR, NULL, NULL, NULL, 1, &err), &err);
	pthread_join(w[0].thread, NULL);
	assert_true(w[0].grown);
	cancel_fire(w[1].cancel, E_CANCELLED);
	pthread_join(w[1].thread, NULL);
	assert_false(w[1].grown);
	assert_true(events_wait(f->store, 0, NULL)); /* there are some: no wait */
	assert_false(events_wait(f->store, UINT64_MAX, w[1].cancel));
	cancel_unref(w[0].cancel);
	cancel_unref(w[1].cancel);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, fixture_setup, fixture_teardown)
	const struct CMUnitTest tests[] = {
		TEST(changes_are_told_in_order_and_after_a_restart),
		TEST(the_log_is_bounded_and_says_when_events_are_gone),
		TEST(a_reader_that_ends_is_told_where_it_was),
		TEST(the_words_of_a_reader_stay),
		TEST(those_who_wait_are_woken_by_an_event_or_by_cancelling),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
