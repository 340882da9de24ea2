/* Images of layers in the store: in by one door, out with the last blob. */
#include "store/layers/layer_image.h"

#include <dirent.h>
#include <fcntl.h>
#include <sys/stat.h>

#include "store/gc/gc.h"
#include "tests/unit/store/fixture.h"

enum { VERSION = 1 };

static const int64_t years_ns = INT64_C(100) * 365 * 86400 * 1000000000;

static struct layer_image *sealed(struct store *s, const char *text)
{
	struct layer_image_facts facts = { .image_size = (int64_t)strlen(text),
					   .inodes = 7,
					   .writer_version = VERSION };
	struct layer_image *i = NULL;
	struct err err = ERR_INIT;
	char path[64];
	int fd;

	assert_ok(layer_image_new(s, &i, &err), &err);
	assert_int_equal(write(layer_image_fd(i), text, strlen(text)), strlen(text));
	fd = layer_image_take_fd(i);
	snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
	layer_image_seal(i, open(path, O_RDONLY | O_CLOEXEC), &facts);
	close(fd);
	return i;
}

static void commit(struct store *s, const char *diff, const char *text)
{
	CLEANUP(layer_image_freep) struct layer_image *i = sealed(s, text);
	struct digest d = digest_of_text(diff);
	struct err err = ERR_INIT;

	assert_ok(layer_images_commit(s, &i, &d, 1, &err), &err);
}

static void assert_holds(struct store *s, const char *diff, const char *text)
{
	struct digest d = digest_of_text(diff);
	struct layer_image_facts facts;
	struct err err = ERR_INIT;
	CLEANUP(closep) int fd = -1;
	char found[64] = "";

	assert_true(layer_image_exists(s, &d, VERSION));
	assert_ok(layer_image_open(s, &d, VERSION, &fd, &facts, &err), &err);
	assert_int_equal(facts.image_size, strlen(text));
	assert_int_equal(facts.inodes, 7);
	assert_int_equal(read(fd, found, sizeof found), strlen(text));
	assert_string_equal(found, text);
}

static bool is_there(struct store *s, const char *diff)
{
	struct digest d = digest_of_text(diff);

	return layer_image_exists(s, &d, VERSION);
}

/* "ROOT/layers/sha256/XX/HEX.1" */
static const char *path_of(const struct fixture *f, const char *diff)
{
	static char relative[256];
	struct digest d = digest_of_text(diff);
	char hex[DIGEST_TEXT_MAX];

	digest_hex(&d, hex);
	snprintf(relative, sizeof relative, "layers/sha256/%.2s/%s.1", hex, hex);
	return fixture_path(f, relative);
}

static int64_t usage(struct store *s)
{
	int64_t bytes, count;
	struct err err = ERR_INIT;

	assert_ok(layer_images_usage(s, &bytes, &count, &err), &err);
	return bytes;
}

static int64_t sweep(struct store *s, int64_t older_than_ns)
{
	int64_t freed = 0;
	struct err err = ERR_INIT;

	assert_ok(layer_images_sweep(s, older_than_ns, NULL, &freed, &err), &err);
	return freed;
}

/* A layer of the fixture's images: its diff ID stands for its text (fixture.c). */
static struct made make_layered(struct store *s, const char *name, const char *layer)
{
	return make_image(s, &(struct image_spec){ .name = name, .layers = { layer }, .refs = { name } });
}

static struct digest diff_of(struct store *s, const char *layer)
{
	struct digest blob = digest_of_text(layer);
	struct layer_facts facts;
	struct err err = ERR_INIT;

	assert_ok(layer_facts_get(s, &blob, &facts, &err), &err);
	return facts.diff_id;
}

/* ---- in -------------------------------------------------------------------------- */

static void what_is_committed_is_there_also_after_a_restart(void **state)
{
	struct fixture *f = *state;
	struct digest other = digest_of_text("other");
	struct layer_image_facts facts;
	int fd;

	commit(f->store, "diff", "image");
	assert_holds(f->store, "diff", "image");
	fixture_reopen(f);
	assert_holds(f->store, "diff", "image");
	assert_int_equal(usage(f->store), 5);
	assert_code(layer_image_open(f->store, &other, VERSION, &fd, &facts, NULL), E_NOT_FOUND);
	other = digest_of_text("diff");
	assert_code(layer_image_open(f->store, &other, VERSION + 1, &fd, &facts, NULL), E_NOT_FOUND);
}

