/* Images that are almost sound. */
#include "service/layer/erofs/check.h"

#include <sys/mman.h>
#include <sys/stat.h>

#include "service/layer/erofs/acl.h"
#include "service/layer/erofs/format.h"
#include "service/layer/erofs/writer.h"
#include "tests/unit/layer/craft.h"

#define NEW CLEANUP(buf_free) struct buf

/* ---- an image in memory ------------------------------------------------------------- */

static int write_image(struct bytes tar, struct err *err)
{
	CLEANUP(erofs_writer_freep) struct erofs_writer *w = NULL;
	struct erofs_limits limits = erofs_limits_default();
	struct erofs_result result;
	int fd = memfd_create("image", MFD_CLOEXEC);

	assert_true(fd >= 0);
	assert_ok(erofs_writer_new(fd, &limits, &w, err), err);
	assert_ok(erofs_writer_feed(w, tar.data, tar.len, err), err);
	assert_ok(erofs_writer_finish(w, &result, err), err);
	return fd;
}

/* All times are 0: inodes are compact, but for those of many links. */
static void make(struct buf *image, const struct buf *tar)
{
	struct err err = ERR_INIT;
	CLEANUP(closep) int fd = write_image(buf_bytes(tar), &err);
	struct stat s;
	uint8_t *at;

	assert_int_equal(fstat(fd, &s), 0);
	buf_reset(image);
	at = buf_reserve(image, (size_t)s.st_size);
	assert_non_null(at);
	assert_int_equal(pread(fd, at, (size_t)s.st_size, 0), s.st_size);
	image->len = (size_t)s.st_size;
}

static struct erofs_super *super_of(struct buf *image)
{
	return (struct erofs_super *)(image->data + EROFS_SUPER_OFFSET);
}

static void repair(struct buf *image)
{
	struct erofs_super *s = super_of(image);

	s->checksum = 0;
	s->checksum = htole32(erofs_crc32c((uint8_t *)s, EROFS_BLOCK - EROFS_SUPER_OFFSET));
}

static int check(struct buf *image, struct erofs_summary *summary, struct err *err)
{
	CLEANUP(closep) int fd = memfd_create("image", MFD_CLOEXEC);

	assert_true(fd >= 0);
	assert_int_equal(write(fd, image->data, image->len), image->len);
	return erofs_check(fd, 1000, NULL, summary, err);
}

static void assert_sound(struct buf *image, uint64_t entries)
{
	struct erofs_summary s;
	struct err err = ERR_INIT;

	assert_ok(check(image, &s, &err), &err);
	assert_int_equal(s.entries, entries);
}

static void assert_refused(struct buf *image, const char *part)
{
	struct erofs_summary s;
	struct err err = ERR_INIT;

	repair(image);
	assert_fails(check(image, &s, &err), &err, E_CORRUPT, part);
}

/* ---- what is where ------------------------------------------------------------------ */

static struct erofs_inode_compact *inode_at(struct buf *image, uint64_t nid)
{
	struct erofs_inode_compact *inode = (void *)(image->data + nid * EROFS_SLOT);

	assert_int_equal(inode->format & EROFS_EXTENDED, 0);
	return inode;
}

/* The data of a directory whose only block is inline, behind an inode without xattrs. */
static uint8_t *dirents_of(struct buf *image, uint64_t nid)
{
	assert_int_equal(inode_at(image, nid)->xattr_count, 0);
	assert_int_equal(inode_at(image, nid)->format >> EROFS_LAYOUT_SHIFT, EROFS_FLAT_INLINE);
	return image->data + nid * EROFS_SLOT + sizeof(struct erofs_inode_compact);
}

static struct erofs_dirent *entry_of(struct buf *image, uint64_t directory, const char *name)
{
	struct erofs_dirent *entries = (void *)dirents_of(image, directory);
	const char *block = (void *)entries;
	size_t n = entries[0].name_offset / sizeof *entries, size = inode_at(image, directory)->size;

	for (size_t i = 0; i < n; i++) {
		size_t end = i + 1 < n ? entries[i + 1].name_offset : size;

		if (end - entries[i].name_offset == strlen(name) &&
		    !memcmp(block + entries[i].name_offset, name, strlen(name)))
			return &entries[i];
	}
	failed("no entry %s", name);
	return NULL;
}

static uint64_t nid_of(struct buf *image, uint64_t directory, const char *name)
{
	return le64toh(entry_of(image, directory, name)->nid);
}

