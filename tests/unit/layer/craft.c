#include "tests/unit/layer/craft.h"

#include <bzlib.h>
#include <dirent.h>
#include <fcntl.h>
#include <isa-l/crc.h>
#include <isa-l/igzip_lib.h>
#include <lzma.h>
#include <sys/mman.h>
#include <zstd.h>

enum { BLOCK = 512 };

static void put(struct buf *b, const void *data, size_t len)
{
	assert_true(buf_append(b, data, len));
}

/* ---- tar ----------------------------------------------------------------------- */

static void put_size(uint8_t *block, size_t at, int64_t size, bool base256)
{
	if (!base256) {
		snprintf((char *)block + at, 12, "%011llo", (unsigned long long)size);
		return;
	}
	block[at] = 0x80;
	for (int i = 0; i < 8; i++)
		block[at + 11 - i] = (uint8_t)((uint64_t)size >> (8 * i));
}

static void put_checksum(uint8_t *block, const struct craft_entry *e)
{
	int sum = 0;

	memset(block + 148, ' ', 8);
	for (int i = 0; i < BLOCK; i++)
		sum += e->signed_sum ? (int8_t)block[i] : block[i];
	snprintf((char *)block + 148, 8, "%06o", (unsigned)sum & 0777777);
	block[155] = ' ';
	if (e->raw_sum)
		memcpy(block + 148, e->raw_sum, 8);
}

void craft_header(struct buf *b, const struct craft_entry *e)
{
	uint8_t block[BLOCK] = { 0 };
	const char *format = e->format ? e->format : "gnu";

	memcpy(block, e->name, strnlen(e->name, 100));
	snprintf((char *)block + 100, 8, "%07o", 0644U);
	put_size(block, 124, e->size, e->base256);
	if (e->raw_size)
		memcpy(block + 124, e->raw_size, 12);
	block[156] = (uint8_t)e->type;
	if (!strcmp(format, "gnu"))
		memcpy(block + 257, "ustar  ", 8);
	if (!strcmp(format, "ustar"))
		memcpy(block + 257, "ustar\00000", 8);
	if (e->prefix)
		memcpy(block + 345, e->prefix, strnlen(e->prefix, 155));
	if (e->link)
		memcpy(block + 157, e->link, strnlen(e->link, 100));
	if (e->type == 'S') {
		put_size(block, 483, e->sparse_size, e->base256);
		block[482] = e->sparse_goes_on;
	}
	put_checksum(block, e);
	put(b, block, sizeof block);
}

void craft_zeros(struct buf *b, size_t len)
{
	uint8_t *at = buf_reserve(b, len);

	assert_non_null(at);
	memset(at, 0, len);
	b->len += len;
}

static void pad(struct buf *b)
{
	craft_zeros(b, -b->len % BLOCK);
}

void craft_data(struct buf *b, size_t len)
{
	uint8_t *at = buf_reserve(b, len + 1);
	static _Thread_local uint32_t seed = 1; /* goes on: files are not alike, and hardly compress */

	assert_non_null(at);
	for (size_t i = 0; i < len; i++) {
		seed = seed * 1664525 + 1013904223;
		at[i] = "the quick brown fox jumps over lazy dogs"[seed >> 27];
	}
	b->len += len;
	pad(b);
}

void craft_text(struct buf *b, const char *text)
{
	put(b, text, strlen(text));
	pad(b);
}

void craft_file(struct buf *b, const char *name, size_t size)
{
	craft_header(b, &(struct craft_entry){ .name = name, .type = '0', .size = (int64_t)size });
	craft_data(b, size);
}

void craft_end(struct buf *b)
{
	craft_zeros(b, 2 * BLOCK);
}

void craft_tree(struct buf *b, unsigned files, size_t size)
{
	char name[32];

	for (unsigned i = 0; i < files; i++) {
		snprintf(name, sizeof name, "dir/file%u", i);
		craft_file(b, name, size);
	}
	craft_end(b);
}

/* ---- compression ----------------------------------------------------------------- */

static void put_gzip_header(struct buf *out, unsigned flags)
{
	uint8_t head[10] = { 0x1f, 0x8b, 8, (uint8_t)flags, 1, 2, 3, 4, 0, 3 };
	size_t start = out->len;

	put(out, head, sizeof head);
	if (flags & CRAFT_GZIP_EXTRA)
		put(out, "\5\0extra", 7);
	if (flags & CRAFT_GZIP_NAME)
		put(out, "layer.tar", 10);
	if (flags & CRAFT_GZIP_COMMENT)
		put(out, "a comment", 10);
	if (flags & CRAFT_GZIP_HCRC) {
		uint32_t crc = crc32_gzip_refl(0, out->data + start, out->len - start);
		uint8_t low[2] = { (uint8_t)crc, (uint8_t)(crc >> 8) };

		put(out, low, sizeof low);
	}
}

