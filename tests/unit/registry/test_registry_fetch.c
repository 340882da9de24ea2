/* Blobs into ingests, through everything that registries and networks do to them. */
#include "tests/unit/registry/fetch_world.h"

/* ---- what goes well -------------------------------------------------------- */

static void fetch_takes_a_blob_in_one_request(void **state)
{
	struct world w = { 0 };

	(void)state;
	world_start(&w);
	assert_ok(fetch(&w), &w.err);
	assert_int_equal(requests(&w), 1);
	assert_null(range_of_last(&w));
	assert_int_equal(atomic_load(&w.progress), SIZE);
	assert_int_equal(atomic_load(&w.fetched), SIZE);
	assert_int_equal(atomic_load(&w.retrying), 0);
	world_stop(&w);
}

static void fetch_takes_bodies_of_unknown_length(void **state)
{
	static const enum step steps[] = { CHUNKED, HTTP_1_0 };

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(steps); i++) {
		struct world w = { .steps = { steps[i] } };

		world_start(&w);
		assert_ok(fetch(&w), &w.err);
		assert_int_equal(requests(&w), 1);
		world_stop(&w);
	}
}

static void empty_blob_needs_no_request(void **state)
{
	struct world w = { 0 };

	(void)state;
	world_start(&w);
	w.blob = descriptor_of("", 0);
	assert_ok(fetch(&w), &w.err);
	assert_int_equal(requests(&w), 0);
	world_stop(&w);
}

/* ---- interruptions --------------------------------------------------------- */

static void broken_transfers_go_on_where_they_broke(void **state)
{
	static const enum step steps[] = { BREAK_HALF, RESET_HALF, STALL_HALF };

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(steps); i++) {
		struct world w = { .steps = { steps[i] }, .etag = "\"v1\"" };

		world_start(&w);
		assert_ok(fetch(&w), &w.err);
		assert_int_equal(requests(&w), 2);
		assert_non_null(range_of_last(&w));
		assert_string_equal(if_range_of_last(&w), "\"v1\"");
		assert_int_equal(atomic_load(&w.retrying), 1);
		assert_int_equal(atomic_load(&w.restarted), 0);
		assert_int_equal(atomic_load(&w.fetched), SIZE);
		world_stop(&w);
	}
}

static void weak_etags_are_not_sent_back(void **state)
{
	struct world w = { .steps = { BREAK_HALF }, .etag = "W/\"v1\"" };

	(void)state;
	world_start(&w);
	assert_ok(fetch(&w), &w.err);
	assert_null(if_range_of_last(&w));
	world_stop(&w);
}

static void every_byte_of_progress_renews_patience(void **state)
{
	struct world w = { 0 };

	(void)state;
	for (int i = 0; i < 12; i++)
		w.steps[i] = BREAK_HALF;
	world_start(&w);
	assert_ok(fetch(&w), &w.err);
	assert_int_equal(requests(&w), 13);
	world_stop(&w);
}

static void five_failures_without_progress_are_the_end(void **state)
{
	struct world w = { 0 };

	(void)state;
	for (int i = 0; i < STEPS_MAX; i++)
		w.steps[i] = BREAK_AT_ONCE;
	world_start(&w);
	assert_int_equal(fetch(&w), E_REGISTRY);
	assert_non_null(strstr(w.err.text, "unexpected EOF"));
	assert_int_equal(requests(&w), 5);
	assert_int_equal(atomic_load(&w.retrying), 4);
	world_stop(&w);
}

static void server_errors_within_a_transfer_are_waited_out(void **state)
{
	struct world w = { .steps = { STATUS_503, BREAK_HALF, STATUS_503, STATUS_429 } };

	(void)state;
	world_start(&w);
	assert_ok(fetch(&w), &w.err);
	assert_int_equal(requests(&w), 5);
	assert_int_equal(rig_sleep_ms(w.rig, 3), 3000);
	world_stop(&w);
}