/* d/e/f, d/g, a file "large" of two blocks and a tail, a symlink. */
static void make_some(struct buf *image)
{
	NEW tar = BUF_INIT(CRAFT_MAX);

	craft_header(&tar, &(struct craft_entry){ .name = "d/e", .type = '5' });
	craft_file(&tar, "d/e/f", 10);
	craft_header(&tar, &(struct craft_entry){ .name = "d/g", .type = '5' });
	craft_file(&tar, "large", 9000);
	craft_header(&tar, &(struct craft_entry){ .name = "link", .type = '2', .link = "target" });
	craft_header(&tar, &(struct craft_entry){ .name = "pipe", .type = '6' });
	craft_end(&tar);
	make(image, &tar);
	assert_sound(image, 7);
}

/* ---- superblock ---------------------------------------------------------------------- */

static void superblocks_of_others_are_refused(void **state UNUSED)
{
	NEW image = BUF_INIT(CRAFT_MAX);

	make_some(&image);
	image.data[EROFS_SUPER_OFFSET]++;
	assert_refused(&image, "no EROFS");
	image.data[EROFS_SUPER_OFFSET]--;
	super_of(&image)->feature_incompat = htole32(1);
	assert_refused(&image, "none that this program writes");
	super_of(&image)->feature_incompat = 0;
	super_of(&image)->block_bits = 9;
	assert_refused(&image, "none that this program writes");
	super_of(&image)->block_bits = EROFS_BLOCK_BITS;
	super_of(&image)->blocks++;
	assert_refused(&image, "none that this program writes");
	super_of(&image)->blocks--;
	super_of(&image)->xattr_block = htole32(1);
	assert_refused(&image, "none that this program writes");
	super_of(&image)->xattr_block = 0;
	repair(&image);
	assert_sound(&image, 7);
	image.data[EROFS_BLOCK - 1]++;
	assert_int_equal(check(&image, NULL, NULL), E_CORRUPT); /* the checksum counts */
}

static void files_of_other_sizes_are_refused(void **state UNUSED)
{
	NEW image = BUF_INIT(CRAFT_MAX);

	make_some(&image);
	image.len -= EROFS_BLOCK;
	assert_refused(&image, "none that this program writes");
	image.len += 1;
	assert_refused(&image, "a file of");
	image.len = 0;
	assert_int_equal(check(&image, NULL, NULL), E_CORRUPT);
}

/* ---- directories ----------------------------------------------------------------------- */

static void directories_that_are_no_tree_are_refused(void **state UNUSED)
{
	NEW image = BUF_INIT(CRAFT_MAX);
	uint64_t d, e;

	make_some(&image);
	d = nid_of(&image, EROFS_ROOT_NID, "d");
	e = nid_of(&image, d, "e");
	entry_of(&image, d, "g")->nid = htole64(e);
	assert_refused(&image, "two names");
	entry_of(&image, d, "g")->nid = htole64(d);
	assert_refused(&image, "wrong one above");
	entry_of(&image, d, "g")->nid = htole64(EROFS_ROOT_NID);
	assert_refused(&image, "two names");
	make_some(&image);
	entry_of(&image, e, "..")->nid = htole64(EROFS_ROOT_NID);
	assert_refused(&image, "wrong one above");
	make_some(&image);
	entry_of(&image, e, ".")->nid = htole64(d);
	assert_refused(&image, "wrong one above");
}

static void names_that_cannot_be_are_refused(void **state UNUSED)
{
	NEW image = BUF_INIT(CRAFT_MAX);
	struct erofs_dirent *entry;
	char *name;

	make_some(&image);
	entry = entry_of(&image, EROFS_ROOT_NID, "large");
	name = (char *)dirents_of(&image, EROFS_ROOT_NID) + entry->name_offset;
	name[1] = '/';
	assert_refused(&image, "bad name");
	name[1] = 0;
	assert_refused(&image, "bad name");
	name[1] = 'a';
	name[0] = 'z';
	assert_refused(&image, "not in order");
	name[0] = 'd';
	name[1] = 0;
	assert_refused(&image, "bad name");
	make_some(&image);
	entry = entry_of(&image, EROFS_ROOT_NID, "large");
	entry->name_offset = htole16(4000);
	assert_refused(&image, "bad name");
	entry->name_offset = htole16(12);
	assert_refused(&image, "bad name");
	make_some(&image);
	((struct erofs_dirent *)(void *)dirents_of(&image, EROFS_ROOT_NID))->name_offset = htole16(13);
	assert_refused(&image, "bad block");
	((struct erofs_dirent *)(void *)dirents_of(&image, EROFS_ROOT_NID))->name_offset = 0;
	assert_refused(&image, "bad block");
}

static void entries_of_another_type_or_without_an_inode_are_refused(void **state UNUSED)
{
	NEW image = BUF_INIT(CRAFT_MAX);
	struct erofs_dirent *entry;
	uint64_t nid;

	make_some(&image);
	entry = entry_of(&image, EROFS_ROOT_NID, "large");
	nid = entry->nid;
	entry->type = EROFS_TYPE_DIRECTORY;
	assert_refused(&image, "another type");
	entry->type = EROFS_TYPE_REGULAR;
	entry->nid = htole64(image.len / EROFS_SLOT);
	assert_refused(&image, "past its end");
	entry->nid = UINT64_MAX;
	assert_refused(&image, "past its end");
	entry->nid = nid;
	repair(&image);
	assert_sound(&image, 7);
}

