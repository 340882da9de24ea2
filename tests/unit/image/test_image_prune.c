/* PruneImages of more than fits into one reply. */
#include "imaged/v1/image_service.client.h"
#include "service/image/removed.h"
#include "tests/unit/image/daemon.h"

enum {
	IMAGES = 240,
	NAMES = 12,		  /* of each, as long as they may be */
	ITEMS = NAMES + 1,	  /* and the image */
	ALL = IMAGES * ITEMS + 1, /* and the layer that all have */
	LIMIT = 4 * 1024 * 1024,
};

typedef Imaged__V1__PruneImagesResponse reply;

#define REPLY CLEANUP(imaged__v1__image_service__prune_images_freep) reply

static reply *prune(struct daemon *d, bool dry_run)
{
	Imaged__V1__PruneImagesRequest q = IMAGED__V1__PRUNE_IMAGES_REQUEST__INIT;
	struct err err = ERR_INIT;
	reply *answer = NULL;

	q.all = true;
	q.dry_run = dry_run;
	assert_ok(imaged__v1__image_service__call_prune_images(d->channel, NULL, &q, &answer, &err), &err);
	assert_true(imaged__v1__prune_images_response__get_packed_size(answer) < LIMIT);
	return answer;
}

/* Images over one layer, whose removal is worth some 5 KiB of items each. */
static void fill(struct daemon *d)
{
	for (unsigned i = 0; i < IMAGES; i++) {
		struct image_spec spec = { .layers = { "common" }, .created = i };
		char name[32], refs[NAMES][512];

		snprintf(name, sizeof name, "image-%u", i);
		spec.name = name;
		for (unsigned k = 0; k < NAMES; k++) {
			snprintf(refs[k], sizeof refs[k], "r.example/n%0200u:t%0120u", i, k);
			spec.refs[k] = refs[k];
		}
		make_image(d->store, &spec);
	}
}

static void prune_stops_when_a_reply_is_full_and_goes_on_when_called_again(void **state)
{
	struct daemon *d = *state;
	int64_t left = ALL, calls = 0;
	bool more = true;

	fill(d);
	for (; more; calls++) {
		REPLY *r = prune(d, false);

		assert_int_equal(r->items_left_out, 0);
		assert_in_range(r->n_items, 1, left);
		left -= (int64_t)r->n_items;
		more = r->more;
		assert_int_equal(more, store_image_count(d->store) != 0);
	}
	assert_int_equal(left, 0);
	assert_int_equal(calls, 2);
	assert_clean(d->store);
}

static void dry_run_looks_at_all(void **state)
{
	struct daemon *d = *state;

	fill(d);
	{
		REPLY *r = prune(d, true);

		assert_false(r->more);
		/* The layer goes with the last of them. */
		assert_int_equal(r->n_items + (size_t)r->items_left_out, ALL);
		assert_int_equal(store_image_count(d->store), IMAGES);
	}
}

static void a_list_that_fills_a_message_only_counts_the_rest(void **state)
{
	enum { MANY = 100000 };
	CLEANUP(arena_free) struct arena a;
	struct removed_list list = { .arena = &a };
	Imaged__V1__RemoveImageResponse response = IMAGED__V1__REMOVE_IMAGE_RESPONSE__INIT;

	(void)state;
	arena_init(&a, 64 * 1024 * 1024);
	for (int i = 0; i < MANY; i++)
		assert_int_equal(removed_list_add(&list, REMOVED_NAME, "some.example/name/of/an/image:tag", INT64_MAX),
				 OK);
	response.items = list.items;
	response.n_items = list.n;
	assert_int_equal(list.n + (size_t)list.left_out, MANY);
	assert_in_range(imaged__v1__remove_image_response__get_packed_size(&response), LIMIT / 2, LIMIT - 1000);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, daemon_start, daemon_stop)
	const struct CMUnitTest tests[] = {
		TEST(prune_stops_when_a_reply_is_full_and_goes_on_when_called_again),
		TEST(dry_run_looks_at_all),
		cmocka_unit_test(a_list_that_fills_a_message_only_counts_the_rest),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
