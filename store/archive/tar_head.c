#include "store/archive/tar_head.h"

#include <inttypes.h>
#include <stdio.h>

enum { RECORDS_MAX = 1024 * 1024 };

/* What fits in octal fields of 12 and 8 bytes. */
static const int64_t long_max = INT64_C(077777777777);
static const uint32_t short_max = 07777777;
static const uint32_t mode_max = 0177777;

/* A header as it lies on the tape (POSIX.1-2001, "ustar Interchange Format"). */
struct ustar {
	char name[100];
	char mode[8], uid[8], gid[8];
	char size[12], mtime[12];
	char checksum[8];
	char type;
	char link[100];
	char magic[6], version[2];
	char uname[32], gname[32];
	char major[8], minor[8];
	char prefix[155];
	char unused[12];
};

_Static_assert(sizeof(struct ustar) == TAR_BLOCK_BYTES, "a header is one block");

/* ---- the block ----------------------------------------------------------------------------- */

/* Digits with leading zeros, and a NUL. */
static void put_octal(char *field, size_t size, int64_t value)
{
	for (size_t i = size - 1; i-- > 0; value >>= 3)
		field[i] = (char)('0' + (value & 7));
	field[size - 1] = 0;
}

static void put_short(char *field, size_t size, uint32_t value)
{
	put_octal(field, size, value > short_max ? 0 : value);
}

static void put_long(char *field, size_t size, int64_t value)
{
	put_octal(field, size, value < 0 || value > long_max ? 0 : value);
}

static void put_checksum(struct ustar *h)
{
	const uint8_t *bytes = (const uint8_t *)h;
	int64_t sum = 0;

	memset(h->checksum, ' ', sizeof h->checksum);
	for (size_t i = 0; i < sizeof *h; i++)
		sum += bytes[i];
	put_octal(h->checksum, sizeof h->checksum - 1, sum);
}

static void put_text(char *field, size_t size, struct bytes text)
{
	if (text.len)
		memcpy(field, text.data, min_size(text.len, size));
}

/* Where a long name is cut in two, at a slash that goes to neither; 0: it cannot be. */
static size_t cut_of(struct bytes name)
{
	const struct ustar *h = NULL;
	size_t at = name.len < sizeof h->prefix ? name.len - 1 : sizeof h->prefix;

	if (name.len <= sizeof h->name)
		return 0;
	/* A directory's slash at the end is of its name. */
	while (at && (name.data[at] != '/' || at == name.len - 1))
		at--;
	return at && name.len - at - 1 <= sizeof h->name ? at : 0;
}

static void put_name(struct ustar *u, struct bytes name)
{
	size_t cut = cut_of(name);

	if (cut) {
		put_text(u->prefix, sizeof u->prefix, (struct bytes){ name.data, cut });
		name = (struct bytes){ name.data + cut + 1, name.len - cut - 1 };
	}
	put_text(u->name, sizeof u->name, name);
}

static bool put_block(struct buf *out, const struct tar_head *h, char type)
{
	struct ustar u = { .type = type, .magic = "ustar", .version = { '0', '0' } };

	put_name(&u, h->name);
	put_text(u.link, sizeof u.link, h->link);
	put_octal(u.mode, sizeof u.mode, h->mode & mode_max);
	put_short(u.uid, sizeof u.uid, h->uid);
	put_short(u.gid, sizeof u.gid, h->gid);
	put_long(u.size, sizeof u.size, h->size);
	put_long(u.mtime, sizeof u.mtime, h->mtime);
	if (h->owner) {
		put_text(u.uname, sizeof u.uname - 1, bytes_of(h->owner));
		put_text(u.gname, sizeof u.gname - 1, bytes_of(h->owner));
	}
	put_short(u.major, sizeof u.major, h->major);
	put_short(u.minor, sizeof u.minor, h->minor);
	put_checksum(&u);
	return buf_append(out, &u, sizeof u);
}

/* ---- records ------------------------------------------------------------------------------- */

bool tar_record(struct buf *records, const char *prefix, struct bytes name, struct bytes value)
{
	size_t rest = strlen(prefix) + name.len + value.len + 3, len = rest + 1;

	while ((size_t)snprintf(NULL, 0, "%zu", len) + rest > len)
		len++;
	return buf_printf(records, "%zu %s", len, prefix) && buf_append(records, name.data, name.len) &&
	       buf_putc(records, '=') && buf_append(records, value.data, value.len) && buf_putc(records, '\n');
}

static bool add_text(struct buf *records, const char *key, struct bytes value)
{
	return tar_record(records, key, (struct bytes){ NULL, 0 }, value);
}

bool tar_record_number(struct buf *records, const char *key, int64_t value)
{
	char text[24];

	snprintf(text, sizeof text, "%" PRId64, value);
	return add_text(records, key, bytes_of(text));
}

/* Decimal, as little of it as tells all. */
static bool add_time(struct buf *records, int64_t seconds, uint32_t ns)
{
	enum { NS_PER_S = 1000000000 };
	bool negative = seconds < 0;
	char text[40];
	size_t len;

	if (negative && ns) { /* -2 s and 0.75 s are -1.25 s */
		seconds++;
		ns = NS_PER_S - ns;
	}
	snprintf(text, sizeof text, "%s%" PRIu64 ".%09" PRIu32, negative ? "-" : "",
		 negative ? -(uint64_t)seconds : (uint64_t)seconds, ns);
	len = strlen(text);
	while (text[len - 1] == '0')
		len--;
	if (text[len - 1] == '.')
		len--;
	return add_text(records, "mtime", (struct bytes){ (const uint8_t *)text, len });
}

static bool name_fits(struct bytes name)
{
	return name.len <= sizeof((struct ustar *)NULL)->name || cut_of(name);
}

/* What the block has no room for. */
static bool add_records(const struct tar_head *h, struct buf *records)
{
	if (!name_fits(h->name) && !add_text(records, "path", h->name))
		return false;
	if (h->link.len > sizeof((struct ustar *)NULL)->link && !add_text(records, "linkpath", h->link))
		return false;
	if (h->size > long_max && !tar_record_number(records, "size", h->size))
		return false;
	if (h->uid > short_max && !tar_record_number(records, "uid", h->uid))
		return false;
	if (h->gid > short_max && !tar_record_number(records, "gid", h->gid))
		return false;
	if (h->mtime_ns || h->mtime < 0 || h->mtime > long_max)
		return add_time(records, h->mtime, h->mtime_ns);
	return true;
}

static bool put_records(struct buf *out, const struct buf *records)
{
	const struct tar_head h = {
		.name = bytes_of("PaxHeaders/member"),
		.mode = 0644,
		.size = (int64_t)records->len,
	};
	static const uint8_t zeros[TAR_BLOCK_BYTES];

	return put_block(out, &h, 'x') && buf_append(out, records->data, records->len) &&
	       buf_append(out, zeros, tar_padding((int64_t)records->len));
}

bool tar_head_write(const struct tar_head *h, struct buf *records, struct buf *out)
{
	CLEANUP(buf_free) struct buf own = BUF_INIT(RECORDS_MAX);
	struct buf *all = records ? records : &own;

	if (!add_records(h, all) || (all->len && !put_records(out, all)))
		return false;
	return put_block(out, h, (char)h->type);
}
