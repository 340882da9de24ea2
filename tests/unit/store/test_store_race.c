/*
 * Threads that publish, tag, remove, collect, list and check the same images at the
 * same time. What is listed must be complete at every moment, nothing may fail that
 * holds a lease, and at the end nothing may be left over. Run it under TSan.
 */
#include "tests/unit/store/fixture.h"

#include <pthread.h>
#include <stdatomic.h>

#include "proto/runtime/clock.h"
#include "store/image/name.h"
#include "store/internal.h"

enum { IMAGES = 4, ROUNDS = 25, PUBLISHERS = 2 };

struct race {
	struct store *store;
	atomic_bool stop;
	atomic_int failures;
};

static void failed(struct race *r, const char *what, const struct err *err)
{
	if (atomic_fetch_add(&r->failures, 1) < 5)
		print_error("%s: %s: %s\n", what, err_reason(err->code), err->text);
}

static void spec_of(int n, struct image_spec *spec, char text[32])
{
	snprintf(text, 32, "image %d", n);
	*spec = (struct image_spec){ .name = text,
				     .layers = { "shared layer", n % 2 ? "odd layer" : "even layer" },
				     .refs = { n % 2 ? "odd" : "even", n == 0 ? "zero" : NULL },
				     .index = n < 2 ? "an index" : NULL,
				     .created = 1000 + n };
}

/* As a pull does: lease, blobs, publication. */
static int publish(struct store *s, int n, struct err *err)
{
	char name[32], config[64], manifest[64];
	struct image_spec spec;
	struct digest held[5];
	struct lease_id lease;
	struct made made;
	int r;

	spec_of(n, &spec, name);
	snprintf(config, sizeof config, "config %s", name);
	snprintf(manifest, sizeof manifest, "manifest %s", name);
	held[0] = digest_of_text(config);
	held[1] = digest_of_text(manifest);
	held[2] = digest_of_text(spec.layers[0]);
	held[3] = digest_of_text(spec.layers[1]);
	held[4] = digest_of_text(spec.index ? spec.index : manifest);
	r = lease_create(s, "pull", held, ARRAY_LEN(held), &lease, err);
	if (r != OK)
		return r;
	spec.lease = &lease;
	return make_image_code(s, &spec, &made, err);
}

static void *publisher(void *arg)
{
	struct race *r = arg;

	for (int round = 0; round < ROUNDS; round++) {
		struct err err = ERR_INIT;

		if (publish(r->store, round % IMAGES, &err) != OK)
			failed(r, "publish", &err);
	}
	return NULL;
}

static bool is_fine(int code)
{
	return code == OK || code == E_NO_SUCH_IMAGE || code == E_CONFLICT;
}

static void *remover(void *arg)
{
	static const char *const names[] = { "odd", "even", "zero", "tagged" };
	struct race *r = arg;

	for (int i = 0; !atomic_load(&r->stop); i++) {
		struct removal removal = { .now_ns = 1, .force = i % 3 == 0 };
		struct err err = ERR_INIT;

		if (!is_fine(image_remove(r->store, names[i % ARRAY_LEN(names)], &removal, &err)))
			failed(r, "remove", &err);
	}
	return NULL;
}

static void *tagger(void *arg)
{
	struct race *r = arg;
	struct reference target;

	reference_parse("tagged", &target, NULL);
	while (!atomic_load(&r->stop)) {
		CLEANUP(arena_free) struct arena arena = { .cap = 0 };
		struct err err = ERR_INIT;
		struct image image;
		bool by_id;
		int code;

		arena_init(&arena, 1 << 20);
		code = image_resolve(r->store, "even", &arena, &image, &by_id, &err);
		if (code == OK)
			code = image_tag(r->store, &image, &target, 1, &err);
		if (!is_fine(code))
			failed(r, "tag", &err);
	}
	return NULL;
}