void craft_gzip(struct buf *out, struct bytes data, unsigned flags)
{
	struct isal_zstream z;
	size_t room = data.len + data.len / 8 + 1024;
	uint8_t *at;

	put_gzip_header(out, flags);
	at = buf_reserve(out, room);
	assert_non_null(at);
	isal_deflate_init(&z);
	z.next_in = (uint8_t *)data.data;
	z.avail_in = (uint32_t)data.len;
	z.next_out = at;
	z.avail_out = (uint32_t)room;
	z.end_of_stream = 1;
	z.gzip_flag = IGZIP_GZIP_NO_HDR;
	assert_int_equal(isal_deflate(&z), COMP_OK);
	assert_int_equal(z.internal_state.state, ZSTATE_END);
	out->len += room - z.avail_out;
}

void craft_zstd(struct buf *out, struct bytes data, bool checksum, int window_log)
{
	ZSTD_CCtx *c = ZSTD_createCCtx();
	ZSTD_inBuffer in = { data.data, data.len, 0 };
	ZSTD_outBuffer to = { NULL, ZSTD_compressBound(data.len), 0 };

	assert_non_null(c);
	to.dst = buf_reserve(out, to.size);
	assert_non_null(to.dst);
	ZSTD_CCtx_setParameter(c, ZSTD_c_checksumFlag, checksum);
	/* Without the content's size, the frame must name its window. */
	ZSTD_CCtx_setParameter(c, ZSTD_c_contentSizeFlag, 0);
	if (window_log)
		assert_false(ZSTD_isError(ZSTD_CCtx_setParameter(c, ZSTD_c_windowLog, window_log)));
	assert_int_equal(ZSTD_compressStream2(c, &to, &in, ZSTD_e_end), 0);
	assert_int_equal(in.pos, in.size);
	out->len += to.pos;
	ZSTD_freeCCtx(c);
}

void craft_zstd_skippable(struct buf *out)
{
	put(out, "\x50\x2a\x4d\x18\x05\0\0\0skip!", 13);
}

void craft_xz(struct buf *out, struct bytes data, int check)
{
	size_t room = lzma_stream_buffer_bound(data.len), used = 0;
	uint8_t *at = buf_reserve(out, room);

	assert_non_null(at);
	assert_int_equal(lzma_easy_buffer_encode(0, (lzma_check)check, NULL, data.data, data.len, at, &used, room),
			 LZMA_OK);
	out->len += used;
}

static size_t after_number(const uint8_t *bytes, size_t at)
{
	while (bytes[at] & 0x80)
		at++;
	return at + 1;
}

/* The block header comes after the stream's 12 bytes: its size in fours less one, flags,
 * perhaps two sizes, and of the filter the id (0x21: LZMA2), the size of its properties,
 * those (the dictionary, 40: 4 GiB); then padding, and a CRC32. */
void craft_xz_greedy(struct buf *out, struct bytes data)
{
	size_t start = out->len, size, at = 2;
	uint8_t *header;
	uint32_t crc;

	craft_xz(out, data, LZMA_CHECK_CRC32);
	header = out->data + start + 12;
	size = (header[0] + 1U) * 4;
	for (uint8_t flag = 0x40; flag; flag = (uint8_t)(flag << 1))
		if (header[1] & flag)
			at = after_number(header, at);
	assert_int_equal(header[at], 0x21);
	header[at + 2] = 40;
	crc = lzma_crc32(header, size - 4, 0);
	for (size_t i = 0; i < 4; i++)
		header[size - 4 + i] = (uint8_t)(crc >> (8 * i));
}

void craft_bzip2(struct buf *out, struct bytes data)
{
	unsigned room = (unsigned)(data.len + data.len / 100 + 600);
	char *at = buf_reserve(out, room);

	assert_non_null(at);
	assert_int_equal(BZ2_bzBuffToBuffCompress(at, &room, (char *)data.data, (unsigned)data.len, 1, 0, 0), BZ_OK);
	out->len += room;
}

/* ---- files ------------------------------------------------------------------------- */

int craft_growing_fd(int *ret_writer)
{
	char path[64];
	int writer = memfd_create("layer", MFD_CLOEXEC), reader;

	assert_true(writer >= 0);
	snprintf(path, sizeof path, "/proc/self/fd/%d", writer);
	reader = open(path, O_RDONLY | O_CLOEXEC);
	assert_true(reader >= 0);
	*ret_writer = writer;
	return reader;
}

int craft_fd(struct bytes data)
{
	int writer, reader = craft_growing_fd(&writer);

	for (size_t done = 0; done < data.len;) {
		ssize_t n = write(writer, data.data + done, data.len - done);

		assert_true(n > 0);
		done += (size_t)n;
	}
	close(writer);
	return reader;
}

bool is_busy(pid_t pid)
{
	char path[64], text[512] = "";
	const char *name_end;
	FILE *f;

	snprintf(path, sizeof path, "/proc/%d/stat", pid);
	f = fopen(path, "re");
	if (!f)
		return false;
	name_end = fgets(text, sizeof text, f) ? strrchr(text, ')') : NULL;
	fclose(f);
	return name_end && (!strncmp(name_end, ") R", 3) || !strncmp(name_end, ") D", 3));
}

int count_descriptors(void)
{
	DIR *d = opendir("/proc/self/fd");
	int n = 0;

	assert_non_null(d);
	while (readdir(d))
		n++;
	closedir(d);
	return n;
}

struct digest craft_sha256(struct bytes data)
{
	struct digest d;

	digest_of(DIGEST_SHA256, data, &d);
	return d;
}
