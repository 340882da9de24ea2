/* ImageFilter: each condition alone, together, and what binds page tokens to it. */
#include "service/image/filter.h"
#include "tests/unit/image/literals.h"
#include "tests/unit/store/fixture.h"

#define REPOSITORY "docker.io/library/"
#define DIGEST "sha256:aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"

/* ---- images that are only looked at ----------------------------------------- */

enum { NAMES_MAX = 4, LABELS_MAX = 4 };

struct sample {
	const char *names[NAMES_MAX];
	const char *labels[LABELS_MAX][2];
	int64_t created; /* 0: none */
	int32_t nanos;
};

static const struct sample tagged = {
	.names = { REPOSITORY "alpine:3.19", REPOSITORY "alpine@" DIGEST, "example.com/team/app:1" },
	.labels = { { "a", "1" }, { "empty", "" }, { "url", "x=y" } },
	.created = 1000,
	.nanos = 5,
};
static const struct sample by_digest = { .names = { REPOSITORY "alpine@" DIGEST }, .created = 1000 };
static const struct sample nameless = { .created = 1000 };
static const struct sample timeless = { .names = { REPOSITORY "old:1" } };

/* What passes of the sample, "name name "; NULL when it does not pass. The caller frees. */
static char *passes(const Imaged__V1__ImageFilter *message, struct store *s, const struct sample *sample)
{
	Imaged__Store__V1__ImageRecord record = IMAGED__STORE__V1__IMAGE_RECORD__INIT;
	Imaged__Store__V1__ImageRecord__LabelsEntry entries[LABELS_MAX], *labels[LABELS_MAX];
	struct image image = { .record = &record, .names = (char *[NAMES_MAX]){ NULL } };
	CLEANUP(arena_free) struct arena a;
	struct buf out = BUF_INIT(4096);
	struct err err = ERR_INIT;
	struct image_filter f;
	char **names = NULL;
	size_t n = 0;
	int r;

	for (; image.n_names < NAMES_MAX && sample->names[image.n_names]; image.n_names++)
		image.names[image.n_names] = sample->names[image.n_names];
	for (; record.n_labels < LABELS_MAX && sample->labels[record.n_labels][0]; record.n_labels++) {
		Imaged__Store__V1__ImageRecord__LabelsEntry *entry = &entries[record.n_labels];

		imaged__store__v1__image_record__labels_entry__init(entry);
		entry->key = sample->labels[record.n_labels][0];
		entry->value = sample->labels[record.n_labels][1];
		labels[record.n_labels] = entry;
	}
	record.labels = labels;
	record.has_created = sample->created != 0;
	record.created_seconds = sample->created;
	record.created_nanos = sample->nanos;
	arena_init(&a, 65536);
	assert_ok(image_filter_init(s, message, &f, &err), &err);
	r = image_filter_match(&f, &image, &a, &names, &n, &err);
	assert_in_range(r, 0, 1);
	for (size_t i = 0; r && i < n; i++)
		buf_printf(&out, "%s ", names[i]);
	if (r)
		buf_puts(&out, "");
	else
		buf_free(&out);
	return r ? buf_take(&out) : NULL;
}

static void assert_passes_with(const Imaged__V1__ImageFilter *message, struct store *s, const struct sample *sample,
			       const char *expected)
{
	char *names = passes(message, s, sample);

	assert_non_null(names);
	assert_string_equal(names, expected);
	free(names);
}

static void assert_passes(const Imaged__V1__ImageFilter *message, struct store *s, const struct sample *sample)
{
	char *names = passes(message, s, sample);

	assert_non_null(names);
	free(names);
}

static void assert_stays_out(const Imaged__V1__ImageFilter *message, struct store *s, const struct sample *sample)
{
	char *names = passes(message, s, sample);

	assert_null(names);
}

#define TAGGED_NAMES REPOSITORY "alpine:3.19 " REPOSITORY "alpine@" DIGEST " example.com/team/app:1 "

static void no_filter_and_an_empty_one_let_everything_pass(UNUSED void **state)
{
	assert_passes_with(NULL, NULL, &tagged, TAGGED_NAMES);
	assert_passes_with(NULL, NULL, &nameless, "");
	assert_passes_with(FILTER(), NULL, &tagged, TAGGED_NAMES);
	assert_passes_with(FILTER(), NULL, &nameless, "");
	assert_passes(FILTER(), NULL, &timeless);
}

