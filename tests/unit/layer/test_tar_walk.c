/* The walk over an archive: what the worker makes of each block, and the same through a
 * real process. */
#include "proto/runtime/cancel.h"
#include "service/layer/archive.h"
#include "service/layer/tar_count.h"
#include "service/layer/tar_members.h"
#include "store/types/docker_archive.h"
#include "tests/unit/layer/craft.h"

enum { MEMBERS_MAX = 64, BLOCK = 512 };

struct member {
	enum tar_entry_kind kind;
	uint64_t data_offset, size;
	char name[WALK_NAME_MAX + 1], link[WALK_NAME_MAX + 1];
};

struct listing {
	size_t n;
	bool ended; /* by its end mark */
	struct member members[MEMBERS_MAX];
};

/* Something that answers blocks: the worker's code, or a process. */
typedef int answer_fn(void *arg, const uint8_t *block, uint64_t offset, struct tar_step *step, struct err *err);
typedef int end_fn(void *arg, uint64_t size, struct err *err);

static void keep(struct listing *l, const struct tar_step *step)
{
	struct member *m = &l->members[l->n];

	if (l->n++ >= MEMBERS_MAX)
		return;
	m->kind = step->kind;
	m->data_offset = step->data_offset;
	m->size = step->size;
	snprintf(m->name, sizeof m->name, "%s", step->name);
	snprintf(m->link, sizeof m->link, "%s", step->link);
}

static int walk_with(answer_fn *answer, end_fn *end, void *arg, struct bytes tar, struct listing *l, struct err *err)
{
	struct tar_step step = { 0 };
	uint64_t at = 0;

	l->n = 0;
	l->ended = false;
	while (!l->ended) {
		int rc;

		if (at + BLOCK > tar.len)
			return end(arg, tar.len, err);
		rc = answer(arg, tar.data + at, at, &step, err);
		if (rc != OK)
			return rc;
		if (step.type == TAR_STEP_ENTRY)
			keep(l, &step);
		l->ended = step.type == TAR_STEP_END;
		at = step.next;
	}
	return OK;
}

/* ---- with a process -------------------------------------------------------------- */

static int ask_process(void *arg, const uint8_t *block, uint64_t offset, struct tar_step *step, struct err *err)
{
	return tar_walk_block(arg, block, offset, NULL, step, err);
}

static int end_process(void *arg, uint64_t size, struct err *err)
{
	return tar_walk_end(arg, size, err);
}

static int walk_process(struct bytes tar, const struct layer_policy *policy, struct listing *l, struct err *err)
{
	CLEANUP(tar_walk_freep) struct tar_walk *w = NULL;
	int rc = tar_walk_new(IMAGED_LAYER, policy, &w, err);

	return rc == OK ? walk_with(ask_process, end_process, w, tar, l, err) : rc;
}

static int list(struct bytes tar, struct listing *l, struct err *err)
{
	struct layer_policy policy = layer_policy_default();

	return walk_process(tar, &policy, l, err);
}

static struct listing listing; /* too large for the stack */

static void assert_listed(struct buf *tar, const struct member *wanted, size_t n, bool ended)
{
	struct err err = ERR_INIT;

	assert_ok(list(buf_bytes(tar), &listing, &err), &err);
	assert_int_equal(listing.n, n);
	assert_int_equal(listing.ended, ended);
	for (size_t i = 0; i < n; i++) {
		const struct member *m = &listing.members[i];

		assert_string_equal(m->name, wanted[i].name);
		assert_string_equal(m->link, wanted[i].link);
		assert_int_equal(m->kind, wanted[i].kind);
		assert_int_equal(m->size, wanted[i].size);
		if (wanted[i].data_offset)
			assert_int_equal(m->data_offset, wanted[i].data_offset);
	}
	buf_free(tar);
}

static void assert_refused(struct buf *tar, int code, const char *text)
{
	struct err err = ERR_INIT;

	assert_fails(list(buf_bytes(tar), &listing, &err), &err, code, text);
	buf_free(tar);
}