static void *collector(void *arg)
{
	struct race *r = arg;

	while (!atomic_load(&r->stop)) {
		struct gc_result result;
		struct err err = ERR_INIT;

		if (gc_run(r->store, clock_wall_ns(), NULL, &result, &err) != OK)
			failed(r, "collect", &err);
	}
	return NULL;
}

static bool has_blob(struct store *s, ProtobufCBinaryData data)
{
	struct digest d;

	return digest_from_key((struct bytes){ data.data, data.len }, &d) && content_exists(s, &d, NULL);
}

static bool is_complete(struct store *s, const struct image *image)
{
	bool complete = content_exists(s, &image->manifest, NULL) && has_blob(s, image->record->config);

	for (size_t i = 0; complete && i < image->record->n_layers; i++)
		complete = has_blob(s, image->record->layers[i]->digest);
	return complete;
}

static int look_at(void *arg, const struct image *image)
{
	struct race *r = arg;
	CLEANUP(arena_free) struct arena arena = { .cap = 0 };
	struct err err = ERR_INIT;
	struct image again;

	if (is_complete(r->store, image))
		return 1;
	/* It may have been removed, but then it is not there any more, or is there again. */
	arena_init(&arena, 1 << 20);
	if (image_get(r->store, &image->manifest, &arena, &again, &err) != OK || is_complete(r->store, &again))
		return 1;
	if (again.record->stored_ns == image->record->stored_ns) {
		fail(&err, E_CORRUPT, "a listed image is not complete");
		failed(r, "list", &err);
	}
	return 1;
}

/* A name and its image come and go in one transaction: whoever sees the name twice, as
 * it was, must find the image in between. */
static void look_at_name(struct race *r, const char *text)
{
	struct name before, after;
	struct err err = ERR_INIT;
	uint64_t revision;
	struct key image;
	int code = name_read(r->store, text, &before, &err);

	if (code == OK && before.revision) {
		image = key_image(&before.manifest);
		code = record_revision(r->store->shared, &image, &revision, &err);
		if (code == E_NOT_FOUND) {
			code = name_read(r->store, text, &after, &err);
			if (code == OK && after.revision == before.revision)
				code = fail(&err, E_CORRUPT, "the name %s leads to an image that is not there", text);
		}
	}
	if (code != OK)
		failed(r, "name", &err);
}

static void *name_reader(void *arg)
{
	static const char *const names[] = { "odd", "even", "zero", "tagged" };
	struct race *r = arg;

	for (int i = 0; !atomic_load(&r->stop); i++) {
		char text[64];

		snprintf(text, sizeof text, "docker.io/library/%s:latest", names[i % ARRAY_LEN(names)]);
		look_at_name(r, text);
	}
	return NULL;
}

static void *lister(void *arg)
{
	struct race *r = arg;

	for (int i = 0; !atomic_load(&r->stop); i++) {
		struct buf after = BUF_INIT(META_KEY_MAX);
		CLEANUP(arena_free) struct arena arena = { .cap = 0 };
		struct err err = ERR_INIT;
		bool more;

		arena_init(&arena, 1 << 20);
		if (image_list(r->store, i % 2 ? IMAGE_ORDER_NAME : IMAGE_ORDER_CREATED_DESC, &after, 10, &arena,
			       look_at, r, &more, &err) != OK)
			failed(r, "list", &err);
		buf_free(&after);
	}
	return NULL;
}

