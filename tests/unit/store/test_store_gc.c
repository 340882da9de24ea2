#include "tests/unit/store/fixture.h"

#include <fcntl.h>
#include <sys/stat.h>

#include "proto/runtime/clock.h"
#include "store/internal.h"
#include "store/meta/scan.h"
#include "store/record.h"

static const int64_t second = 1000000000;

static struct gc_result collect(struct store *s, int64_t now_ns)
{
	struct gc_result result;
	struct err err = ERR_INIT;

	assert_ok(gc_run(s, now_ns, NULL, &result, &err), &err);
	return result;
}

static void put_key(struct meta *m, struct key k, struct bytes value)
{
	CLEANUP(meta_txn_freep) struct meta_txn *t = meta_txn_new();

	meta_txn_put(t, key_bytes(&k), value);
	assert_int_equal(meta_txn_commit(m, t, NULL, NULL), OK);
}

static void delete_key(struct meta *m, struct key k)
{
	CLEANUP(meta_txn_freep) struct meta_txn *t = meta_txn_new();

	meta_txn_delete(t, key_bytes(&k));
	assert_int_equal(meta_txn_commit(m, t, NULL, NULL), OK);
}

static size_t count(struct meta *m, struct key prefix)
{
	CLEANUP(freep) struct meta_scan *scan = malloc(sizeof *scan);
	const struct key *k;
	size_t n = 0;

	meta_scan_prefix(scan, m, &prefix);
	while (meta_scan_next(scan, &k, NULL, NULL) == OK && k)
		n++;
	return n;
}

static void nothing_that_is_needed_goes(void **state)
{
	struct fixture *f = *state;
	struct digest held = digest_of_text("held");
	struct err err = ERR_INIT;
	struct lease_id lease;
	struct gc_result g;

	make_image(f->store,
		   &(struct image_spec){ .name = "a", .layers = { "one" }, .refs = { "a" }, .index = "index" });
	make_image(f->store, &(struct image_spec){ .name = "nameless", .layers = { "two" } });
	assert_ok(lease_create(f->store, "pull", &held, 1, &lease, &err), &err);
	add_blob(f->store, "held");
	g = collect(f->store, clock_wall_ns());
	assert_int_equal(g.blobs + g.leases + g.edges, 0);
	assert_true(blob_is_there(f->store, "held"));
	assert_clean(f->store);
	assert_true(content_claim(f->store, &held, NULL));
}

static void garbage_of_all_kinds_goes(void **state)
{
	struct fixture *f = *state;
	struct store *s = f->store;
	struct digest nobody = digest_of_text("no such manifest"), blob = digest_of_text("garbage"),
		      lost = digest_of_text("lost layer");
	struct edge_parent parents[] = { { .kind = EDGE_MANIFEST, .digest = nobody },
					 { .kind = EDGE_INDEX, .digest = nobody },
					 { .kind = EDGE_NAME, .reference = "docker.io/library/none:x" },
					 { .kind = EDGE_NAME, .reference = "docker.io/library/a:latest" },
					 { .kind = EDGE_LEASE, .lease = { { 1 } } } };
	struct lease_id lease = { { 1 } };
	struct gc_result g;

	make_image(s, &(struct image_spec){ .name = "a", .layers = { "one" }, .refs = { "a" } });
	add_blob(s, "garbage");
	for (size_t i = 0; i < ARRAY_LEN(parents); i++)
		put_key(s->shared, key_edge(&blob, &parents[i]), (struct bytes){ 0 });
	put_key(s->shared, key_chain(&blob, &nobody), (struct bytes){ 0 });
	put_key(s->shared, key_held(&lease, &blob), (struct bytes){ 0 });
	put_key(s->shared, key_index(&nobody), (struct bytes){ 0 });
	put_key(s->local, key_use(&nobody), (struct bytes){ 0 });
	{
		struct layer_facts facts = { .diff_id = nobody };
		Imaged__Store__V1__LayerRecord r = IMAGED__STORE__V1__LAYER_RECORD__INIT;
		CLEANUP(meta_txn_freep) struct meta_txn *t = meta_txn_new();
		struct key k = key_layer(&lost), d = key_diff(&facts.diff_id, &lost);
		uint8_t bytes[DIGEST_KEY_MAX];

		r.diff_id = (ProtobufCBinaryData){ digest_to_key(&facts.diff_id, bytes), bytes };
		assert_int_equal(record_put(t, &k, &r.base, NULL), OK);
		meta_txn_put(t, key_bytes(&d), (struct bytes){ 0 });
		assert_int_equal(meta_txn_commit(s->local, t, NULL, NULL), OK);
	}
	g = collect(s, clock_wall_ns());
	assert_int_equal(g.blobs, 1);
	assert_int_equal(g.bytes, 7);
	assert_int_equal(g.edges, 5 + 1 + 1 + 1); /* edges, chain, held, index */
	assert_false(blob_is_there(s, "garbage"));
	assert_true(blob_is_there(s, "one"));
	assert_int_equal(count(s->shared, key_edge_prefix(&blob)), 0);
	assert_int_equal(count(s->local, key_layer_prefix()), 1);
	assert_int_equal(count(s->local, key_diff_prefix(NULL)), 1);
	assert_int_equal(count(s->local, key_use_prefix()), 0);
	assert_clean(s);
	g = collect(s, clock_wall_ns());
	assert_int_equal(g.blobs + g.edges + g.leases, 0);
}

