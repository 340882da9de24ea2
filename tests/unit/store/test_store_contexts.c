/* Contexts of clients: lists, what of their files is known, and what stays. */
#include "tests/unit/store/fixture.h"

#include <sys/stat.h>

#include "store/contexts/contexts.h"
#include "store/contexts/pack_writer.h"

static struct context_entry file(const char *path, int64_t size, uint64_t stamp)
{
	return (struct context_entry){ .path = bytes_of(path), .mode = S_IFREG | 0644, .size = size, .stamp = stamp };
}

static struct context_entry directory(const char *path)
{
	return (struct context_entry){ .path = bytes_of(path), .mode = S_IFDIR | 0755 };
}

static struct context_list *make_list(struct store *s, const char *where, const struct context_entry *entries, size_t n)
{
	CLEANUP(context_list_abandonp) struct context_list_writer *w = NULL;
	struct context_list *l = NULL;
	struct err err = ERR_INIT;

	assert_ok(context_list_begin(s, where, &w, &err), &err);
	for (size_t i = 0; i < n; i++)
		assert_ok(context_list_add(w, &entries[i], &err), &err);
	assert_ok(context_list_end(w, &l, &err), &err);
	return l;
}

/* Bytes of an entry that are `c` as often as its size says. */
static void put(struct context_files *f, const char *path, char c, uint32_t flags)
{
	CLEANUP(pack_writer_free) struct pack_writer w = PACK_WRITER_INIT;
	uint32_t i = context_list_find(f->list, bytes_of(path));
	size_t size = (size_t)context_list_entry(f->list, i).size;
	struct context_place place = { .flags = CONTEXT_KNOWN | flags };
	CLEANUP(freep) char *data = malloc(size + 1);
	struct err err = ERR_INIT;
	struct digest sha256;

	memset(data, c, size);
	w.pack = f->pack;
	place.offset = context_pack_reserve(f->pack, size);
	assert_ok(pack_writer_begin(&w, place.offset, &err), &err);
	assert_ok(pack_writer_add(&w, (struct bytes){ (uint8_t *)data, size }, &err), &err);
	sha256 = pack_writer_end(&w);
	assert_ok(pack_writer_flush(&w, &err), &err);
	memcpy(place.sha256, sha256.bytes, sizeof place.sha256);
	assert_ok(context_files_put(f, i, &place, 1, &err), &err);
}

static bool is_known(struct context_files *f, const char *path)
{
	struct context_place place;
	char byte = 0;

	if (!context_files_get(f, context_list_find(f->list, bytes_of(path)), &place))
		return false;
	return pread(f->pack->file.fd, &byte, 1, (off_t)place.offset) == 1 && byte == 'x';
}

static void a_range_is_what_is_below_a_path(void **state)
{
	struct fixture *f = *state;
	const struct context_entry entries[] = { file("a", 0, 1),     directory("d"),	 directory("d/e"),
						 file("d/e/f", 0, 1), file("d/g", 0, 1), file("d-x", 0, 1),
						 file("e", 0, 1) };
	CLEANUP(context_list_unrefp) struct context_list *l = make_list(f->store, NULL, entries, ARRAY_LEN(entries));
	static const struct {
		const char *path;
		uint32_t begin, end;
	} cases[] = { { "", 0, 7 },  { "d", 1, 5 }, { "d/e", 2, 4 }, { "d/e/f", 3, 4 },
		      { "a", 0, 1 }, { "b", 1, 1 }, { "d/e/", 4, 4 } };

	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		struct context_range r = context_list_range(l, bytes_of(cases[i].path));

		assert_int_equal(r.end - r.begin, cases[i].end - cases[i].begin);
		if (r.end > r.begin)
			assert_int_equal(r.begin, cases[i].begin);
	}
	assert_int_equal(context_list_find(l, bytes_of("d-x")), 5);
	assert_int_equal(context_list_find(l, bytes_of("nothing")), CONTEXT_NO_ENTRY);
}

static struct context_entry symlink_to(const char *path, const char *target)
{
	return (struct context_entry){ .path = bytes_of(path), .mode = S_IFLNK | 0777, .link = bytes_of(target) };
}

/* NULL: not found. "": the root. */
static const char *resolved(const struct context_list *l, const char *path, bool follow_last)
{
	static char text[CONTEXT_PATH_MAX + 1];
	struct bytes found = { 0 };
	uint32_t index;

	if (context_list_resolve(l, bytes_of(path), follow_last, &index, NULL) != OK)
		return NULL;
	if (index != CONTEXT_NO_ENTRY)
		found = context_list_path(l, index);
	snprintf(text, sizeof text, "%.*s", (int)found.len, (const char *)found.data);
	return text;
}

