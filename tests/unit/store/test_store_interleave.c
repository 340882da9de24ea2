/*
 * What happens between two steps of an operation: the metadata is wrapped, and the
 * wrapper runs something else just before a commit, or just after a read.
 */
#include "tests/unit/store/fixture.h"

#include <pthread.h>
#include <semaphore.h>

#include "proto/runtime/clock.h"
#include "store/internal.h"
#include "store/record.h"

/* ---- the wrapper ---------------------------------------------------------- */

struct wrapped {
	struct meta meta;
	struct meta *real;
	int before_commit; /* 1: before the next commit, 2: before the one after, … */
	int after_range;
	void (*run)(void *arg);
	void *arg;
	int commits;
	int fails_at; /* number of the commit that finds a full disk; 0: none */
};

static struct wrapped *wrapped_of(struct meta *m)
{
	return (struct wrapped *)m;
}

static void step(struct wrapped *w, int *counter)
{
	void (*run)(void *arg) = w->run;

	if (*counter && !--*counter)
		run(w->arg);
}

static int get(struct meta *m, struct bytes key, struct buf *out, uint64_t *ret_revision, struct err *err)
{
	struct meta *real = wrapped_of(m)->real;

	return real->ops->get(real, key, out, ret_revision, err);
}

static int range(struct meta *m, struct bytes from, struct bytes to, meta_visit *visit, void *arg, struct err *err)
{
	struct meta *real = wrapped_of(m)->real;
	int r = real->ops->range(real, from, to, visit, arg, err);

	step(wrapped_of(m), &wrapped_of(m)->after_range);
	return r;
}

static int commit(struct meta *m, struct meta_txn *txn, uint64_t *ret_revision, struct err *err)
{
	struct meta *real = wrapped_of(m)->real;

	wrapped_of(m)->commits++;
	step(wrapped_of(m), &wrapped_of(m)->before_commit);
	if (wrapped_of(m)->commits == wrapped_of(m)->fails_at)
		return fail(err, E_DISK_FULL, "no room");
	return real->ops->commit(real, txn, ret_revision, err);
}

static uint64_t revision(struct meta *m)
{
	return meta_revision(wrapped_of(m)->real);
}

static int64_t size(struct meta *m)
{
	return meta_size(wrapped_of(m)->real);
}

static int count(struct meta *m, size_t counter, int64_t *ret_count, struct err *err)
{
	return meta_count(wrapped_of(m)->real, counter, ret_count, err);
}

static void close_real(struct meta *m)
{
	meta_close(wrapped_of(m)->real);
}

static const struct meta_ops wrapped_ops = { get, range, commit, revision, size, count, close_real };

static void wrap(struct fixture *f, struct wrapped *w, void (*run)(void *arg), void *arg)
{
	*w = (struct wrapped){ .meta = { &wrapped_ops }, .real = f->store->shared, .run = run, .arg = arg };
	f->store->shared = &w->meta;
}

static void unwrap(struct fixture *f, struct wrapped *w)
{
	f->store->shared = w->real;
}

/* ---- what runs in between ------------------------------------------------- */

static void tag_it(void *arg)
{
	struct store *s = arg;
	CLEANUP(arena_free) struct arena arena = { .cap = 0 };
	struct err err = ERR_INIT;
	struct reference ref;
	struct image image;
	bool by_id;

	arena_init(&arena, 1 << 20);
	assert_ok(image_resolve(s, "a", &arena, &image, &by_id, &err), &err);
	assert_ok(reference_parse("late", &ref, &err), &err);
	assert_ok(image_tag(s, &image, &ref, 1, &err), &err);
}

static void tag_many(void *arg)
{
	struct digest manifest = digest_of_text("manifest many");
	CLEANUP(arena_free) struct arena arena = { .cap = 0 };
	struct err err = ERR_INIT;
	struct reference ref;
	struct image image;

	arena_init(&arena, 1 << 20);
	assert_ok(image_get(arg, &manifest, &arena, &image, &err), &err);
	assert_ok(reference_parse("late", &ref, &err), &err);
	assert_ok(image_tag(arg, &image, &ref, 1, &err), &err);
}