static void listed_images_are_complete_whatever_else_happens(void **state)
{
	struct fixture *f = *state;
	void *(*const others[])(void *) = { remover, tagger, collector, lister, name_reader };
	pthread_t publishers[PUBLISHERS], threads[ARRAY_LEN(others)];
	struct race r = { .store = f->store };
	struct gc_result result;
	struct err err = ERR_INIT;
	struct usage u;

	for (size_t i = 0; i < ARRAY_LEN(others); i++)
		assert_int_equal(pthread_create(&threads[i], NULL, others[i], &r), 0);
	for (size_t i = 0; i < PUBLISHERS; i++)
		assert_int_equal(pthread_create(&publishers[i], NULL, publisher, &r), 0);
	for (size_t i = 0; i < PUBLISHERS; i++)
		pthread_join(publishers[i], NULL);
	atomic_store(&r.stop, true);
	for (size_t i = 0; i < ARRAY_LEN(others); i++)
		pthread_join(threads[i], NULL);
	assert_int_equal(atomic_load(&r.failures), 0);
	assert_ok(gc_run(f->store, clock_wall_ns(), NULL, &result, &err), &err);
	assert_clean(f->store);
	/* All goes when all is removed: nothing is held by mistake. */
	for (int n = 0; n < IMAGES; n++) {
		char name[32], config[64], hex[DIGEST_TEXT_MAX], *said;
		struct image_spec spec;
		struct digest d;

		spec_of(n, &spec, name);
		snprintf(config, sizeof config, "config %s", name);
		d = digest_of_text(config);
		if (removal_text(f->store, digest_hex(&d, hex), true, false, &said, NULL, &err) == OK)
			assert_non_null(strstr(said, hex));
		free(said);
	}
	assert_ok(gc_run(f->store, clock_wall_ns(), NULL, &result, &err), &err);
	assert_ok(store_usage(f->store, &u, &err), &err);
	assert_int_equal(u.blob_count, 0);
	assert_int_equal(u.ingest_bytes, 0);
}

/* ---- one digest, many hands ----------------------------------------------- */

enum { CLAIMS = 60 };

static void *collect_one(void *arg)
{
	struct race *r = arg;
	struct digest d = digest_of_text("contended");
	int64_t freed;

	while (!atomic_load(&r->stop)) {
		struct err err = ERR_INIT;

		if (gc_blobs(r->store, &d, 1, &freed, &err) != OK)
			failed(r, "collect", &err);
	}
	return NULL;
}

/* Lease, then "is it there, or do I bring it": from then on it must stay. */
static void *claim_one(void *arg)
{
	struct race *r = arg;
	struct digest d = digest_of_text("contended");

	for (int i = 0; i < CLAIMS; i++) {
		struct err err = ERR_INIT;
		struct lease_id lease;

		if (lease_create(r->store, "claim", &d, 1, &lease, &err) != OK)
			failed(r, "lease", &err);
		if (!content_claim(r->store, &d, NULL)) {
			CLEANUP(ingest_unrefp) struct ingest *in = NULL;

			if (ingest_bytes(r->store, &d, bytes_of("contended"), &in, &err) != OK ||
			    (in && content_commit(r->store, &in, 1, &err) != OK))
				failed(r, "commit", &err);
		}
		for (int look = 0; look < 20; look++)
			if (!content_exists(r->store, &d, NULL)) {
				fail(&err, E_CORRUPT, "content that a lease holds went away");
				failed(r, "claim", &err);
				break;
			}
		if (lease_release(r->store, &lease, &err) != OK)
			failed(r, "release", &err);
	}
	return NULL;
}

static void what_was_claimed_under_a_lease_stays(void **state)
{
	struct fixture *f = *state;
	pthread_t claimers[2], collectors[2];
	struct race r = { .store = f->store };

	for (size_t i = 0; i < 2; i++) {
		assert_int_equal(pthread_create(&claimers[i], NULL, claim_one, &r), 0);
		assert_int_equal(pthread_create(&collectors[i], NULL, collect_one, &r), 0);
	}
	for (size_t i = 0; i < 2; i++)
		pthread_join(claimers[i], NULL);
	atomic_store(&r.stop, true);
	for (size_t i = 0; i < 2; i++)
		pthread_join(collectors[i], NULL);
	assert_int_equal(atomic_load(&r.failures), 0);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, fixture_setup, fixture_teardown)
	const struct CMUnitTest tests[] = {
		TEST(listed_images_are_complete_whatever_else_happens),
		TEST(what_was_claimed_under_a_lease_stays),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
