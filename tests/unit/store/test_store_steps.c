#include "proto/runtime/clock.h"
#include "store/cache/step_cache.h"
#include "store/gc/gc.h"
#include "store/meta/meta.h"
#include "tests/unit/store/fixture.h"

/* ---- what tests say ----------------------------------------------------------------- */

static struct step_cache *cache_of(struct fixture *f)
{
	struct err err = ERR_INIT;
	struct step_cache *c = NULL;

	assert_ok(step_cache_new(f->store, &c, &err), &err);
	return c;
}

/* A step with these keys that made a layer of this text. */
struct step {
	const char *key, *other_key, *layer;
};

static int put_code(struct step_cache *c, struct store *s, const struct step *steps, size_t n, struct err *err)
{
	struct step_made made[16] = { 0 };
	int r;

	assert_in_range(n, 1, ARRAY_LEN(made));
	for (size_t i = 0; i < n; i++) {
		const char *layer = steps[i].layer;
		char diff[300];

		snprintf(diff, sizeof diff, "diff of %s", layer);
		made[i].keys[0] = digest_of_text(steps[i].key);
		made[i].n_keys = 1;
		if (steps[i].other_key)
			made[i].keys[made[i].n_keys++] = digest_of_text(steps[i].other_key);
		made[i].result = (struct step_result){
			.diff_id = digest_of_text(diff),
			.blob = digest_of_text(layer),
			.blob_size = (int64_t)strlen(layer),
			.media_type = "application/vnd.oci.image.layer.v1.tar",
			.facts = { .tar_size = 1024, .files_size = 7, .entries = 1, .worker_version = 1 },
			.created_ns = 5,
		};
		made[i].description = "RUN something";
		made[i].kind = "regular";
		r = ingest_bytes(s, &made[i].result.blob, bytes_of(layer), &made[i].ingest, err);
		if (r != OK)
			break;
	}
	r = step_cache_put(c, made, n, err);
	for (size_t i = 0; i < n; i++)
		ingest_unref(made[i].ingest);
	return r;
}

static void put(struct step_cache *c, struct store *s, const char *key, const char *other_key, const char *layer)
{
	struct step step = { key, other_key, layer };
	struct err err = ERR_INIT;

	assert_ok(put_code(c, s, &step, 1, &err), &err);
}

static void unpin(struct step_cache *c, const char *key)
{
	struct digest d = digest_of_text(key);

	step_cache_unpin(c, &d);
}

static int find_code(struct step_cache *c, const char *key, struct step_result *ret_result)
{
	struct digest d = digest_of_text(key);

	return step_cache_find(c, &d, ret_result, NULL);
}

/* Finds it, and lets go of it at once. */
static void assert_layer(struct step_cache *c, const char *key, const char *layer)
{
	struct digest expected = digest_of_text(layer);
	struct step_result result;

	assert_int_equal(find_code(c, key, &result), OK);
	assert_true(digest_eq(&result.blob, &expected));
	unpin(c, key);
}

static int64_t prune(struct step_cache *c, struct step_limits limits)
{
	struct err err = ERR_INIT;
	int64_t freed = -1;

	assert_ok(step_cache_prune(c, &limits, &freed, &err), &err);
	return freed;
}

static const struct step_limits everything = { .all = true, .max_bytes = 0 };

static int64_t collect_garbage(struct store *s, int64_t now_ns)
{
	struct gc_result result = { 0 };
	struct err err = ERR_INIT;

	assert_ok(gc_run(s, now_ns, NULL, &result, &err), &err);
	return result.bytes;
}

static int64_t far_away(void)
{
	return clock_wall_ns() + INT64_C(400) * 24 * 3600 * 1000000000;
}

static bool first_key(void *arg, struct bytes key, UNUSED struct bytes value, UNUSED uint64_t revision)
{
	struct key *first = arg;

	memcpy(first->bytes, key.data, key.len);
	first->len = key.len;
	return false;
}

static void delete_first(struct meta *m, const struct key *prefix)
{
	CLEANUP(meta_txn_freep) struct meta_txn *t = meta_txn_new();
	struct key first = { 0 };
	struct err err = ERR_INIT;

	assert_ok(meta_prefix(m, key_bytes(prefix), first_key, &first, &err), &err);
	assert_true(first.len > 0);
	meta_txn_delete(t, key_bytes(&first));
	assert_ok(meta_txn_commit(m, t, NULL, &err), &err);
}

/* ---- found ------------------------------------------------------------------------------ */

