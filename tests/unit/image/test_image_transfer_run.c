/* What a transfer does: fetch, write what it was given, look at what is there already. */
#include "tests/unit/image/world.h"

static void an_interruption_is_told_and_gone_on_from(void **state)
{
	struct world *w = *state;
	struct transfer_status status;
	struct watcher x;

	world_hold_pauses(w);
	world_answer(w, BREAK_HALF);
	watcher_init(&x, w);
	watcher_join(&x, w);
	watcher_await_state(&x, TRANSFER_RETRYING);
	status = watcher_status(&x);
	assert_in_range(status.present, NOTICED, BLOB_HALF);
	assert_int_not_equal(status.message[0], 0);
	world_answer(w, HOLD_HALF);
	world_let_pass(w);
	watcher_await_offset(&x, BLOB_HALF + 1);
	assert_int_equal(watcher_status(&x).state, TRANSFER_DOWNLOADING); /* again */
	world_open_gate(w);
	world_commit_ingest(w, watcher_done(&x, NULL));
	status = watcher_status(&x);
	assert_int_equal(status.resumed, 0);
	assert_int_equal(status.fetched, BLOB_SIZE);
	assert_int_equal(world_requests(w), 2);
	watcher_leave(&x);
	watcher_destroy(&x);
}

static void give(struct watcher *x, const struct world *w, const uint8_t *data)
{
	x->request.repository = NULL;
	x->request.data = (struct bytes){ data, (size_t)w->blob.size };
}

/* Over a start that an earlier transfer left. */
static void bytes_that_the_caller_has_are_not_fetched(void **state)
{
	struct world *w = *state;
	struct ingest *left = NULL;
	uint8_t *data = malloc(BLOB_SIZE);
	struct err err = ERR_INIT;
	struct watcher x;

	assert_non_null(data);
	memcpy(data, w->data, BLOB_SIZE);
	assert_ok(ingest_open(w->store, &w->blob.digest, BLOB_SIZE, &left, &err), &err);
	assert_ok(ingest_write(left, "some other bytes", 16, &err), &err);
	ingest_unref(left);
	watcher_init(&x, w);
	give(&x, w, data);
	watcher_join(&x, w);
	free(data); /* it has a copy */
	world_commit_ingest(w, watcher_done(&x, NULL));
	assert_int_equal(watcher_status(&x).fetched, 0);
	assert_int_equal(world_requests(w), 0);
	watcher_leave(&x);
	watcher_destroy(&x);
}

static void bytes_that_the_caller_has_are_compared_all_the_same(void **state)
{
	struct world *w = *state;
	struct watcher x;
	struct err err;

	w->data[7] ^= 1;
	watcher_init(&x, w);
	give(&x, w, w->data);
	watcher_join(&x, w);
	watcher_failed(&x, E_DIGEST_MISMATCH, &err);
	watcher_leave(&x);
	watcher_destroy(&x);
}

static void an_ingest_that_somebody_has_open_is_waited_for(void **state)
{
	struct world *w = *state;
	struct ingest *taken = NULL;
	struct err err = ERR_INIT;
	struct watcher x;
	unsigned seen;

	assert_ok(ingest_open(w->store, &w->blob.digest, BLOB_SIZE, &taken, &err), &err);
	watcher_init(&x, w);
	watcher_join(&x, w);
	world_await_busy(w, 2);
	watcher_leave(&x); /* while it waits */
	world_await_none(w);
	assert_int_equal(world_requests(w), 0);
	seen = world_busy(w);
	watcher_join(&x, w);
	assert_true(x.started);
	world_await_busy(w, seen + 1);
	ingest_unref(taken);
	world_commit_ingest(w, watcher_done(&x, NULL));
	watcher_leave(&x);
	watcher_destroy(&x);
}

/* ---- what is there already ------------------------------------------------------- */

static void what_is_committed_is_read_and_not_fetched(void **state)
{
	struct world *w = *state;
	struct watcher x;

	world_commit(w);
	watcher_init(&x, w);
	watcher_join(&x, w);
	assert_null(watcher_done(&x, NULL));
	assert_int_equal(watcher_status(&x).fetched, 0);
	assert_int_equal(world_requests(w), 0);
	watcher_leave(&x);
	watcher_destroy(&x);
}