static void remove_it(void *arg)
{
	struct err err = ERR_INIT;
	char *said;

	assert_ok(removal_text(arg, "a", true, false, &said, NULL, &err), &err);
	free(said);
}

static void collect_it(void *arg)
{
	struct gc_result g;
	struct err err = ERR_INIT;

	assert_ok(gc_run(arg, clock_wall_ns(), NULL, &g, &err), &err);
}

static void publish_it(void *arg)
{
	make_image(arg, &(struct image_spec){ .name = "a", .layers = { "one" }, .refs = { "a" }, .index = "index" });
}

static void publish_big(void *arg)
{
	make_image(arg, &(struct image_spec){ .name = "big", .n_layers = 40, .refs = { "big" } });
}

/* ---- tests ---------------------------------------------------------------- */

static void a_name_given_during_a_removal_keeps_the_image(void **state)
{
	struct fixture *f = *state;
	struct wrapped w;
	struct err err = ERR_INIT;
	char *said;

	publish_it(f->store);
	wrap(f, &w, tag_it, f->store);
	w.before_commit = 1;
	assert_ok(removal_text(f->store, "a", false, false, &said, NULL, &err), &err);
	unwrap(f, &w);
	assert_string_equal(said, "Untagged: a:latest\n");
	free(said);
	assert_found(f->store, "late");
	assert_clean(f->store);
}

static void assert_survives_removal(struct fixture *f, void (*publish)(void *arg), void (*remove)(void *arg))
{
	int steps = 1;

	for (int at = 1; at <= steps; at++) {
		struct wrapped w;

		publish(f->store);
		wrap(f, &w, remove, f->store);
		w.before_commit = at;
		publish(f->store);
		steps = w.commits < 12 ? w.commits : 12;
		unwrap(f, &w);
		collect_it(f->store);
		assert_clean(f->store);
	}
	assert_true(steps > 1);
}

static void remove_big(void *arg)
{
	struct err err = ERR_INIT;
	char *said;

	assert_ok(removal_text(arg, "big", true, false, &said, NULL, &err), &err);
	free(said);
}

static void publish_nameless(void *arg)
{
	make_image(arg, &(struct image_spec){ .name = "nameless", .n_layers = 40 });
}

static void remove_config(const char *text, void *arg)
{
	struct digest config = digest_of_text(text);
	char hex[DIGEST_TEXT_MAX], *said;
	struct err err = ERR_INIT;

	assert_ok(removal_text(arg, digest_hex(&config, hex), true, false, &said, NULL, &err), &err);
	free(said);
}

static void remove_nameless(void *arg)
{
	remove_config("config nameless", arg);
}

static void a_publication_survives_a_removal_at_any_of_its_steps(void **state)
{
	assert_survives_removal(*state, publish_it, remove_it);
	assert_survives_removal(*state, publish_big, remove_big);
	assert_survives_removal(*state, publish_nameless, remove_nameless);
}

static void collect_much_later(void *arg)
{
	struct gc_result g;
	struct err err = ERR_INIT;

	/* Guards are old by then, leases are not. */
	assert_ok(gc_run(arg, clock_wall_ns() + 7200LL * 1000000000, NULL, &g, &err), &err);
}

static void a_publication_that_took_too_long_begins_again(void **state)
{
	struct fixture *f = *state;
	int steps = 1;

	for (int at = 1; at <= steps && at < 10; at++) {
		struct wrapped w;

		wrap(f, &w, collect_much_later, f->store);
		w.before_commit = at;
		publish_nameless(f->store);
		steps = w.commits;
		unwrap(f, &w);
		assert_clean(f->store);
		remove_nameless(f->store);
	}
	assert_true(steps > 3);
}

/* What a publication in several steps has written before its last one. */
struct begun {
	struct store *store;
	struct digest manifest, layer;
};