/* ---- inodes ---------------------------------------------------------------------------- */

static void inodes_that_lead_past_the_end_are_refused(void **state UNUSED)
{
	NEW image = BUF_INIT(CRAFT_MAX);
	struct erofs_inode_compact *large;

	make_some(&image);
	large = inode_at(&image, nid_of(&image, EROFS_ROOT_NID, "large"));
	large->place = htole32((uint32_t)(image.len / EROFS_BLOCK) - 1);
	assert_refused(&image, "data past its end");
	large->place = 0;
	assert_refused(&image, "data past its end");
	large->place = htole32(1);
	large->size = UINT32_MAX;
	assert_refused(&image, "");
	large->size = htole32(9000);
	large->format = htole16(EROFS_FLAT_PLAIN << EROFS_LAYOUT_SHIFT);
	large->size = htole32(1 << 20);
	assert_refused(&image, "data past its end");
}

static void forms_that_are_not_ours_are_refused(void **state UNUSED)
{
	NEW image = BUF_INIT(CRAFT_MAX);
	struct erofs_inode_compact *large, *link;

	make_some(&image);
	large = inode_at(&image, nid_of(&image, EROFS_ROOT_NID, "large"));
	link = inode_at(&image, nid_of(&image, EROFS_ROOT_NID, "link"));
	large->format = htole16(1 << EROFS_LAYOUT_SHIFT); /* compressed */
	assert_refused(&image, "layout");
	large->format = htole16(EROFS_CHUNK_BASED << EROFS_LAYOUT_SHIFT);
	assert_refused(&image, "chunk-based"); /* the superblock knows of none */
	large->format = htole16(0x20);
	assert_refused(&image, "unknown form");
	large->format = htole16(EROFS_FLAT_INLINE << EROFS_LAYOUT_SHIFT);
	large->nlink = 0;
	assert_refused(&image, "bad field");
	large->nlink = htole16(1);
	large->mode = htole16(0150000);
	assert_refused(&image, "unknown type");
	large->mode = htole16(S_IFREG);
	link->size = 0;
	assert_refused(&image, "symbolic link");
	link->size = htole32(4096);
	assert_refused(&image, "symbolic link");
	make_some(&image);
	link = inode_at(&image, nid_of(&image, EROFS_ROOT_NID, "link"));
	((char *)(link + 1))[2] = 0;
	assert_refused(&image, "NUL");
	make_some(&image);
	inode_at(&image, nid_of(&image, EROFS_ROOT_NID, "pipe"))->size = htole32(1);
	assert_refused(&image, "device with data");
	make_some(&image);
	inode_at(&image, EROFS_ROOT_NID)->mode = htole16(S_IFREG);
	assert_refused(&image, "root that is no directory");
}

static void chunks_past_the_end_are_refused(void **state UNUSED)
{
	static const char records[] = "26 GNU.sparse.size=100000\n28 GNU.sparse.map=50000,100\n";
	NEW image = BUF_INIT(CRAFT_MAX);
	NEW tar = BUF_INIT(CRAFT_MAX);
	struct erofs_inode_compact *f;
	uint32_t *map;

	craft_header(&tar, &(struct craft_entry){ .name = "pax", .type = 'x', .size = sizeof records - 1 });
	craft_text(&tar, records);
	craft_file(&tar, "f", 100);
	craft_end(&tar);
	make(&image, &tar);
	assert_sound(&image, 1);
	f = inode_at(&image, nid_of(&image, EROFS_ROOT_NID, "f"));
	assert_int_equal(f->format >> EROFS_LAYOUT_SHIFT, EROFS_CHUNK_BASED);
	map = (uint32_t *)(f + 1);
	map[0] = htole32((uint32_t)(image.len / EROFS_BLOCK));
	assert_refused(&image, "chunk past its end");
	map[0] = htole32(EROFS_NO_BLOCK);
	f->place = htole32(le32toh(f->place) | 0x20);
	assert_refused(&image, "chunk-based");
	f->place = htole32(le32toh(f->place) & ~0x3fU);
	f->size = UINT32_MAX;
	assert_refused(&image, "chunk");
}

/* ---- xattrs ------------------------------------------------------------------------------ */