static void assert_heals(struct world *w)
{
	struct watcher x;
	struct err err = ERR_INIT;

	assert_int_equal(content_verify(w->store, &w->blob.digest, NULL, NULL, NULL, &err), E_CORRUPT);
	watcher_init(&x, w);
	watcher_join(&x, w);
	world_commit_ingest(w, watcher_done(&x, NULL));
	assert_int_equal(watcher_status(&x).fetched, BLOB_SIZE);
	assert_int_equal(world_requests(w), 1);
	watcher_leave(&x);
	watcher_destroy(&x);
}

static void what_is_damaged_is_fetched_again(void **state)
{
	world_commit(*state);
	world_damage(*state);
	assert_heals(*state);
}

static void what_was_cut_is_fetched_again(void **state)
{
	world_commit(*state);
	world_cut(*state);
	assert_heals(*state);
}

static void what_is_committed_is_not_of_another_size(void **state)
{
	struct world *w = *state;
	struct descriptor longer = w->blob;
	struct watcher x;
	struct err err;

	world_commit(w);
	longer.size++;
	watcher_init(&x, w);
	x.request.blob = &longer;
	watcher_join(&x, w);
	watcher_failed(&x, E_BAD_CONTENT, &err);
	assert_non_null(strstr(err.text, "blob has 1048576 bytes, the manifest says 1048577"));
	assert_int_equal(world_requests(w), 0);
	world_assert_intact(w);
	watcher_leave(&x);
	watcher_destroy(&x);
}

/* Put back where it was, since it may be all that there is; and still known for what it is. */
static void what_is_damaged_stays_while_no_other_copy_can_be_had(void **state)
{
	struct world *w = *state;
	struct watcher x;
	struct err err;

	world_commit(w);
	world_damage(w);
	world_answer(w, MISSING);
	watcher_init(&x, w);
	for (int i = 0; i < 2; i++) {
		watcher_join(&x, w);
		watcher_failed(&x, E_NOT_FOUND, &err);
		assert_int_equal(content_verify(w->store, &w->blob.digest, NULL, NULL, NULL, &err), E_CORRUPT);
		watcher_leave(&x);
	}
	world_answer(w, SERVE);
	watcher_join(&x, w);
	world_commit_ingest(w, watcher_done(&x, NULL));
	watcher_leave(&x);
	watcher_destroy(&x);
}

static void what_is_damaged_stays_when_everybody_leaves(void **state)
{
	struct world *w = *state;
	struct watcher x;
	struct err err = ERR_INIT;

	world_commit(w);
	world_damage(w);
	world_answer(w, STALL_HALF);
	watcher_init(&x, w);
	watcher_join(&x, w);
	watcher_await_offset(&x, NOTICED);
	watcher_leave(&x);
	world_await_none(w);
	assert_int_equal(content_verify(w->store, &w->blob.digest, NULL, NULL, NULL, &err), E_CORRUPT);
	world_answer(w, SERVE);
	watcher_join(&x, w);
	world_commit_ingest(w, watcher_done(&x, NULL));
	assert_in_range(watcher_status(&x).resumed, NOTICED, BLOB_HALF);
	watcher_leave(&x);
	watcher_destroy(&x);
}

/* As a check that repairs does between our two looks. */
static void what_somebody_else_has_repaired_meanwhile_is_taken(void **state)
{
	struct world *w = *state;
	struct watcher x;

	world_commit(w);
	world_damage(w);
	world_commit_before_open(w, 2);
	watcher_init(&x, w);
	watcher_join(&x, w);
	assert_null(watcher_done(&x, NULL));
	assert_int_equal(world_requests(w), 0);
	world_assert_intact(w);
	watcher_leave(&x);
	watcher_destroy(&x);
}

/* ---- layers ---------------------------------------------------------------------- */

static struct layer_workers *new_workers(void)
{
	struct layer_workers *workers = NULL;
	struct err err = ERR_INIT;

	assert_ok(layer_workers_new(IMAGED_LAYER, 1, &workers, &err), &err);
	return workers;
}