static struct buf new_tar(void)
{
	return (struct buf)BUF_INIT(CRAFT_MAX);
}

static void put_pax(struct buf *b, char type, const char *records, size_t len)
{
	craft_header(b, &(struct craft_entry){ .name = "pax", .type = type, .size = (int64_t)len, .format = "ustar" });
	assert_true(buf_append(b, records, len));
	craft_zeros(b, -len % BLOCK);
}

static void put_record(struct buf *b, const char *key, const char *value, size_t len)
{
	size_t total = strlen(key) + len + 3, digits = 1;
	struct buf record = BUF_INIT(CRAFT_MAX);

	for (size_t power = 10; total + digits >= power; power *= 10)
		digits++;
	buf_printf(&record, "%zu %s=", total + digits, key);
	buf_append(&record, value, len);
	buf_putc(&record, '\n');
	put_pax(b, 'x', (const char *)record.data, record.len);
	buf_free(&record);
}

static void put_long(struct buf *b, char type, const char *text, size_t len)
{
	craft_header(b, &(struct craft_entry){ .name = "././@LongLink", .type = type, .size = (int64_t)len });
	assert_true(buf_append(b, text, len));
	craft_zeros(b, -len % BLOCK);
}

/* ---- names and types --------------------------------------------------------------- */

static void members_come_with_type_name_target_and_place(void **state UNUSED)
{
	static const struct member wanted[] = {
		{ TAR_ENTRY_DIRECTORY, 512, 0, "d/", "" },
		{ TAR_ENTRY_REGULAR, 1024, 600, "d/f", "" },
		{ TAR_ENTRY_SYMLINK, 2560, 0, "s", "../id/layer.tar" },
		{ TAR_ENTRY_HARDLINK, 3072, 0, "h", "d/f" },
		{ TAR_ENTRY_OTHER, 3584, 0, "fifo", "" },
		{ TAR_ENTRY_OTHER, 4096, 0, "dev", "" },
		{ TAR_ENTRY_OTHER, 4608, 700, "unknown", "" },
		{ TAR_ENTRY_REGULAR, 6144, 0, "empty", "" },
		{ TAR_ENTRY_REGULAR, 6656, 1, "contiguous", "" },
	};
	struct buf b = new_tar();

	craft_header(&b, &(struct craft_entry){ .name = "d/", .type = '5', .size = 4711 });
	craft_file(&b, "d/f", 600);
	craft_header(&b, &(struct craft_entry){ .name = "s", .type = '2', .size = 99, .link = "../id/layer.tar" });
	craft_header(&b, &(struct craft_entry){ .name = "h", .type = '1', .size = 600, .link = "d/f" });
	craft_header(&b, &(struct craft_entry){ .name = "fifo", .type = '6', .size = 1, .link = "not a link" });
	craft_header(&b, &(struct craft_entry){ .name = "dev", .type = '4', .size = 1 });
	craft_header(&b, &(struct craft_entry){ .name = "unknown", .type = 'Z', .size = 700 });
	craft_data(&b, 700);
	craft_file(&b, "empty", 0);
	craft_header(&b, &(struct craft_entry){ .name = "contiguous", .type = '7', .size = 1 });
	craft_data(&b, 1);
	craft_end(&b);
	assert_listed(&b, wanted, ARRAY_LEN(wanted), true);
}