static void fetch_of_a_dead_registry_gives_up_after_some_pauses(void **state)
{
	struct world w = { 0 };

	(void)state;
	world_start(&w);
	assert_ok(fetch(&w), &w.err); /* so that the host is known */
	w.blob = descriptor_of("other", 5);
	{
		struct repository *r = open_repository(w.rig, fake_authority(w.registry), "a/b", NULL);
		struct ingest *i = open_ingest(&w);

		fake_stop(w.registry);
		w.registry = NULL;
		assert_int_equal(registry_fetch(r, &w.blob, i, NULL, NULL, &w.err), E_REGISTRY);
		assert_non_null(strstr(w.err.text, "connection refused"));
		assert_int_equal(rig_sleeps(w.rig), 4);
		ingest_unref(i);
		repository_unref(r);
	}
	world_stop(&w);
}

/* ---- resuming across fetches ----------------------------------------------- */

static void later_fetch_goes_on_with_what_is_there(void **state)
{
	struct world w = { .steps = { BREAK_HALF, STATUS_404 }, .etag = "\"v1\"" };

	(void)state;
	world_start(&w);
	assert_int_equal(fetch(&w), E_NOT_FOUND);
	assert_ok(fetch(&w), &w.err);
	assert_non_null(range_of_last(&w));
	assert_string_equal(if_range_of_last(&w), "\"v1\"");
	assert_true(atomic_load(&w.fetched) < SIZE);
	world_stop(&w);
}

static void server_without_ranges_starts_over(void **state)
{
	struct world w = { .steps = { BREAK_HALF, IGNORE_RANGE } };

	(void)state;
	world_start(&w);
	assert_ok(fetch(&w), &w.err);
	assert_int_equal(atomic_load(&w.restarted), 1);
	assert_int_equal(requests(&w), 2);
	world_stop(&w);
}

/* As a registry whose storage gives other tags than the one the start came from. */
static void serve_by_etag(struct fake_conn *c, const struct fake_request *q, void *arg)
{
	struct world *w = arg;
	const char *if_range = fake_header(q, "If-Range");

	if (!strcmp(q->path, "/v2/"))
		fake_text(c, q, 200, "", "");
	else if (if_range && strcmp(if_range, w->etag) != 0)
		serve_step(c, q, w, IGNORE_RANGE);
	else
		serve_step(c, q, w, GOOD);
}

static void etag_that_changed_does_not_cost_the_bytes(void **state)
{
	struct world w = { .steps = { BREAK_HALF, STATUS_404 }, .etag = "\"v1\"" };

	(void)state;
	world_start(&w);
	assert_int_equal(fetch(&w), E_NOT_FOUND);
	fake_stop(w.registry);
	w.etag = "\"v2\"";
	w.registry = fake_start(FAKE_PLAIN, serve_by_etag, &w);
	assert_ok(fetch(&w), &w.err);
	assert_int_equal(atomic_load(&w.restarted), 0);
	assert_true(atomic_load(&w.fetched) < SIZE);
	assert_non_null(range_of_last(&w));
	assert_null(if_range_of_last(&w));
	world_stop(&w);
}

static void nonsense_ranges_start_over(void **state)
{
	static const enum step steps[] = { SHIFTED_RANGE, NO_CONTENT_RANGE, OTHER_TOTAL, STATUS_416 };

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(steps); i++) {
		struct world w = { .steps = { BREAK_HALF, steps[i] } };

		world_start(&w);
		assert_ok(fetch(&w), &w.err);
		assert_int_equal(atomic_load(&w.restarted), 1);
		assert_null(range_of_last(&w));
		world_stop(&w);
	}
}

static void shorter_ranges_are_taken_and_asked_on(void **state)
{
	struct world w = { .steps = { BREAK_HALF, SHORT_RANGE, SHORT_RANGE } };

	(void)state;
	world_start(&w);
	assert_ok(fetch(&w), &w.err);
	assert_int_equal(requests(&w), 4);
	assert_int_equal(atomic_load(&w.restarted), 0);
	world_stop(&w);
}