static void what_was_put_is_found_by_each_key(void **state)
{
	struct fixture *f = *state;
	struct step_cache *c = cache_of(f);
	struct step_result result;

	put(c, f->store, "definition", "content", "layer one");
	unpin(c, "definition");
	assert_layer(c, "definition", "layer one");
	assert_layer(c, "content", "layer one");
	assert_code(find_code(c, "another", &result), E_NOT_FOUND);
	step_cache_free(c);
}

static void results_are_there_after_a_restart(void **state)
{
	struct fixture *f = *state;
	struct step_cache *c = cache_of(f);
	struct step_result result;

	put(c, f->store, "definition", "content", "layer one");
	unpin(c, "definition");
	step_cache_free(c);
	fixture_reopen(f);
	c = cache_of(f);
	assert_int_equal(find_code(c, "content", &result), OK);
	assert_int_equal(result.created_ns, 5);
	assert_int_equal(result.facts.files_size, 7);
	assert_string_equal(result.media_type, "application/vnd.oci.image.layer.v1.tar");
	unpin(c, "content");
	step_cache_free(c);
	assert_clean(f->store);
}

static void a_result_without_its_blob_is_not_found_and_forgotten(void **state)
{
	struct fixture *f = *state;
	struct step_cache *c = cache_of(f);
	struct step_result result;
	struct step_totals totals;
	struct digest blob = digest_of_text("layer one");
	struct err err = ERR_INIT;

	put(c, f->store, "definition", NULL, "layer one");
	unpin(c, "definition");
	assert_ok(content_quarantine(f->store, &blob, &err), &err);
	assert_code(find_code(c, "definition", &result), E_NOT_FOUND);
	assert_ok(step_cache_totals(c, &totals, &err), &err);
	assert_int_equal(totals.count, 0);
	step_cache_free(c);
}

static void a_result_takes_the_place_of_another(void **state)
{
	struct fixture *f = *state;
	struct step_cache *c = cache_of(f);
	struct step_result result;

	put(c, f->store, "definition", "content", "layer one");
	put(c, f->store, "definition", "other content", "layer two");
	assert_layer(c, "definition", "layer two");
	assert_layer(c, "other content", "layer two");
	assert_code(find_code(c, "content", &result), E_NOT_FOUND);
	/* Who put the first one may still use its layer. */
	assert_true(blob_is_there(f->store, "layer one"));
	collect_garbage(f->store, far_away());
	assert_true(blob_is_there(f->store, "layer one"));
	unpin(c, "definition");
	unpin(c, "definition");
	assert_false(blob_is_there(f->store, "layer one"));
	assert_true(blob_is_there(f->store, "layer two"));
	step_cache_free(c);
	assert_clean(f->store);
}

static void a_result_of_a_run_before_that_is_replaced_stays_while_it_is_used(void **state)
{
	struct fixture *f = *state;
	struct step_cache *c = cache_of(f);
	struct step_result result;

	put(c, f->store, "definition", NULL, "layer one");
	unpin(c, "definition");
	step_cache_free(c);
	fixture_reopen(f);
	c = cache_of(f);
	assert_int_equal(find_code(c, "definition", &result), OK);
	put(c, f->store, "definition", NULL, "layer two");
	unpin(c, "definition"); /* of who put the second one */
	collect_garbage(f->store, far_away());
	assert_true(blob_is_there(f->store, "layer one"));
	unpin(c, "definition");
	assert_false(blob_is_there(f->store, "layer one"));
	step_cache_free(c);
}

/* ---- kept ---------------------------------------------------------------------------------- */

static void collector_and_prune_leave_results_alone(void **state)
{
	struct fixture *f = *state;
	struct step_cache *c = cache_of(f);
	struct err err = ERR_INIT;
	int64_t freed;

	put(c, f->store, "definition", NULL, "layer one");
	unpin(c, "definition");
	step_cache_free(c);
	fixture_reopen(f); /* the run that owned its lease is over */
	assert_int_equal(collect_garbage(f->store, far_away()), 0);
	assert_ok(gc_prune(f->store, false, NULL, NULL, &freed, &err), &err);
	assert_int_equal(freed, 0);
	assert_true(blob_is_there(f->store, "layer one"));
	c = cache_of(f);
	assert_layer(c, "definition", "layer one");
	step_cache_free(c);
}