static void begin_publication(void *arg)
{
	struct begun *b = arg;
	CLEANUP(meta_txn_freep) struct meta_txn *t = meta_txn_new();
	struct edge_parent parent = { .kind = EDGE_MANIFEST, .digest = b->manifest };
	Imaged__Store__V1__GuardRecord guard = IMAGED__STORE__V1__GUARD_RECORD__INIT;
	struct key g = key_guard(&b->manifest), e = key_edge(&b->layer, &parent),
		   h = key_chain(&b->layer, &b->manifest);

	guard.started_ns = clock_wall_ns();
	assert_int_equal(record_put(t, &g, &guard.base, NULL), OK);
	meta_txn_put(t, key_bytes(&e), (struct bytes){ 0 });
	meta_txn_put(t, key_bytes(&h), (struct bytes){ 0 });
	assert_int_equal(meta_txn_commit(b->store->shared, t, NULL, NULL), OK);
}

static void assert_begun(const struct begun *b)
{
	struct edge_parent parent = { .kind = EDGE_MANIFEST, .digest = b->manifest };
	struct key e = key_edge(&b->layer, &parent), h = key_chain(&b->layer, &b->manifest);

	assert_int_equal(meta_get(b->store->shared, key_bytes(&e), NULL, NULL, NULL), OK);
	assert_int_equal(meta_get(b->store->shared, key_bytes(&h), NULL, NULL, NULL), OK);
}

static void a_removal_leaves_the_edges_of_a_publication_that_began(void **state)
{
	struct fixture *f = *state;
	struct begun b = { f->store, digest_of_text("manifest big"), digest_of_text("big layer 7") };
	struct wrapped w;

	publish_big(f->store);
	wrap(f, &w, begin_publication, &b);
	w.before_commit = 2; /* the first one takes the records, this one the edges */
	remove_big(f->store);
	unwrap(f, &w);
	assert_begun(&b);
}

static void an_audit_leaves_the_edges_of_a_publication_that_began(void **state)
{
	struct fixture *f = *state;
	struct begun b = { f->store, digest_of_text("manifest x"), digest_of_text("layer x") };
	struct key g = key_guard(&b.manifest);
	struct wrapped w;

	for (int at = 1; at < 3; at++) { /* edges, chains */
		CLEANUP(meta_txn_freep) struct meta_txn *t = meta_txn_new();

		begin_publication(&b);
		meta_txn_delete(t, key_bytes(&g)); /* now they are garbage, until it begins again */
		assert_int_equal(meta_txn_commit(f->store->shared, t, NULL, NULL), OK);
		wrap(f, &w, begin_publication, &b);
		w.before_commit = at;
		collect_it(f->store);
		unwrap(f, &w);
		assert_begun(&b);
	}
}

static void an_index_that_is_named_again_during_an_audit_stays(void **state)
{
	struct fixture *f = *state;
	struct digest index = digest_of_text("index");
	CLEANUP(meta_txn_freep) struct meta_txn *t = meta_txn_new();
	struct key k = key_index(&index);
	struct wrapped w;

	meta_txn_put(t, key_bytes(&k), (struct bytes){ 0 });
	assert_int_equal(meta_txn_commit(f->store->shared, t, NULL, NULL), OK);
	wrap(f, &w, publish_it, f->store);
	w.before_commit = 1;
	collect_it(f->store);
	unwrap(f, &w);
	assert_found(f->store, "a");
	assert_clean(f->store);
}

static void take_name(void *arg)
{
	make_image(arg, &(struct image_spec){ .name = "thief", .refs = { "a", "tag" } });
}

static void a_name_that_moved_meanwhile_is_moved_again(void **state)
{
	struct fixture *f = *state;

	for (int at = 1; at <= 2; at++) { /* before the lease, before the image */
		struct wrapped w;
		char *names;

		wrap(f, &w, take_name, f->store);
		w.before_commit = at;
		publish_it(f->store);
		unwrap(f, &w);
		assert_clean(f->store);
		names = names_text(f->store, "tag");
		assert_string_equal(names, "tag:latest"); /* and not "a" as well */
		free(names);
		names = names_text(f->store, "a");
		assert_string_equal(names, "a:latest");
		free(names);
	}
}

/* An image with so many names that they go in two transactions. */
static void publish_with_many_digest_names(struct store *s)
{
	for (int part = 0; part < 2; part++) {
		char texts[11][128];
		struct image_spec spec = { .name = "many", .refs = { "a" } };

		for (int i = 0; i < 11; i++) {
			snprintf(texts[i], sizeof texts[i], "a@sha256:%064x", 100 * part + i + 1);
			spec.refs[1 + i] = texts[i];
		}
		make_image(s, &spec);
	}
}