static void references_leave_only_the_names_that_match(UNUSED void **state)
{
	assert_passes_with(FILTER(LIST(references, "alpine")), NULL, &tagged,
			   REPOSITORY "alpine:3.19 " REPOSITORY "alpine@" DIGEST " ");
	assert_passes_with(FILTER(LIST(references, "alpine:3.*")), NULL, &tagged, REPOSITORY "alpine:3.19 ");
	assert_passes_with(FILTER(LIST(references, "example.com/*/app")), NULL, &tagged, "example.com/team/app:1 ");
	assert_stays_out(FILTER(LIST(references, "busybox")), NULL, &tagged);
	assert_stays_out(FILTER(LIST(references, "*")), NULL, &nameless);
}

static void one_of_several_references_is_enough(UNUSED void **state)
{
	assert_passes_with(FILTER(LIST(references, "busybox", "alpine:3.19")), NULL, &tagged,
			   REPOSITORY "alpine:3.19 ");
	assert_passes_with(FILTER(LIST(references, "alpine", "example.com/team/app:1")), NULL, &tagged, TAGGED_NAMES);
	assert_stays_out(FILTER(LIST(references, "busybox", "debian")), NULL, &tagged);
}

static void a_malformed_pattern_is_an_error(UNUSED void **state)
{
	struct image image = { .record = &(Imaged__Store__V1__ImageRecord)IMAGED__STORE__V1__IMAGE_RECORD__INIT,
			       .names = TEXTS(REPOSITORY "alpine:1"),
			       .n_names = 1 };
	const char *const bad[] = { "[", "[a", "a[]", "\\", "[a-" };

	for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
		CLEANUP(arena_free) struct arena a;
		struct image_filter f;
		struct err err = ERR_INIT;
		char **names;
		size_t n;

		arena_init(&a, 65536);
		assert_ok(image_filter_init(NULL, FILTER(LIST(references, bad[i])), &f, &err), &err);
		assert_code(image_filter_match(&f, &image, &a, &names, &n, &err), E_INVALID_FILTER);
		assert_string_equal(err.text, "syntax error in pattern");
	}
}

static void all_labels_must_hold(UNUSED void **state)
{
	assert_passes_with(FILTER(LIST(labels, "a")), NULL, &tagged, TAGGED_NAMES);
	assert_passes(FILTER(LIST(labels, "a=1", "empty")), NULL, &tagged);
	assert_passes(FILTER(LIST(labels, "empty=")), NULL, &tagged);
	assert_passes(FILTER(LIST(labels, "url=x=y")), NULL, &tagged);
	assert_stays_out(FILTER(LIST(labels, "a=")), NULL, &tagged);
	assert_stays_out(FILTER(LIST(labels, "a=12")), NULL, &tagged);
	assert_stays_out(FILTER(LIST(labels, "url=x")), NULL, &tagged);
	assert_stays_out(FILTER(LIST(labels, "ur")), NULL, &tagged);
	assert_stays_out(FILTER(LIST(labels, "")), NULL, &tagged);
	assert_stays_out(FILTER(LIST(labels, "a", "b")), NULL, &tagged);
	assert_stays_out(FILTER(LIST(labels, "a")), NULL, &nameless);
}

static void none_of_the_labels_without_may_hold(UNUSED void **state)
{
	assert_passes(FILTER(LIST(without_labels, "b", "a=2")), NULL, &tagged);
	assert_passes(FILTER(LIST(without_labels, "a")), NULL, &nameless);
	assert_stays_out(FILTER(LIST(without_labels, "b", "a")), NULL, &tagged);
	assert_stays_out(FILTER(LIST(without_labels, "a=1")), NULL, &tagged);
}

static void dangling_asks_for_names_as_docker_does(UNUSED void **state)
{
	const Imaged__V1__ImageFilter *yes = FILTER(.dangling = IMAGED__V1__CHOICE__CHOICE_YES);
	const Imaged__V1__ImageFilter *no = FILTER(.dangling = IMAGED__V1__CHOICE__CHOICE_NO);

	assert_stays_out(yes, NULL, &tagged);
	assert_passes_with(yes, NULL, &by_digest, REPOSITORY "alpine@" DIGEST " ");
	assert_passes(yes, NULL, &nameless);
	assert_passes(no, NULL, &tagged);
	assert_passes(no, NULL, &by_digest);
	assert_stays_out(no, NULL, &nameless);
	/* Only the names that the references leave count. */
	assert_passes_with(FILTER(.dangling = IMAGED__V1__CHOICE__CHOICE_YES, LIST(references, "alpine@*")), NULL,
			   &tagged, REPOSITORY "alpine@" DIGEST " ");
}