static void a_lease_ends_with_its_time_and_is_renewed_by_adding(void **state)
{
	struct fixture *f = *state;
	struct digest d[2] = { digest_of_text("first"), digest_of_text("second") };
	int64_t day = LEASE_SECONDS * second, now = clock_wall_ns();
	struct err err = ERR_INIT;
	struct lease_id lease;

	assert_ok(lease_create(f->store, "pull", d, 1, &lease, &err), &err);
	add_blob(f->store, "first");
	fixture_reopen(f); /* nobody will renew it any more, but for this test */
	assert_int_equal(collect(f->store, now + day - 60 * second).leases, 0);
	assert_ok(lease_add(f->store, &lease, d + 1, 1, &err), &err);
	add_blob(f->store, "second");
	assert_int_equal(collect(f->store, now + day - 60 * second).leases, 0);
	assert_true(blob_is_there(f->store, "first") && blob_is_there(f->store, "second"));
	assert_int_equal(collect(f->store, now + day + 60 * second).leases, 1);
	assert_false(blob_is_there(f->store, "first") || blob_is_there(f->store, "second"));
	assert_code(lease_add(f->store, &lease, d, 1, &err), E_ABORTED);
	assert_ok(lease_release(f->store, &lease, &err), &err);
	assert_int_equal(count(f->store->shared, key_held_prefix(NULL)), 0);
	assert_int_equal(count(f->store->shared, key_edge_all()), 0);
}

/* One blob that only this lease holds. */
static struct lease_id lease_on(struct fixture *f, const char *text)
{
	struct digest d = digest_of_text(text);
	struct err err = ERR_INIT;
	struct lease_id lease;

	assert_ok(lease_create(f->store, "pull", &d, 1, &lease, &err), &err);
	add_blob(f->store, text);
	return lease;
}

static void a_lease_of_this_run_does_not_expire_whatever_the_clock_says(void **state)
{
	struct fixture *f = *state;
	int64_t much_later = clock_wall_ns() + 30 * LEASE_SECONDS * second;

	lease_on(f, "held");
	assert_int_equal(collect(f->store, much_later).leases, 0);
	assert_true(blob_is_there(f->store, "held"));
	fixture_reopen(f); /* now its operation cannot be running any more */
	assert_int_equal(collect(f->store, clock_wall_ns()).leases, 0);
	assert_true(blob_is_there(f->store, "held"));
	assert_int_equal(collect(f->store, much_later).leases, 1);
	assert_false(blob_is_there(f->store, "held"));
}

static void a_lease_that_was_abandoned_expires(void **state)
{
	struct fixture *f = *state;
	struct lease_id lease = lease_on(f, "held");
	int64_t day = LEASE_SECONDS * second;
	struct err err = ERR_INIT;

	assert_ok(lease_abandon(f->store, &lease, &err), &err);
	assert_int_equal(collect(f->store, clock_wall_ns() + day - 60 * second).leases, 0);
	assert_true(blob_is_there(f->store, "held"));
	assert_int_equal(collect(f->store, clock_wall_ns() + day + 60 * second).leases, 1);
	assert_false(blob_is_there(f->store, "held"));
	assert_ok(lease_abandon(f->store, &lease, &err), &err); /* it has ended: fine */
	assert_int_equal(count(f->store->shared, key_lease_prefix()), 0);
}