static void a_second_try_does_not_take_the_name_for_an_id(void **state)
{
	struct fixture *f = *state;
	char other[32], config[64], hex[DIGEST_TEXT_MAX] = "";
	struct wrapped w;
	struct err err = ERR_INIT;
	char *said;

	/* An image whose ID begins with "a", which is also the name to be removed. */
	for (int i = 0; hex[0] != 'a'; i++) {
		struct digest d;

		snprintf(other, sizeof other, "other %d", i);
		snprintf(config, sizeof config, "config %s", other);
		d = digest_of_text(config);
		digest_hex(&d, hex);
	}
	make_image(f->store, &(struct image_spec){ .name = other });
	publish_with_many_digest_names(f->store);
	wrap(f, &w, tag_many, f->store);
	w.before_commit = 2; /* the name is gone by then, the image is not */
	assert_ok(removal_text(f->store, "a", true, false, &said, NULL, &err), &err);
	free(said);
	unwrap(f, &w);
	assert_found(f->store, hex);
	assert_found(f->store, "late");
	assert_clean(f->store);
}

static void a_name_that_moved_to_another_image_is_not_removed(void **state)
{
	struct fixture *f = *state;
	struct wrapped w;
	struct err err = ERR_INIT;
	char *said;

	publish_it(f->store);
	tag_it(f->store);
	wrap(f, &w, take_name, f->store);
	w.before_commit = 1;
	assert_ok(removal_text(f->store, "a", false, false, &said, NULL, &err), &err);
	free(said);
	unwrap(f, &w);
	assert_found(f->store, "a");
	assert_clean(f->store);
}

/* Between the look-up of the name and that of the image's names. */
static void a_name_that_moved_before_its_image_was_looked_at_takes_no_image_with_it(void **state)
{
	struct fixture *f = *state;
	CLEANUP(freep) char *said = NULL;
	struct err err = ERR_INIT;
	struct wrapped w;

	publish_it(f->store);
	tag_it(f->store);
	wrap(f, &w, take_name, f->store);
	w.after_range = 2; /* manifests and names as image_resolve() reads them */
	assert_ok(removal_text(f->store, "a", false, false, &said, NULL, &err), &err);
	unwrap(f, &w);
	assert_string_equal(said, "Untagged: a:latest\n"); /* from the image that has it now */
	assert_found(f->store, "late");
	assert_found(f->store, "tag");
	assert_clean(f->store);
}

static void a_publication_survives_a_collection_at_any_of_its_steps(void **state)
{
	struct fixture *f = *state;
	int steps = 0;

	for (int at = 1; at < 8; at++) {
		struct wrapped w;

		wrap(f, &w, collect_it, f->store);
		w.before_commit = at;
		publish_big(f->store);
		steps = w.commits;
		unwrap(f, &w);
		assert_found(f->store, "big");
		assert_clean(f->store);
		wrap(f, &w, collect_it, f->store);
		w.before_commit = at % 4;
		{
			struct err err = ERR_INIT;
			char *said;

			assert_ok(removal_text(f->store, "big", false, false, &said, NULL, &err), &err);
			free(said);
		}
		unwrap(f, &w);
		assert_clean(f->store);
	}
	assert_true(steps > 3); /* lease, edges in parts, the record */
}

static void a_removal_survives_a_publication_at_any_of_its_steps(void **state)
{
	struct fixture *f = *state;

	for (int at = 1; at < 8; at++) {
		struct wrapped w;
		struct err err = ERR_INIT;
		char *said;

		publish_big(f->store);
		wrap(f, &w, publish_big, f->store);
		w.before_commit = at;
		assert_ok(removal_text(f->store, "big", false, false, &said, NULL, &err), &err);
		free(said);
		unwrap(f, &w);
		collect_it(f->store);
		assert_clean(f->store);
	}
}

