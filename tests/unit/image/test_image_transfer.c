/* Who joins and leaves a transfer, and what each of them gets. */
#include "tests/unit/image/world.h"

enum { CROWD = 8 };

static void one_fetch_is_enough_for_all_who_watch(void **state)
{
	struct world *w = *state;
	struct watcher crowd[CROWD];
	struct ingest *first = NULL;

	world_answer(w, HOLD_HALF);
	for (size_t i = 0; i < CROWD; i++) {
		watcher_init(&crowd[i], w);
		watcher_join(&crowd[i], w);
		assert_int_equal(crowd[i].started, i == 0);
		assert_ptr_equal(crowd[i].transfer, crowd[0].transfer);
	}
	assert_int_equal(transfers_running(w->transfers), 1);
	for (size_t i = 0; i < CROWD; i++)
		watcher_await_offset(&crowd[i], NOTICED);
	world_open_gate(w);
	for (size_t i = 0; i < CROWD; i++) { /* each is woken, not only the last one */
		struct ingest *ingest = watcher_done(&crowd[i], NULL);

		assert_non_null(ingest);
		first = first ? first : ingest;
		assert_ptr_equal(ingest, first);
		assert_int_equal(watcher_status(&crowd[i]).fetched, BLOB_SIZE);
	}
	assert_int_equal(world_requests(w), 1);
	for (size_t i = 0; i < CROWD; i++) { /* and each may commit it */
		world_commit_ingest(w, first);
		watcher_leave(&crowd[i]);
		watcher_destroy(&crowd[i]);
	}
	world_await_none(w);
}

struct crowd {
	struct world *world;
	pthread_barrier_t before, joined;
	unsigned started; /* atomic */
};

static void *join_in_a_crowd(void *arg)
{
	struct crowd *c = arg;
	struct watcher x;
	struct ingest *ingest;

	watcher_init(&x, c->world);
	pthread_barrier_wait(&c->before);
	watcher_join(&x, c->world);
	__atomic_fetch_add(&c->started, x.started, __ATOMIC_RELAXED);
	pthread_barrier_wait(&c->joined);
	ingest = watcher_done(&x, NULL);
	world_commit_ingest(c->world, ingest);
	watcher_leave(&x);
	watcher_destroy(&x);
	return NULL;
}

static void who_come_at_the_same_moment_share_one_fetch_as_well(void **state)
{
	struct world *w = *state;
	struct crowd c = { .world = w };
	pthread_t threads[CROWD];

	pthread_barrier_init(&c.before, NULL, CROWD);
	pthread_barrier_init(&c.joined, NULL, CROWD);
	for (size_t i = 0; i < CROWD; i++)
		assert_int_equal(pthread_create(&threads[i], NULL, join_in_a_crowd, &c), 0);
	for (size_t i = 0; i < CROWD; i++)
		pthread_join(threads[i], NULL);
	pthread_barrier_destroy(&c.before);
	pthread_barrier_destroy(&c.joined);
	assert_int_equal(c.started, 1);
	assert_int_equal(world_requests(w), 1);
	world_await_none(w);
}

static void one_that_is_done_is_shared_while_somebody_watches_it(void **state)
{
	struct world *w = *state;
	struct watcher first, late;
	struct ingest *ingest;

	watcher_init(&first, w);
	watcher_init(&late, w);
	watcher_join(&first, w);
	ingest = watcher_done(&first, NULL);
	watcher_join(&late, w);
	assert_false(late.started);
	assert_ptr_equal(watcher_done(&late, NULL), ingest);
	watcher_leave(&first);
	world_commit_ingest(w, ingest); /* held by the late one */
	watcher_leave(&late);
	assert_int_equal(world_requests(w), 1);
	watcher_destroy(&first);
	watcher_destroy(&late);
}

static void different_blobs_are_different_transfers(void **state)
{
	struct world *w = *state;
	struct descriptor other = descriptor_of("other", 5);
	struct watcher x, y;
	struct err err = ERR_INIT;
	struct ingest *ingest = NULL;

	world_answer(w, HOLD_HALF);
	watcher_init(&x, w);
	watcher_init(&y, w);
	y.request.blob = &other;
	y.request.repository = NULL;
	y.request.data = (struct bytes){ (const uint8_t *)"other", 5 };
	watcher_join(&x, w);
	watcher_join(&y, w);
	assert_true(x.started && y.started);
	assert_int_equal(transfers_running(w->transfers), 2);
	watcher_await_state(&y, TRANSFER_DONE); /* beside the one that is held */
	assert_ok(transfer_result(y.transfer, &ingest, NULL, &err), &err);
	assert_true(digest_eq(ingest_digest(ingest), &other.digest));
	world_open_gate(w);
	watcher_done(&x, NULL);
	watcher_leave(&x);
	watcher_leave(&y);
	watcher_destroy(&x);
	watcher_destroy(&y);
}