static void a_name_is_put_together_from_what_counts(void **state UNUSED)
{
	static const struct member wanted[] = {
		{ TAR_ENTRY_REGULAR, 0, 0, "pre/fix/name", "" }, { TAR_ENTRY_REGULAR, 0, 0, "name", "" },
		{ TAR_ENTRY_REGULAR, 0, 0, "long name", "" },	 { TAR_ENTRY_SYMLINK, 0, 0, "short", "long target" },
		{ TAR_ENTRY_REGULAR, 0, 0, "pax \xc3\xa4", "" }, { TAR_ENTRY_SYMLINK, 0, 0, "short", "pax target" },
		{ TAR_ENTRY_REGULAR, 0, 0, "both", "" },	 { TAR_ENTRY_REGULAR, 0, 0, "last", "" },
		{ TAR_ENTRY_REGULAR, 0, 0, "header", "" },	 { TAR_ENTRY_REGULAR, 0, 0, "after", "" },
	};
	struct buf b = new_tar();

	craft_header(&b, &(struct craft_entry){ .name = "name", .type = '0', .format = "ustar", .prefix = "pre/fix" });
	craft_header(&b, &(struct craft_entry){ .name = "name", .type = '0', .format = "gnu", .prefix = "times" });
	put_long(&b, 'L', "long name", 10);
	craft_file(&b, "short", 0);
	put_long(&b, 'K', "long target\0\0\0", 14);
	craft_header(&b, &(struct craft_entry){ .name = "short", .type = '2', .link = "x" });
	put_record(&b, "path", "pax \xc3\xa4", 6);
	craft_header(&b, &(struct craft_entry){ .name = "n", .type = '0', .format = "ustar", .prefix = "p" });
	put_record(&b, "linkpath", "pax target", 10);
	craft_header(&b, &(struct craft_entry){ .name = "short", .type = '2', .link = "x" });
	put_long(&b, 'L', "both", 4);
	put_record(&b, "path", "both", 4);
	craft_file(&b, "short", 0);
	put_record(&b, "path", "first", 5);
	put_pax(&b, 'x', "13 path=old1\n13 path=last\n", 26);
	craft_file(&b, "short", 0);
	put_pax(&b, 'x', "13 path=gone\n8 path=\n", 21);
	craft_file(&b, "header", 0);
	craft_file(&b, "after", 0);
	craft_end(&b);
	assert_listed(&b, wanted, ARRAY_LEN(wanted), true);
}

static void stars_prefix_ends_where_its_times_begin(void **state UNUSED)
{
	static struct member wanted = { .kind = TAR_ENTRY_REGULAR };
	char prefix[156] = "";
	struct buf b = new_tar();
	uint8_t *block;
	unsigned sum = 0;

	memset(prefix, 'p', 131);
	snprintf(wanted.name, sizeof wanted.name, "%s/name", prefix);
	memcpy(prefix + 131, "00000000000 00000000000", 23);
	craft_header(&b, &(struct craft_entry){ .name = "name", .type = '0', .format = "ustar", .prefix = prefix });
	block = b.data;
	memcpy(block + 508, "tar", 4);
	memset(block + 148, ' ', 8);
	for (int i = 0; i < BLOCK; i++)
		sum += block[i];
	snprintf((char *)block + 148, 8, "%06o", sum);
	craft_end(&b);
	assert_listed(&b, &wanted, 1, true);
}

static void names_may_be_as_long_as_a_path_and_no_longer(void **state UNUSED)
{
	static char longest[WALK_NAME_MAX + 2];
	static const char types[] = "LK";
	static const char *const keys[] = { "path", "linkpath" };
	static struct member wanted = { .kind = TAR_ENTRY_SYMLINK };

	memset(longest, 'n', sizeof longest - 1);
	for (size_t i = 0; i < ARRAY_LEN(keys); i++) {
		struct buf b = new_tar();

		memcpy(wanted.name, i ? "short" : longest, i ? 6 : WALK_NAME_MAX);
		memcpy(wanted.link, i ? longest : "x", i ? WALK_NAME_MAX : 2);
		put_record(&b, keys[i], longest, WALK_NAME_MAX);
		craft_header(&b, &(struct craft_entry){ .name = "short", .type = '2', .link = "x" });
		assert_listed(&b, &wanted, 1, false);
		b = new_tar();
		put_long(&b, types[i], longest, WALK_NAME_MAX);
		craft_header(&b, &(struct craft_entry){ .name = "short", .type = '2', .link = "x" });
		assert_listed(&b, &wanted, 1, false);
		b = new_tar();
		put_record(&b, keys[i], longest, WALK_NAME_MAX + 1);
		assert_refused(&b, E_BAD_CONTENT, "name that is too long at byte 0");
		b = new_tar();
		put_long(&b, types[i], longest, WALK_NAME_MAX + 1);
		assert_refused(&b, E_BAD_CONTENT, "name that is too long at byte 0");
		memset(&wanted, 0, sizeof wanted);
		wanted.kind = TAR_ENTRY_SYMLINK;
	}
}