static void until_is_strict_down_to_the_nanosecond(UNUSED void **state)
{
	Google__Protobuf__Timestamp until = GOOGLE__PROTOBUF__TIMESTAMP__INIT;
	const Imaged__V1__ImageFilter *f = FILTER(.until = &until);
	static const struct {
		int64_t seconds;
		int32_t nanos;
		bool passes;
	} cases[] = {
		{ 999, 999999999, false }, { 1000, 4, false }, { 1000, 5, false }, { 1000, 6, true }, { 1001, 0, true }
	};

	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		until.seconds = cases[i].seconds;
		until.nanos = cases[i].nanos;
		if (cases[i].passes)
			assert_passes(f, NULL, &tagged);
		else
			assert_stays_out(f, NULL, &tagged);
		assert_stays_out(f, NULL, &timeless);
	}
	until.seconds = INT64_MIN;
	until.nanos = 0;
	assert_stays_out(f, NULL, &timeless);
	assert_stays_out(f, NULL, &tagged);
}

static void conditions_of_different_fields_must_all_hold(UNUSED void **state)
{
	Google__Protobuf__Timestamp until = { PROTOBUF_C_MESSAGE_INIT(&google__protobuf__timestamp__descriptor), 2000,
					      0 };
	Imaged__V1__ImageFilter *all = FILTER(LIST(references, "alpine:*"), LIST(labels, "a=1"),
					      LIST(without_labels, "b"), .dangling = IMAGED__V1__CHOICE__CHOICE_NO,
					      .until = &until);

	assert_passes_with(all, NULL, &tagged, REPOSITORY "alpine:3.19 ");
	all->references[0] = "other";
	assert_stays_out(all, NULL, &tagged);
	all->references[0] = "alpine";
	all->labels[0] = "a=2";
	assert_stays_out(all, NULL, &tagged);
	all->labels[0] = "a";
	all->without_labels[0] = "url";
	assert_stays_out(all, NULL, &tagged);
	all->without_labels[0] = "b";
	until.seconds = 10;
	assert_stays_out(all, NULL, &tagged);
	until.seconds = 2000;
	all->dangling = IMAGED__V1__CHOICE__CHOICE_YES;
	assert_stays_out(all, NULL, &tagged);
}

/* An arena that holds no more than the first allocations. */
static void an_arena_that_is_full_is_an_error(UNUSED void **state)
{
	struct image image = { .record = &(Imaged__Store__V1__ImageRecord)IMAGED__STORE__V1__IMAGE_RECORD__INIT };
	CLEANUP(arena_free) struct arena a;
	struct err err = ERR_INIT;
	struct image_filter f;
	char **names;
	size_t n;

	arena_init(&a, 1);
	assert_ok(image_filter_init(NULL, FILTER(), &f, &err), &err);
	assert_code(image_filter_match(&f, &image, &a, &names, &n, &err), E_NO_MEMORY);
}

/* ---- before and since ------------------------------------------------------- */

static void before_and_since_compare_with_an_image_of_the_store(void **state)
{
	struct store *s = ((struct fixture *)*state)->store;
	const struct sample older = { .names = { "x/y:1" }, .created = 999, .nanos = 999999999 };
	const struct sample same = { .names = { "x/y:1" }, .created = 1000 };
	const struct sample younger = { .names = { "x/y:1" }, .created = 1000, .nanos = 1 };
	struct made made = make_image(s, &(struct image_spec){ .name = "m", .refs = { "middle" }, .created = 1000 });
	char id[DIGEST_TEXT_MAX], *names[3] = { "middle", id, id + strlen("sha256:") };

	digest_text(&made.config, id);
	for (size_t i = 0; i < ARRAY_LEN(names); i++) {
		assert_passes(BETWEEN("", names[i]), s, &older);
		assert_stays_out(BETWEEN("", names[i]), s, &same);
		assert_stays_out(BETWEEN("", names[i]), s, &younger);
		assert_passes(BETWEEN("", names[i]), s, &timeless);
		assert_stays_out(BETWEEN(names[i], ""), s, &older);
		assert_stays_out(BETWEEN(names[i], ""), s, &same);
		assert_passes(BETWEEN(names[i], ""), s, &younger);
		assert_stays_out(BETWEEN(names[i], ""), s, &timeless);
	}
	make_image(s, &(struct image_spec){ .name = "n", .refs = { "newest" }, .created = 2000 });
	assert_passes(BETWEEN("middle", "newest"), s, &younger);
	assert_stays_out(BETWEEN("middle", "newest"), s, &older);
	assert_stays_out(BETWEEN("newest", "middle"), s, &younger);
}

static void nothing_is_before_an_image_without_a_time_and_all_others_since(void **state)
{
	struct store *s = ((struct fixture *)*state)->store;

	make_image(s, &(struct image_spec){ .name = "t", .refs = { "t" } });
	assert_stays_out(BETWEEN("", "t"), s, &tagged);
	assert_stays_out(BETWEEN("", "t"), s, &timeless);
	assert_passes(BETWEEN("t", ""), s, &tagged);
	assert_stays_out(BETWEEN("t", ""), s, &timeless);
}