/* A half of an ingest that nobody has open. */
static void leave_ingest(struct fixture *f, const char *text)
{
	struct digest d = digest_of_text(text);
	struct err err = ERR_INIT;
	struct ingest *i;

	assert_ok(ingest_open(f->store, &d, (int64_t)strlen(text), &i, &err), &err);
	assert_ok(ingest_write(i, text, strlen(text) / 2, &err), &err);
	ingest_unref(i);
}

static int64_t prune(struct store *s, bool dry_run)
{
	struct err err = ERR_INIT;
	int64_t freed;

	assert_ok(gc_prune(s, dry_run, NULL, NULL, &freed, &err), &err);
	return freed;
}

static void a_prune_takes_what_dead_leases_hold_and_unfinished_ingests(void **state)
{
	struct fixture *f = *state;
	struct lease_id abandoned;
	struct err err = ERR_INIT;
	struct usage before, after;
	int64_t would, freed;

	lease_on(f, "of a process that died");
	fixture_reopen(f);
	make_image(f->store, &(struct image_spec){ .name = "a", .layers = { "one" }, .refs = { "a" } });
	abandoned = lease_on(f, "abandoned");
	assert_ok(lease_abandon(f->store, &abandoned, &err), &err);
	lease_on(f, "in use");
	leave_ingest(f, "unfinished");
	assert_ok(store_usage(f->store, &before, &err), &err);
	would = prune(f->store, true);
	assert_int_equal(count(f->store->shared, key_lease_prefix()), 3);
	freed = prune(f->store, false);
	assert_int_equal(would, freed);
	assert_ok(store_usage(f->store, &after, &err), &err);
	assert_int_equal(after.ingest_bytes, 0);
	assert_int_equal(freed, before.content_bytes + before.ingest_bytes - after.content_bytes);
	assert_int_equal(before.content_bytes - after.content_bytes,
			 strlen("of a process that died") + strlen("abandoned"));
	assert_true(blob_is_there(f->store, "in use"));
	assert_int_equal(count(f->store->shared, key_lease_prefix()), 1);
	assert_int_equal(count(f->store->shared, key_held_prefix(NULL)), 1);
	assert_clean(f->store);
	assert_int_equal(prune(f->store, false), 0);
}

static void a_prune_leaves_an_ingest_that_is_open(void **state)
{
	struct fixture *f = *state;
	struct digest d = digest_of_text("hello");
	struct err err = ERR_INIT;
	struct ingest *i;

	assert_ok(ingest_open(f->store, &d, 5, &i, &err), &err);
	assert_ok(ingest_write(i, "hel", 3, &err), &err);
	assert_int_equal(prune(f->store, true), 0);
	assert_int_equal(prune(f->store, false), 0);
	assert_ok(ingest_write(i, "lo", 2, &err), &err);
	assert_ok(ingest_finish(i, &err), &err);
	assert_ok(content_commit(f->store, &i, 1, &err), &err);
	ingest_unref(i);
	assert_true(blob_is_there(f->store, "hello"));
}

static void a_lease_of_many_digests_is_whole_and_goes_whole(void **state)
{
	enum { MANY = 333 };
	struct fixture *f = *state;
	struct digest d[MANY];
	struct err err = ERR_INIT;
	struct lease_id lease;

	for (int i = 0; i < MANY; i++) {
		char text[16];

		snprintf(text, sizeof text, "%d", i);
		d[i] = digest_of_text(text);
	}
	assert_ok(lease_create(f->store, "pull", d, MANY, &lease, &err), &err);
	assert_int_equal(count(f->store->shared, key_held_prefix(&lease)), MANY);
	assert_int_equal(count(f->store->shared, key_edge_all()), MANY);
	assert_ok(lease_release(f->store, &lease, &err), &err);
	assert_int_equal(count(f->store->shared, key_held_prefix(&lease)), 0);
	assert_int_equal(count(f->store->shared, key_edge_all()), 0);
	assert_int_equal(count(f->store->shared, key_lease_prefix()), 0);
}