static void names_that_readers_take_for_different_ones_are_refused(void **state UNUSED)
{
	struct buf b = new_tar();

	put_record(&b, "path", "a\0b", 3);
	assert_refused(&b, E_BAD_CONTENT, "name with a NUL");
	b = new_tar();
	put_record(&b, "linkpath", "a\0", 2);
	assert_refused(&b, E_BAD_CONTENT, "name with a NUL");
	b = new_tar();
	put_long(&b, 'L', "a\0b", 4);
	assert_refused(&b, E_BAD_CONTENT, "name with a NUL");
	b = new_tar();
	put_long(&b, 'K', "a\0b", 3);
	assert_refused(&b, E_BAD_CONTENT, "name with a NUL");
	b = new_tar();
	put_record(&b, "path", "a", 1);
	put_long(&b, 'L', "b", 2);
	craft_file(&b, "c", 0);
	assert_refused(&b, E_BAD_CONTENT, "entry with two names at byte 2048");
	b = new_tar();
	put_long(&b, 'K', "b", 2);
	put_record(&b, "linkpath", "bb", 2);
	craft_header(&b, &(struct craft_entry){ .name = "c", .type = '2', .link = "x" });
	assert_refused(&b, E_BAD_CONTENT, "entry with two names");
}

/* The slash at the end of whichever name counts. */
static void an_old_directory_is_told_by_its_name(void **state UNUSED)
{
	static const struct member wanted[] = {
		{ TAR_ENTRY_DIRECTORY, 0, 0, "d/", "" },
		{ TAR_ENTRY_DIRECTORY, 0, 0, "long/", "" },
		{ TAR_ENTRY_DIRECTORY, 0, 0, "pax/", "" },
		{ TAR_ENTRY_REGULAR, 0, 600, "file", "" },
	};
	struct buf b = new_tar();

	craft_header(&b, &(struct craft_entry){ .name = "d/", .type = 0, .size = 600, .format = "v7" });
	put_long(&b, 'L', "long/", 6);
	craft_header(&b, &(struct craft_entry){ .name = "n", .type = 0, .size = 600 });
	put_record(&b, "path", "pax/", 4);
	craft_header(&b, &(struct craft_entry){ .name = "n", .type = 0, .size = 600 });
	put_record(&b, "path", "file", 4);
	craft_header(&b, &(struct craft_entry){ .name = "n/", .type = 0, .size = 600 });
	craft_data(&b, 600);
	craft_end(&b);
	assert_listed(&b, wanted, ARRAY_LEN(wanted), true);
}

/* ---- sizes --------------------------------------------------------------------------- */

static void sizes_come_from_the_header_in_two_forms_or_from_pax(void **state UNUSED)
{
	static const struct member wanted[] = {
		{ TAR_ENTRY_REGULAR, 512, 1000, "big", "" },
		{ TAR_ENTRY_REGULAR, 3072, 2000, "pax", "" },
		{ TAR_ENTRY_REGULAR, 0, 7, "after", "" },
	};
	struct buf b = new_tar();

	craft_header(&b, &(struct craft_entry){ .name = "big", .type = '0', .size = 1000, .base256 = true });
	craft_data(&b, 1000);
	put_pax(&b, 'x', "10 size=1\n13 size=2000\n", 23);
	craft_header(&b, &(struct craft_entry){ .name = "pax", .type = '0', .size = 5 });
	craft_data(&b, 2000);
	craft_file(&b, "after", 7);
	craft_end(&b);
	assert_listed(&b, wanted, ARRAY_LEN(wanted), true);
}

static void global_headers_change_nothing(void **state UNUSED)
{
	static const struct member wanted[] = { { TAR_ENTRY_REGULAR, 0, 7, "f", "" } };
	struct buf b = new_tar();

	put_pax(&b, 'g', "13 size=2000\n13 path=evil\n24 GNU.sparse.map=0,1,2\n", 50);
	craft_file(&b, "f", 7);
	craft_end(&b);
	assert_listed(&b, wanted, 1, true);
}

