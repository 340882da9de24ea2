#include "service/build/diff/tar_put.h"

#include <inttypes.h>
#include <sys/stat.h>

enum { NAME_BYTES = 100, RECORDS_MAX = 16 << 20 };

enum tar_put_type tar_put_type_of(mode_t mode)
{
	switch (mode & S_IFMT) {
	case S_IFDIR:
		return TAR_PUT_DIRECTORY;
	case S_IFLNK:
		return TAR_PUT_SYMLINK;
	case S_IFCHR:
		return TAR_PUT_CHAR_DEVICE;
	case S_IFBLK:
		return TAR_PUT_BLOCK_DEVICE;
	case S_IFIFO:
		return TAR_PUT_FIFO;
	default:
		return TAR_PUT_FILE;
	}
}

static const uint64_t id_max = 07777777, number_max = UINT64_C(077777777777);

/* A header as it lies on the tape (POSIX.1-2001, "ustar Interchange Format"). */
struct ustar {
	char name[NAME_BYTES];
	char mode[8], uid[8], gid[8];
	char size[12], mtime[12];
	char checksum[8];
	char type;
	char link[NAME_BYTES];
	char magic[6], version[2];
	char uname[32], gname[32];
	char major[8], minor[8];
	char prefix[155];
	char unused[12];
};

_Static_assert(sizeof(struct ustar) == TAR_PUT_BLOCK, "a header is one block");

/* Digits with leading zeros, and a NUL; 0 where a PAX record says it. */
static void put_octal(char *field, size_t size, uint64_t value, uint64_t max)
{
	if (value > max)
		value = 0;
	for (size_t i = size - 1; i-- > 0; value >>= 3)
		field[i] = (char)('0' + (value & 7));
	field[size - 1] = 0;
}

static void put_checksum(struct ustar *h)
{
	const uint8_t *bytes = (const uint8_t *)h;
	uint64_t sum = 0;

	memset(h->checksum, ' ', sizeof h->checksum);
	for (size_t i = 0; i < sizeof *h; i++)
		sum += bytes[i];
	put_octal(h->checksum, sizeof h->checksum - 1, sum, number_max);
}

static void put_text(char field[NAME_BYTES], struct bytes text)
{
	if (text.len)
		memcpy(field, text.data, text.len < NAME_BYTES ? text.len : NAME_BYTES);
}

static bool put_block(const struct tar_put *p, struct buf *out)
{
	struct ustar h = { .type = (char)p->type, .magic = "ustar", .version = { '0', '0' } };

	put_text(h.name, p->name);
	put_text(h.link, p->link);
	put_octal(h.mode, sizeof h.mode, p->mode, id_max);
	put_octal(h.uid, sizeof h.uid, p->uid, id_max);
	put_octal(h.gid, sizeof h.gid, p->gid, id_max);
	put_octal(h.size, sizeof h.size, p->size, number_max);
	put_octal(h.mtime, sizeof h.mtime, p->mtime < 0 ? 0 : (uint64_t)p->mtime, number_max);
	put_octal(h.major, sizeof h.major, p->major, id_max);
	put_octal(h.minor, sizeof h.minor, p->minor, id_max);
	put_checksum(&h);
	return buf_append(out, &h, sizeof h);
}

/* ---- PAX records --------------------------------------------------------------------- */

static size_t digits(size_t n)
{
	size_t count = 1;

	for (; n >= 10; n /= 10)
		count++;
	return count;
}

/* "LENGTH KEY=VALUE\n", where the length counts its own digits. */
static void put_record(struct buf *out, const char *prefix, const char *key, struct bytes value)
{
	size_t rest = strlen(prefix) + strlen(key) + value.len + 3, len = rest + 1;

	while (digits(len) + rest > len)
		len++;
	buf_printf(out, "%zu %s%s=", len, prefix, key);
	buf_append(out, value.data, value.len);
	buf_putc(out, '\n');
}

static void put_number(struct buf *out, const char *key, int64_t value)
{
	char text[24];

	snprintf(text, sizeof text, "%" PRId64, value);
	put_record(out, "", key, bytes_of(text));
}

/* A key ends at its first "=": as GNU tar does, that one, and what it is written with, go by their numbers. */
static void put_xattr(struct buf *out, const struct tar_put_xattr *x)
{
	CLEANUP(buf_free) struct buf name = BUF_INIT(RECORDS_MAX);

	for (const char *c = x->name; *c; c++)
		if (*c == '=' || *c == '%')
			buf_printf(&name, "%%%02X", (unsigned char)*c);
		else
			buf_putc(&name, *c);
	out->failed |= name.failed;
	put_record(out, "SCHILY.xattr.", buf_text(&name), x->value);
}

/* In the order of their keys. */
static void put_records(const struct tar_put *p, struct buf *out)
{
	for (size_t i = 0; i < p->n_xattrs; i++)
		put_xattr(out, &p->xattrs[i]);
	if (p->gid > id_max)
		put_number(out, "gid", p->gid);
	if (p->link.len > NAME_BYTES)
		put_record(out, "", "linkpath", p->link);
	if (p->mtime < 0 || (uint64_t)p->mtime > number_max)
		put_number(out, "mtime", p->mtime);
	if (p->name.len > NAME_BYTES)
		put_record(out, "", "path", p->name);
	if (p->size > number_max)
		put_number(out, "size", (int64_t)p->size);
	if (p->uid > id_max)
		put_number(out, "uid", p->uid);
}

static bool put_padding(struct buf *out, size_t len)
{
	static const uint8_t zeros[TAR_PUT_BLOCK];

	return buf_append(out, zeros, len);
}

static bool put_extended(struct bytes records, struct buf *out)
{
	const struct tar_put extended = {
		.type = 'x',
		.name = bytes_of("PaxHeaders/member"),
		.mode = 0644,
		.size = records.len,
	};

	return put_block(&extended, out) && buf_append(out, records.data, records.len) &&
	       put_padding(out, tar_put_padding(records.len));
}

bool tar_put_header(const struct tar_put *p, struct buf *out)
{
	CLEANUP(buf_free) struct buf records = BUF_INIT(RECORDS_MAX);

	put_records(p, &records);
	if (!buf_ok(&records) || (records.len && !put_extended(buf_bytes(&records), out)))
		return false;
	return put_block(p, out);
}
