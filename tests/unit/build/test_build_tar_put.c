/* Headers of a layer's tar. */
#include "tests/unit/build/unit.h"

#include "service/build/diff/tar_put.h"

static const char *field(const struct buf *b, size_t block, size_t offset)
{
	return (const char *)b->data + block * TAR_PUT_BLOCK + offset;
}

enum { NAME = 0, MODE = 100, UID = 108, SIZE = 124, MTIME = 136, TYPE = 156, MAJOR = 329, MINOR = 337 };

static void one_block_where_it_fits(void **state)
{
	const struct tar_put p = {
		.type = TAR_PUT_CHAR_DEVICE,
		.name = bytes_of("dev/null"),
		.mode = 04755,
		.uid = 1000,
		.mtime = 1600000000,
		.major = 1,
		.minor = 3,
	};
	CLEANUP(buf_free) struct buf b = BUF_INIT(4096);

	(void)state;
	assert_true(tar_put_header(&p, &b));
	assert_int_equal(b.len, TAR_PUT_BLOCK);
	assert_string_equal(field(&b, 0, NAME), "dev/null");
	assert_string_equal(field(&b, 0, MODE), "0004755");
	assert_string_equal(field(&b, 0, UID), "0001750");
	assert_string_equal(field(&b, 0, MTIME), "13727410000");
	assert_int_equal(*field(&b, 0, TYPE), '3');
	assert_string_equal(field(&b, 0, MAJOR), "0000001");
	assert_string_equal(field(&b, 0, MINOR), "0000003");
}

static void records_where_it_does_not(void **state)
{
	static const struct tar_put_xattr xattrs[] = { { "user.a", { (const uint8_t *)"\0=", 2 } } };
	char name[121];
	const struct tar_put p = {
		.type = TAR_PUT_FILE,
		.name = { (const uint8_t *)name, sizeof name - 1 },
		.uid = 4000000000,
		.gid = 2097151,
		.size = UINT64_C(9) << 30,
		.mtime = -5,
		.xattrs = xattrs,
		.n_xattrs = 1,
	};
	static const char wanted[] = "26 SCHILY.xattr.user.a=\0=\n12 mtime=-5\n";
	CLEANUP(buf_free) struct buf b = BUF_INIT(4096);

	(void)state;
	memset(name, 'n', sizeof name);
	assert_true(tar_put_header(&p, &b));
	assert_int_equal(b.len, 3 * TAR_PUT_BLOCK);
	assert_int_equal(*field(&b, 0, TYPE), 'x');
	assert_memory_equal(field(&b, 1, 0), wanted, sizeof wanted - 1);
	assert_non_null(memmem(b.data, b.len, "130 path=nnn", 12));
	assert_non_null(memmem(b.data, b.len, "\n19 size=9663676416\n18 uid=4000000000\n\0", 39));
	assert_null(memmem(b.data, b.len, "gid=", 4));
	assert_string_equal(field(&b, 2, SIZE), "00000000000");
}

static void names_of_attributes_that_no_key_can_have(void **state)
{
	static const struct tar_put_xattr xattrs[] = { { "user.a=%", { (const uint8_t *)"b=%", 3 } } };
	const struct tar_put p = { .type = TAR_PUT_FILE, .xattrs = xattrs, .n_xattrs = 1 };
	static const char wanted[] = "33 SCHILY.xattr.user.a%3D%25=b=%\n";
	CLEANUP(buf_free) struct buf b = BUF_INIT(4096);

	(void)state;
	assert_true(tar_put_header(&p, &b));
	assert_memory_equal(field(&b, 1, 0), wanted, sizeof wanted - 1);
}

/* A record's length counts its own digits, also where they become one more. */
static void lengths_of_records(void **state)
{
	(void)state;
	for (size_t len = 101; len < 1200; len++) {
		CLEANUP(freep) char *name = malloc(len);
		CLEANUP(buf_free) struct buf b = BUF_INIT(8192);
		struct tar_put p = { .type = TAR_PUT_FILE, .name = { (const uint8_t *)name, len } };
		char *end;

		memset(name, 'x', len);
		assert_true(tar_put_header(&p, &b));
		assert_int_equal(b.data[TAR_PUT_BLOCK + strtoul(field(&b, 1, 0), &end, 10) - 1], '\n');
		assert_int_equal(strtoul(field(&b, 1, 0), NULL, 10), (size_t)(end - field(&b, 1, 0)) + len + 7);
	}
}

static void checksums(void **state)
{
	const struct tar_put p = { .type = TAR_PUT_DIRECTORY, .name = bytes_of("d/"), .mode = 0755 };
	CLEANUP(buf_free) struct buf b = BUF_INIT(4096);
	unsigned sum = 0;

	(void)state;
	assert_true(tar_put_header(&p, &b));
	for (size_t i = 0; i < TAR_PUT_BLOCK; i++)
		sum += i >= 148 && i < 156 ? ' ' : b.data[i];
	assert_int_equal(strtoul(field(&b, 0, 148), NULL, 8), sum);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(one_block_where_it_fits),
		cmocka_unit_test(records_where_it_does_not),
		cmocka_unit_test(names_of_attributes_that_no_key_can_have),
		cmocka_unit_test(lengths_of_records),
		cmocka_unit_test(checksums),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
