/*
 * A layer's tar of hostile bytes becomes an image, or is refused: where it becomes one,
 * the daemon's check takes it, it has the entries that the count of the same stream has,
 * it is the same however the stream was cut, and the tar of it makes an image of which the
 * tar is the same again.
 *
 * Input: a byte, then the tar. With the byte's low bit set, each block gets the header
 * checksum that it should have, or mutated headers would hardly be read; the other bits
 * say how the stream is cut.
 */
#include <sys/mman.h>
#include <sys/stat.h>

#include "service/layer/erofs/check.h"
#include "service/layer/erofs/writer.h"
#include "service/layer/tar_count.h"
#include "service/tree/tree_tar.h"
#include "tests/fuzz/tar_checksums.h"

enum { MEGABYTE = 1024 * 1024 };

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void require(bool holds)
{
	if (!holds)
		abort();
}

static int new_file(void)
{
	int fd = memfd_create("image", MFD_CLOEXEC);

	require(fd >= 0);
	return fd;
}

static int convert(struct bytes tar, size_t piece, int fd, struct erofs_result *result, struct err *err)
{
	const struct erofs_limits limits = {
		.entries = 10000,
		.file_bytes = 64 * MEGABYTE,
		.image_bytes = 32 * MEGABYTE,
		.tree_bytes = 16 * MEGABYTE,
		.xattr_bytes = 64 * 1024,
	};
	CLEANUP(erofs_writer_freep) struct erofs_writer *w = NULL;
	int rc = erofs_writer_new(fd, &limits, &w, err);

	for (size_t at = 0; rc == OK && at < tar.len; at += piece)
		rc = erofs_writer_feed(w, tar.data + at, tar.len - at < piece ? tar.len - at : piece, err);
	return rc == OK ? erofs_writer_finish(w, result, err) : rc;
}

static void compare_with_count(struct bytes tar, const struct erofs_result *r)
{
	struct tar_count count;

	tar_count_init(&count, 10000, 64 * MEGABYTE);
	require(tar_count_feed(&count, tar.data, tar.len, NULL) == OK && tar_count_finish(&count, NULL) == OK);
	require(count.entries == r->entries && count.offset == r->tar_bytes);
	tar_count_free(&count);
}

static void check_image(int fd, const struct erofs_result *r)
{
	struct erofs_summary s;
	struct stat st;

	require(!fstat(fd, &st) && (uint64_t)st.st_size == r->image_bytes);
	require(erofs_check(fd, UINT64_MAX, NULL, &s, NULL) == OK);
	require(s.root_is_opaque == r->root_is_opaque && s.entries + 1 >= r->inodes && s.directories <= r->inodes);
}

static void compare_images(int a, int b, size_t len)
{
	void *p = mmap(NULL, len, PROT_READ, MAP_PRIVATE, a, 0), *q = mmap(NULL, len, PROT_READ, MAP_PRIVATE, b, 0);

	require(p != MAP_FAILED && q != MAP_FAILED && !memcmp(p, q, len));
	munmap(p, len);
	munmap(q, len);
}

/* ---- there and back ----------------------------------------------------------------------- */

/* What an image says as a tar; empty when it is too long. */
static void export(int fd, struct buf *out)
{
	CLEANUP(tree_tar_freep) struct tree_tar *t = NULL;
	const int fds[] = { dup(fd) };
	struct tree *tree = NULL;
	size_t len = 1;

	require(tree_open(fds, 1, NULL, &tree, NULL) == OK && tree_tar_new(tree, &t, NULL) == OK);
	while (len) {
		uint8_t piece[4096];

		require(tree_tar_read(t, piece, sizeof piece, &len, NULL) == OK);
		if (!buf_append(out, piece, len)) {
			buf_reset(out);
			return;
		}
	}
}

/* An image of the tar of an image says the same. Not of sparse files, whose pieces may
 * become larger. */
static void there_and_back(int fd)
{
	static const char sparse[] = "GNU.sparse.major";
	CLEANUP(buf_free) struct buf first = BUF_INIT(16 * MEGABYTE);
	CLEANUP(buf_free) struct buf second = BUF_INIT(16 * MEGABYTE);
	CLEANUP(closep) int image = new_file();
	struct erofs_result result;

	export(fd, &first);
	if (!first.len || memmem(first.data, first.len, sparse, strlen(sparse)))
		return;
	require(convert(buf_bytes(&first), first.len, image, &result, NULL) == OK);
	export(image, &second);
	require(first.len == second.len && !memcmp(first.data, second.data, first.len));
}

static void try(struct bytes tar, size_t piece)
{
	struct erofs_result whole = { 0 }, cut = { 0 };
	struct err err = ERR_INIT, cut_err = ERR_INIT;
	CLEANUP(closep) int a = new_file();
	CLEANUP(closep) int b = new_file();
	int rc = convert(tar, tar.len + 1, a, &whole, &err);

	require(convert(tar, piece, b, &cut, &cut_err) == rc && !strcmp(err.text, cut_err.text));
	if (rc != OK)
		return;
	compare_with_count(tar, &whole);
	check_image(a, &whole);
	require(!memcmp(&whole, &cut, sizeof whole));
	compare_images(a, b, whole.image_bytes);
	there_and_back(a);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	uint8_t *tar = size ? malloc(size) : NULL;

	if (!tar)
		return 0;
	memcpy(tar, data + 1, size - 1);
	if (data[0] & 1)
		repair_checksums(tar, size - 1);
	try((struct bytes){ tar, size - 1 }, 1 + (size_t)(data[0] >> 1) * 37);
	free(tar);
	return 0;
}