static void assert_refused(struct store *s, const Imaged__V1__ImageFilter *message, int code, const char *text)
{
	struct image_filter f = { .has_before = true };
	struct err err = ERR_INIT;

	assert_code(image_filter_init(s, message, &f, &err), code);
	assert_string_equal(err.text, text);
	assert_true(f.has_before); /* written on success only */
}

static void images_of_before_and_since_must_be_there(void **state)
{
	struct store *s = ((struct fixture *)*state)->store;

	make_image(s, &(struct image_spec){ .name = "here", .refs = { "here" }, .created = 1 });
	assert_refused(s, BETWEEN("", "gone"), E_NO_SUCH_IMAGE, "No such image: gone:latest");
	assert_refused(s, BETWEEN("gone:1", ""), E_NO_SUCH_IMAGE, "No such image: gone:1");
	assert_refused(s, BETWEEN("gone", "here"), E_NO_SUCH_IMAGE, "No such image: gone:latest");
	assert_refused(s, BETWEEN("here", "gone"), E_NO_SUCH_IMAGE, "No such image: gone:latest");
	assert_refused(s, BETWEEN("", "UPPER"), E_INVALID_REFERENCE,
		       "invalid reference format: repository name (library/UPPER) must be lowercase");
}

/* ---- hashes ----------------------------------------------------------------- */

/* A token outlives the daemon: the value may never change. */
static void the_hash_of_a_filter_is_the_same_for_ever(UNUSED void **state)
{
	Google__Protobuf__Timestamp until = { PROTOBUF_C_MESSAGE_INIT(&google__protobuf__timestamp__descriptor), 5, 6 };

	assert_int_equal(image_filter_hash(NULL), 0);
	assert_int_equal(image_filter_hash(FILTER()), 0);
	assert_true(image_filter_hash(FILTER(LIST(references, "a"))) == 0x37129642a7a2dc23u);
	assert_true(image_filter_hash(FILTER(LIST(references, "a"), LIST(labels, "b=c"),
					     .dangling = IMAGED__V1__CHOICE__CHOICE_YES, .until = &until)) ==
		    0x8caab0e340c91db4u);
}

static void every_field_is_part_of_the_hash(UNUSED void **state)
{
	Google__Protobuf__Timestamp t0 = GOOGLE__PROTOBUF__TIMESTAMP__INIT, t1 = t0, t2 = t0;
	const Imaged__V1__ImageFilter *filters[] = {
		FILTER(),
		FILTER(LIST(references, "a")),
		FILTER(LIST(references, "b")),
		FILTER(LIST(references, "a", "b")),
		FILTER(LIST(references, "b", "a")),
		FILTER(LIST(references, "ab")),
		FILTER(LIST(labels, "a")),
		FILTER(LIST(without_labels, "a")),
		FILTER(.dangling = IMAGED__V1__CHOICE__CHOICE_NO),
		FILTER(.dangling = IMAGED__V1__CHOICE__CHOICE_YES),
		BETWEEN("", "a"),
		BETWEEN("a", ""),
		FILTER(.until = &t0),
		FILTER(.until = &t1),
		FILTER(.until = &t2),
	};

	t1.seconds = 1;
	t2.nanos = 1;
	for (size_t i = 0; i < ARRAY_LEN(filters); i++)
		for (size_t j = 0; j < ARRAY_LEN(filters); j++)
			assert_int_equal(image_filter_hash(filters[i]) == image_filter_hash(filters[j]), i == j);
}

int main(void)
{
#define STORED(name) cmocka_unit_test_setup_teardown(name, fixture_setup, fixture_teardown)
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(no_filter_and_an_empty_one_let_everything_pass),
		cmocka_unit_test(references_leave_only_the_names_that_match),
		cmocka_unit_test(one_of_several_references_is_enough),
		cmocka_unit_test(a_malformed_pattern_is_an_error),
		cmocka_unit_test(all_labels_must_hold),
		cmocka_unit_test(none_of_the_labels_without_may_hold),
		cmocka_unit_test(dangling_asks_for_names_as_docker_does),
		cmocka_unit_test(until_is_strict_down_to_the_nanosecond),
		cmocka_unit_test(conditions_of_different_fields_must_all_hold),
		cmocka_unit_test(an_arena_that_is_full_is_an_error),
		STORED(before_and_since_compare_with_an_image_of_the_store),
		STORED(nothing_is_before_an_image_without_a_time_and_all_others_since),
		STORED(images_of_before_and_since_must_be_there),
		cmocka_unit_test(the_hash_of_a_filter_is_the_same_for_ever),
		cmocka_unit_test(every_field_is_part_of_the_hash),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