static void a_publication_needs_its_lease(void **state)
{
	struct fixture *f = *state;
	struct image_spec spec = { .name = "a", .layers = { "one" }, .refs = { "a" } };
	struct digest d = digest_of_text("one");
	struct err err = ERR_INIT;
	struct lease_id lease;
	struct made made;

	assert_ok(lease_create(f->store, "pull", &d, 1, &lease, &err), &err);
	spec.lease = &lease;
	assert_ok(make_image_code(f->store, &spec, &made, &err), &err);
	assert_int_equal(count(f->store->shared, key_lease_prefix()), 0); /* ended with it */
	assert_int_equal(count(f->store->shared, key_held_prefix(NULL)), 0);
	spec.name = "b";
	assert_code(make_image_code(f->store, &spec, &made, &err), E_ABORTED);
	assert_null(names_text(f->store, "b"));
}

static void a_publication_of_content_that_is_missing_says_which(void **state)
{
	struct fixture *f = *state;
	struct digest d = digest_of_text("config a");
	struct err err = ERR_INIT;
	struct manifest manifest = { .config = { .digest = d } };
	struct image_config config = { .n_diff_ids = 0 };
	struct publication p = { .root = digest_of_text("manifest a"),
				 .manifest_digest = digest_of_text("manifest a"),
				 .manifest = &manifest,
				 .config = &config };
	char text[DIGEST_TEXT_MAX];
	bool changed;

	add_blob(f->store, "manifest a");
	assert_code(image_publish(f->store, &p, &changed, &err), E_NOT_FOUND);
	assert_non_null(strstr(err.text, digest_text(&d, text)));
	assert_int_equal(count(f->store->shared, key_lease_prefix()), 0); /* its own one is gone again */
	assert_int_equal(collect(f->store, clock_wall_ns()).blobs, 1);
}

/* What a publication leaves that died between its edges and its record. */
static void edges_of_a_dead_publication_go_once_its_guard_is_old(void **state)
{
	struct fixture *f = *state;
	struct store *s = f->store;
	struct digest manifest = digest_of_text("manifest x"), layer = digest_of_text("layer x");
	struct edge_parent parent = { .kind = EDGE_MANIFEST, .digest = manifest };
	Imaged__Store__V1__GuardRecord guard = IMAGED__STORE__V1__GUARD_RECORD__INIT;
	CLEANUP(meta_txn_freep) struct meta_txn *t = meta_txn_new();
	struct key k = key_guard(&manifest);
	int64_t now = clock_wall_ns();

	guard.started_ns = now;
	assert_int_equal(record_put(t, &k, &guard.base, NULL), OK);
	assert_int_equal(meta_txn_commit(s->shared, t, NULL, NULL), OK);
	put_key(s->shared, key_edge(&layer, &parent), (struct bytes){ 0 });
	put_key(s->shared, key_chain(&layer, &manifest), (struct bytes){ 0 });
	add_blob(s, "layer x");
	assert_int_equal(collect(s, now).blobs, 0);
	assert_true(blob_is_there(s, "layer x"));
	assert_int_equal(collect(s, now + 7200 * second).blobs, 1);
	assert_int_equal(count(s->shared, key_edge_all()), 0);
	assert_int_equal(count(s->shared, key_chain_prefix(NULL)), 0);
	assert_int_equal(count(s->shared, key_guard_prefix()), 0);
}

static void what_a_dead_publication_left_goes_with_a_prune(void **state)
{
	struct fixture *f = *state;
	struct digest manifest = digest_of_text("manifest x"), layer = digest_of_text("layer x");
	struct edge_parent parent = { .kind = EDGE_MANIFEST, .digest = manifest };
	Imaged__Store__V1__GuardRecord guard = IMAGED__STORE__V1__GUARD_RECORD__INIT;
	CLEANUP(meta_txn_freep) struct meta_txn *t = meta_txn_new();
	struct key k = key_guard(&manifest);
	struct err err = ERR_INIT;
	struct lease_id lease = lease_on(f, "layer x");

	guard.started_ns = clock_wall_ns();
	assert_int_equal(record_put(t, &k, &guard.base, NULL), OK);
	assert_int_equal(meta_txn_commit(f->store->shared, t, NULL, NULL), OK);
	put_key(f->store->shared, key_edge(&layer, &parent), (struct bytes){ 0 });
	assert_int_equal(prune(f->store, false), 0); /* it runs, by its lease */
	assert_ok(lease_abandon(f->store, &lease, &err), &err);
	assert_int_equal(prune(f->store, false), strlen("layer x"));
	assert_false(blob_is_there(f->store, "layer x"));
}