static void layer_outlives_the_image_and_then_the_record_lets_it_go(void **state)
{
	struct fixture *f = *state;
	struct step_cache *c = cache_of(f);
	struct err err = ERR_INIT;
	CLEANUP(freep) char *text = NULL;
	int64_t freed;

	put(c, f->store, "definition", NULL, "layer one");
	unpin(c, "definition");
	make_image(f->store, &(struct image_spec){ .name = "i", .layers = { "layer one" }, .refs = { "i:1" } });
	assert_int_equal(prune(c, (struct step_limits){ .max_bytes = 0 }), 0); /* an image has it too */
	assert_layer(c, "definition", "layer one");
	assert_ok(removal_text(f->store, "i:1", false, false, &text, &freed, &err), &err);
	assert_true(blob_is_there(f->store, "layer one"));
	assert_int_equal(prune(c, everything), strlen("layer one"));
	assert_false(blob_is_there(f->store, "layer one"));
	step_cache_free(c);
	assert_clean(f->store);
}

static void image_outlives_the_record(void **state)
{
	struct fixture *f = *state;
	struct step_cache *c = cache_of(f);

	put(c, f->store, "definition", NULL, "layer one");
	unpin(c, "definition");
	make_image(f->store, &(struct image_spec){ .name = "i", .layers = { "layer one" }, .refs = { "i:1" } });
	assert_int_equal(prune(c, everything), 0);
	assert_true(blob_is_there(f->store, "layer one"));
	step_cache_free(c);
	assert_clean(f->store);
}

/* ---- pruned ----------------------------------------------------------------------------------- */

static void pinned_results_stay(void **state)
{
	struct fixture *f = *state;
	struct step_cache *c = cache_of(f);
	struct step_result result;

	put(c, f->store, "definition", "content", "layer one");
	assert_int_equal(prune(c, everything), 0);
	assert_int_equal(find_code(c, "content", &result), OK);
	unpin(c, "definition");
	assert_int_equal(prune(c, everything), 0);
	unpin(c, "content");
	assert_int_equal(prune(c, everything), strlen("layer one"));
	assert_code(find_code(c, "definition", &result), E_NOT_FOUND);
	assert_code(find_code(c, "content", &result), E_NOT_FOUND);
	step_cache_free(c);
}

static void the_longest_unused_go_until_it_fits(void **state)
{
	struct fixture *f = *state;
	struct step_cache *c = cache_of(f);
	struct step_limits limits = { .max_bytes = 20, .dry_run = true };
	struct step_result result;

	put(c, f->store, "a", NULL, "layer of a");
	put(c, f->store, "b", NULL, "layer of b");
	put(c, f->store, "c", NULL, "layer of c");
	unpin(c, "a");
	unpin(c, "b");
	unpin(c, "c");
	assert_layer(c, "a", "layer of a");
	assert_int_equal(prune(c, limits), 10);
	limits.dry_run = false;
	assert_int_equal(prune(c, limits), 10);
	assert_code(find_code(c, "b", &result), E_NOT_FOUND);
	assert_layer(c, "a", "layer of a");
	assert_layer(c, "c", "layer of c");
	step_cache_free(c);
}

static void only_those_that_are_old_go_by_age(void **state)
{
	struct fixture *f = *state;
	struct step_cache *c = cache_of(f);
	struct step_limits limits = { .max_bytes = -1 };

	put(c, f->store, "a", NULL, "layer of a");
	unpin(c, "a");
	limits.unused_since = clock_wall_ns();
	put(c, f->store, "b", NULL, "layer of b");
	unpin(c, "b");
	assert_int_equal(prune(c, limits), 10);
	assert_layer(c, "b", "layer of b");
	step_cache_free(c);
}

static void results_with_one_blob_are_counted_once(void **state)
{
	struct fixture *f = *state;
	struct step_cache *c = cache_of(f);
	struct step_limits limits = everything;
	struct step_totals totals;
	struct err err = ERR_INIT;

	put(c, f->store, "a", NULL, "empty layer");
	put(c, f->store, "b", NULL, "empty layer");
	unpin(c, "a");
	assert_ok(step_cache_totals(c, &totals, &err), &err);
	assert_int_equal(totals.count, 2);
	assert_int_equal(totals.in_use, 1);
	assert_int_equal(totals.bytes, 11);
	assert_int_equal(totals.in_use_bytes, 11);
	limits.dry_run = true;
	assert_int_equal(prune(c, limits), 0);
	assert_int_equal(prune(c, everything), 0);
	unpin(c, "b");
	assert_int_equal(prune(c, limits), 11);
	assert_int_equal(prune(c, everything), 11);
	step_cache_free(c);
}