static void links_lead_nowhere_out_of_the_context(void **state)
{
	struct fixture *f = *state;
	const struct context_entry entries[] = {
		symlink_to("abs", "/d/e"),
		directory("d"),
		directory("d/e"),
		file("d/e/f", 0, 1),
		symlink_to("d/self", "."),
		file("file", 0, 1),
		symlink_to("gone", "no"),
		symlink_to("loop", "loop"),
		symlink_to("out", "../../etc"),
		symlink_to("to", "d/self/e"),
		symlink_to("up", "d/../../file"),
	};
	CLEANUP(context_list_unrefp) struct context_list *l = make_list(f->store, NULL, entries, ARRAY_LEN(entries));
	static const struct {
		const char *path;
		bool follow_last;
		const char *wanted;
	} cases[] = {
		{ "", false, "" },
		{ "/", false, "" },
		{ "../..", false, "" },
		{ "d/e/..", false, "d" },
		{ "d/e/f", false, "d/e/f" },
		{ "/d//e/./f", false, "d/e/f" },
		{ "abs", false, "abs" },
		{ "abs", true, "d/e" },
		{ "abs/f", false, "d/e/f" },
		{ "to/f", false, "d/e/f" },
		{ "to", true, "d/e" },
		{ "up", true, "file" },
		{ "out", false, "out" },
		{ "out", true, NULL },
		{ "gone", true, NULL },
		{ "loop", true, NULL },
		{ "loop/x", false, NULL },
		{ "file/x", false, NULL },
		{ "nothing", false, NULL },
		{ "d/self/self/e", false, "d/e" },
		{ "d/../file", false, "file" },
	};

	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		const char *got = resolved(l, cases[i].path, cases[i].follow_last);

		if ((got == NULL) != (cases[i].wanted == NULL) || (got && strcmp(got, cases[i].wanted) != 0)) {
			print_error("%s: %s\n", cases[i].path, got ? got : "not found");
			_fail(__FILE__, __LINE__);
		}
	}
	assert_int_equal(context_list_skip(l, 1), 5);
	assert_int_equal(context_list_skip(l, 5), 6);
}

static void entries_out_of_order_or_without_a_directory_are_refused(void **state)
{
	struct fixture *f = *state;
	const struct context_entry pairs[][2] = {
		{ file("b", 0, 1), file("a", 0, 1) },	{ file("a", 0, 1), file("a", 0, 1) },
		{ file("a", 0, 1), file("a/b", 0, 1) }, { file("a", 0, 1), file("b/c", 0, 1) },
		{ directory("a"), file("ab/c", 0, 1) },
	};

	for (size_t i = 0; i < ARRAY_LEN(pairs); i++) {
		CLEANUP(context_list_abandonp) struct context_list_writer *w = NULL;
		struct err err = ERR_INIT;

		assert_ok(context_list_begin(f->store, NULL, &w, &err), &err);
		assert_ok(context_list_add(w, &pairs[i][0], &err), &err);
		assert_code(context_list_add(w, &pairs[i][1], &err), E_INVALID);
	}
}

static void what_is_known_goes_over_to_the_next_list(void **state)
{
	struct fixture *f = *state;
	const struct context_entry old[] = { file("changed", 3, 1), file("gone", 3, 1), file("same", 3, 1),
					     file("size", 3, 1), file("touchy", 3, 1) };
	const struct context_entry new[] = { file("added", 3, 1), file("changed", 3, 2), file("same", 3, 1),
					     file("size", 4, 1), file("touchy", 3, 1) };
	CLEANUP(context_files_unrefp) struct context_files *before = NULL;
	CLEANUP(context_files_unrefp) struct context_files *after = NULL;
	struct err err = ERR_INIT;

	assert_ok(
		context_files_new(f->store, NULL, make_list(f->store, NULL, old, ARRAY_LEN(old)), NULL, &before, &err),
		&err);
	for (size_t i = 0; i < ARRAY_LEN(old); i++)
		put(before, (const char *)old[i].path.data, 'x', i == 4 ? CONTEXT_UNSETTLED : 0);
	assert_ok(
		context_files_new(f->store, NULL, make_list(f->store, NULL, new, ARRAY_LEN(new)), before, &after, &err),
		&err);
	assert_true(is_known(after, "same"));
	for (size_t i = 0; i < ARRAY_LEN(new); i++)
		if (i != 2)
			assert_false(is_known(after, (const char *)new[i].path.data));
	put(after, "added", 'x', 0);
	assert_true(is_known(after, "added"));
	assert_true(is_known(before, "gone"));
}

