/* Builds that put, find and replace the same results while others list and prune them: what
 * is pinned stays, and in the end nothing is left that nobody needs. */
#include <pthread.h>

#include "proto/runtime/clock.h"
#include "store/cache/cache_mounts.h"
#include "store/cache/step_cache.h"
#include "tests/unit/store/fixture.h"

enum { BUILDERS = 4, ROUNDS = 60, KEYS = 3 };

struct world {
	struct store *store;
	struct step_cache *cache;
	struct cache_mounts *mounts;
	pthread_mutex_t mu;
	unsigned running;
	bool failed;
};

static struct digest key_number(unsigned n)
{
	char text[32];

	snprintf(text, sizeof text, "key %u", n % KEYS);
	return digest_of_text(text);
}

static void layer_text(unsigned n, char out[32])
{
	snprintf(out, 32, "layer %u", n % 5);
}

static bool put(struct world *w, unsigned n)
{
	char text[32], diff[64];
	struct step_made made = { .n_keys = 1, .description = "RUN", .kind = "regular" };
	int r;

	layer_text(n, text);
	snprintf(diff, sizeof diff, "diff of %s", text);
	made.keys[0] = key_number(n);
	made.result = (struct step_result){
		.diff_id = digest_of_text(diff),
		.blob = digest_of_text(text),
		.blob_size = (int64_t)strlen(text),
		.media_type = "application/vnd.oci.image.layer.v1.tar",
	};
	r = ingest_bytes(w->store, &made.result.blob, bytes_of(text), &made.ingest, NULL);
	if (r == OK)
		r = step_cache_put(w->cache, &made, 1, NULL);
	ingest_unref(made.ingest);
	return r == OK;
}

/* Whether its blob is there as long as it is pinned. */
static bool find(struct world *w, unsigned n)
{
	struct digest key = key_number(n);
	struct step_result result;
	bool whole = true;

	if (step_cache_find(w->cache, &key, &result, NULL) != OK)
		return true;
	for (int i = 0; i < 20; i++)
		whole = whole && content_exists(w->store, &result.blob, NULL);
	step_cache_unpin(w->cache, &key);
	return whole;
}

static bool use_mount(struct world *w, unsigned n)
{
	struct cache_mount_request request = { .id = "m", .mode = 0755, .sharing = (enum cache_sharing)(n % 3) };
	struct cache_mount *m;
	bool is_new;

	if (cache_mount_enter(w->mounts, &request, NULL, &m, &is_new, NULL) != OK)
		return false;
	cache_mount_leave(m);
	return true;
}

static void note(struct world *w, bool good, bool ended)
{
	pthread_mutex_lock(&w->mu);
	w->failed = w->failed || !good;
	w->running -= ended;
	pthread_mutex_unlock(&w->mu);
}

static void *build(void *arg)
{
	struct world *w = arg;

	for (unsigned n = 0; n < ROUNDS; n++) {
		struct digest key = key_number(n);
		/* A blob that is removed at that moment is one that nobody had: the build makes it again. */
		bool is_put = put(w, n);

		note(w, find(w, n + 1) && use_mount(w, n), false);
		if (is_put)
			step_cache_unpin(w->cache, &key);
	}
	note(w, true, true);
	return NULL;
}

static bool is_running(struct world *w)
{
	bool running;

	pthread_mutex_lock(&w->mu);
	running = w->running;
	pthread_mutex_unlock(&w->mu);
	return running;
}

static bool look(UNUSED void *arg, const struct step_usage *usage)
{
	return usage->bytes >= 0;
}

static void *look_after(void *arg)
{
	static const struct step_limits steps = { .all = true, .max_bytes = -1 };
	static const struct cache_mount_limits mounts = { .unused_since = 0 };
	struct world *w = arg;
	int64_t freed;

	while (is_running(w)) {
		bool good = step_cache_each(w->cache, NULL, look, NULL, NULL) == OK &&
			    step_cache_prune(w->cache, &steps, &freed, NULL) == OK &&
			    cache_mounts_prune(w->mounts, &mounts, &freed, NULL) == OK;

		note(w, good, false);
	}
	return NULL;
}

static void builds_and_those_who_look_after_the_cache(void **state)
{
	struct fixture *f = *state;
	struct world w = { .store = f->store, .mu = PTHREAD_MUTEX_INITIALIZER, .running = BUILDERS };
	pthread_t threads[BUILDERS + 1];
	struct step_totals totals;
	struct step_limits all = { .all = true, .max_bytes = -1 };
	struct err err = ERR_INIT;
	int64_t freed;

	assert_ok(step_cache_new(f->store, &w.cache, &err), &err);
	assert_ok(cache_mounts_new(f->store, &w.mounts, &err), &err);
	for (size_t i = 0; i < BUILDERS; i++)
		assert_int_equal(pthread_create(&threads[i], NULL, build, &w), 0);
	assert_int_equal(pthread_create(&threads[BUILDERS], NULL, look_after, &w), 0);
	for (size_t i = 0; i < ARRAY_LEN(threads); i++)
		pthread_join(threads[i], NULL);
	assert_false(w.failed);
	assert_clean(f->store);
	assert_ok(step_cache_prune(w.cache, &all, &freed, &err), &err);
	assert_ok(step_cache_totals(w.cache, &totals, &err), &err);
	assert_int_equal(totals.count, 0);
	for (unsigned n = 0; n < 5; n++) {
		char text[32];

		layer_text(n, text);
		assert_false(blob_is_there(f->store, text));
	}
	cache_mounts_free(w.mounts);
	step_cache_free(w.cache);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(builds_and_those_who_look_after_the_cache, fixture_setup,
						fixture_teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