static void who_leaves_does_not_disturb_who_stays(void **state)
{
	struct world *w = *state;
	struct watcher starter, other;

	world_answer(w, HOLD_HALF);
	watcher_init(&starter, w);
	watcher_init(&other, w);
	watcher_join(&starter, w);
	watcher_join(&other, w);
	watcher_await_offset(&starter, NOTICED);
	watcher_leave(&starter); /* its watch may go: nobody wakes it any more */
	watcher_destroy(&starter);
	memset(&starter.watch, 0xff, sizeof starter.watch);
	world_open_gate(w);
	world_commit_ingest(w, watcher_done(&other, NULL));
	watcher_leave(&other);
	watcher_destroy(&other);
	assert_int_equal(world_requests(w), 1);
}

static void the_last_who_leaves_ends_it_and_the_next_goes_on_from_there(void **state)
{
	struct world *w = *state;
	struct watcher x, y;
	struct transfer_status status;
	struct fake_request last;
	char range[64];

	world_answer(w, STALL_HALF);
	watcher_init(&x, w);
	watcher_init(&y, w);
	watcher_join(&x, w);
	watcher_join(&y, w);
	watcher_await_offset(&x, NOTICED);
	watcher_leave(&x);
	watcher_leave(&y);
	world_await_gone(w, 1); /* the connection was ended, from our side */
	world_answer(w, SERVE);
	watcher_join(&x, w);
	assert_true(x.started);
	world_commit_ingest(w, watcher_done(&x, NULL));
	status = watcher_status(&x);
	assert_in_range(status.resumed, NOTICED, BLOB_HALF);
	assert_int_equal(status.fetched, BLOB_SIZE - status.resumed);
	assert_true(fake_last(w->fake, "GET", "/v2/a/b/blobs/", &last));
	snprintf(range, sizeof range, "bytes=%lld-", (long long)status.resumed);
	assert_string_equal(fake_header(&last, "Range"), range);
	watcher_leave(&x);
	watcher_destroy(&x);
	watcher_destroy(&y);
}

static void nobody_joins_one_that_is_being_cancelled(void **state)
{
	struct world *w = *state;
	struct watcher x, y;
	struct err err = ERR_INIT;

	world_hold_pauses(w);
	world_answer(w, UNAVAILABLE);
	watcher_init(&x, w);
	watcher_init(&y, w);
	watcher_join(&x, w);
	world_await_gate(w, 1);
	watcher_leave(&x);
	assert_ok(watcher_join_code(&y, w, &err), &err);
	assert_null(y.transfer);
	assert_false(y.started);
	assert_int_equal(transfers_running(w->transfers), 1);
	world_answer(w, SERVE);
	world_open_gate(w);
	watcher_join(&y, w);
	assert_true(y.started);
	world_commit_ingest(w, watcher_done(&y, NULL));
	watcher_leave(&y);
	watcher_destroy(&x);
	watcher_destroy(&y);
	world_await_none(w);
}

static void who_waits_in_the_queue_may_leave_it(void **state)
{
	struct world *w = *state;
	struct transfers *narrow = NULL;
	struct descriptor other = descriptor_of("other", 5);
	struct watcher x, y;
	struct err err = ERR_INIT;

	assert_ok(transfers_new(w->store, 1, &narrow, &err), &err);
	world_answer(w, HOLD_HALF);
	watcher_init(&x, w);
	watcher_init(&y, w);
	y.request.blob = &other;
	assert_ok(transfer_join(narrow, &x.request, &x.watch, &x.transfer, &x.started, &err), &err);
	world_await_gate(w, 1);
	assert_ok(transfer_join(narrow, &y.request, &y.watch, &y.transfer, &y.started, &err), &err);
	assert_int_equal(watcher_status(&y).state, TRANSFER_WAITING);
	watcher_leave(&y);
	world_open_gate(w);
	watcher_done(&x, NULL);
	watcher_leave(&x);
	transfers_free(narrow);
	assert_int_equal(world_requests(w), 1); /* not for what nobody wanted any more */
	watcher_destroy(&x);
	watcher_destroy(&y);
}

/* Two transfers of one registry, of which the first holds its only turn. */
struct queue {
	struct transfers *table;
	struct descriptor blobs[2];
	struct watcher first, second;
};

static void join_queue(struct queue *q, struct watcher *x)
{
	struct err err = ERR_INIT;

	assert_ok(transfer_join(q->table, &x->request, &x->watch, &x->transfer, &x->started, &err), &err);
	assert_true(x->started);
}

