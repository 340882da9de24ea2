/*
 * Input: a document of a build cache elsewhere, or the configuration of an image that may hold one.
 * What is taken is within the limits, and is read the same when it is written again.
 */
#include "service/build/result/cache_document.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void require(bool holds)
{
	if (!holds)
		abort();
}

static void check(const struct cache_document *d)
{
	require(d->n_diff_ids <= MANIFEST_LAYERS_MAX && d->n_steps <= CACHE_STEPS_MAX);
	for (size_t i = 0; i < d->n_steps; i++) {
		require(d->steps[i].n_keys && d->steps[i].n_keys <= STEP_KEYS_MAX);
		require(d->steps[i].description && digest_is_set(&d->steps[i].diff_id));
	}
}

static void check_again(const struct cache_document *d)
{
	CLEANUP(buf_free) struct buf text = BUF_INIT(64 * 1024 * 1024);
	CLEANUP(cache_document_free) struct cache_document again = { .n_steps = 0 };

	if (cache_document_write(d, &text, NULL) < 0)
		return;
	require(cache_document_parse(buf_bytes(&text), &again, NULL) == OK && again.n_steps == d->n_steps);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct bytes json = { data, size };
	struct cache_document d;

	if (cache_document_parse(json, &d, NULL) == OK) {
		check(&d);
		check_again(&d);
		cache_document_free(&d);
	}
	if (cache_document_parse_inline(json, &d, NULL) == OK) {
		check(&d);
		cache_document_free(&d);
	}
	return 0;
}