struct seen {
	size_t n;
	int64_t use_count, last_used_ns;
};

static bool see(void *arg, const struct step_usage *usage)
{
	struct seen *seen = arg;

	seen->n++;
	seen->use_count = usage->use_count;
	seen->last_used_ns = usage->last_used_ns;
	assert_string_equal(usage->description, "RUN something");
	assert_string_equal(usage->kind, "regular");
	return true;
}

static void uses_are_counted_and_kept(void **state)
{
	struct fixture *f = *state;
	struct step_cache *c = cache_of(f);
	struct err err = ERR_INIT;
	struct seen seen = { 0 }, later = { 0 };

	put(c, f->store, "a", NULL, "layer of a");
	unpin(c, "a");
	assert_layer(c, "a", "layer of a");
	assert_layer(c, "a", "layer of a");
	assert_ok(step_cache_each(c, NULL, see, &seen, &err), &err);
	assert_int_equal(seen.use_count, 3);
	step_cache_free(c);
	fixture_reopen(f);
	c = cache_of(f);
	assert_ok(step_cache_each(c, NULL, see, &later, &err), &err);
	assert_memory_equal(&later, &seen, sizeof seen);
	step_cache_free(c);
}

static void many_results_come_and_go_at_once(void **state)
{
	struct fixture *f = *state;
	struct step_cache *c = cache_of(f);
	char texts[2][16][32];
	struct step steps[16];
	struct err err = ERR_INIT;

	for (size_t i = 0; i < 16; i++) {
		snprintf(texts[0][i], sizeof texts[0][i], "key %zu", i);
		snprintf(texts[1][i], sizeof texts[1][i], "layer %zu", i);
		steps[i] = (struct step){ texts[0][i], NULL, texts[1][i] };
	}
	assert_ok(put_code(c, f->store, steps, 16, &err), &err);
	for (size_t i = 0; i < 16; i++) {
		assert_layer(c, steps[i].key, steps[i].layer);
		unpin(c, steps[i].key);
	}
	assert_int_equal(prune(c, everything), 10 * 7 + 6 * 8);
	assert_int_equal(collect_garbage(f->store, far_away()), 0);
	assert_clean(f->store);
	step_cache_free(c);
}

static void nothing_is_there_of_results_that_could_not_be_put(void **state)
{
	struct fixture *f = *state;
	struct step_cache *c = cache_of(f);
	struct step_made made[2] = { 0 };
	struct step_result result;
	struct err err = ERR_INIT;

	put(c, f->store, "a", NULL, "layer of a");
	made[0].keys[0] = digest_of_text("b");
	made[0].n_keys = 1;
	made[0].kind = "regular";
	assert_int_equal(find_code(c, "a", &made[0].result), OK);
	made[1] = made[0];
	made[1].keys[0] = digest_of_text("c");
	made[1].result.blob = digest_of_text("a blob that is not here");
	assert_code(step_cache_put(c, made, 2, &err), E_NOT_FOUND);
	assert_code(find_code(c, "b", &result), E_NOT_FOUND);
	assert_code(find_code(c, "c", &result), E_NOT_FOUND);
	assert_ok(step_cache_put(c, made, 1, &err), &err);
	unpin(c, "a");
	unpin(c, "a");
	assert_layer(c, "b", "layer of a");
	unpin(c, "b");
	assert_int_equal(prune(c, everything), 10);
	assert_int_equal(collect_garbage(f->store, far_away()), 0);
	step_cache_free(c);
	assert_clean(f->store);
}

/* ---- checked ------------------------------------------------------------------------------------ */

static void assert_finds(struct store *s, const char *expected)
{
	CLEANUP(freep) char *text = check_text(s, true);

	assert_string_equal(text, expected);
}

static void check_finds_results_whose_layer_is_gone(void **state)
{
	struct fixture *f = *state;
	struct step_cache *c = cache_of(f);
	struct digest blob = digest_of_text("layer one"), key = digest_of_text("definition");
	struct err err = ERR_INIT;

	put(c, f->store, "definition", "content", "layer one");
	assert_clean(f->store);
	assert_ok(content_quarantine(f->store, &blob, &err), &err);
	assert_finds(f->store, "missing the result of a step of a build needs this content and it is not there\n");
	assert_code(step_cache_forget(c, &key, &err), E_BUSY);
	assert_code(step_cache_forget_blob(c, &blob, &err), E_BUSY);
	unpin(c, "definition");
	assert_ok(step_cache_forget_blob(c, &blob, &err), &err);
	assert_code(step_cache_forget(c, &key, &err), E_NOT_FOUND);
	assert_clean(f->store);
	step_cache_free(c);
}