static void what_is_known_does_not_change(void **state)
{
	struct fixture *f = *state;
	const struct context_entry entries[] = { file("a", 3, 1) };
	CLEANUP(context_files_unrefp) struct context_files *files = NULL;
	struct err err = ERR_INIT;

	assert_ok(context_files_new(f->store, NULL, make_list(f->store, NULL, entries, 1), NULL, &files, &err), &err);
	put(files, "a", 'x', 0);
	put(files, "a", 'y', 0);
	assert_true(is_known(files, "a"));
}

static struct contexts *contexts_of(struct fixture *f)
{
	struct contexts *c = NULL;
	struct err err = ERR_INIT;

	assert_ok(contexts_new(f->store, &c, &err), &err);
	return c;
}

static struct context *enter(struct contexts *c, const char *id)
{
	struct context *x = NULL;
	struct err err = ERR_INIT;

	assert_ok(contexts_enter(c, bytes_of(id), &x, &err), &err);
	return x;
}

/* A build that brings one file. */
static void build(struct contexts *c, const char *id, int64_t size)
{
	const struct context_entry entries[] = { file("a", size, 1) };
	struct context *x = enter(c, id);
	struct context_files *files = NULL;
	struct err err = ERR_INIT;

	assert_ok(context_files_new(contexts_store(c), context_directory(x),
				    make_list(contexts_store(c), context_directory(x), entries, 1), NULL, &files, &err),
		  &err);
	put(files, "a", 'x', 0);
	assert_ok(context_commit(x, files, &err), &err);
	context_files_unref(files);
	context_leave(x);
}

static void committed_files_are_there_for_the_next_process(void **state)
{
	struct fixture *f = *state;
	struct contexts *c = contexts_of(f);
	struct context_files *files;
	struct context *x;

	build(c, "one", 5);
	contexts_free(c);
	fixture_reopen(f);
	c = contexts_of(f);
	x = enter(c, "one");
	files = context_last(x);
	assert_non_null(files);
	assert_true(is_known(files, "a"));
	context_files_unref(files);
	context_leave(x);
	x = enter(c, "two");
	assert_null(context_last(x));
	context_leave(x);
	contexts_free(c);
}

static bool add_bytes(void *sum, const struct context_usage *u)
{
	*(int64_t *)sum += u->bytes;
	return true;
}

static void the_longest_unused_goes_first(void **state)
{
	struct fixture *f = *state;
	struct contexts *c = contexts_of(f);
	struct context_freed freed;
	struct err err = ERR_INIT;
	struct context *x;
	int64_t all = 0;

	build(c, "one", 100 * 1000);
	build(c, "two", 100 * 1000);
	build(c, "three", 100 * 1000);
	assert_ok(contexts_each(c, NULL, add_bytes, &all, &err), &err);
	x = enter(c, "two");
	assert_ok(contexts_prune(c, &(struct context_limits){ .max_bytes = all / 3, .dry_run = true }, &freed, &err),
		  &err);
	assert_int_equal(freed.count, 2);
	assert_ok(contexts_prune(c, &(struct context_limits){ .max_bytes = all / 3 }, &freed, &err), &err);
	assert_int_equal(freed.count, 2);
	assert_int_equal(freed.bytes, all / 3 * 2);
	all = 0;
	assert_ok(contexts_each(c, NULL, add_bytes, &all, &err), &err);
	assert_int_equal(all, freed.bytes / 2);
	context_leave(x);
	contexts_free(c);
}

static void ids_have_a_length(void **state)
{
	struct fixture *f = *state;
	struct contexts *c = contexts_of(f);
	uint8_t id[CONTEXT_ID_MAX + 1] = { 1 };
	struct err err = ERR_INIT;
	struct context *x;

	assert_code(contexts_enter(c, (struct bytes){ id, 0 }, &x, &err), E_INVALID);
	assert_code(contexts_enter(c, (struct bytes){ id, sizeof id }, &x, &err), E_INVALID);
	contexts_free(c);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(a_range_is_what_is_below_a_path, fixture_setup, fixture_teardown),
		cmocka_unit_test_setup_teardown(links_lead_nowhere_out_of_the_context, fixture_setup, fixture_teardown),
		cmocka_unit_test_setup_teardown(entries_out_of_order_or_without_a_directory_are_refused, fixture_setup,
						fixture_teardown),
		cmocka_unit_test_setup_teardown(what_is_known_goes_over_to_the_next_list, fixture_setup,
						fixture_teardown),
		cmocka_unit_test_setup_teardown(what_is_known_does_not_change, fixture_setup, fixture_teardown),
		cmocka_unit_test_setup_teardown(committed_files_are_there_for_the_next_process, fixture_setup,
						fixture_teardown),
		cmocka_unit_test_setup_teardown(the_longest_unused_goes_first, fixture_setup, fixture_teardown),
		cmocka_unit_test_setup_teardown(ids_have_a_length, fixture_setup, fixture_teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