/* A file and a directory with an xattr. */
static void make_xattrs(struct buf *image)
{
	static const char record[] = "29 SCHILY.xattr.user.none=va\n";
	NEW tar = BUF_INIT(CRAFT_MAX);

	for (int i = 0; i < 2; i++) {
		craft_header(&tar, &(struct craft_entry){ .name = "pax", .type = 'x', .size = sizeof record - 1 });
		craft_text(&tar, record);
		craft_header(&tar, &(struct craft_entry){ .name = i ? "d" : "f", .type = i ? '5' : '0' });
	}
	craft_end(&tar);
	make(image, &tar);
	assert_sound(image, 2);
}

static struct erofs_xattrs *xattrs_of(struct buf *image, const char *name)
{
	return (void *)(inode_at(image, nid_of(image, EROFS_ROOT_NID, name)) + 1);
}

static void xattrs_that_are_not_ours_are_refused(void **state UNUSED)
{
	NEW image = BUF_INIT(CRAFT_MAX);
	struct erofs_xattr *x;

	make_xattrs(&image);
	xattrs_of(&image, "f")->shared_count = 1;
	assert_refused(&image, "shared");
	xattrs_of(&image, "f")->shared_count = 0;
	x = (void *)(xattrs_of(&image, "f") + 1);
	x->name_index = 5;
	assert_refused(&image, "unknown kind");
	x->name_index = EROFS_XATTR_ACL_ACCESS;
	assert_refused(&image, "ACL");
	x->name_index = EROFS_XATTR_USER;
	x->name_len = 0;
	assert_refused(&image, "bad name");
	x->name_len = 200;
	assert_refused(&image, "cut off");
	x->name_len = 4;
	x->value_len = htole16(1000);
	assert_refused(&image, "cut off");
}

static void marks_of_overlayfs_are_only_those_that_the_writer_makes(void **state UNUSED)
{
	NEW image = BUF_INIT(CRAFT_MAX);
	NEW tar = BUF_INIT(CRAFT_MAX);
	struct erofs_summary s;
	struct err err = ERR_INIT;
	struct erofs_inode_compact *d;
	char *name;

	craft_file(&tar, "d/.wh..wh..opq", 0);
	craft_file(&tar, "d/.wh.gone", 0);
	craft_end(&tar);
	make(&image, &tar);
	assert_ok(check(&image, &s, &err), &err);
	assert_int_equal(s.whiteouts, 1);
	assert_int_equal(s.directories, 2);
	d = inode_at(&image, nid_of(&image, EROFS_ROOT_NID, "d"));
	name = (char *)(d + 1) + sizeof(struct erofs_xattrs) + sizeof(struct erofs_xattr);
	assert_memory_equal(name, "overlay.opaquey", 15);
	name[14] = 'x';
	assert_refused(&image, "overlayfs");
	name[14] = 'y';
	memcpy(name, "overlay.origin", 14);
	assert_refused(&image, "overlayfs");
}

/* ---- all bytes ----------------------------------------------------------------------------- */

static void every_changed_byte_is_refused_or_harmless(void **state UNUSED)
{
	NEW image = BUF_INIT(CRAFT_MAX);
	size_t refused = 0;

	make_some(&image);
	for (size_t i = EROFS_SUPER_OFFSET; i < image.len; i++)
		for (unsigned change = 1; change < 256; change = change * 15 + 2) {
			struct erofs_summary s;
			struct err err = ERR_INIT;
			int rc;

			image.data[i] ^= (uint8_t)change;
			repair(&image);
			rc = check(&image, &s, &err);
			assert_true(rc == OK || rc == E_CORRUPT);
			refused += rc != OK;
			image.data[i] ^= (uint8_t)change;
		}
	assert_true(refused > 500);
	repair(&image);
	assert_sound(&image, 7);
}

static void bounds_hold(void **state UNUSED)
{
	NEW image = BUF_INIT(CRAFT_MAX);
	NEW tar = BUF_INIT(CRAFT_MAX);
	struct erofs_summary s;
	struct err err = ERR_INIT;

	craft_tree(&tar, 1000, 0);
	make(&image, &tar); /* and their directory */
	assert_fails(check(&image, &s, &err), &err, E_LIMIT, "more than 1000 entries");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(superblocks_of_others_are_refused),
		cmocka_unit_test(files_of_other_sizes_are_refused),
		cmocka_unit_test(directories_that_are_no_tree_are_refused),
		cmocka_unit_test(names_that_cannot_be_are_refused),
		cmocka_unit_test(entries_of_another_type_or_without_an_inode_are_refused),
		cmocka_unit_test(inodes_that_lead_past_the_end_are_refused),
		cmocka_unit_test(forms_that_are_not_ours_are_refused),
		cmocka_unit_test(chunks_past_the_end_are_refused),
		cmocka_unit_test(xattrs_that_are_not_ours_are_refused),
		cmocka_unit_test(marks_of_overlayfs_are_only_those_that_the_writer_makes),
		cmocka_unit_test(every_changed_byte_is_refused_or_harmless),
		cmocka_unit_test(bounds_hold),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