/* The blob is a tar without a compression, so its digest is its diff ID. */
static void assert_facts(const struct world *w, const struct layer_facts *facts)
{
	assert_true(digest_eq(&facts->diff_id, &w->blob.digest));
	assert_int_equal(facts->tar_size, BLOB_SIZE);
	assert_int_equal(facts->entries, 0);
	assert_int_equal(facts->files_size, 0);
}

static void all_who_watch_a_layer_get_what_the_worker_found(void **state)
{
	struct world *w = *state;
	CLEANUP(layer_workers_unrefp) struct layer_workers *workers = new_workers();
	struct watcher x, y;
	struct layer_facts facts;
	struct ingest *ingest;

	world_make_layer(w);
	world_answer(w, HOLD_HALF);
	watcher_init(&x, w);
	watcher_init(&y, w);
	x.request.workers = y.request.workers = workers;
	watcher_join(&x, w);
	watcher_join(&y, w);
	assert_false(y.started);
	world_open_gate(w);
	ingest = watcher_done(&x, &facts);
	assert_facts(w, &facts);
	memset(&facts, 0, sizeof facts);
	assert_ptr_equal(watcher_done(&y, &facts), ingest);
	assert_facts(w, &facts);
	world_commit_ingest(w, ingest);
	watcher_leave(&x);
	watcher_leave(&y);
	watcher_destroy(&x);
	watcher_destroy(&y);
}

static void the_worker_begins_again_with_the_rest_after_an_interruption(void **state)
{
	struct world *w = *state;
	CLEANUP(layer_workers_unrefp) struct layer_workers *workers = new_workers();
	struct layer_facts facts;
	struct watcher x;

	world_make_layer(w);
	world_answer(w, STALL_HALF);
	watcher_init(&x, w);
	x.request.workers = workers;
	watcher_join(&x, w);
	watcher_await_offset(&x, NOTICED);
	watcher_leave(&x);
	world_answer(w, BREAK_HALF);
	watcher_join(&x, w);
	world_commit_ingest(w, watcher_done(&x, &facts));
	assert_facts(w, &facts);
	watcher_leave(&x);
	watcher_destroy(&x);
}

static void a_layer_that_is_committed_is_only_looked_into(void **state)
{
	struct world *w = *state;
	CLEANUP(layer_workers_unrefp) struct layer_workers *workers = new_workers();
	struct layer_facts facts;
	struct watcher x;

	world_make_layer(w);
	world_commit(w);
	watcher_init(&x, w);
	x.request.workers = workers;
	watcher_join(&x, w);
	assert_null(watcher_done(&x, &facts));
	assert_facts(w, &facts);
	assert_int_equal(world_requests(w), 0);
	watcher_leave(&x);
	watcher_destroy(&x);
}

static void a_layer_that_is_none_fails(void **state)
{
	struct world *w = *state;
	CLEANUP(layer_workers_unrefp) struct layer_workers *workers = new_workers();
	struct watcher x;
	struct err err;

	for (int committed = 0; committed < 2; committed++) {
		watcher_init(&x, w);
		x.request.workers = workers;
		watcher_join(&x, w);
		watcher_failed(&x, E_BAD_CONTENT, &err);
		watcher_leave(&x);
		watcher_destroy(&x);
		if (!committed)
			world_commit(w);
	}
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, world_start, world_stop)
	const struct CMUnitTest tests[] = {
		TEST(an_interruption_is_told_and_gone_on_from),
		TEST(bytes_that_the_caller_has_are_not_fetched),
		TEST(bytes_that_the_caller_has_are_compared_all_the_same),
		TEST(an_ingest_that_somebody_has_open_is_waited_for),
		TEST(what_is_committed_is_read_and_not_fetched),
		TEST(what_is_damaged_is_fetched_again),
		TEST(what_was_cut_is_fetched_again),
		TEST(what_is_committed_is_not_of_another_size),
		TEST(what_is_damaged_stays_while_no_other_copy_can_be_had),
		TEST(what_is_damaged_stays_when_everybody_leaves),
		TEST(what_somebody_else_has_repaired_meanwhile_is_taken),
		TEST(all_who_watch_a_layer_get_what_the_worker_found),
		TEST(the_worker_begins_again_with_the_rest_after_an_interruption),
		TEST(a_layer_that_is_committed_is_only_looked_into),
		TEST(a_layer_that_is_none_fails),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