static void endless_nonsense_ranges_end(void **state)
{
	struct world w = { 0 };

	(void)state;
	for (int i = 0; i < STEPS_MAX; i++)
		w.steps[i] = STATUS_416;
	world_start(&w);
	assert_int_equal(fetch(&w), E_REGISTRY);
	assert_in_range(requests(&w), 1, 4);
	world_stop(&w);
}

static void parts_without_a_byte_are_failures(void **state)
{
	struct world w = { .steps = { BREAK_HALF } };

	(void)state;
	for (int i = 1; i < STEPS_MAX - 1; i++)
		w.steps[i] = EMPTY_RANGE;
	world_start(&w);
	assert_int_equal(fetch(&w), E_REGISTRY);
	assert_non_null(strstr(w.err.text, "unexpected EOF"));
	assert_int_equal(requests(&w), 5);
	assert_int_equal(rig_sleeps(w.rig), 4);
	world_stop(&w);
}

/* A server without ranges behind a proxy that cuts: what comes again is no progress. */
static void starting_over_and_over_ends(void **state)
{
	struct world w = { 0 };

	(void)state;
	for (int i = 0; i < STEPS_MAX - 1; i++)
		w.steps[i] = IGNORE_HALF;
	world_start(&w);
	assert_int_equal(fetch(&w), E_REGISTRY);
	assert_int_equal(requests(&w), 5);
	assert_int_equal(rig_sleeps(w.rig), 4);
	world_stop(&w);
}

static void server_without_ranges_is_not_asked_for_one_again(void **state)
{
	static const enum step steps[] = { IGNORE_HALF, STATUS_416, SHIFTED_RANGE };

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(steps); i++) {
		struct world w = { .steps = { BREAK_HALF, steps[i], BREAK_HALF } };

		world_start(&w);
		assert_ok(fetch(&w), &w.err);
		assert_int_equal(requests(&w), 4);
		assert_null(range_of_last(&w));
		assert_int_equal(rig_sleeps(w.rig), 3);
		world_stop(&w);
	}
}

/* The rest belongs to another version than the start: caught, and healed once. */
static void bytes_that_changed_in_between_are_fetched_again_as_a_whole(void **state)
{
	struct world w = { .steps = { BREAK_HALF, OTHER_BYTES } };

	(void)state;
	world_start(&w);
	assert_ok(fetch(&w), &w.err);
	assert_int_equal(atomic_load(&w.restarted), 1);
	assert_null(range_of_last(&w));
	world_stop(&w);
}

static void wrong_bytes_in_one_piece_are_refused_at_once(void **state)
{
	struct world w = { .steps = { OTHER_BYTES } };

	(void)state;
	world_start(&w);
	assert_int_equal(fetch(&w), E_DIGEST_MISMATCH);
	assert_int_equal(requests(&w), 1);
	assert_false(content_exists(w.store, &w.blob.digest, NULL));
	world_stop(&w);
}

static void wrong_bytes_twice_are_refused(void **state)
{
	struct world w = { .steps = { BREAK_HALF, OTHER_BYTES, OTHER_BYTES } };

	(void)state;
	world_start(&w);
	assert_int_equal(fetch(&w), E_DIGEST_MISMATCH);
	world_stop(&w);
}

static void what_the_observer_refuses_is_not_fetched_on(void **state)
{
	struct world w = { .refusal = E_BAD_CONTENT, .refusals = 1 };

	(void)state;
	world_start(&w);
	assert_int_equal(fetch(&w), E_BAD_CONTENT);
	assert_string_equal(w.err.text, "of no use");
	assert_true(atomic_load(&w.progress) < SIZE);
	assert_int_equal(requests(&w), 1);
	world_stop(&w);
}