static void check_finds_results_that_nothing_holds(void **state)
{
	struct fixture *f = *state;
	struct step_cache *c = cache_of(f);
	struct key prefix = key_lease_prefix();
	struct digest key = digest_of_text("definition");
	struct err err = ERR_INIT;

	put(c, f->store, "definition", NULL, "layer one");
	unpin(c, "definition");
	delete_first(store_shared(f->store), &prefix);
	assert_finds(f->store, "broken what holds the result of a step of a build is missing\n"
			       "unreferenced nothing needs this content\n");
	assert_ok(step_cache_forget(c, &key, &err), &err);
	collect_garbage(f->store, far_away());
	assert_clean(f->store);
	step_cache_free(c);
}

static void check_finds_damaged_records(void **state)
{
	struct fixture *f = *state;
	struct step_cache *c = cache_of(f);
	struct digest key = digest_of_text("definition");
	struct key k = key_step(&key);
	CLEANUP(meta_txn_freep) struct meta_txn *t = meta_txn_new();
	struct step_result result;
	struct err err = ERR_INIT;

	meta_txn_put(t, key_bytes(&k), bytes_of("this is no record"));
	assert_ok(meta_txn_commit(store_local(f->store), t, NULL, &err), &err);
	assert_finds(f->store, "broken the record of a step of a build cannot be read\n");
	assert_code(find_code(c, "definition", &result), E_NOT_FOUND);
	assert_clean(f->store);
	step_cache_free(c);
}

/* ---- notes -------------------------------------------------------------------------------------- */

static void notes_are_kept_and_replaced(void **state)
{
	struct fixture *f = *state;
	struct step_cache *c = cache_of(f);
	CLEANUP(buf_free) struct buf out = BUF_INIT(STEP_NOTE_MAX);
	struct step_note notes[2] = { { digest_of_text("n1"), bytes_of("one") },
				      { digest_of_text("n2"), bytes_of("two") } };
	struct err err = ERR_INIT;

	assert_ok(step_cache_put_notes(c, notes, 2, &err), &err);
	notes[1].value = bytes_of("second");
	assert_ok(step_cache_put_notes(c, notes + 1, 1, &err), &err);
	step_cache_free(c);
	fixture_reopen(f);
	c = cache_of(f);
	assert_ok(step_cache_note(c, &notes[0].key, &out, &err), &err);
	assert_string_equal(buf_text(&out), "one");
	assert_ok(step_cache_note(c, &notes[1].key, &out, &err), &err);
	assert_string_equal(buf_text(&out), "second");
	prune(c, everything); /* young ones stay */
	assert_ok(step_cache_note(c, &notes[1].key, &out, &err), &err);
	notes[0].key = digest_of_text("n3");
	assert_code(step_cache_note(c, &notes[0].key, &out, &err), E_NOT_FOUND);
	step_cache_free(c);
}

int main(void)
{
#define IN_STORE(test) cmocka_unit_test_setup_teardown(test, fixture_setup, fixture_teardown)
	const struct CMUnitTest tests[] = {
		IN_STORE(what_was_put_is_found_by_each_key),
		IN_STORE(results_are_there_after_a_restart),
		IN_STORE(a_result_without_its_blob_is_not_found_and_forgotten),
		IN_STORE(a_result_takes_the_place_of_another),
		IN_STORE(a_result_of_a_run_before_that_is_replaced_stays_while_it_is_used),
		IN_STORE(collector_and_prune_leave_results_alone),
		IN_STORE(layer_outlives_the_image_and_then_the_record_lets_it_go),
		IN_STORE(image_outlives_the_record),
		IN_STORE(pinned_results_stay),
		IN_STORE(the_longest_unused_go_until_it_fits),
		IN_STORE(only_those_that_are_old_go_by_age),
		IN_STORE(results_with_one_blob_are_counted_once),
		IN_STORE(uses_are_counted_and_kept),
		IN_STORE(many_results_come_and_go_at_once),
		IN_STORE(nothing_is_there_of_results_that_could_not_be_put),
		IN_STORE(check_finds_results_whose_layer_is_gone),
		IN_STORE(check_finds_results_that_nothing_holds),
		IN_STORE(check_finds_damaged_records),
		IN_STORE(notes_are_kept_and_replaced),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