static void sizes_that_no_file_can_have_are_refused(void **state UNUSED)
{
	static const int64_t sizes[] = { INT64_MAX, INT64_MAX - 512, INT64_MAX - 1534 };

	for (size_t i = 0; i < ARRAY_LEN(sizes); i++) {
		struct buf b = new_tar();

		craft_header(&b, &(struct craft_entry){ .name = "n", .type = '0', .size = sizes[i], .base256 = true });
		assert_refused(&b, E_BAD_CONTENT, "entry that is too large at byte 0");
	}
}

static void the_largest_size_is_a_place_like_any_other(void **state UNUSED)
{
	CLEANUP(tar_walk_freep) struct tar_walk *w = NULL;
	struct layer_policy policy = layer_policy_default();
	struct err err = ERR_INIT;
	struct tar_step step;
	struct buf b = new_tar();
	int64_t size = INT64_MAX - 1535;

	craft_header(&b, &(struct craft_entry){ .name = "n", .type = '0', .size = size, .base256 = true });
	assert_ok(tar_walk_new(IMAGED_LAYER, &policy, &w, &err), &err);
	assert_ok(tar_walk_block(w, b.data, 0, NULL, &step, &err), &err);
	assert_int_equal(step.size, size);
	assert_int_equal(step.next, INT64_MAX - 1023);
	b.len = 0;
	craft_header(&b, &(struct craft_entry){ .name = "m", .type = '0', .size = 1 });
	assert_fails(tar_walk_block(w, b.data, step.next, NULL, &step, &err), &err, E_BAD_CONTENT, "too large");
	buf_free(&b);
}

static void sparse_files_of_every_form_are_refused(void **state UNUSED)
{
	static const char *const records[] = {
		"22 GNU.sparse.major=1\n22 GNU.sparse.minor=0\n33 GNU.sparse.realsize=123456789\n",
		"22 GNU.sparse.map=0,1\n25 GNU.sparse.size=50000\n",
		"23 GNU.sparse.size=700\n23 GNU.sparse.offset=0\n25 GNU.sparse.numbytes=1\n",
		"22 GNU.sparse.major=2\n22 GNU.sparse.minor=7\n",
		"21 GNU.sparse.name=n\n",
	};
	struct buf b = new_tar();

	craft_header(&b, &(struct craft_entry){ .name = "old", .type = 'S', .size = 512, .sparse_size = 1000000 });
	assert_refused(&b, E_UNSUPPORTED, "archive has a sparse file, which is not supported, at byte 0");
	for (size_t i = 0; i < ARRAY_LEN(records); i++) {
		b = new_tar();
		put_pax(&b, 'x', records[i], strlen(records[i]));
		craft_file(&b, "f", 5);
		assert_refused(&b, E_UNSUPPORTED, "sparse file");
	}
}

/* ---- limits and broken headers --------------------------------------------------------- */

static void broken_headers_are_refused_with_their_place(void **state UNUSED)
{
	static const struct {
		struct craft_entry entry;
		const char *text;
	} cases[] = {
		{ { .name = "n", .type = '0', .raw_sum = "0000000" }, "wrong checksum at byte 512" },
		{ { .name = "n", .type = '0', .raw_size = "00000000x00" }, "bad size at byte 512" },
		{ { .name = "n", .type = '0', .raw_size = "-0000000001" }, "bad size" },
		{ { .name = "n", .type = '0', .raw_size = "\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff" },
		  "bad size" },
		{ { .name = "n", .type = 'x', .size = 1 << 20 }, "extended header that is too long" },
		{ { .name = "n", .type = 'K', .size = 1LL << 33, .base256 = true },
		  "extended header that is too long" },
	};

	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		struct buf b = new_tar();

		craft_file(&b, "f", 0);
		craft_header(&b, &cases[i].entry);
		craft_end(&b);
		assert_refused(&b, E_BAD_CONTENT, cases[i].text);
	}
}