/* As a start that was damaged on the disk. */
static void what_the_observer_refuses_of_several_answers_is_fetched_again_as_a_whole(void **state)
{
	struct world w = { .steps = { BREAK_HALF }, .refusal = E_BAD_CONTENT, .refusals = 1 };

	(void)state;
	world_start(&w);
	assert_ok(fetch(&w), &w.err);
	assert_int_equal(atomic_load(&w.restarted), 1);
	assert_int_equal(requests(&w), 3);
	world_stop(&w);
}

static void other_refusals_of_the_observer_keep_the_bytes(void **state)
{
	struct world w = { .steps = { BREAK_HALF }, .refusal = E_WORKER, .refusals = 1 };

	(void)state;
	world_start(&w);
	assert_int_equal(fetch(&w), E_WORKER);
	assert_int_equal(atomic_load(&w.restarted), 0);
	assert_ok(fetch(&w), &w.err);
	assert_true(atomic_load(&w.fetched) < SIZE / 2);
	world_stop(&w);
}

/* ---- lies ------------------------------------------------------------------ */

static void lengths_that_do_not_fit_are_refused(void **state)
{
	static const enum step steps[] = { TOO_LONG, TOO_SHORT, TOO_LONG_CHUNKED };

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(steps); i++) {
		struct world w = { .steps = { steps[i], steps[i], steps[i] } };

		world_start(&w);
		assert_fails(fetch(&w), &w.err, E_BAD_CONTENT, "blob sha256:");
		assert_int_equal(requests(&w), 1);
		world_stop(&w);
	}
}

/* c-style.md A6 */
static void error_pages_are_not_written(void **state)
{
	struct world w = { .steps = { STATUS_404 } };
	struct ingest *i;

	(void)state;
	world_start(&w);
	i = open_ingest(&w);
	assert_int_equal(fetch_into(&w, i, NULL, NULL), E_NOT_FOUND);
	assert_int_equal(ingest_offset(i), 0);
	assert_non_null(strstr(w.err.text, "blob unknown: no blob"));
	ingest_unref(i);
	world_stop(&w);
}

static void content_codings_are_refused(void **state)
{
	struct world w = { .steps = { ENCODED } };

	(void)state;
	world_start(&w);
	assert_int_equal(fetch(&w), E_BAD_CONTENT);
	assert_non_null(strstr(w.err.text, "Content-Encoding: gzip"));
	world_stop(&w);
}

/* ---- redirects and credentials --------------------------------------------- */

/* c-style.md A5 */
static void credentials_do_not_follow_redirects(void **state)
{
	struct world w = { .always_redirect = true, .want_token = "Basic YTpi" };
	struct credentials c = { .username = "a", .password = "b" };
	struct fake_request q;

	(void)state;
	world_start(&w);
	assert_ok(fetch_with(&w, &c), &w.err);
	assert_true(fake_last(w.storage, "GET", "/data", &q));
	assert_null(fake_header(&q, "Authorization"));
	world_stop(&w);
}

static void storage_is_asked_for_anew_after_a_break(void **state)
{
	struct world w = { .always_redirect = true, .storage_steps = { BREAK_HALF } };
	struct fake_request first, last;

	(void)state;
	world_start(&w);
	assert_ok(fetch(&w), &w.err);
	assert_int_equal(requests(&w), 2);
	assert_true(fake_last(w.storage, "GET", "/data", &last));
	assert_non_null(fake_header(&last, "Range"));
	assert_true(fake_last(w.storage, "GET", "/data?sig=secret2", &first));
	assert_string_not_equal(first.path, last.path);
	world_stop(&w);
}

static void expired_signatures_are_renewed(void **state)
{
	struct world w = { .always_redirect = true, .storage_steps = { STATUS_401 } };

	(void)state;
	world_start(&w);
	assert_ok(fetch(&w), &w.err);
	assert_int_equal(requests(&w), 2);
	assert_null(strstr(w.why, "secret"));
	world_stop(&w);
}

