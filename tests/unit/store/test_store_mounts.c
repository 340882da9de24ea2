/* Mounts on record keep what is mounted, in this run and the next. */
#include "store/mounts/mount_record.h"

#include "proto/runtime/clock.h"
#include "store/record.h"
#include "tests/unit/store/fixture.h"

typedef Imaged__Store__V1__MountRecord mount_record;

static const int64_t years_ns = INT64_C(100) * 365 * 86400 * 1000000000;

/* Of an image with the one layer "layer". */
static struct mount_id begin(struct store *s, const struct made *made, const char *target)
{
	CLEANUP(arena_free) struct arena a;
	mount_record record = IMAGED__STORE__V1__MOUNT_RECORD__INIT;
	struct digest blobs[] = { made->manifest, made->config, digest_of_text("layer") };
	struct err err = ERR_INIT;
	struct mount_id id;

	arena_init(&a, RECORD_ARENA_MAX);
	record.target = (ProtobufCBinaryData){ strlen(target), (uint8_t *)target };
	record.image = (char *)"a:1";
	record.created_ns = clock_wall_ns();
	assert_true(digest_to_data(&made->manifest, &a, &record.manifest));
	assert_true(digest_to_data(&made->config, &a, &record.config));
	assert_ok(mount_record_begin(s, &record, blobs, ARRAY_LEN(blobs), &id, &err), &err);
	return id;
}

static struct made image(struct store *s)
{
	return make_image(s, &(struct image_spec){ .name = "a", .layers = { "layer" }, .refs = { "a:1" } });
}

static void collect(struct store *s)
{
	struct gc_result result;
	struct err err = ERR_INIT;
	int64_t freed;

	assert_ok(gc_run(s, clock_wall_ns() + years_ns, NULL, &result, &err), &err);
	assert_ok(gc_prune(s, false, NULL, NULL, &freed, &err), &err);
}

static void remove_by_force(struct store *s)
{
	struct removal removal = { .force = true };
	struct err err = ERR_INIT;

	assert_ok(image_remove(s, "a:1", &removal, &err), &err);
	assert_int_equal(removal.freed, 0);
}

static size_t count(struct store *s, struct mount_entry *ret_last)
{
	static struct arena a;
	struct mount_entry *entries;
	struct err err = ERR_INIT;
	size_t n;

	arena_free(&a);
	arena_init(&a, MOUNTS_ARENA_MAX);
	assert_ok(mount_records_read(s, &a, &entries, &n, &err), &err);
	if (n)
		*ret_last = entries[n - 1];
	else
		arena_free(&a);
	return n;
}

static void ids_are_16_hex_digits(void **state UNUSED)
{
	struct mount_id id, same;
	char text[MOUNT_ID_TEXT_MAX];

	assert_true(mount_id_parse(bytes_of("0123456789abcdef"), &id));
	assert_string_equal(mount_id_text(&id, text), "0123456789abcdef");
	assert_true(mount_id_parse(bytes_of(text), &same));
	assert_true(mount_id_eq(&id, &same));
	assert_false(mount_id_parse(bytes_of("0123456789abcdeF"), &id));
	assert_false(mount_id_parse(bytes_of("0123456789abcde"), &id));
	assert_false(mount_id_parse(bytes_of("0123456789abcdef0"), &id));
	assert_false(mount_id_parse(bytes_of(""), &id));
}

static void content_stays_until_the_mount_ends(void **state)
{
	struct fixture *f = *state;
	struct made made = image(f->store);
	struct mount_id id = begin(f->store, &made, "/mnt");
	struct mount_entry e;
	struct err err = ERR_INIT;
	int64_t freed;

	remove_by_force(f->store);
	collect(f->store);
	assert_true(blob_is_there(f->store, "layer"));
	assert_ok(mount_record_commit(f->store, &id, &err), &err);
	for (int run = 0; run < 2; run++) {
		fixture_reopen(f);
		collect(f->store);
		assert_true(blob_is_there(f->store, "layer"));
		assert_int_equal(count(f->store, &e), 1);
		assert_true(e.record->committed && mount_id_eq(&e.id, &id));
	}
	assert_clean(f->store);
	assert_ok(mount_record_end(f->store, &id, &freed, &err), &err);
	assert_true(freed > 0);
	assert_false(blob_is_there(f->store, "layer"));
	assert_int_equal(count(f->store, &e), 0);
	assert_ok(mount_record_end(f->store, &id, &freed, &err), &err); /* once more */
	assert_int_equal(freed, 0);
	assert_clean(f->store);
}

static void a_lease_without_its_record_keeps_nothing_for_long(void **state)
{
	struct fixture *f = *state;
	struct made made = image(f->store);
	CLEANUP(meta_txn_freep) struct meta_txn *t = meta_txn_new();
	struct mount_id id = begin(f->store, &made, "/mnt");
	struct key k = key_mount(&id);
	struct err err = ERR_INIT;

	remove_by_force(f->store);
	meta_txn_delete(t, key_bytes(&k));
	assert_ok(meta_txn_commit(store_local(f->store), t, NULL, &err), &err);
	fixture_reopen(f);
	collect(f->store);
	assert_false(blob_is_there(f->store, "layer"));
	assert_clean(f->store);
}

static void a_mounted_image_is_removed_by_force_only(void **state)
{
	struct fixture *f = *state;
	struct made made = image(f->store);
	struct mount_id id = begin(f->store, &made, "/mnt/x");
	struct removal removal = { .force = false };
	struct err err = ERR_INIT;
	int64_t freed;

	assert_code(image_remove(f->store, "a:1", &removal, &err), E_CONFLICT);
	assert_non_null(strstr(err.text, "is mounted at '/mnt/x'"));
	assert_found(f->store, "a:1");
	assert_ok(mount_record_end(f->store, &id, &freed, &err), &err);
	assert_int_equal(freed, 0);
	assert_ok(image_remove(f->store, "a:1", &removal, &err), &err);
	assert_false(blob_is_there(f->store, "layer"));
}

static void the_oldest_is_listed_first(void **state)
{
	static const char *const targets[] = { "/z", "/a", "/m" };
	struct fixture *f = *state;
	struct made made = image(f->store);
	struct mount_entry last;

	for (size_t i = 0; i < ARRAY_LEN(targets); i++) {
		struct mount_id id = begin(f->store, &made, targets[i]);

		assert_int_equal(count(f->store, &last), i + 1);
		assert_true(mount_id_eq(&last.id, &id));
		assert_false(last.record->committed);
	}
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, fixture_setup, fixture_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(ids_are_16_hex_digits),
		TEST(content_stays_until_the_mount_ends),
		TEST(a_lease_without_its_record_keeps_nothing_for_long),
		TEST(a_mounted_image_is_removed_by_force_only),
		TEST(the_oldest_is_listed_first),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