static void what_is_not_committed_leaves_nothing(void **state)
{
	struct fixture *f = *state;
	struct stat before, after;

	assert_int_equal(stat(fixture_path(f, "layers"), &before), 0);
	layer_image_free(sealed(f->store, "image"));
	assert_int_equal(stat(fixture_path(f, "layers"), &after), 0);
	assert_int_equal(before.st_nlink, after.st_nlink);
	assert_int_equal(sweep(f->store, INT64_MAX), 0);
}

static void the_first_of_two_equal_images_stays(void **state)
{
	struct fixture *f = *state;
	struct stat before, after;

	commit(f->store, "diff", "image");
	assert_int_equal(stat(path_of(f, "diff"), &before), 0);
	commit(f->store, "diff", "image");
	assert_int_equal(stat(path_of(f, "diff"), &after), 0);
	assert_int_equal(before.st_ino, after.st_ino);
}

static void many_are_committed_at_once(void **state)
{
	enum { MANY = 150 };
	struct fixture *f = *state;
	struct layer_image *images[MANY];
	struct digest diffs[MANY];
	struct err err = ERR_INIT;
	char text[32];

	for (int i = 0; i < MANY; i++) {
		snprintf(text, sizeof text, "image %d", i);
		images[i] = i % 3 ? sealed(f->store, text) : NULL;
		diffs[i] = digest_of_text(text);
	}
	assert_ok(layer_images_commit(f->store, images, diffs, MANY, &err), &err);
	for (int i = 0; i < MANY; i++) {
		snprintf(text, sizeof text, "image %d", i);
		assert_int_equal(is_there(f->store, text), i % 3 != 0);
		layer_image_free(images[i]);
	}
}