static void an_extended_header_may_be_as_long_as_its_limit(void **state UNUSED)
{
	static const struct member wanted[] = { { TAR_ENTRY_REGULAR, 0, 0, "f", "" } };
	size_t len = TAR_EXTENDED_MAX - TAR_BLOCK - 11;
	char *value = malloc(len);
	struct buf b = new_tar();

	assert_non_null(value);
	memset(value, 'v', len);
	put_record(&b, "a", value, len);
	craft_file(&b, "f", 0);
	craft_end(&b);
	assert_listed(&b, wanted, 1, true);
	free(value);
}

static void broken_records_are_refused(void **state UNUSED)
{
	static const char types[] = "xg";

	for (size_t i = 0; types[i]; i++) {
		struct buf b = new_tar();

		put_pax(&b, types[i], "7 a=b\n", 6);
		craft_file(&b, "f", 0);
		assert_refused(&b, E_BAD_CONTENT, "extended header with a bad record at byte 0");
	}
}

static void extended_headers_in_a_row_have_a_limit(void **state UNUSED)
{
	static const struct member wanted[] = { { TAR_ENTRY_REGULAR, 0, 0, "f", "" } };
	struct buf b = new_tar();

	for (int i = 0; i < TAR_EXTENDED_RUN; i++)
		put_pax(&b, "gx"[i % 2], "6 a=b\n", 6);
	craft_file(&b, "f", 0);
	assert_listed(&b, wanted, 1, false);
	b = new_tar();
	for (int i = 0; i <= TAR_EXTENDED_RUN; i++)
		put_pax(&b, 'x', "", 0);
	assert_refused(&b, E_BAD_CONTENT, "too many extended headers");
}

static void entries_have_a_limit(void **state UNUSED)
{
	struct layer_policy policy = layer_policy_default();
	struct err err = ERR_INIT;
	struct buf b = new_tar();

	policy.limits.entries = 5;
	craft_tree(&b, 5, 1);
	assert_ok(walk_process(buf_bytes(&b), &policy, &listing, &err), &err);
	assert_int_equal(listing.n, 5);
	buf_reset(&b);
	craft_tree(&b, 6, 1);
	assert_fails(walk_process(buf_bytes(&b), &policy, &listing, &err), &err, E_LIMIT,
		     "archive has more than 5 entries");
	buf_free(&b);
}

/* ---- the end ------------------------------------------------------------------------------ */

static void an_archive_may_end_without_its_mark_or_with_half_of_it(void **state UNUSED)
{
	static const struct member wanted[] = { { TAR_ENTRY_REGULAR, 0, 100, "f", "" } };
	struct buf b = new_tar();

	craft_file(&b, "f", 100);
	assert_listed(&b, wanted, 1, false);
	b = new_tar();
	craft_file(&b, "f", 100);
	b.len -= 412; /* without padding */
	assert_listed(&b, wanted, 1, false);
	b = new_tar();
	craft_file(&b, "f", 100);
	craft_zeros(&b, 512);
	assert_listed(&b, wanted, 1, false);
	b = new_tar();
	craft_file(&b, "f", 100);
	craft_end(&b);
	craft_text(&b, "anything at all");
	assert_listed(&b, wanted, 1, true);
}

static void what_is_no_end_is_refused(void **state UNUSED)
{
	struct buf b = new_tar();

	assert_refused(&b, E_BAD_CONTENT, "archive is empty");
	b = new_tar();
	craft_zeros(&b, 512);
	craft_file(&b, "f", 0);
	assert_refused(&b, E_BAD_CONTENT, "header after a single zero block at byte 0");
	b = new_tar();
	put_record(&b, "path", "x", 1);
	craft_end(&b);
	assert_refused(&b, E_BAD_CONTENT, "extended header without an entry");
	b = new_tar();
	buf_puts(&b, "not an archive");
	assert_refused(&b, E_BAD_CONTENT, "archive is truncated");
	b = new_tar();
	while (b.len < 1024)
		buf_puts(&b, "<html>not found</html>\n");
	assert_refused(&b, E_BAD_CONTENT, "archive is not a sound tar: header with a wrong checksum at byte 0");
}