/* A removal that died after its first transaction. */
static void what_an_interrupted_removal_leaves_is_collected(void **state)
{
	struct fixture *f = *state;
	struct made a = make_image(f->store,
				   &(struct image_spec){ .name = "a", .layers = { "one", "two" }, .created = 7 });
	struct timestamp created = { true, 7, 0 };
	struct gc_result g;

	delete_key(f->store->shared, key_image(&a.manifest));
	delete_key(f->store->shared, key_config(&a.config, &a.manifest));
	delete_key(f->store->shared, key_order(&created, &a.manifest));
	g = collect(f->store, clock_wall_ns());
	assert_int_equal(g.blobs, 4);
	assert_int_equal(g.edges, 3 + 2);
	assert_int_equal(count(f->store->local, key_layer_prefix()), 0);
	assert_clean(f->store);
}

static void an_audit_can_be_cancelled(void **state)
{
	struct fixture *f = *state;
	struct cancel *c = cancel_new();
	struct gc_result g;
	struct err err = ERR_INIT;

	make_image(f->store, &(struct image_spec){ .name = "a", .layers = { "one" } });
	cancel_fire(c, E_CANCELLED);
	assert_code(gc_run(f->store, 1, c, &g, &err), E_CANCELLED);
	cancel_unref(c);
	assert_clean(f->store);
}

static void facts_of_layers_are_found_by_blob_and_by_diff_id(void **state)
{
	struct fixture *f = *state;
	struct digest blob = digest_of_text("one"), diff = digest_of_text("diff of one"), found;
	struct layer_facts facts;
	struct err err = ERR_INIT;
	char *said;

	assert_code(layer_facts_get(f->store, &blob, &facts, &err), E_NOT_FOUND);
	make_image(f->store, &(struct image_spec){ .name = "a", .layers = { "one" }, .refs = { "a" } });
	assert_ok(layer_facts_get(f->store, &blob, &facts, &err), &err);
	assert_true(digest_eq(&facts.diff_id, &diff));
	assert_int_equal(facts.files_size, 1003);
	assert_ok(layer_by_diff_id(f->store, &diff, &found, &err), &err);
	assert_true(digest_eq(&found, &blob));
	assert_ok(removal_text(f->store, "a", false, false, &said, NULL, &err), &err);
	free(said);
	assert_code(layer_facts_get(f->store, &blob, &facts, &err), E_NOT_FOUND);
	assert_code(layer_by_diff_id(f->store, &diff, &found, &err), E_NOT_FOUND);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, fixture_setup, fixture_teardown)
	const struct CMUnitTest tests[] = {
		TEST(nothing_that_is_needed_goes),
		TEST(garbage_of_all_kinds_goes),
		TEST(a_lease_ends_with_its_time_and_is_renewed_by_adding),
		TEST(a_lease_of_this_run_does_not_expire_whatever_the_clock_says),
		TEST(a_lease_that_was_abandoned_expires),
		TEST(a_prune_takes_what_dead_leases_hold_and_unfinished_ingests),
		TEST(a_prune_leaves_an_ingest_that_is_open),
		TEST(a_lease_of_many_digests_is_whole_and_goes_whole),
		TEST(a_publication_needs_its_lease),
		TEST(a_publication_of_content_that_is_missing_says_which),
		TEST(edges_of_a_dead_publication_go_once_its_guard_is_old),
		TEST(what_a_dead_publication_left_goes_with_a_prune),
		TEST(what_an_interrupted_removal_leaves_is_collected),
		TEST(an_audit_can_be_cancelled),
		TEST(facts_of_layers_are_found_by_blob_and_by_diff_id),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