static void queue_up(struct queue *q, struct world *w)
{
	struct watcher *x[] = { &q->first, &q->second };
	struct err err = ERR_INIT;

	assert_ok(transfers_new(w->store, 2, &q->table, &err), &err);
	world_answer(w, HOLD_HALF);
	for (size_t i = 0; i < ARRAY_LEN(x); i++) {
		q->blobs[i] = descriptor_of(&i, sizeof i);
		q->blobs[i].size = BLOB_SIZE;
		watcher_init(x[i], w);
		x[i]->request.blob = &q->blobs[i];
		join_queue(q, x[i]);
	}
	world_await_gate(w, 1);
}

static void leave_queue(struct queue *q)
{
	watcher_leave(&q->first);
	watcher_destroy(&q->first);
	watcher_destroy(&q->second);
	transfers_free(q->table);
}

/* The same server by another name, which makes it another registry. */
static struct repository *elsewhere(struct world *w)
{
	struct repository *repository = NULL;
	struct err err = ERR_INIT;
	struct reference ref;
	char authority[64];

	snprintf(authority, sizeof authority, "localhost%s", strchr(fake_authority(w->fake), ':'));
	ref = ref_of(authority, "a/b");
	assert_ok(repository_open(w->registry, &ref, NULL, &repository, &err), &err);
	return repository;
}

static void a_registry_that_stalls_leaves_threads_to_others(void **state)
{
	struct world *w = *state;
	CLEANUP(repository_unrefp) struct repository *other = elsewhere(w);
	struct queue q;
	struct watcher x;
	struct err err;

	queue_up(&q, w);
	world_answer(w, SERVE);
	watcher_init(&x, w);
	x.request.repository = other;
	join_queue(&q, &x);
	world_commit_ingest(w, watcher_done(&x, NULL));
	assert_int_equal(watcher_status(&q.second).state, TRANSFER_WAITING);
	world_open_gate(w);
	watcher_failed(&q.first, E_DIGEST_MISMATCH, &err);
	watcher_failed(&q.second, E_DIGEST_MISMATCH, &err); /* its turn came */
	watcher_leave(&x);
	watcher_destroy(&x);
	watcher_leave(&q.second);
	leave_queue(&q);
}

static void who_waits_for_a_turn_may_leave(void **state)
{
	struct world *w = *state;
	struct queue q;

	queue_up(&q, w);
	watcher_leave(&q.second);
	assert_int_equal(transfers_running(q.table), 1);
	world_open_gate(w);
	leave_queue(&q);
	assert_int_equal(world_requests(w), 1);
}

static void a_failure_is_told_to_all_and_joined_by_nobody(void **state)
{
	struct world *w = *state;
	struct digest elsewhere = descriptor_of("elsewhere", 9).digest;
	struct watcher x, y, z;
	struct transfer *failed;
	CLEANUP(freep) char *start = format("blob %s: ", digest_text_of(w->data, BLOB_SIZE));
	struct err err;

	world_hold_pauses(w);
	world_answer(w, UNAVAILABLE);
	watcher_init(&x, w);
	watcher_init(&y, w);
	watcher_init(&z, w);
	watcher_join(&x, w);
	world_await_gate(w, 1);
	watcher_join(&y, w);
	world_answer(w, MISSING);
	world_open_gate(w);
	watcher_failed(&x, E_NOT_FOUND, &err);
	assert_memory_equal(err.text, start, strlen(start));
	watcher_failed(&y, E_NOT_FOUND, &err);
	assert_true(transfer_is_from(y.transfer, &w->source, false));
	assert_false(transfer_is_from(y.transfer, &elsewhere, false));
	failed = x.transfer;
	world_answer(w, SERVE);
	watcher_join(&z, w);
	assert_true(z.started);
	assert_ptr_not_equal(z.transfer, failed);
	world_commit_ingest(w, watcher_done(&z, NULL));
	watcher_failed(&x, E_NOT_FOUND, &err); /* as before */
	watcher_leave(&x);
	watcher_join(&x, w);
	assert_false(x.started);
	assert_ptr_equal(x.transfer, z.transfer);
	watcher_leave(&x);
	watcher_leave(&y);
	watcher_leave(&z);
	watcher_destroy(&x);
	watcher_destroy(&y);
	watcher_destroy(&z);
	world_await_none(w);
}

static void wrong_bytes_fail_and_are_not_kept(void **state)
{
	struct world *w = *state;
	struct watcher x;
	struct err err;

	world_answer(w, OTHER_BYTES);
	watcher_init(&x, w);
	watcher_join(&x, w);
	watcher_failed(&x, E_DIGEST_MISMATCH, &err);
	watcher_leave(&x);
	assert_false(content_exists(w->store, &w->blob.digest, NULL));
	world_answer(w, SERVE);
	watcher_join(&x, w);
	world_commit_ingest(w, watcher_done(&x, NULL));
	assert_int_equal(watcher_status(&x).resumed, 0);
	watcher_leave(&x);
	watcher_destroy(&x);
}