/* As after a crash between the two. */
static void a_file_without_a_record_is_replaced(void **state)
{
	struct fixture *f = *state;
	int fd;

	commit(f->store, "diff", "image");
	assert_int_equal(sweep(f->store, 0), 5); /* no blob has this diff ID */
	assert_false(is_there(f->store, "diff"));
	fd = open(path_of(f, "diff"), O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
	assert_int_equal(write(fd, "half", 4), 4);
	close(fd);
	commit(f->store, "diff", "image");
	assert_holds(f->store, "diff", "image");
}

/* A directory in the way of the second one. */
static void a_commit_that_fails_leaves_no_file(void **state)
{
	struct fixture *f = *state;
	struct layer_image *images[] = { sealed(f->store, "one"), sealed(f->store, "two") };
	struct digest diffs[] = { digest_of_text("first"), digest_of_text("second") };
	struct err err = ERR_INIT;
	struct stat st;

	commit(f->store, "second", "other"); /* its directories */
	assert_int_equal(sweep(f->store, 0), 5);
	assert_int_equal(mkdir(path_of(f, "second"), 0700), 0);
	assert_code(layer_images_commit(f->store, images, diffs, 2, &err), E_IO);
	assert_true(stat(path_of(f, "first"), &st) < 0);
	assert_int_equal(rmdir(path_of(f, "second")), 0);
	assert_ok(layer_images_commit(f->store, images, diffs, 2, &err), &err);
	assert_holds(f->store, "first", "one");
	assert_holds(f->store, "second", "two");
	layer_image_free(images[0]);
	layer_image_free(images[1]);
}

/* ---- out -------------------------------------------------------------------------- */

static void an_image_goes_with_the_last_blob_of_its_layer(void **state)
{
	struct fixture *f = *state;
	struct err err = ERR_INIT;
	struct layer_image *i = sealed(f->store, "image");
	struct digest diff;
	struct stat st;
	int64_t freed;
	char *text;

	make_layered(f->store, "one", "layer");
	make_layered(f->store, "two", "layer");
	diff = diff_of(f->store, "layer");
	assert_ok(layer_images_commit(f->store, &i, &diff, 1, &err), &err);
	layer_image_free(i);
	assert_int_equal(sweep(f->store, INT64_MAX), 0); /* it is needed */
	assert_ok(removal_text(f->store, "one", false, false, &text, &freed, &err), &err);
	free(text);
	assert_true(layer_image_exists(f->store, &diff, VERSION));
	assert_ok(removal_text(f->store, "two", false, false, &text, &freed, &err), &err);
	free(text);
	assert_false(layer_image_exists(f->store, &diff, VERSION));
	assert_int_equal(usage(f->store), 0);
	assert_true(stat(path_of(f, "layer"), &st) < 0);
}

static void the_audit_takes_files_that_nobody_knows(void **state)
{
	struct fixture *f = *state;
	struct gc_result result;
	struct err err = ERR_INIT;
	struct stat st;
	int fd;

	commit(f->store, "kept", "image");
	assert_int_equal(sweep(f->store, 0), 5);
	fd = open(path_of(f, "kept"), O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
	close(fd);
	assert_int_equal(sweep(f->store, 0), 0); /* young */
	assert_int_equal(stat(path_of(f, "kept"), &st), 0);
	assert_ok(gc_run(f->store, years_ns, NULL, &result, &err), &err);
	assert_true(stat(path_of(f, "kept"), &st) < 0);
}

/* A repair puts what is damaged aside, and may fetch for long. */
static void an_image_stays_while_its_blob_is_fetched_again(void **state)
{
	struct fixture *f = *state;
	struct layer_image *i = sealed(f->store, "image");
	struct digest diff, blob = digest_of_text("layer");
	struct gc_result result;
	struct err err = ERR_INIT;
	int64_t freed;
	char *text;

	make_layered(f->store, "one", "layer");
	diff = diff_of(f->store, "layer");
	assert_ok(layer_images_commit(f->store, &i, &diff, 1, &err), &err);
	layer_image_free(i);
	assert_ok(content_quarantine(f->store, &blob, &err), &err);
	assert_ok(gc_run(f->store, years_ns, NULL, &result, &err), &err);
	assert_true(layer_image_exists(f->store, &diff, VERSION));
	assert_ok(removal_text(f->store, "one", false, false, &text, &freed, &err), &err);
	free(text);
	assert_false(layer_image_exists(f->store, &diff, VERSION));
	assert_int_equal(usage(f->store), 0);
}

/* Under "new-…", below ROOT/layers. */
static unsigned count_new(const struct fixture *f)
{
	DIR *dir = opendir(fixture_path(f, "layers"));
	struct dirent *e;
	unsigned n = 0;

	assert_non_null(dir);
	while ((e = readdir(dir)))
		n += !strncmp(e->d_name, "new-", 4);
	closedir(dir);
	return n;
}

static void what_is_on_its_way_in_stays_as_long_as_it_takes(void **state)
{
	struct fixture *f = *state;
	struct layer_image *i = sealed(f->store, "image");
	struct digest diff = digest_of_text("diff");
	struct gc_result result;
	struct err err = ERR_INIT;

	assert_ok(layer_image_park(i, &err), &err);
	assert_int_equal(count_new(f), 1);
	assert_ok(gc_run(f->store, years_ns, NULL, &result, &err), &err);
	assert_ok(layer_images_commit(f->store, &i, &diff, 1, &err), &err);
	layer_image_free(i);
	assert_int_equal(count_new(f), 0);
	assert_holds(f->store, "diff", "image");
}

static void what_an_earlier_run_left_on_its_way_in_goes_at_once(void **state)
{
	struct fixture *f = *state;
	CLEANUP(freep) char *left = format("%s", fixture_path(f, "layers/new-00000000-0123456789abcdef"));
	int fd = open(left, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);

	assert_int_equal(write(fd, "left", 4), 4);
	close(fd);
	assert_int_equal(sweep(f->store, 0), 4);
	assert_int_equal(count_new(f), 0);
	commit(f->store, "diff", "image");
	assert_int_equal(link(path_of(f, "diff"), left), 0);
	assert_int_equal(sweep(f->store, 0), 5); /* nothing needs it: once, though it had two names */
	assert_int_equal(count_new(f), 0);
}

static void a_record_whose_file_is_gone_says_so(void **state)
{
	struct fixture *f = *state;
	struct digest d = digest_of_text("diff");
	struct layer_image_facts facts;
	int fd;

	commit(f->store, "diff", "image");
	assert_int_equal(unlink(path_of(f, "diff")), 0);
	assert_code(layer_image_open(f->store, &d, VERSION, &fd, &facts, NULL), E_NOT_FOUND);
}

/* ---- replaced, dropped --------------------------------------------------------------- */

static struct layer_image_entry entry_of(struct store *s, const char *diff)
{
	struct digest d = digest_of_text(diff);
	struct layer_image_entry entry;
	struct err err = ERR_INIT;

	assert_ok(layer_image_entry(s, &d, VERSION, &entry, &err), &err);
	return entry;
}

static void another_takes_the_place_of_a_damaged_or_lost_one(void **state)
{
	struct fixture *f = *state;

	for (int lost = 0; lost < 2; lost++) {
		const char *diff = lost ? "lost" : "damaged";
		CLEANUP(layer_image_freep) struct layer_image *i = NULL;
		CLEANUP(closep) int held = -1;
		struct layer_image_entry entry;
		struct err err = ERR_INIT;
		char text[8] = "";

		commit(f->store, diff, "bad");
		entry = entry_of(f->store, diff);
		held = open(path_of(f, diff), O_RDONLY | O_CLOEXEC);
		if (lost)
			assert_int_equal(unlink(path_of(f, diff)), 0);
		i = sealed(f->store, "good");
		assert_ok(layer_image_replace(f->store, i, &entry, &err), &err);
		assert_holds(f->store, diff, "good");
		assert_int_equal(read(held, text, sizeof text), 3); /* who has the old one keeps it */
		assert_string_equal(text, "bad");
	}
	assert_int_equal(usage(f->store), 8);
	fixture_reopen(f);
	assert_holds(f->store, "lost", "good");
}

static void a_record_that_changed_meanwhile_is_left_alone(void **state)
{
	struct fixture *f = *state;
	CLEANUP(layer_image_freep) struct layer_image *i = NULL;
	CLEANUP(layer_image_freep) struct layer_image *other = NULL;
	struct layer_image_entry entry;
	struct err err = ERR_INIT;

	commit(f->store, "diff", "bad");
	entry = entry_of(f->store, "diff");
	i = sealed(f->store, "good");
	other = sealed(f->store, "late");
	assert_ok(layer_image_replace(f->store, i, &entry, &err), &err);
	assert_code(layer_image_replace(f->store, other, &entry, &err), E_ABORTED);
	assert_code(layer_image_drop(f->store, &entry, &err), E_ABORTED);
	assert_holds(f->store, "diff", "good");
	entry = entry_of(f->store, "diff");
	assert_ok(layer_image_drop(f->store, &entry, &err), &err);
	assert_code(layer_image_replace(f->store, other, &entry, &err), E_ABORTED);
	assert_false(is_there(f->store, "diff"));
}

static void a_dropped_one_leaves_neither_record_nor_file(void **state)
{
	struct fixture *f = *state;

	for (int lost = 0; lost < 2; lost++) {
		struct layer_image_entry entry;
		struct err err = ERR_INIT;
		struct stat st;

		commit(f->store, "diff", "image");
		entry = entry_of(f->store, "diff");
		if (lost)
			assert_int_equal(unlink(path_of(f, "diff")), 0);
		assert_ok(layer_image_drop(f->store, &entry, &err), &err);
		assert_false(is_there(f->store, "diff"));
		assert_true(stat(path_of(f, "diff"), &st) < 0);
	}
}

static void images_of_other_versions_are_swept(void **state)
{
	struct fixture *f = *state;
	int64_t freed = 0;
	struct err err = ERR_INIT;

	commit(f->store, "one", "image");
	commit(f->store, "two", "image");
	assert_ok(layer_images_sweep_versions(f->store, VERSION, NULL, &freed, &err), &err);
	assert_int_equal(freed, 0);
	assert_holds(f->store, "one", "image");
	assert_ok(layer_images_sweep_versions(f->store, VERSION + 1, NULL, &freed, &err), &err);
	assert_int_equal(freed, 10);
	assert_int_equal(usage(f->store), 0);
	assert_false(is_there(f->store, "two"));
}

/* ---- checked ------------------------------------------------------------------------- */

static int refuse(UNUSED void *arg, UNUSED const struct layer_image_entry *i, int fd, const struct check_step *step,
		  struct err *err)
{
	char byte;

	assert_int_equal(pread(fd, &byte, 1, 0), 1);
	assert_ok(step->tell(step->arg, 1, err), err);
	return byte == '?' ? fail(err, E_CORRUPT, "it looks bad") : OK;
}

static int note_finding(void *arg, const struct finding *f)
{
	struct digest damaged = digest_of_text("damaged"), lost = digest_of_text("lost"), cut = digest_of_text("cut");
	char *seen = arg;

	assert_non_null(f->layer_image);
	assert_true(digest_eq(&f->layer_image->diff_id, &f->digest));
	if (digest_eq(&f->digest, &damaged)) {
		assert_int_equal(f->kind, FINDING_LAYER_IMAGE_DAMAGED);
		assert_string_equal(f->detail, "it looks bad");
		seen[0]++;
	} else if (digest_eq(&f->digest, &lost)) {
		assert_int_equal(f->kind, FINDING_LAYER_IMAGE_MISSING);
		seen[1]++;
	} else {
		assert_true(digest_eq(&f->digest, &cut));
		assert_int_equal(f->kind, FINDING_LAYER_IMAGE_DAMAGED);
		assert_string_equal(f->detail, "2 bytes instead of 4");
		seen[2]++;
	}
	return OK;
}

static void a_check_compares_records_with_files(void **state)
{
	struct fixture *f = *state;
	char seen[4] = "\0\0\0";
	struct check c = { .quick = true, .finding = note_finding, .look_into = refuse, .arg = seen };
	struct check_progress totals;
	struct err err = ERR_INIT;

	commit(f->store, "sound", "fine");
	commit(f->store, "damaged", "?bad");
	commit(f->store, "lost", "gone");
	commit(f->store, "cut", "long");
	assert_int_equal(unlink(path_of(f, "lost")), 0);
	assert_int_equal(truncate(path_of(f, "cut"), 2), 0);
	assert_ok(store_check(f->store, &c, &totals, &err), &err);
	assert_memory_equal(seen, "\1\1\1", 3);
	assert_int_equal(totals.layer_images_checked, 4);
	assert_int_equal(totals.layer_bytes_total, 16);
	assert_int_equal(totals.layer_bytes_checked, 2); /* as refuse() tells */
}

static int drop_it(void *arg, const struct layer_image_entry *i, UNUSED int fd, UNUSED const struct check_step *step,
		   struct err *err)
{
	assert_ok(layer_image_drop(((struct fixture *)arg)->store, i, err), err);
	return fail(err, E_CORRUPT, "it went");
}

static int no_finding(UNUSED void *arg, const struct finding *f)
{
	print_error("%s\n", f->detail);
	return E_INTERNAL;
}

static void what_goes_during_a_check_is_no_finding(void **state)
{
	struct fixture *f = *state;
	struct check c = { .finding = no_finding, .look_into = drop_it, .arg = f };
	struct err err = ERR_INIT;

	commit(f->store, "diff", "image");
	assert_ok(store_check(f->store, &c, NULL, &err), &err);
}

static int disk_is_full(UNUSED void *arg, UNUSED const struct layer_image_entry *i, UNUSED int fd,
			UNUSED const struct check_step *step, struct err *err)
{
	fail(err, E_DISK_FULL, "no room");
	err->needed_bytes = 7;
	return E_DISK_FULL;
}

static void what_ends_a_check_says_all_it_knows(void **state)
{
	struct fixture *f = *state;
	struct check c = { .finding = no_finding, .look_into = disk_is_full };
	struct err err = ERR_INIT;

	commit(f->store, "diff", "image");
	assert_code(store_check(f->store, &c, NULL, &err), E_DISK_FULL);
	assert_string_equal(err.text, "no room");
	assert_int_equal(err.needed_bytes, 7);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, fixture_setup, fixture_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(what_is_committed_is_there_also_after_a_restart),
		TEST(what_is_not_committed_leaves_nothing),
		TEST(the_first_of_two_equal_images_stays),
		TEST(many_are_committed_at_once),
		TEST(a_file_without_a_record_is_replaced),
		TEST(a_commit_that_fails_leaves_no_file),
		TEST(an_image_goes_with_the_last_blob_of_its_layer),
		TEST(the_audit_takes_files_that_nobody_knows),
		TEST(an_image_stays_while_its_blob_is_fetched_again),
		TEST(what_is_on_its_way_in_stays_as_long_as_it_takes),
		TEST(what_an_earlier_run_left_on_its_way_in_goes_at_once),
		TEST(a_record_whose_file_is_gone_says_so),
		TEST(another_takes_the_place_of_a_damaged_or_lost_one),
		TEST(a_record_that_changed_meanwhile_is_left_alone),
		TEST(a_dropped_one_leaves_neither_record_nor_file),
		TEST(images_of_other_versions_are_swept),
		TEST(a_check_compares_records_with_files),
		TEST(what_goes_during_a_check_is_no_finding),
		TEST(what_ends_a_check_says_all_it_knows),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