static void assert_audit_survives(struct fixture *f, int garbage)
{
	for (int at = 1; at < 16; at++) {
		struct wrapped w;

		publish_big(f->store);
		add_blob(f->store, "stray");
		{ /* garbage with the names of things that come back */
			CLEANUP(meta_txn_freep) struct meta_txn *t = meta_txn_new();
			struct digest manifest = digest_of_text("manifest a"), layer = digest_of_text("one");
			struct edge_parent parents[] = { { .kind = EDGE_MANIFEST, .digest = manifest },
							 { .kind = EDGE_NAME,
							   .reference = "docker.io/library/a:latest" } };

			struct key k = key_edge(garbage ? &manifest : &layer, &parents[garbage]);

			meta_txn_put(t, key_bytes(&k), (struct bytes){ 0 });
			assert_int_equal(meta_txn_commit(f->store->shared, t, NULL, NULL), OK);
		}
		wrap(f, &w, publish_it, f->store);
		if (at % 2)
			w.before_commit = (at + 1) / 2;
		else
			w.after_range = at / 2;
		collect_it(f->store);
		unwrap(f, &w);
		assert_found(f->store, "big");
		if (!w.before_commit && !w.after_range) {
			CLEANUP(freep) char *names = names_text(f->store, "a");

			assert_string_equal(names ? names : "none", "a:latest");
			assert_clean(f->store);
			remove_it(f->store);
		}
		collect_it(f->store);
		assert_clean(f->store);
	}
}

static void an_audit_survives_publications_and_removals_at_any_of_its_steps(void **state)
{
	assert_audit_survives(*state, 0);
	assert_audit_survives(*state, 1);
}

static bool count_key(void *arg, UNUSED struct bytes key, UNUSED struct bytes value, UNUSED uint64_t revision)
{
	++*(int *)arg;
	return true;
}

static void a_lease_that_could_not_be_made_whole_is_not_left(void **state)
{
	enum { MANY = 120 };
	struct fixture *f = *state;
	struct key prefixes[] = { key_lease_prefix(), key_held_prefix(NULL), key_edge_all() };
	struct digest d[MANY];
	struct err err = ERR_INIT;
	struct lease_id lease;
	struct wrapped w;
	int left = 0;

	for (int i = 0; i < MANY; i++) {
		char text[16];

		snprintf(text, sizeof text, "%d", i);
		d[i] = digest_of_text(text);
	}
	wrap(f, &w, NULL, NULL);
	w.fails_at = 3;
	assert_code(lease_create(f->store, "pull", d, MANY, &lease, &err), E_DISK_FULL);
	unwrap(f, &w);
	for (size_t i = 0; i < ARRAY_LEN(prefixes); i++)
		assert_int_equal(meta_prefix(f->store->shared, key_bytes(&prefixes[i]), count_key, &left, NULL), OK);
	assert_int_equal(left, 0);
}

/* ---- a claim in the middle of a collection -------------------------------- */

struct claim {
	struct store *store;
	struct wrapped *w;
	pthread_t thread;
	bool claimed;
};

static void *claim(void *arg)
{
	struct claim *c = arg;
	struct digest d = digest_of_text("contended");

	c->claimed = content_claim(c->store, &d, NULL);
	return NULL;
}

/* The collector has just seen that nothing needs the blob. Now there is a lease, and
 * somebody asks whether the blob is there. */
static void lease_and_claim(void *arg)
{
	struct digest d = digest_of_text("contended");
	struct claim *c = arg;
	struct timespec soon;
	struct lease_id lease;

	assert_int_equal(lease_create(c->store, "claim", &d, 1, &lease, NULL), OK);
	assert_int_equal(pthread_create(&c->thread, NULL, claim, c), 0);
	/* Without the lock it would have its wrong answer in no time. */
	clock_gettime(CLOCK_REALTIME, &soon);
	soon.tv_nsec += 50000000;
	soon.tv_sec += soon.tv_nsec / 1000000000;
	soon.tv_nsec %= 1000000000;
	if (!pthread_timedjoin_np(c->thread, NULL, &soon))
		c->thread = 0;
}