/* Every length: either a border where Go would be content, or truncated. */
static void an_archive_cut_anywhere_is_whole_only_at_a_border(void **state UNUSED)
{
	struct buf b = new_tar();
	size_t entry, data, end;

	put_long(&b, 'L', "long name", 10);
	put_record(&b, "size", "600", 3);
	craft_header(&b, &(struct craft_entry){ .name = "f", .type = '0', .size = 600 });
	entry = b.len;
	craft_data(&b, 600);
	data = b.len;
	craft_end(&b);
	end = b.len;
	for (size_t len = 1; len < end; len++) {
		bool whole = (len >= entry + 600 && len <= data) || len == data + 512;
		struct err err = ERR_INIT;
		int rc;

		if (len % 64 > 1 && len % 512 > 1)
			continue; /* a process each */
		rc = list((struct bytes){ b.data, len }, &listing, &err);
		if (whole ? rc != OK : rc != E_BAD_CONTENT || !strstr(err.text, "truncated"))
			failed("%zu bytes of %zu: %d %s", len, end, rc, err.text);
	}
	buf_free(&b);
}

/* ---- the same reader for layers ----------------------------------------------------------- */

static void the_walk_and_the_count_see_the_same_entries(void **state UNUSED)
{
	struct tar_count count;
	struct err err = ERR_INIT;
	struct buf b = new_tar();
	uint64_t bytes = 0;

	for (unsigned i = 0; i < 40; i++) {
		if (i % 3 == 0)
			put_long(&b, 'L', i % 2 ? "long/" : "long", i % 2 ? 6 : 5);
		if (i % 5 == 0)
			put_record(&b, "path", i % 2 ? "long/" : "long", i % 2 ? 5 : 4);
		craft_header(&b,
			     &(struct craft_entry){ .name = "n", .type = (char)(i % 8 ? '0' + i % 8 : 0), .size = 9 });
		craft_data(&b, (i % 8 == 0 && !(i % 2 && (i % 3 == 0 || i % 5 == 0))) || i % 8 == 7 ? 9 : 0);
	}
	craft_end(&b);
	tar_count_init(&count, 1000, INT32_MAX);
	assert_ok(tar_count_feed(&count, b.data, b.len, &err), &err);
	assert_ok(tar_count_finish(&count, &err), &err);
	assert_ok(list(buf_bytes(&b), &listing, &err), &err);
	for (size_t i = 0; i < listing.n; i++)
		bytes += listing.members[i].size;
	assert_int_equal(listing.n, count.entries);
	assert_int_equal(bytes, count.files_bytes);
	tar_count_free(&count);
	buf_free(&b);
}

/* ---- archives of other projects ------------------------------------------------------------ */

static bool read_shared(const char *name, struct buf *b)
{
	const char *shared = getenv("IMAGED_SHARED");
	char path[4096], chunk[4096];
	size_t n;
	FILE *f;

	snprintf(path, sizeof path, "%s/cases/registry/docker-archive/%s",
		 shared ? shared : IMAGED_SOURCE_DIR "/../shared", name);
	f = fopen(path, "re");
	if (!f) {
		print_message("          %s is not here: skipped\n", path);
		return false;
	}
	while ((n = fread(chunk, 1, sizeof chunk, f)))
		assert_true(buf_append(b, chunk, n));
	fclose(f);
	return true;
}

static const struct member *find(const char *name)
{
	for (size_t i = 0; i < listing.n; i++) {
		char normal[MEMBER_NAME_ROOM];

		assert_int_equal(member_name_normalize(bytes_of(listing.members[i].name), normal, NULL), OK);
		if (!strcmp(normal, name))
			return &listing.members[i];
	}
	failed("no member %s", name);
	return NULL;
}