static void token_that_dies_in_mid_transfer_is_renewed(void **state)
{
	struct world w = { .steps = { BREAK_HALF, STATUS_401 } };
	struct credentials c = { .username = "a", .password = "b" };

	(void)state;
	world_start(&w);
	assert_ok(fetch_with(&w, &c), &w.err);
	assert_int_equal(requests(&w), 3);
	assert_non_null(range_of_last(&w));
	world_stop(&w);
}

/* ---- cancellation ---------------------------------------------------------- */

struct canceller {
	struct world *w;
	struct cancel *cancel;
};

static void *cancel_in_mid_transfer(void *arg)
{
	struct canceller *c = arg;
	struct cancel *pause = cancel_new();

	while (!atomic_load(&c->w->progress))
		cancel_wait(pause, 2);
	cancel_fire(c->cancel, E_CANCELLED);
	cancel_unref(pause);
	return NULL;
}

static void cancelled_fetch_keeps_its_bytes(void **state)
{
	struct world w = { .steps = { STALL_HALF } };
	struct canceller c = { &w, cancel_new() };
	struct ingest *i;
	pthread_t thread;

	(void)state;
	world_start(&w);
	i = open_ingest(&w);
	pthread_create(&thread, NULL, cancel_in_mid_transfer, &c);
	assert_int_equal(fetch_into(&w, i, NULL, c.cancel), E_CANCELLED);
	pthread_join(thread, NULL);
	assert_true(ingest_offset(i) > 0);
	ingest_unref(i);
	assert_ok(fetch(&w), &w.err);
	assert_true(atomic_load(&w.fetched) < SIZE);
	cancel_unref(c.cancel);
	world_stop(&w);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(fetch_takes_a_blob_in_one_request),
		cmocka_unit_test(fetch_takes_bodies_of_unknown_length),
		cmocka_unit_test(empty_blob_needs_no_request),
		cmocka_unit_test(broken_transfers_go_on_where_they_broke),
		cmocka_unit_test(weak_etags_are_not_sent_back),
		cmocka_unit_test(every_byte_of_progress_renews_patience),
		cmocka_unit_test(five_failures_without_progress_are_the_end),
		cmocka_unit_test(server_errors_within_a_transfer_are_waited_out),
		cmocka_unit_test(fetch_of_a_dead_registry_gives_up_after_some_pauses),
		cmocka_unit_test(later_fetch_goes_on_with_what_is_there),
		cmocka_unit_test(server_without_ranges_starts_over),
		cmocka_unit_test(etag_that_changed_does_not_cost_the_bytes),
		cmocka_unit_test(nonsense_ranges_start_over),
		cmocka_unit_test(shorter_ranges_are_taken_and_asked_on),
		cmocka_unit_test(endless_nonsense_ranges_end),
		cmocka_unit_test(parts_without_a_byte_are_failures),
		cmocka_unit_test(starting_over_and_over_ends),
		cmocka_unit_test(server_without_ranges_is_not_asked_for_one_again),
		cmocka_unit_test(bytes_that_changed_in_between_are_fetched_again_as_a_whole),
		cmocka_unit_test(wrong_bytes_in_one_piece_are_refused_at_once),
		cmocka_unit_test(wrong_bytes_twice_are_refused),
		cmocka_unit_test(what_the_observer_refuses_is_not_fetched_on),
		cmocka_unit_test(what_the_observer_refuses_of_several_answers_is_fetched_again_as_a_whole),
		cmocka_unit_test(other_refusals_of_the_observer_keep_the_bytes),
		cmocka_unit_test(lengths_that_do_not_fit_are_refused),
		cmocka_unit_test(error_pages_are_not_written),
		cmocka_unit_test(content_codings_are_refused),
		cmocka_unit_test(credentials_do_not_follow_redirects),
		cmocka_unit_test(storage_is_asked_for_anew_after_a_break),
		cmocka_unit_test(expired_signatures_are_renewed),
		cmocka_unit_test(token_that_dies_in_mid_transfer_is_renewed),
		cmocka_unit_test(cancelled_fetch_keeps_its_bytes),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