static void assert_waits(struct world *w, struct watcher *y)
{
	struct err err = ERR_INIT;

	assert_ok(watcher_join_code(y, w, &err), &err);
	assert_null(y->transfer);
}

/* A registry that lies about the size of a blob that others have as well. */
static void a_wrong_size_fails_only_who_believes_it(void **state)
{
	struct world *w = *state;
	struct descriptor longer = w->blob;
	struct watcher x, y;
	struct err err;

	world_answer(w, UNAVAILABLE);
	world_hold_pauses(w);
	watcher_init(&x, w);
	watcher_init(&y, w);
	longer.size++;
	x.request.blob = &longer;
	watcher_join(&x, w);
	world_await_gate(w, 1);
	assert_waits(w, &y);
	world_answer(w, SERVE);
	world_open_gate(w);
	watcher_failed(&x, E_BAD_CONTENT, &err);
	watcher_join(&y, w); /* also while the other is still watched */
	world_commit_ingest(w, watcher_done(&y, NULL));
	watcher_leave(&x);
	watcher_leave(&y);
	watcher_destroy(&x);
	watcher_destroy(&y);
}

/* It would wait for itself. */
static void a_manifest_that_contradicts_itself_is_refused(void **state)
{
	struct world *w = *state;
	struct descriptor longer = w->blob;
	struct transfer_request request;
	struct transfer *none = NULL;
	struct err err = ERR_INIT;
	struct watcher x;
	bool started;

	world_answer(w, HOLD_HALF);
	watcher_init(&x, w);
	watcher_join(&x, w);
	longer.size++;
	request = x.request;
	request.blob = &longer;
	assert_fails(transfer_join(w->transfers, &request, &x.watch, &none, &started, &err), &err, E_BAD_CONTENT,
		     "a manifest disagrees with itself on the size of a blob: 1048576 and 1048577");
	assert_null(none);
	watcher_leave(&x);
	world_open_gate(w);
	watcher_destroy(&x);
	world_await_none(w);
}

static void manifests_that_disagree_on_a_blob_do_not_share_it(void **state)
{
	struct world *w = *state;
	CLEANUP(layer_workers_unrefp) struct layer_workers *workers = NULL;
	struct descriptor longer = w->blob;
	struct err err = ERR_INIT;
	struct watcher x, y;

	assert_ok(layer_workers_new(IMAGED_LAYER, 1, &workers, &err), &err);
	world_answer(w, HOLD_HALF);
	watcher_init(&x, w);
	watcher_init(&y, w);
	watcher_join(&x, w);
	longer.size++;
	y.request.blob = &longer;
	assert_waits(w, &y);
	y.request.blob = &w->blob;
	y.request.workers = workers;
	assert_waits(w, &y);
	/* They have joined nothing, and nothing was disturbed. */
	world_open_gate(w);
	world_commit_ingest(w, watcher_done(&x, NULL));
	assert_waits(w, &y);
	watcher_leave(&x);
	watcher_destroy(&x);
	watcher_destroy(&y);
	world_await_none(w);
}

static void a_configuration_does_not_share_a_layer(void **state)
{
	struct world *w = *state;
	CLEANUP(layer_workers_unrefp) struct layer_workers *workers = NULL;
	struct err err = ERR_INIT;
	struct watcher x, y;

	assert_ok(layer_workers_new(IMAGED_LAYER, 1, &workers, &err), &err);
	world_answer(w, HOLD_HALF);
	watcher_init(&x, w);
	watcher_init(&y, w);
	x.request.workers = workers;
	watcher_join(&x, w);
	assert_waits(w, &y);
	watcher_leave(&x);
	world_open_gate(w);
	world_await_none(w);
	watcher_destroy(&x);
	watcher_destroy(&y);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, world_start, world_stop)
	const struct CMUnitTest tests[] = {
		TEST(one_fetch_is_enough_for_all_who_watch),
		TEST(who_come_at_the_same_moment_share_one_fetch_as_well),
		TEST(one_that_is_done_is_shared_while_somebody_watches_it),
		TEST(different_blobs_are_different_transfers),
		TEST(who_leaves_does_not_disturb_who_stays),
		TEST(the_last_who_leaves_ends_it_and_the_next_goes_on_from_there),
		TEST(nobody_joins_one_that_is_being_cancelled),
		TEST(who_waits_in_the_queue_may_leave_it),
		TEST(a_registry_that_stalls_leaves_threads_to_others),
		TEST(who_waits_for_a_turn_may_leave),
		TEST(a_failure_is_told_to_all_and_joined_by_nobody),
		TEST(wrong_bytes_fail_and_are_not_kept),
		TEST(manifests_that_disagree_on_a_blob_do_not_share_it),
		TEST(a_configuration_does_not_share_a_layer),
		TEST(a_wrong_size_fails_only_who_believes_it),
		TEST(a_manifest_that_contradicts_itself_is_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
