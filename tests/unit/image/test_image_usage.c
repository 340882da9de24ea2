/* GetDiskUsage of many images, page by page. */
#include "imaged/v1/image_service.client.h"
#include "tests/unit/image/daemon.h"

typedef Imaged__V1__GetDiskUsageResponse page;

#define PAGE CLEANUP(imaged__v1__image_service__get_disk_usage_freep) page

static int ask_code(struct daemon *d, bool per_image, int32_t size, const char *token, page **ret_page, struct err *err)
{
	Imaged__V1__GetDiskUsageRequest q = IMAGED__V1__GET_DISK_USAGE_REQUEST__INIT;

	q.per_image = per_image;
	q.page_size = size;
	q.page_token = (char *)(uintptr_t)token;
	return imaged__v1__image_service__call_get_disk_usage(d->channel, NULL, &q, ret_page, err);
}

static page *ask(struct daemon *d, bool per_image, int32_t size, const char *token)
{
	page *p = NULL;
	struct err err = ERR_INIT;

	assert_ok(ask_code(d, per_image, size, token, &p, &err), &err);
	return p;
}

/* Images over one layer; newest first is in order of their numbers, downwards. */
static void fill(struct daemon *d, unsigned n, const char *label)
{
	for (unsigned i = 0; i < n; i++) {
		CLEANUP(freep) char *name = format("image-%u", i);

		make_image(d->store, &(struct image_spec){ .name = name,
							   .layers = { "common" },
							   .refs = { name },
							   .created = i + 1,
							   .label = label });
	}
}

/* Follows the pages: how many, and that each image comes once, in order. */
static unsigned walk(struct daemon *d, int32_t size, unsigned images)
{
	CLEANUP(freep) char *token = strdup("");
	unsigned pages = 0, left = images;

	do {
		PAGE *p = ask(d, true, size, token);

		pages++;
		for (size_t i = 0; i < p->n_images; i++) {
			assert_int_equal(p->images[i]->image->created->seconds, left--);
			assert_int_equal(p->images[i]->shared_size, p->images[i]->image->size);
			assert_int_equal(p->images[i]->unique_size, 0);
		}
		free(token);
		token = strdup(p->next_page_token);
	} while (*token);
	assert_int_equal(left, 0);
	return pages;
}

static void a_reply_holds_so_many_images_as_were_asked_for(void **state)
{
	struct daemon *d = *state;

	fill(d, 130, NULL);
	assert_int_equal(walk(d, 0, 130), 2);
	assert_int_equal(walk(d, 50, 130), 3);
	assert_int_equal(walk(d, 65, 130), 2);
	assert_int_equal(walk(d, 1000, 130), 1);
}

static void a_reply_fits_into_a_message(void **state)
{
	struct daemon *d = *state;
	CLEANUP(freep) char *label = calloc(1, 100001);

	memset(label, 'x', 100000);
	fill(d, 50, label);
	assert_in_range(walk(d, 1000, 50), 2, 3);
}

static void totals_come_with_the_first_page_only(void **state)
{
	struct daemon *d = *state;

	fill(d, 3, NULL);
	{
		PAGE *first = ask(d, true, 2, "");
		PAGE *second = ask(d, true, 2, first->next_page_token);
		PAGE *none = ask(d, false, 2, "");

		assert_int_equal(first->image_count, 3);
		assert_int_not_equal(first->layers_size, 0);
		assert_int_equal(second->n_images, 1);
		assert_int_equal(second->image_count, 0);
		assert_int_equal(second->layers_size, 0);
		assert_int_equal(none->image_count, 3);
		assert_int_equal(none->n_images, 0);
		assert_string_equal(none->next_page_token, "");
	}
}

static void what_is_no_page_is_refused(void **state)
{
	struct daemon *d = *state;
	struct err err = ERR_INIT;
	page *p = NULL;

	assert_code(ask_code(d, true, -1, "", &p, &err), E_INVALID);
	assert_code(ask_code(d, true, 0, "no token", &p, &err), E_INVALID);
	assert_string_equal(err.text, "page_token is not one that GetDiskUsage gave out");
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, daemon_start, daemon_stop)
	const struct CMUnitTest tests[] = {
		TEST(a_reply_holds_so_many_images_as_were_asked_for),
		TEST(a_reply_fits_into_a_message),
		TEST(totals_come_with_the_first_page_only),
		TEST(what_is_no_page_is_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