static void a_claim_during_a_collection_gets_the_truth(void **state)
{
	struct fixture *f = *state;
	struct digest d = digest_of_text("contended");
	struct claim c = { .store = f->store };
	struct wrapped w;
	struct err err = ERR_INIT;
	int64_t freed;

	add_blob(f->store, "contended");
	wrap(f, &w, lease_and_claim, &c);
	w.after_range = 1;
	assert_ok(gc_blobs(f->store, &d, 1, &freed, &err), &err);
	unwrap(f, &w);
	if (c.thread)
		pthread_join(c.thread, NULL);
	assert_int_equal(c.claimed, blob_is_there(f->store, "contended"));
}

/* A pull that is about to publish, and does so while the collector looks. */
struct pull {
	struct store *store;
	struct lease_id lease;
	pthread_t thread;
	sem_t about_to, go;
	struct made made;
	int r;
};

static void *pull(void *arg)
{
	struct pull *p = arg;
	struct image_spec spec = { .name = "a", .layers = { "one" }, .lease = &p->lease };

	p->r = make_image_code(p->store, &spec, &p->made, NULL);
	return NULL;
}

static void wait_before_record(void *arg)
{
	struct pull *p = arg;

	sem_post(&p->about_to);
	sem_wait(&p->go);
}

static void let_it_publish(void *arg)
{
	struct pull *p = arg;

	sem_post(&p->go);
	pthread_join(p->thread, NULL);
	p->thread = 0;
}

static void start_pull(struct fixture *f, struct wrapped *w, struct pull *p)
{
	struct digest all[] = { digest_of_text("one"), digest_of_text("config a"), digest_of_text("manifest a") };

	*p = (struct pull){ .store = f->store };
	assert_int_equal(lease_create(f->store, "pull", all, ARRAY_LEN(all), &p->lease, NULL), OK);
	sem_init(&p->about_to, 0, 0);
	sem_init(&p->go, 0, 0);
	wrap(f, w, wait_before_record, p);
	w->before_commit = 1;
	assert_int_equal(pthread_create(&p->thread, NULL, pull, p), 0);
	sem_wait(&p->about_to);
	w->run = let_it_publish;
}

static void a_publication_during_a_collection_keeps_its_blobs(void **state)
{
	static const char *const blobs[] = { "one", "config a", "manifest a" };
	struct fixture *f = *state;

	for (size_t i = 0; i < ARRAY_LEN(blobs); i++) {
		struct digest d = digest_of_text(blobs[i]);
		struct wrapped w;
		struct pull p;
		int64_t freed;

		start_pull(f, &w, &p);
		w.after_range = 1; /* the edges were read: there was a lease */
		assert_int_equal(gc_blobs(f->store, &d, 1, &freed, NULL), OK);
		assert_int_equal(p.thread, 0);
		unwrap(f, &w);
		assert_int_equal(p.r, OK);
		assert_true(blob_is_there(f->store, blobs[i]));
		assert_clean(f->store);
		remove_config("config a", f->store);
		sem_destroy(&p.about_to);
		sem_destroy(&p.go);
	}
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, fixture_setup, fixture_teardown)
	const struct CMUnitTest tests[] = {
		TEST(a_name_given_during_a_removal_keeps_the_image),
		TEST(a_publication_survives_a_removal_at_any_of_its_steps),
		TEST(a_publication_that_took_too_long_begins_again),
		TEST(a_publication_survives_a_collection_at_any_of_its_steps),
		TEST(a_removal_survives_a_publication_at_any_of_its_steps),
		TEST(an_audit_survives_publications_and_removals_at_any_of_its_steps),
		TEST(a_removal_leaves_the_edges_of_a_publication_that_began),
		TEST(an_audit_leaves_the_edges_of_a_publication_that_began),
		TEST(an_index_that_is_named_again_during_an_audit_stays),
		TEST(a_name_that_moved_meanwhile_is_moved_again),
		TEST(a_second_try_does_not_take_the_name_for_an_id),
		TEST(a_name_that_moved_to_another_image_is_not_removed),
		TEST(a_name_that_moved_before_its_image_was_looked_at_takes_no_image_with_it),
		TEST(a_publication_during_a_collection_keeps_its_blobs),
		TEST(a_claim_during_a_collection_gets_the_truth),
		TEST(a_lease_that_could_not_be_made_whole_is_not_left),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