/* From the outside in: the walk finds manifest.json, and what that names. */
static void a_docker_archive_is_found_with_all_its_parts(void **state UNUSED)
{
	static const struct {
		const char *name;
		size_t images;
	} cases[] = { { "test_image_1.tar", 1 }, { "test_bundle.tar", 2 } };

	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		CLEANUP(docker_archive_free) struct docker_archive a = { 0 };
		CLEANUP(buf_free) struct buf b = BUF_INIT(CRAFT_MAX);
		struct err err = ERR_INIT;
		const struct member *m;

		if (!read_shared(cases[i].name, &b))
			skip();
		assert_ok(list(buf_bytes(&b), &listing, &err), &err);
		m = find("manifest.json");
		assert_ok(docker_archive_parse((struct bytes){ b.data + m->data_offset, m->size }, &a, &err), &err);
		assert_int_equal(a.n_images, cases[i].images);
		for (size_t n = 0; n < a.n_images; n++) {
			assert_int_equal(find(a.images[n].config)->kind, TAR_ENTRY_REGULAR);
			for (size_t l = 0; l < a.images[n].n_layers; l++)
				assert_true(find(a.images[n].layers[l])->size > 0);
		}
	}
}

/* ---- the process ------------------------------------------------------------------------- */

static void a_fired_token_ends_the_wait(void **state UNUSED)
{
	CLEANUP(tar_walk_freep) struct tar_walk *w = NULL;
	CLEANUP(cancel_unrefp) struct cancel *cancel = cancel_new();
	struct layer_policy policy = layer_policy_default();
	uint8_t block[BLOCK] = { 0 };
	struct err err = ERR_INIT;
	struct tar_step step;

	assert_ok(tar_walk_new(IMAGED_LAYER, &policy, &w, &err), &err);
	cancel_fire(cancel, E_CANCELLED);
	assert_fails(tar_walk_block(w, block, 0, cancel, &step, &err), &err, E_CANCELLED, "");
	assert_fails(tar_walk_block(w, block, 0, NULL, &step, &err), &err, E_WORKER, "ended by an earlier failure");
}

static void a_program_that_is_missing_is_named(void **state UNUSED)
{
	struct layer_policy policy = layer_policy_default();
	struct err err = ERR_INIT;
	struct tar_walk *w;

	assert_fails(tar_walk_new("/nonexistent/imaged-layer", &policy, &w, &err), &err, E_WORKER,
		     "cannot start /nonexistent/imaged-layer");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(members_come_with_type_name_target_and_place),
		cmocka_unit_test(a_name_is_put_together_from_what_counts),
		cmocka_unit_test(stars_prefix_ends_where_its_times_begin),
		cmocka_unit_test(names_may_be_as_long_as_a_path_and_no_longer),
		cmocka_unit_test(names_that_readers_take_for_different_ones_are_refused),
		cmocka_unit_test(an_old_directory_is_told_by_its_name),
		cmocka_unit_test(sizes_come_from_the_header_in_two_forms_or_from_pax),
		cmocka_unit_test(global_headers_change_nothing),
		cmocka_unit_test(sizes_that_no_file_can_have_are_refused),
		cmocka_unit_test(the_largest_size_is_a_place_like_any_other),
		cmocka_unit_test(sparse_files_of_every_form_are_refused),
		cmocka_unit_test(broken_headers_are_refused_with_their_place),
		cmocka_unit_test(an_extended_header_may_be_as_long_as_its_limit),
		cmocka_unit_test(broken_records_are_refused),
		cmocka_unit_test(extended_headers_in_a_row_have_a_limit),
		cmocka_unit_test(entries_have_a_limit),
		cmocka_unit_test(an_archive_may_end_without_its_mark_or_with_half_of_it),
		cmocka_unit_test(what_is_no_end_is_refused),
		cmocka_unit_test(an_archive_cut_anywhere_is_whole_only_at_a_border),
		cmocka_unit_test(the_walk_and_the_count_see_the_same_entries),
		cmocka_unit_test(a_docker_archive_is_found_with_all_its_parts),
		cmocka_unit_test(a_fired_token_ends_the_wait),
		cmocka_unit_test(a_program_that_is_missing_is_named),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
